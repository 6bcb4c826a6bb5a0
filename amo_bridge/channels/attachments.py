"""Files that go along with letters and notices: of the deal, or from the folder beside the templates."""

from __future__ import annotations

import mimetypes
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from amo_bridge.channels.letter import EnclosedFile
from amo_bridge.channels.recipients import Recipient, recipients
from amo_bridge.channels.telegram import LARGEST_DOCUMENT
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.files import FileTooLarge, download_file, file_ids_of_deal, files_by_ids
from amo_bridge.crm.records import integer
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import (
    ChannelBusy,
    ChannelError,
    ChannelRefused,
    CrmError,
    CrmForbidden,
    CrmRefused,
    CrmTemporary,
    why_not,
)
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.names import is_picture, starts_with
from amo_bridge.text.templates import enclosed

MEGABYTE = 1 << 20
NO_FILES_SCOPE = "у токена amoCRM нет права на файлы"
ANY_TYPE = "application/octet-stream"
# Not every server knows them by its own list.
_OFFICE: Mapping[str, str] = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pdf": "application/pdf",
}


def type_of(name: str) -> str:
    """The content type of a file of this name."""
    known = _OFFICE.get(PurePath(name).suffix.casefold()) or mimetypes.guess_type(name)[0] or ANY_TYPE
    # A letter or an archive of parts is a file here, and no part of ours.
    return ANY_TYPE if known.startswith(("message/", "multipart/")) else known


@dataclass(frozen=True)
class FoundFile:
    """A file of the deal, downloaded to this server."""

    name: str
    file: BinaryIO
    size: int


