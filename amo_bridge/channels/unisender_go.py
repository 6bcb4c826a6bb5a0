"""Unisender Go: letters by the HTTP API of a service that tells what becomes of them.

An error comes with HTTP 4xx or 200, its code in the body. A letter whose answer was lost is looked for in the service's
list of events, which is made to order; by the letter's key the service itself declines a copy for a minute only.
(Reference: integrations-2, §8; the vendor's Web API reference: email/send, event-dump, system/info, domain/list,
webhook/set.)
"""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.channels.letter import AddressRefused, AddressUnwilling, Letter, LetterService
from amo_bridge.config.channels import UNISENDER_GO_KEY, UnisenderGoSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain

if TYPE_CHECKING:
    from requests import Response

TITLE = "Unisender Go"
LETTER_KEY = "letter_key"
LATER_SECONDS = 3600.0
# Clocks differ; the list of events is asked for from a little earlier on.
CLOCKS_DIFFER = timedelta(minutes=10)
MOST_EVENTS = 1000
MOST_WEBHOOKS = 100
WEBHOOK_EVENTS = ("sent", "delivered", "opened", "clicked", "unsubscribed", "soft_bounced", "hard_bounced", "spam")
_HAS_HTML = re.compile(r"<html\b", re.IGNORECASE)
_LARGEST_LIST = 5 << 20
_ALL_FAILED, _DUPLICATE, _TOO_LARGE = 204, 1573, 199

_KEY = (ChannelDown, f"ключ не принят, проверьте {UNISENDER_GO_KEY}")
_LIMIT = (ChannelDown, "исчерпан лимит писем, отправка откроется сама или после разговора с поддержкой")
_MONEY = (ChannelDown, "не хватает денег или писем тарифа, пополните счёт")
_FORBIDDEN = (ChannelDown, "сервис запретил отправку, напишите в его поддержку")
_SENDER = (ChannelDown, "адрес отправителя (from в [mail]) не подтверждён, подтвердите его домен в кабинете")
_ERRORS: Mapping[int, tuple[type[ChannelError], str]] = {
    101: _KEY, 102: _KEY, 105: (ChannelDown, "API выключен, включите его в настройках кабинета"),
    106: _FORBIDDEN, 215: _FORBIDDEN, 1575: _FORBIDDEN,
    114: (ChannelDown, "такого аккаунта на этом сервере нет, впишите в api другой: https://go2.unisender.ru или go1"),
    205: _SENDER, 206: _SENDER, 1574: _SENDER,
    _TOO_LARGE: (ChannelRefused, "письмо с вложениями больше 10 МБ"),
    901: _LIMIT, 902: _LIMIT, 906: _LIMIT, 904: _MONEY, 905: _MONEY,
    903: (ChannelRefused, "на бесплатном тарифе письма уходят только на свои подтверждённые адреса"),
    1588: (ChannelDown, "сервис не разрешил убирать его отписку, поставьте own_unsubscribing = false"),
}  # fmt: skip
"""The vendor's code → what it means for the letter, in Russian."""


class AlreadyTaken(ChannelError):
    """The service has had this letter by its key already, a moment ago."""


