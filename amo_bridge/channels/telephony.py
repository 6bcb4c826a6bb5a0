"""Exchanges (PBX) that auto-dial asks for calls: onlinePBX, Novofon 2.0, Zadarma and Novofon 1.0.

Each rings the manager first and then the client. A request for a call is made once: when its answer is lost, the
exchange's history is asked (``find``), never the exchange for another call. An HTTP 200 is no success: each reads the
body. Numbers go out as digits alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, Protocol
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from amo_bridge.channels.http_client import TOO_MANY, HttpClient
from amo_bridge.config.channels import (
    NOVOFON2_TOKEN,
    NOVOFON_SECRET,
    ONLINEPBX_KEY,
    ZADARMA_SECRET,
    Novofon2Section,
    OnlinePbxSection,
    ZadarmaSection,
)
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.lazy.dataclasses import dataclass

CallEnd = Literal["talked", "manager", "client", "wrong", "refused"]
"""talked; the manager did not take it; the client was not reached; there is no such number; the exchange would not."""

_BEFORE, _AFTER = timedelta(minutes=2), timedelta(minutes=40)
"""A call whose number nobody told us is looked for within this time around our request for it."""
LONGEST_NAME = 60
DAY_FORMAT = "%Y-%m-%d %H:%M:%S"
MOSCOW = ZoneInfo("Europe/Moscow")
# Rows of a history that are asked for at once.
PAGE_SIZE = 1000
Row = Mapping[str, Any]


@dataclass(frozen=True)
class CallOrder:
    """A call to be made. ``ref``: our name of it. ``extension``: rung first; ``employee``: Novofon's number of him.
    ``phone``: the client's, E.164. ``says``: what the manager is told."""

    ref: str
    extension: str
    employee: int | None
    phone: str
    says: str


@dataclass(frozen=True)
class AskedCall:
    """A call that the exchange was asked for. ``vendor_ref``: its own name of it, empty if it told none."""

    ref: str
    vendor_ref: str
    extension: str
    phone: str
    asked_at: datetime


@dataclass(frozen=True)
class CallResult:
    """How a call ended. ``seconds``: of talk, by the exchange. ``words``: why there was none (Russian)."""

    end: CallEnd
    seconds: int = 0
    words: str = ""
    vendor_ref: str = ""


class Telephony(Protocol):
    """An exchange. ``vendor``: its section of the config. ``silence_is_refusal``: a call that it took and that its
    history does not know was not taken by the manager."""

    vendor: ClassVar[str]
    silence_is_refusal: ClassVar[bool] = False

    @abstractmethod
    def check(self) -> str:
        """See VendorClient."""

    @abstractmethod
    def call(self, order: CallOrder) -> str:
        """Ask for the call; the exchange's name of it, empty if it tells none. Raises ChannelError."""

    @abstractmethod
    def find(self, call: AskedCall) -> CallResult | None:
        """How it ended; None: it goes on, or the history does not know it. Raises ChannelError."""

    def incoming(self, since: datetime, until: datetime) -> list[Row]:
        """The history's rows of clients' calls that began between these, at most a week. Raises ChannelError."""
        raise NotImplementedError

    def cause_of(self, order: CallOrder) -> str:
        """Why this order can't be given (Russian); empty if it can."""
        return ""


def digits(number: str) -> str:
    """What is left of a number without plus and blanks."""
    return re.sub(r"\D", "", number)


def _same_number(one: str, other: str) -> bool:
    """Whether they are one telephone; a country's prefix may be written or not."""
    one, other = digits(one)[-10:], digits(other)[-10:]
    return bool(one) and one == other


def _whole(value: object) -> int:
    try:
        return int(float(str(value)))
    except (ValueError, OverflowError):
        return 0


# --- onlinePBX --------------------------------------------------------------------------------------------------------

_CAUSES: Mapping[str, str] = {
    "CALL_REJECTED": "сброшен", "USER_BUSY": "занято", "NO_ANSWER": "не ответили", "NO_USER_RESPONSE": "нет ответа",
    "ORIGINATOR_CANCEL": "трубку положили раньше", "SUBSCRIBER_ABSENT": "телефон не на связи",
    "USER_NOT_REGISTERED": "телефон не на связи", "NORMAL_TEMPORARY_FAILURE": "линия не соединила",
    "UNALLOCATED_NUMBER": "номера не существует", "INVALID_NUMBER_FORMAT": "номера не существует",
}  # fmt: skip
_WRONG_NUMBER = ("UNALLOCATED_NUMBER", "INVALID_NUMBER_FORMAT", "NO_ROUTE_DESTINATION")
NEW_KEY = "новый ключ API"