class DealFiles:
    """Files of deals, and clients' phones. ``client``: of the port's own thread."""

    def __init__(self, client: CrmClient, rule_engine: Callable[[], RuleEngine]) -> None:
        self._client = client
        self._rule_engine = rule_engine

    @contextmanager
    def newest(self, deal_id: int, attach: Mapping[str, Any]) -> Iterator[FoundFile]:
        """The newest file that fits a notice. Raises ChannelRefused if there is none or it can't be had, CrmStopped."""
        try:
            row = self._newest_of(deal_id, lambda one: _fits(one, attach))
            with tempfile.TemporaryFile() as file:
                size = download_file(self._client, self._drive, row, file, most=LARGEST_DOCUMENT)
                file.seek(0)
                yield FoundFile(str(row.get("name") or "файл"), file, size)
        except FileTooLarge:
            raise ChannelRefused(f"файл больше {LARGEST_DOCUMENT >> 20} МБ, мессенджер такой не возьмёт") from None
        except CrmForbidden:
            raise ChannelRefused(NO_FILES_SCOPE) from None
        except (CrmTemporary, CrmRefused) as error:
            raise ChannelRefused(f"amoCRM не отдала файл: {error}") from error
        except OSError as error:
            raise ChannelRefused(f"файл не помещается на диск моста: {why_not(error)}") from error

    def enclosed(self, deal_id: int, beginnings: Sequence[str], most: int) -> EnclosedFile:
        """The newest file whose name begins so, for a letter. Raises ChannelRefused; ChannelBusy while amoCRM does not
        give it: the letter waits."""
        wanted = " или ".join(f"«{words} …»" for words in beginnings)
        row: Mapping[str, Any] = {}
        content = BytesIO()
        try:
            row = self._newest_of(deal_id, lambda one: _begins(one, beginnings))
            download_file(self._client, self._drive, row, content, most=most)
        except FileTooLarge:
            raise too_large(f"файл сделки «{row.get('name')}»", most) from None
        except ChannelRefused:
            raise ChannelRefused(f"файла {wanted} на сделке нет: приложите его и повторите письмо") from None
        except CrmError as error:
            raise refusal_of_crm(error, f"файл {wanted}") from error
        name = str(row.get("name") or "файл")
        return EnclosedFile(name, content.getvalue(), type_of(name))

    def phones(self, rows: Sequence[Sendable]) -> dict[int, str]:
        """Row id → the first phone of the client, as it stands on the card. Raises CrmError."""
        found = recipients(rows, self._client, self._rule_engine()) if rows else {}
        told = {}
        for row_id, one in found.items():
            contact = one.contact if isinstance(one, Recipient) else None
            told[row_id] = next(iter(contact.phones), "") if contact else ""
        return told

    @property
    def _drive(self) -> str:
        return self._rule_engine().account.drive_url

    def _newest_of(self, deal_id: int, fits: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        """Raises ChannelRefused if there is none; CrmError."""
        uuids = file_ids_of_deal(self._client, deal_id)
        rows = [row for row in files_by_ids(self._client, self._drive, uuids).values() if fits(row)]
        if not rows:
            raise ChannelRefused("такого файла на сделке нет")
        return max(rows, key=lambda one: (integer(one.get("created_at")) or 0, uuids.index(str(one["uuid"]))))


def refusal_of_crm(error: CrmError, what: str) -> ChannelError:
    """What becomes of a letter that amoCRM keeps something from (``what``, Russian)."""
    if isinstance(error, CrmForbidden):
        return ChannelRefused(f"{what}: {NO_FILES_SCOPE}")
    if isinstance(error, CrmRefused):
        return ChannelRefused(f"{what}: amoCRM отказала: {error}")
    return ChannelBusy(f"{what}: amoCRM пока не отвечает: {error}", retry_after=getattr(error, "retry_after", None))


def too_large(what: str, most: int) -> ChannelRefused:
    """``what``: the file, in words; ``most``: bytes."""
    limit = f"{most / MEGABYTE:g}"
    return ChannelRefused(f"{what} не помещается в письмо: вложениям можно занять {limit} МБ (attachments_mb в [mail])")


def _begins(row: Mapping[str, Any], beginnings: Sequence[str]) -> bool:
    names = [str(row[key]) for key in ("name", "sanitized_name") if row.get(key)]
    return any(starts_with(name, words) for name in names for words in beginnings)


def _fits(row: Mapping[str, Any], attach: Mapping[str, Any]) -> bool:
    if _begins(row, attach["files"]):
        return True
    names = [str(row[key]) for key in ("name", "sanitized_name") if row.get(key)]
    return bool(attach["pictures"]) and (row.get("type") == "image" or any(is_picture(name) for name in names))


MakeDocument = Callable[[Sendable, Mapping[str, Any], Recipient, int], EnclosedFile]


class Attachments:
    """What goes along with letters. ``folder``: of the templates; ``most``: bytes of one letter's files.
    ``make``: a document, as documents.Documents makes it."""

    def __init__(self, folder: Path, files: DealFiles, make: MakeDocument, most: int) -> None:
        self._folder = folder
        self._files = files
        self._make = make
        self._most = most

    def load(self, row: Sendable, about: Recipient) -> tuple[EnclosedFile, ...]:
        """All that the row wants, each under a name of its own. Raises ChannelRefused if one is missing or they are too
        large, ChannelBusy."""
        files: list[EnclosedFile] = []
        left = self._most
        # Documents last: what else is missing is told before one is made.
        wanted = list(row.body.get("attach", ()))
        for one in sorted(wanted, key=lambda one: "document" in one):
            file = self._one(row, one, about, left)
            left -= len(file.content)
            if left < 0:
                raise too_large("все вложения вместе: это", self._most)
            name = " ".join(file.name.split())
            files.append(replace(file, name=_free_name(name, [known.name for known in files])))
        return tuple(files)

    def _one(self, row: Sendable, one: Mapping[str, Any], about: Recipient, left: int) -> EnclosedFile:
        if "document" in one:
            return self._make(row, one, about, left)
        if "file" in one:
            return self._beside(one["file"], left)
        return self._files.enclosed(about.deal.id, one["deal_file"], left)

    def _beside(self, name: str, left: int) -> EnclosedFile:
        try:
            path = enclosed(self._folder, name)
            if path.stat().st_size > left:
                raise too_large(f"файл «{name}»", self._most)
            return EnclosedFile(path.name, path.read_bytes(), type_of(path.name))
        except (OSError, ValueError) as error:
            raise ChannelRefused(f"файла для писем «{name}» нет в {self._folder}: {error}") from error


def _free_name(name: str, taken: Sequence[str]) -> str:
    path, number = PurePath(name), 1
    while name in taken:
        number += 1
        name = f"{path.stem} ({number}){path.suffix}"
    return name