class UnisenderGo(LetterService):
    """``sender``: from whom letters are, for the check of its domain."""

    vendor: ClassVar[str] = "unisender_go"
    title: ClassVar[str] = TITLE
    finds_lost: ClassVar[bool] = True
    # Requests of 10 MB; base64 makes a file larger by a third.
    most_attached: ClassVar[int] = 7 << 20

    def __init__(self, section: UnisenderGoSection, key: str, sender: str = "") -> None:
        self._section = section
        self._sender = sender
        self._is_key_latin = key.isascii()
        self._http = HttpClient(TITLE, f"{section.api}/ru/transactional/api/v1", key, headers={"X-API-KEY": key})
        self._lists: dict[str, str] = {}
        """Key of a letter that is looked for → the list of events that is being made for it."""

    def check(self) -> str:
        told = self._ask("system/info", {})
        counted = told.get("accounting")
        left = ""
        if isinstance(counted, Mapping):
            left = f", писем в тарифе {counted.get('emails_included')}, ушло {counted.get('emails_sent')}"
        domain = parseaddr(self._sender)[1].rpartition("@")[2]
        if domain:
            self._check_domain(domain)
        return f"{TITLE} пускает{left}"

    def deliver(self, letter: Letter) -> str:
        try:
            told = self._ask("email/send", {"message": self._message(letter)})
        except AlreadyTaken:
            # Under this key it has taken nothing else.
            return ""
        failed = told.get("failed_emails")
        taken = told.get("emails")
        address = letter.to_address.casefold()
        if isinstance(taken, list) and any(str(one).casefold() == address for one in taken):
            return str(told.get("job_id") or "")
        if isinstance(failed, Mapping) and failed:
            raise _failure_of(str(next(iter(failed.values()))))
        if not told.get("job_id"):
            raise ChannelUncertain(f"{TITLE} ответил невнятно: ни номера письма, ни отказа")
        return str(told["job_id"])

    def find(self, letter_key: str, address: str, since: datetime) -> str | None:
        if (dump := self._lists.get(letter_key)) is None:
            begin = (since.astimezone(UTC) - CLOCKS_DIFFER).strftime("%Y-%m-%d %H:%M:%S")
            wanted = {
                "start_time": begin, "limit": MOST_EVENTS, "filter": {"email": address}, "format": "csv",
                "delimiter": ",", "dump_fields": ["event_time", "job_id", "email", "status", "metadata"],
            }  # fmt: skip
            dump = str(self._ask("event-dump/create", wanted).get("dump_id") or "")
            if not dump:
                raise ChannelUncertain(f"{TITLE} не начал готовить список событий")
            self._lists[letter_key] = dump
        told = self._ask("event-dump/get", {"dump_id": dump}).get("event_dump")
        told = told if isinstance(told, Mapping) else {}
        state = told.get("dump_status")
        if state in ("queued", "in_process"):
            raise ChannelUncertain(f"{TITLE} готовит список событий")
        del self._lists[letter_key]
        if state != "ready":
            raise ChannelUncertain(f"{TITLE} не смог подготовить список событий")
        found = [self._job_in(file, letter_key) for file in told.get("files") or () if isinstance(file, Mapping)]
        # At most ten lists are kept; this one would go by itself in some hours.
        with suppress(ChannelError):
            self._ask("event-dump/delete", {"dump_id": dump})
        return next(filter(None, found), None)

    def webhook_problem(self, url: str) -> str:
        """What is wrong with the webhook that is to tell of letters at this address (Russian); empty: nothing. Raises
        ChannelError."""
        told = self._ask("webhook/list", {"limit": MOST_WEBHOOKS}).get("objects")
        rows = [one for one in told if isinstance(one, Mapping)] if isinstance(told, list) else []
        known = next((one for one in rows if one.get("url") == url), None)
        if known is None:
            return "вебхука на адрес моста нет"
        if known.get("status", "active") != "active":
            return f"вебхук остановлен ({known.get('status')}): мост долго не отвечал по этому адресу"
        events = known.get("events")
        named = events.get("email_status") if isinstance(events, Mapping) else None
        missing = [name for name in WEBHOOK_EVENTS if isinstance(named, list) and name not in named]
        return f"не включены события {', '.join(missing)}" if missing else ""

    def set_webhook(self, url: str) -> None:
        """Have it told there what becomes of letters; as often as one likes. Raises ChannelError."""
        events = {"email_status": list(WEBHOOK_EVENTS)}
        body = {"url": url, "status": "active", "event_format": "json_post", "delivery_info": 1, "single_event": 0}
        self._ask("webhook/set", {**body, "events": events})

    def _message(self, letter: Letter) -> dict[str, Any]:
        name, sender = parseaddr(letter.sender)
        recipient: dict[str, Any] = {"email": letter.to_address, "metadata": {LETTER_KEY: letter.key}}
        if letter.number:
            recipient["metadata"]["outbox_id"] = str(letter.number)
        if letter.to_name:
            recipient["substitutions"] = {"to_name": " ".join(letter.to_name.split())[:78]}
        own = self._section.own_unsubscribing
        message: dict[str, Any] = {
            "recipients": [recipient],
            "subject": letter.content.subject,
            "from_email": sender,
            **({"from_name": name} if name else {}),
            "body": {"plaintext": letter.content.text},
            # What a deal holds may look like a substitution.
            "template_engine": "none",
            "track_links": 0,
            "track_read": int(self._section.track_opens),
            "idempotence_key": letter.key,
            "skip_unsubscribe": int(own),
            "global_language": "ru",
        }
        if letter.content.html is not None:
            html = letter.content.html
            # A part without the tag is refused (code 221).
            message["body"]["html"] = html if _HAS_HTML.search(html) else f"<html><body>{html}</body></html>"
        if letter.reply_to:
            message["reply_to"] = letter.reply_to
        if headers := _headers(letter, is_allowed=own):
            message["headers"] = headers
        if letter.files:
            message["attachments"] = [
                {"type": one.content_type, "name": one.name.replace("/", "-"), "content": _base64(one.content)}
                for one in letter.files
            ]
        return message

    def _check_domain(self, domain: str) -> None:
        found = self._ask("domain/list", {"domain": domain}).get("domains")
        known = (
            next((one for one in found or () if isinstance(one, Mapping)), None) if isinstance(found, list) else None
        )
        if known is None:
            raise ChannelRefused(f"{TITLE}: домена {domain} в кабинете нет, добавьте и подтвердите его")
        for name, wanted, words in (("verification-record", "confirmed", "владение"), ("dkim", "active", "DKIM")):
            record = known.get(name)
            if not isinstance(record, Mapping) or record.get("status") != wanted:
                raise ChannelRefused(f"{TITLE}: у домена {domain} не подтверждено: {words} — проверьте записи DNS")

    def _job_in(self, file: Mapping[str, Any], letter_key: str) -> str | None:
        url = str(file.get("url") or "")
        # Another host is shown no key.
        is_own = urlsplit(url)[:2] == urlsplit(self._section.api)[:2]
        answer = self._http.request("GET", url, headers=None if is_own else {"X-API-KEY": None})
        if not answer.ok or len(answer.content) > _LARGEST_LIST:
            raise ChannelUncertain(f"{TITLE} не отдал список событий: {answer.status_code}")
        rows = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig", "replace")))
        wanted = re.compile(rf"\b{LETTER_KEY}\b\W+{re.escape(letter_key)}\b")
        return next((str(row.get("job_id") or "") for row in rows if wanted.search(row.get("metadata") or "")), None)

    def _ask(self, method: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer that says success. Raises ChannelError."""
        if not self._is_key_latin:
            raise ChannelDown(f"{TITLE}: в ключе ({UNISENDER_GO_KEY}) не латинские буквы: впишите его заново")
        response = self._http.request("POST", f"/{method}.json", body)
        told = _object_of(response)
        if told.get("status") == "success" and response.ok:
            return told
        code = told.get("code")
        if told.get("status") == "error" and isinstance(code, int):
            raise self._error(response, code, told)
        # Neither: a page instead of an answer, 429, a gateway's error.
        told = self._http.json_of(response)
        raise ChannelUncertain(f"{TITLE} ответил невнятно ({response.status_code})")

    def _error(self, response: Response, code: int, told: Mapping[str, Any]) -> ChannelError:
        failed = told.get("failed_emails")
        if code == _ALL_FAILED and isinstance(failed, Mapping) and failed:
            return _failure_of(str(next(iter(failed.values()))))
        if code == _DUPLICATE:
            return AlreadyTaken(TITLE)
        kind, words = _ERRORS.get(code, (ChannelRefused, " ".join(str(told.get("message") or "отказ").split())[:200]))
        if code not in _ERRORS:
            # By the status it is told what may be tried again.
            with suppress(ChannelRefused):
                self._http.json_of(response)
        wait = LATER_SECONDS if (kind, words) == _LIMIT else None
        return kind(f"{TITLE}: {words} ({code})", retry_after=wait)


def _object_of(response: Response) -> Mapping[str, Any]:
    try:
        told = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError, ValueError):
        return {}
    return told if isinstance(told, Mapping) else {}


def _failure_of(status: str) -> ChannelError:
    """An address that is not taken: the vendor's word for it."""
    words = f"{TITLE} не пишет на этот адрес"
    if status in ("invalid", "permanent_unavailable", "blocked"):
        why = {"invalid": "его нет", "blocked": "запрещён сервисом"}.get(status, "не принимает почту")
        return AddressRefused(f"{words}: {why} ({status})")
    if status in ("unsubscribed", "complained"):
        why = "пожаловались на спам" if status == "complained" else "отписались"
        return AddressUnwilling(f"{words}: оттуда {why}", is_complaint=status == "complained")
    if status == "temporary_unavailable":
        return ChannelBusy(f"{words}: ящик пока недоступен", retry_after=LATER_SECONDS)
    return ChannelRefused(f"{words}: {status}")


def _headers(letter: Letter, *, is_allowed: bool) -> dict[str, str]:
    """The service takes these only of whoever may leave out its own link for unsubscribing."""
    if not is_allowed:
        return {}
    headers = {}
    if letter.unsubscribe:
        headers["List-Unsubscribe"] = f"<{letter.unsubscribe}>"
    if letter.answers:
        headers["In-Reply-To"] = letter.answers[-1]
        headers["References"] = " ".join(letter.answers[-10:])
    return headers


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