class OnlinePbx(Telephony):
    """onlinePBX's HTTP API. The pair of keys that ``auth.json`` gives lives for three days from its last use."""

    vendor = "onlinepbx"

    def __init__(self, section: OnlinePbxSection, key: str) -> None:
        self._section = section
        self._key = key
        self._http = HttpClient("onlinePBX", f"{section.api}/{section.domain}", key)
        self._pair = ""

    def check(self) -> str:
        rows = self._ask("user/get.json", {"fields": "num,name,enabled"}).get("data")
        return f"onlinePBX {self._section.domain} пускает, внутренних номеров: {len(rows) if rows else 0}"

    def call(self, order: CallOrder) -> str:
        form = {"from": digits(order.extension), "to": digits(order.phone)}
        if order.says:
            form["from_orig_name"] = order.says[:LONGEST_NAME]
        if self._section.gate:
            form["gate_to"] = self._section.gate
        data = self._ask("call/now.json", form).get("data")
        return str(data.get("uuid") or "") if isinstance(data, dict) else ""

    def find(self, call: AskedCall) -> CallResult | None:
        form = {"uuid": call.vendor_ref} if call.vendor_ref else self._around(call)
        rows = self._ask("mongo_history/search.json", form).get("data")
        mine = [row for row in rows if self._is_it(row, call)] if isinstance(rows, list) else []
        if not mine:
            return None
        asked = call.asked_at.timestamp()
        return self._result(min(mine, key=lambda row: abs(_whole(row.get("start_stamp")) - asked)), call)

    def incoming(self, since: datetime, until: datetime) -> list[Row]:
        stamps = {"start_stamp_from": since, "start_stamp_to": until}
        form = {name: str(int(moment.timestamp())) for name, moment in stamps.items()}
        rows = self._ask("mongo_history/search.json", form).get("data")
        return [row for row in rows or () if isinstance(row, dict) and row.get("accountcode") == "inbound"]

    def _around(self, call: AskedCall) -> dict[str, str]:
        return {
            "phone_numbers": digits(call.phone),
            "start_stamp_from": str(int((call.asked_at - _BEFORE).timestamp())),
            "start_stamp_to": str(int((call.asked_at + _AFTER).timestamp())),
        }

    def _is_it(self, row: object, call: AskedCall) -> bool:
        """The search may show more than it was asked for: another colleague's call to the same client."""
        if not isinstance(row, dict):
            return False
        if call.vendor_ref:
            return str(row.get("uuid", "")) == call.vendor_ref
        started = _whole(row.get("start_stamp"))
        is_then = (call.asked_at - _BEFORE).timestamp() <= started <= (call.asked_at + _AFTER).timestamp()
        numbers = self._numbers(row)
        is_ours = any(_same_number(number, call.extension) for number in numbers) and any(
            _same_number(number, call.phone) for number in numbers
        )
        return is_then and row.get("accountcode") != "inbound" and is_ours

    @staticmethod
    def _numbers(row: Mapping[str, Any]) -> list[str]:
        legs = row.get("events")
        named = [str(leg.get("number", "")) for leg in legs if isinstance(leg, dict)] if isinstance(legs, list) else []
        return [str(row.get("caller_id_number", "")), str(row.get("destination_number", "")), *named]

    def _result(self, row: Mapping[str, Any], call: AskedCall) -> CallResult:
        cause, ref = str(row.get("hangup_cause", "")).upper(), str(row.get("uuid", ""))
        talk = _whole(row.get("user_talk_time"))
        words = _CAUSES.get(cause, cause)
        if talk > 0:
            return CallResult("talked", talk, "", ref)
        if cause in _WRONG_NUMBER:
            return CallResult("wrong", 0, words, ref)
        # Without a leg to the client the manager has not taken it. A row without legs tells it by where it went.
        legs = row.get("events")
        if isinstance(legs, list) and legs:
            has_client = any(_same_number(str(leg.get("number", "")), call.phone) for leg in legs)
        else:
            has_client = _same_number(str(row.get("destination_number", "")), call.phone)
        return CallResult("client" if has_client else "manager", 0, words, ref)

    def _ask(self, path: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        """An answer that asks for a log-in was not carried out: the same once more, at most with a new pair."""
        for is_new in (False, True):
            if not self._pair:
                self._log_in(is_new=is_new)
            told = self._answer(path, form, {"x-pbx-authentication": self._pair})
            if not told.get("isNotAuth"):
                break
            self._pair = ""
        else:
            raise ChannelDown(f"onlinePBX не пускает: проверьте {ONLINEPBX_KEY}, {NEW_KEY} — в кабинете АТС")
        if str(told.get("status")) != "1":
            raise ChannelRefused(f"onlinePBX: {self._words(told)}")
        return told

    def _log_in(self, *, is_new: bool) -> None:
        form = {"auth_key": self._key, **({"new": "true"} if is_new else {})}
        try:
            told = self._answer("auth.json", form, {})
        except ChannelUncertain as error:
            # Nothing was ordered yet.
            raise ChannelDown(str(error)) from error
        data = told.get("data")
        if str(told.get("status")) != "1" or not isinstance(data, dict):
            words = self._words(told)
            raise ChannelDown(f"onlinePBX не пускает: {words}; проверьте {ONLINEPBX_KEY} и domain, {NEW_KEY} — в АТС")
        self._pair = f"{data.get('key_id', '')}:{data.get('key', '')}"

    def _answer(self, path: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Mapping[str, Any]:
        told = self._http.ask("POST", f"/{path}", form=form, headers=headers)
        if not isinstance(told, dict):
            raise self._http.unreadable(ValueError("в ответе не объект"))
        return told

    @staticmethod
    def _words(told: Mapping[str, Any]) -> str:
        return " ".join(str(told[name]) for name in ("comment", "error", "errorCode") if told.get(name)) or "отказ"


# --- Novofon 2.0 ------------------------------------------------------------------------------------------------------

_NOT_LET_IN = (
    "access_token_invalid", "access_token_expired", "access_token_blocked", "auth_error", "ip_not_whitelisted",
    "account_inactive", "forbidden", "component_disabled",
)  # fmt: skip
_ADVICE = {
    "ip_not_whitelisted": "впишите адрес моста в список разрешённых в кабинете Novofon",
    "access_token_invalid": f"проверьте {NOVOFON2_TOKEN}",
    "access_token_expired": f"срок ключа вышел: выпустите новый в кабинете Novofon и впишите его в {NOVOFON2_TOKEN}",
}
_INTERNAL_ERROR = -32603
_REPORT_FIELDS = (
    "id", "external_id", "start_time", "finish_reason", "direction", "is_lost", "contact_phone_number",
    "talk_duration", "total_duration", "call_session_id",
)  # fmt: skip
_CLIENT_REASONS = ("subscriber", "contact", "client", "abonent")
_WRONG_REASONS = ("not_exist", "no_such", "unallocated", "invalid_number", "wrong_number")


class Novofon2(Telephony):
    """Novofon 2.0: JSON-RPC. It takes our name of the call (``external_id``) and gives it back."""

    vendor = "novofon2"

    def __init__(self, section: Novofon2Section, token: str) -> None:
        self._section = section
        self._token = token
        self._calls = HttpClient("Novofon", f"{section.api}/v4.0", token)
        self._reports = HttpClient("Novofon", f"{section.reports}/v2.0", token)

    def check(self) -> str:
        data = self._ask(self._reports, "get.virtual_numbers", {"limit": 100}, "check")
        numbers = [str(row.get("virtual_phone_number", "")) for row in data] if isinstance(data, list) else []
        known = any(_same_number(number, self._section.number) for number in numbers)
        told = "" if known or not numbers else f", но номера {self._section.number} (number) среди арендованных нет"
        return f"Novofon 2.0 пускает{told}"

    def cause_of(self, order: CallOrder) -> str:
        return "" if order.employee else "нет его номера сотрудника в Novofon (pbx_employee)"

    def call(self, order: CallOrder) -> str:
        employee: dict[str, Any] = {"id": order.employee}
        if order.extension:
            employee["phone_number"] = digits(order.extension)
        params: dict[str, Any] = {
            "first_call": "employee",
            "switch_at_once": True,
            "show_virtual_phone_number": True,
            "virtual_phone_number": digits(self._section.number),
            "contact": digits(order.phone),
            "external_id": order.ref,
            "direction": "out",
            "employee": employee,
        }
        if self._section.file:
            params["employee_message"] = {"type": "media", "value": str(self._section.file)}
        elif order.says:
            params["employee_message"] = {"type": "tts", "value": order.says}
        data = self._ask(self._calls, "start.employee_call", params, order.ref)
        return str(data.get("call_session_id") or "") if isinstance(data, dict) else ""

    def find(self, call: AskedCall) -> CallResult | None:
        params = {
            "date_from": (call.asked_at - timedelta(days=1)).astimezone(MOSCOW).strftime(DAY_FORMAT),
            "date_till": (call.asked_at + timedelta(days=1)).astimezone(MOSCOW).strftime(DAY_FORMAT),
            "limit": 100,
            "offset": 0,
            "fields": list(_REPORT_FIELDS),
            "filter": {"field": "external_id", "operator": "=", "value": call.ref},
        }
        data = self._ask(self._reports, "get.calls_report", params, f"find-{call.ref}")
        rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
        row = next((row for row in rows if self._is_it(row, call)), None)
        return None if row is None else self._result(row)

    def incoming(self, since: datetime, until: datetime) -> list[Row]:
        params: dict[str, Any] = {
            "date_from": since.astimezone(MOSCOW).strftime(DAY_FORMAT),
            "date_till": until.astimezone(MOSCOW).strftime(DAY_FORMAT),
            "limit": PAGE_SIZE,
            "fields": [*_REPORT_FIELDS, "virtual_phone_number"],
            "filter": {"field": "direction", "operator": "=", "value": "in"},
        }
        found: list[Row] = []
        while True:
            data = self._ask(self._reports, "get.calls_report", {**params, "offset": len(found)}, "incoming")
            rows = [row for row in data or () if isinstance(row, dict)]
            found += rows
            if len(rows) < PAGE_SIZE:
                return found

    @staticmethod
    def _is_it(row: Mapping[str, Any], call: AskedCall) -> bool:
        session = str(row.get("call_session_id") or row.get("id") or "")
        return str(row.get("external_id") or "") == call.ref or bool(call.vendor_ref and session == call.vendor_ref)

    @staticmethod
    def _result(row: Mapping[str, Any]) -> CallResult | None:
        ref, reason = str(row.get("call_session_id") or row.get("id") or ""), str(row.get("finish_reason") or "")
        talk = _whole(row.get("talk_duration") or row.get("talk_time_duration"))
        if talk > 0:
            return CallResult("talked", talk, "", ref)
        if not reason and row.get("is_lost") is None and not row.get("total_duration"):
            return None
        if any(part in reason.casefold() for part in _WRONG_REASONS):
            return CallResult("wrong", 0, reason, ref)
        # Lost without a word of the client: he was not rung at all.
        is_lost = str(row.get("is_lost")).casefold() in ("true", "1")
        has_client = any(part in reason.casefold() for part in _CLIENT_REASONS)
        return CallResult("client" if has_client or not is_lost else "manager", 0, reason, ref)

    def _ask(self, http: HttpClient, method: str, params: Mapping[str, Any], name: str) -> Any:
        envelope = {"jsonrpc": "2.0", "id": name, "method": method}
        told = http.ask("POST", "", {**envelope, "params": {"access_token": self._token, **params}})
        if not isinstance(told, dict):
            raise http.unreadable(ValueError("в ответе не объект"))
        if (error := told.get("error")) is not None:
            raise self._refusal(error if isinstance(error, dict) else {})
        result = told.get("result")
        return result.get("data") if isinstance(result, dict) else None

    @staticmethod
    def _refusal(error: Mapping[str, Any]) -> ChannelError:
        data = error.get("data")
        mnemonic = str(data.get("mnemonic", "")) if isinstance(data, dict) else ""
        words = f"Novofon: {error.get('message', 'отказ')} ({mnemonic or error.get('code', '')})"
        if mnemonic in _NOT_LET_IN:
            return ChannelDown("; ".join([words, *([_ADVICE[mnemonic]] if mnemonic in _ADVICE else [])]))
        if "limit" in mnemonic:
            return ChannelBusy(words, retry_after=60)
        return ChannelUncertain(words) if error.get("code") == _INTERNAL_ERROR else ChannelRefused(words)


# --- Zadarma, Novofon 1.0 ---------------------------------------------------------------------------------------------

DISPOSITIONS: Mapping[str, tuple[CallEnd, str]] = {
    "busy": ("client", "занято"), "no answer": ("client", "не ответили"), "cancel": ("client", "сброшен"),
    "failed": ("client", "не состоялся"), "unallocated number": ("wrong", "номера не существует"),
    "no money": ("refused", "нет денег на счёте АТС"), "no limit": ("refused", "исчерпан лимит АТС"),
    "no day limit": ("refused", "исчерпан дневной лимит АТС"), "line limit": ("refused", "заняты все линии АТС"),
    "no money, no limit": ("refused", "нет денег на счёте АТС"),
}  # fmt: skip


_INCOMING = "in_"
"""So the number of a call begins that somebody else has made (seen at Zadarma)."""
_MANAGER_RUNG_WITHIN, _CLIENT_RUNG_WITHIN = timedelta(minutes=1), timedelta(minutes=10)


def _started(row: Mapping[str, Any], zone: ZoneInfo) -> datetime | None:
    try:
        return datetime.strptime(str(row.get("callstart", "")), DAY_FORMAT).replace(tzinfo=zone)
    except ValueError:
        return None


def _of_one_call(rows: Sequence[Mapping[str, Any]], call: AskedCall, zone: ZoneInfo) -> list[Mapping[str, Any]]:
    """The legs of that call which began next to our request: the manager may have called the client himself later."""

    def distance(row: Mapping[str, Any]) -> tuple[bool, timedelta]:
        started = _started(row, zone)
        is_to_client = _same_number(str(row.get("destination", "")), call.phone)
        return not is_to_client, abs(started - call.asked_at) if started else timedelta.max

    if not rows:
        return []
    number = min(rows, key=distance).get("pbx_call_id")
    return [row for row in rows if row.get("pbx_call_id") == number]


# Sixty days, the longest (Zadarma's API documentation).
RECORD_LINK_SECONDS = 5184000


class Zadarma(Telephony):
    """Zadarma's API; Novofon 1.0 speaks the same. A request for a call is not answered with a number of the call."""

    vendor = "zadarma"
    title: ClassVar[str] = "Zadarma"
    variable: ClassVar[str] = ZADARMA_SECRET
    silence_is_refusal = True

    def __init__(self, section: ZadarmaSection, secret: str) -> None:
        self._section = section
        self._secret = secret
        self._http = HttpClient(self.title, section.api, secret)

    def check(self) -> str:
        told = self._ask("/v1/info/balance/", {})
        return f"{self.title} пускает, на счёте {told.get('balance', '?')} {told.get('currency', '')}".strip()

    def call(self, order: CallOrder) -> str:
        params = {"from": digits(order.extension), "to": digits(order.phone)}
        if self._section.sip:
            params["sip"] = self._section.sip
        self._ask("/v1/request/callback/", params)
        return ""

    def find(self, call: AskedCall) -> CallResult | None:
        zone = ZoneInfo(self._section.zone)
        params = {
            "start": (call.asked_at - _BEFORE).astimezone(zone).strftime(DAY_FORMAT),
            "end": (call.asked_at + _AFTER).astimezone(zone).strftime(DAY_FORMAT),
            "version": "2",
        }
        told = self._ask("/v1/statistics/pbx/", params)
        rows = told.get("stats")
        mine = [row for row in rows if self._is_it(row, call, zone)] if isinstance(rows, list) else []
        return self._result(_of_one_call(mine, call, zone), call)

    @property
    def zone(self) -> ZoneInfo:
        """The one of the statistics."""
        return ZoneInfo(self._section.zone)

    def incoming(self, since: datetime, until: datetime) -> list[Row]:
        period = {"start": since, "end": until}
        params = {name: moment.astimezone(self.zone).strftime(DAY_FORMAT) for name, moment in period.items()}
        found: list[Row] = []
        while True:
            more = {"version": "2", "skip": str(len(found)), "limit": str(PAGE_SIZE)}
            rows = self._ask("/v1/statistics/pbx/", {**params, **more}).get("stats") or []
            found += rows
            if len(rows) < PAGE_SIZE:
                return [row for row in found if str(row.get("pbx_call_id", "")).startswith(_INCOMING)]

    def record_of(self, number: str) -> str:
        """The link to a call's record, for as long as Zadarma gives one. Raises ChannelError."""
        told = self._ask("/v1/pbx/record/request/", {"call_id": number, "lifetime": str(RECORD_LINK_SECONDS)})
        return str(told.get("link") or "")

    @staticmethod
    def _is_it(row: object, call: AskedCall, zone: ZoneInfo) -> bool:
        """Nobody has told us its number: it is known by who was rung and when. A call that came in rings the same
        extension."""
        if not isinstance(row, dict):
            return False
        number = str(row.get("pbx_call_id", ""))
        if call.vendor_ref:
            return number == call.vendor_ref
        started = _started(row, zone)
        if started is None or number.startswith(_INCOMING):
            return False
        to, by = str(row.get("destination", "")), str(row.get("sip", ""))
        if _same_number(to, call.phone) and _same_number(by, call.extension):
            return call.asked_at - _BEFORE <= started <= call.asked_at + _CLIENT_RUNG_WITHIN
        # The manager is rung at once.
        return _same_number(to, call.extension) and abs(started - call.asked_at) <= _MANAGER_RUNG_WITHIN

    def _result(self, rows: Sequence[Mapping[str, Any]], call: AskedCall) -> CallResult | None:
        """The leg to the client tells it; without one the leg to the manager does."""
        to_client = [row for row in rows if _same_number(str(row.get("destination", "")), call.phone)]
        row = next(iter(sorted(to_client, key=lambda one: -_whole(one.get("seconds")))), None) or next(iter(rows), None)
        if row is None:
            return None
        disposition, ref = str(row.get("disposition", "")).casefold(), str(row.get("pbx_call_id", ""))
        if disposition == "answered":
            if not to_client:
                # He took it, and the call to the client is not in the statistics yet.
                return None
            return CallResult("talked", _whole(row.get("seconds")), "", ref)
        end, words = DISPOSITIONS.get(disposition, ("client", disposition))
        return CallResult(end if to_client or end == "refused" else "manager", 0, words, ref)

    def _ask(self, path: str, params: Mapping[str, str]) -> Mapping[str, Any]:
        query, headers = zadarma_request(self._section.key, self._secret, path, params)
        response = self._http.request("GET", f"{path}?{query}", headers=headers)
        if response.status_code == TOO_MANY:
            raise ChannelBusy(f"{self.title}: слишком много запросов, 429", retry_after=60)
        if response.status_code in (401, 403):
            raise ChannelDown(f"{self.title} не пускает: {_message(response)}; проверьте key и {self.variable}")
        if response.status_code >= 500:
            raise ChannelUncertain(f"{self.title}: {response.status_code}")
        try:
            told = response.json()
        except ValueError as error:
            raise self._http.unreadable(error) from None
        if not isinstance(told, dict) or told.get("status") != "success":
            raise ChannelRefused(f"{self.title}: {_message(response)}")
        return told


def zadarma_request(key: str, secret: str, path: str, params: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The query and the headers of a request to the API of Zadarma or Novofon 1.0."""
    query = urlencode(sorted({**params, "format": "json"}.items()))
    signed = f"{path}{query}{hashlib.md5(query.encode(), usedforsecurity=False).hexdigest()}"
    return query, {"Authorization": f"{key}:{zadarma_signature(secret, signed)}"}


def zadarma_signature(secret: str, text: str) -> str:
    """Base64 of the hexadecimal HMAC-SHA1: of requests to the API and of notifications alike."""
    made = hmac.new(secret.encode(), text.encode(), hashlib.sha1).hexdigest()
    return base64.b64encode(made.encode()).decode()


def _message(response: Any) -> str:
    try:
        return str(response.json().get("message") or response.status_code)
    except (ValueError, AttributeError):
        return str(response.status_code)


class Novofon(Zadarma):
    """Novofon 1.0: Zadarma's calls and signature at another address."""

    vendor = "novofon"
    title = "Novofon"
    variable = NOVOFON_SECRET
