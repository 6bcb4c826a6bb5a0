"""Services of audiences: Yandex Audience, VK Ads, and a file that a person uploads himself.

They get hashes of phones and mails and nothing else. Each says what it wants next (``next_upload``), takes one upload
at a time, and is asked what became of it until it says so.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import secrets
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import zip_longest
from typing import Any, ClassVar, Literal, Protocol, Self

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.channels.vk_ads import MOST_LISTED, VkAdsApi, items_in
from amo_bridge.config.advertising import YANDEX_AUDIENCE_TOKEN, AudienceService, FileFormat, YandexAudienceSection
from amo_bridge.crm.records import ContactRecord
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.addresses import mails_in, numbers_in

YANDEX_LEAST, VK_LEAST_CHANGE = 100, 25
"""Lines of a list: fewer are refused."""
VK_PAUSE, VK_AN_HOUR = timedelta(minutes=1), 10
SEGMENTS = "/api/v2/remarketing/segments.json"

UploadKind = Literal["base", "add", "remove", "replace", "file"]


@dataclass(frozen=True)
class Digests:
    """What of a client goes to a service: hashes of his phones and mails, never they themselves."""

    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()

    @classmethod
    def of(cls, contact: ContactRecord, kind: FileFormat, home: str) -> Self:
        """As the service reads them. ``home``: the country of phones typed without one."""
        phones = [number.removeprefix("+") for cell in contact.phones for number in numbers_in(cell, home)]
        if kind == "vk":
            # A list of VK holds one kind of identifiers; the reference names MD5 alone.
            return cls(tuple(hashlib.md5(one.encode(), usedforsecurity=False).hexdigest() for one in phones[:1]))
        mails = [mail for cell in contact.emails for mail in mails_in(cell)]
        return cls(_sha256(phones), _sha256(mails))

    @classmethod
    def from_json(cls, text: str) -> Self:
        told = json.loads(text) if text else {}
        return cls(tuple(told.get("phones", ())), tuple(told.get("emails", ())))

    def to_json(self) -> str:
        return json.dumps({"phones": self.phones, "emails": self.emails}) if self else ""

    def __bool__(self) -> bool:
        return bool(self.phones or self.emails)


def _sha256(many: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(hashlib.sha256(one.encode()).hexdigest() for one in many))


def file_of(kind: FileFormat, clients: Iterable[Digests]) -> bytes:
    """The file of hashes: CSV with a heading for Yandex, a phone a line for VK."""
    text = io.StringIO()
    if kind == "vk":
        text.writelines(f"{phone}\n" for client in clients for phone in client.phones)
    else:
        table = csv.writer(text, lineterminator="\n")
        table.writerow(("phone", "email"))
        for client in clients:
            table.writerows(zip_longest(client.phones, client.emails, fillvalue=""))
    return text.getvalue().encode()


@dataclass(frozen=True)
class Waiting:
    """Who waits for what. ``present``: who is in and stays. ``is_urgent``: somebody has opted out. ``since_last``: time
    since the last upload of this audience; ``since_any``, ``last_hour``: of all of the service's."""

    list_ref: str
    queued: int
    leaving: int
    present: int
    is_urgent: bool
    since_last: timedelta | None = None
    since_any: timedelta | None = None
    last_hour: int = 0


@dataclass(frozen=True)
class Wait:
    """Nothing is to be uploaded yet; ``words``: what is waited for (Russian), empty if nobody waits."""

    words: str = ""


@dataclass(frozen=True)
class Upload:
    """One upload. ``name``: by which it is found again. ``list_ref``: what the service has of the audience; ``ref``:
    what it called this upload, empty while nobody knows. ``is_lost``: the answer was."""

    kind: UploadKind
    name: str
    audience: str
    list_ref: str = ""
    ref: str = ""
    is_lost: bool = False


@dataclass(frozen=True)
class Progress:
    """What a service says of an upload. "unknown": it never got it; "gone": the whole list is not there any more."""

    state: Literal["processing", "done", "failed", "unknown", "gone"]
    words: str = ""
    ref: str = ""


class AudienceVendor(Protocol):
    """A service. ``name``: as the config's audiences call it; ``title``: as people do; ``format``: of its hashes."""

    name: ClassVar[AudienceService]
    title: ClassVar[str]
    format: ClassVar[FileFormat]

    @abstractmethod
    def check(self) -> str:
        """See VendorClient."""

    @abstractmethod
    def next_upload(self, waiting: Waiting) -> UploadKind | Wait:
        """What to upload now; asks nobody."""

    @abstractmethod
    def send(self, upload: Upload, clients: Sequence[Digests]) -> str:
        """Upload; the service's number of it. Raises ChannelError."""

    @abstractmethod
    def has_list(self, list_ref: str) -> bool:
        """Is it there still? It may have been deleted in the cabinet. Raises ChannelError."""

    @abstractmethod
    def look(self, upload: Upload) -> Progress:
        """What became of it; takes the further steps that the service wants. Raises ChannelError."""

    def make_segment(self, audience: str, list_ref: str) -> str:
        """The number of what advertisements are shown to, found or made; empty if that is the list itself. Raises
        ChannelError."""
        return ""


class AudienceFiles:
    """The files that people upload; they need nobody's server."""

    def __init__(self, section: object, secret: str) -> None:
        pass

    def check(self) -> str:
        return "аудитории ведутся: файл с хэшами — на странице «Аудитории»"


# --- Yandex Audience --------------------------------------------------------------------------------------------------

_IN_WORK = ("is_processed", "is_updated", "updating")
FEW_DATA = "мало данных: показы начнутся, когда Яндекс узнает 100 человек"


class YandexAudience(AudienceVendor):
    """Segments of «данные CRM». The whole list is replaced: that works whether or not the service can add to it."""

    name = "yandex"
    title = "Яндекс Аудитории"
    format = "yandex"

    def __init__(self, section: YandexAudienceSection, token: str) -> None:
        self._pace = section.pace
        self._http = HttpClient(
            self.title, f"{section.api}/v1/management", token, headers={"Authorization": f"OAuth {token}"}
        )

    def check(self) -> str:
        return f"Яндекс Аудитории пускают, сегментов {len(self._segments())}"

    def next_upload(self, waiting: Waiting) -> UploadKind | Wait:
        if not waiting.list_ref:
            if waiting.queued >= YANDEX_LEAST:
                return "base"
            words = f"в очереди {waiting.queued} из {YANDEX_LEAST}: с меньшим сегмент не создать"
            return Wait(words if waiting.queued else "")
        if not waiting.queued and not waiting.leaving:
            return Wait()
        rests = waiting.since_last is not None and waiting.since_last < self._pace
        if rests and not waiting.is_urgent:
            return Wait(f"изменения копятся: войдут {waiting.queued}, уйдут {waiting.leaving}")
        # An empty file replaces nothing.
        return "replace" if waiting.present + waiting.queued else "remove"

    def send(self, upload: Upload, clients: Sequence[Digests]) -> str:
        files = {"file": (f"{upload.name}.csv", file_of(self.format, clients), "text/csv")}
        if upload.kind == "base":
            path = "/segments/upload_csv_file"
        else:
            how = "replace" if upload.kind == "replace" else "subtraction"
            path = f"/segment/{upload.list_ref}/modify_data?modification_type={how}&check_size=false"
        return self._id_of(self._http.ask("POST", path, files=files))

    def has_list(self, list_ref: str) -> bool:
        return any(str(one.get("id")) == list_ref for one in self._segments())

    def look(self, upload: Upload) -> Progress:
        segments = self._segments()
        number = upload.ref or upload.list_ref
        if not number:
            # Not saved yet: a segment like this serves nobody, so a second one does no harm either.
            known = (one for one in segments if one.get("name") == f"{upload.name}.csv")
            number = next((str(one["id"]) for one in known if one.get("status") == "uploaded"), "")
            if not number:
                return Progress("unknown")
            # Confirming renames it. Its number is to be kept before, or a lost answer makes it unknown for good.
            return Progress("processing", "сегмент у Яндекса, осталось сохранить", number)
        segment = next((one for one in segments if str(one.get("id")) == number), None)
        if segment is None:
            return Progress("unknown" if upload.kind == "base" else "gone")
        return self._progress(upload, segment, number)

    def _progress(self, upload: Upload, segment: Mapping[str, Any], number: str) -> Progress:
        status = str(segment.get("status", ""))
        if status == "uploaded":
            body = {"id": int(number), "name": upload.audience, "hashed": True, "content_type": "crm"}
            self._http.ask("POST", f"/segment/{number}/confirm?check_size=false", {"segment": body})
            return Progress("processing", "сегмент сохранён, Яндекс его обрабатывает", number)
        if status in _IN_WORK:
            return Progress("processing", "Яндекс обрабатывает сегмент, это до двух часов", number)
        if status == "processing_failed":
            return Progress("failed", "Яндекс не смог обработать файл", number)
        if status in ("processed", "few_data"):
            if upload.is_lost and upload.kind != "base":
                # Perhaps it is the list as it was before; to replace it again changes nothing.
                return Progress("unknown")
            return Progress("done", FEW_DATA if status == "few_data" else "", number)
        return Progress("processing", f"Яндекс говорит о сегменте: {status}", number)

    def _segments(self) -> list[Mapping[str, Any]]:
        told = self._http.ask("GET", "/segments")
        rows = told.get("segments") if isinstance(told, dict) else None
        if not isinstance(rows, list):
            raise self._http.unreadable(ValueError(f"списка сегментов нет, проверьте {YANDEX_AUDIENCE_TOKEN}"))
        return [row for row in rows if isinstance(row, dict)]

    def _id_of(self, told: Any) -> str:
        segment = told.get("segment") if isinstance(told, dict) else None
        if not isinstance(segment, dict) or "id" not in segment:
            raise self._http.unreadable(ValueError("в ответе нет номера сегмента"))
        return str(segment["id"])


# --- VK Ads -----------------------------------------------------------------------------------------------------------


class VkAds(AudienceVendor):
    """Lists of hashed phones: one base list, and changes of at least 25 lines to it."""

    name = "vk"
    title = "VK Реклама"
    format = "vk"
    least_base = 2000
    """Lines of a base list: fewer are refused."""

    def __init__(self, api: VkAdsApi) -> None:
        self._api = api

    def check(self) -> str:
        told = self._ask("GET", f"/api/v3/remarketing/users_lists.json?limit={MOST_LISTED}")
        return f"VK Реклама пускает, списков {told.get('count', len(items_in(told)))}"

    def next_upload(self, waiting: Waiting) -> UploadKind | Wait:
        if not waiting.list_ref:
            if waiting.queued < self.least_base:
                words = f"в очереди {waiting.queued} из {self.least_base}: с меньшим базовый список не создать"
                return Wait(words if waiting.queued else "")
            kind: UploadKind = "base"
        elif waiting.leaving >= VK_LEAST_CHANGE or (waiting.leaving and waiting.is_urgent):
            kind = "remove"
        elif waiting.queued >= VK_LEAST_CHANGE:
            kind = "add"
        else:
            parts = (("в очереди", waiting.queued), ("уходят", waiting.leaving))
            return Wait("; ".join(f"{words} {count} из {VK_LEAST_CHANGE}" for words, count in parts if count))
        if waiting.since_any is not None and waiting.since_any < VK_PAUSE:
            return Wait("VK принимает один список в минуту")
        return Wait("VK принимает десять списков в час") if waiting.last_hour >= VK_AN_HOUR else kind

    def send(self, upload: Upload, clients: Sequence[Digests]) -> str:
        form = {"name": upload.name, "type": "phones"}
        if upload.kind != "base":
            form["base"] = f"-{upload.list_ref}" if upload.kind == "remove" else upload.list_ref
        content = file_of(self.format, clients)
        if upload.kind == "remove":
            # Whoever opts out does not wait for 24 others: hashes of nobody make the list long enough.
            lacking = VK_LEAST_CHANGE - len(clients)
            content += b"".join(f"{secrets.token_hex(16)}\n".encode() for _ in range(lacking))
        files = {"file": ("phones.txt", content, "text/plain")}
        told = self._ask("POST", "/api/v3/remarketing/users_lists.json", form=form, files=files)
        if not told.get("id"):
            raise self._api.unreadable(ValueError("в ответе нет номера списка"))
        return str(told["id"])

    def has_list(self, list_ref: str) -> bool:
        return bool(self._ask("GET", f"/api/v3/remarketing/users_lists/{list_ref}.json"))

    def look(self, upload: Upload) -> Progress:
        number = upload.ref or self._found("/api/v3/remarketing/users_lists.json", upload.name)
        if not number:
            return Progress("unknown")
        told = self._ask("GET", f"/api/v3/remarketing/users_lists/{number}.json")
        if not told:
            return Progress("gone" if upload.kind == "base" else "unknown")
        status, refused = str(told.get("status", "")), told.get("error")
        words = f"VK не принял строк: {len(refused)}" if isinstance(refused, list) and refused else ""
        if status == "ready":
            return Progress("done", words, number)
        if status in ("error", "failed"):
            return Progress("failed", words or "VK не смог обработать список", number)
        return Progress("processing", words or "VK обрабатывает список", number)

    def make_segment(self, audience: str, list_ref: str) -> str:
        source = {"source_id": int(list_ref), "type": "positive"}
        told = self._ask("GET", f"{SEGMENTS}?fields=id,name,relations&limit={MOST_LISTED}&sorting=-id")
        # Its name alone says nothing: people make segments too, and there may be one of an earlier list.
        alike = (one for one in items_in(told) if one.get("name") == audience and _has_source(one, int(list_ref)))
        if (known := next(alike, None)) is not None:
            return str(known["id"])
        relation = {"object_type": "remarketing_users_list", "params": source}
        made = self._ask("POST", SEGMENTS, {"name": audience, "pass_condition": 1, "relations": [relation]})
        if not made.get("id"):
            raise self._api.unreadable(ValueError("в ответе нет номера сегмента"))
        return str(made["id"])

    def _found(self, path: str, name: str) -> str:
        """The number of the newest with this name; empty if there is none among the newest ones."""
        told = self._ask("GET", f"{path}?limit={MOST_LISTED}&sorting=-id")
        return next((str(one["id"]) for one in items_in(told) if one.get("name") == name), "")

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, **more: Any) -> Mapping[str, Any]:
        told = self._api.ask(method, path, body, **more)
        return told if isinstance(told, dict) else {}


def _has_source(segment: Mapping[str, Any], list_number: int) -> bool:
    """Is this segment made of that list?"""
    relations = segment.get("relations")
    rows = relations if isinstance(relations, list) else []
    return any((row.get("params") or {}).get("source_id") == list_number for row in rows if isinstance(row, dict))
