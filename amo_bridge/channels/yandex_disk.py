"""Yandex.Disk by its REST API (cloud-api.yandex.net): a storage of documents, tables as XLSX files.

A path is the only name of a file here; so a copy is known by its path and its md5. Folders carry the deal's number at
the beginning of their names and as a property of their own.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.channels.sheet_file import BadSheetFile, SheetFile, SheetPart, new_file
from amo_bridge.channels.sheet_file import Cell as FileCell
from amo_bridge.channels.sheets import (
    HEAD_WITHIN,
    Cell,
    Emptied,
    SheetColumns,
    SheetRow,
    SheetService,
    changes_of,
    columns_of,
)
from amo_bridge.channels.storage_services import DealFolder, LocalCopy, NameTaken, folder_title, is_folder_of
from amo_bridge.config.channels import YANDEX_DISK_TOKEN, YANDEX_TABLE_TOKEN, YandexDiskSection, YandexTableSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain

if TYPE_CHECKING:
    from requests import Response


# An upload of gigabytes is answered when Disk has read all of it.
TIMEOUT = (10.0, 600.0)
PAGE_SIZE = 1000
OWNERS_PAGE = "https://disk.yandex.ru/client/"
EXISTS = ("DiskPathPointsToExistentDirectoryError", "DiskResourceAlreadyExistsError")
NO_PARENT = "DiskPathDoesntExistsError"
PROPERTY = "amo_deal"


class YandexDisk:
    vendor = "yandex_disk"
    has_links = True

    def __init__(self, section: YandexDiskSection, token: str) -> None:
        self._section = section
        self._root = section.folder
        headers = {"Authorization": f"OAuth {token}"}
        self._http = HttpClient("Яндекс.Диск", section.api, token, headers=headers, timeout=TIMEOUT)

    def check(self) -> str:
        disk = self._ask("GET", "/", {"fields": "total_space,used_space"})
        if disk is None or "total_space" not in disk:
            raise ChannelDown("Яндекс.Диск: по этому адресу отвечает не он; поправьте api в [yandex_disk]")
        free = (int(disk["total_space"]) - int(disk.get("used_space") or 0)) / 2**30
        return f"Яндекс.Диск пускает, свободно {free:.1f} ГБ, документы — в папке {self._root}"

    def folder(self, deal_id: int, title: str, known: str) -> DealFolder:
        if known and (found := self._folder_at(known)) is not None:
            return found
        if known and (found := self._folder_of(deal_id)) is not None:
            return found
        self._make_root()
        path = f"{self._root}/{folder_title(deal_id, title)}"
        is_new = self._make(path)
        self._mark(path, deal_id)
        return DealFolder(path, self._address(path), is_new=is_new)

    def new_ref(self, folder: DealFolder, name: str) -> str:
        return f"{folder.ref}/{name}"

    def put(self, folder: DealFolder, ref: str, name: str, copy: LocalCopy) -> str:
        answer = self._request("GET", "/resources/upload", {"path": ref, "overwrite": "false"})
        if answer.status_code == 409:
            if error_code(answer) == NO_PARENT:
                raise ChannelBusy("папку сделки на Яндекс.Диске только что убрали")
            found = self._look(ref)
            if found is not None and _is_another(found, copy):
                raise NameTaken(f"«{name}» в папке уже есть")
            url = self._address_of(ref, found, copy.size, copy.md5)
            if url is None:
                # Perhaps our own copy of an earlier try, which Disk has not reckoned up yet.
                raise ChannelUncertain(f"Яндекс.Диск пока не показывает, что лежит под именем «{name}»")
            return url
        href = str(self._read(answer).get("href") or "")
        with copy.path.open("rb") as opened:
            content = opened if copy.size else b""
            # The link is a secret of its own; it goes to another host, which gets no token.
            sent = self._http.request("PUT", href, content=content, headers={"Authorization": None})
        if not sent.ok:
            raise refusal(sent)
        url = self.find(ref, copy.size, copy.md5)
        if url is None:
            # 202: taken, and not yet where it is to be.
            raise ChannelUncertain("Яндекс.Диск файл принял, но пока не показывает")
        return url

    def find(self, ref: str, size: int, md5: str) -> str | None:
        return self._address_of(ref, self._look(ref), size, md5)

    def _look(self, ref: str) -> dict[str, Any] | None:
        return self._ask("GET", "/resources", {"path": ref, "fields": "type,size,md5,public_url"})

    def _address_of(self, ref: str, found: Mapping[str, Any] | None, size: int, md5: str) -> str | None:
        if found is None or found.get("type") != "file" or found.get("size") != size or found.get("md5") != md5:
            return None
        return str(found.get("public_url") or "") or self._address(ref)

    def open(self, deal_id: int, ref: str, name: str) -> Path | str:
        return _owners_address(ref)

    # --- folders ---

    def _folder_at(self, path: str) -> DealFolder | None:
        found = self._ask("GET", "/resources", {"path": path, "fields": "type,public_url", "limit": "0"})
        if found is None or found.get("type") != "dir":
            return None
        return DealFolder(path, str(found.get("public_url") or "") or self._address(path))

    def _folder_of(self, deal_id: int) -> DealFolder | None:
        """The deal's folder after people have renamed it."""
        folders = list(self._folders())
        for one in folders:
            if (one.get("custom_properties") or {}).get(PROPERTY) == str(deal_id):
                return self._folder_at(_path(one))
        named = next((one for one in folders if is_folder_of(str(one.get("name")), deal_id)), None)
        return self._folder_at(_path(named)) if named is not None else None

    def _folders(self) -> Iterator[Mapping[str, Any]]:
        offset = 0
        fields = "_embedded.items.name,_embedded.items.path,_embedded.items.type,_embedded.items.custom_properties"
        while True:
            query = {"path": self._root, "limit": str(PAGE_SIZE), "offset": str(offset), "fields": fields}
            page = self._ask("GET", "/resources", query) or {}
            items = (page.get("_embedded") or {}).get("items") or []
            yield from (one for one in items if one.get("type") == "dir")
            if len(items) < PAGE_SIZE:
                return
            offset += PAGE_SIZE

    def _make_root(self) -> None:
        """One level at a time, as Disk makes them."""
        scheme, _, rest = self._root.partition(":/")
        path = f"{scheme}:"
        for level in PurePosixPath(rest).parts:
            path = f"{path}/{level}"
            self._make(path)

    def _make(self, path: str) -> bool:
        """Make a folder; False if it was there."""
        answer = self._request("PUT", "/resources", {"path": path})
        if answer.status_code == 409 and error_code(answer) in EXISTS:
            return False
        self._read(answer)
        return True

    def _mark(self, path: str, deal_id: int) -> None:
        body = {"custom_properties": {PROPERTY: str(deal_id)}}
        answer = self._request("PATCH", "/resources", {"path": path}, body)
        # The number stands in the name, too; a token without this right is no harm.
        if not answer.ok and answer.status_code not in (400, 403, 404):
            raise refusal(answer)

    # --- links and answers ---

    def _address(self, path: str) -> str:
        """The link of what is there: public, if the config says so, else for the disk's owner."""
        if not self._section.publish:
            return _owners_address(path)
        self._read(self._request("PUT", "/resources/publish", {"path": path}))
        found = self._ask("GET", "/resources", {"path": path, "fields": "public_url", "limit": "0"}) or {}
        return str(found.get("public_url") or "") or _owners_address(path)

    def _ask(self, method: str, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        answer = self._request(method, path, query)
        return None if answer.status_code == 404 else self._read(answer)

    def _request(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None = None
    ) -> Response:
        return self._http.request(method, f"{path}?{urlencode(query)}", body)

    def _read(self, answer: Response) -> dict[str, Any]:
        if not answer.ok:
            raise refusal(answer)
        told = self._http.json_of(answer)
        return told if isinstance(told, dict) else {}


def _is_another(found: Mapping[str, Any], copy: LocalCopy) -> bool:
    """Surely another file than the copy; what Disk does not tell yet says nothing."""
    is_other_size = found.get("size") is not None and found["size"] != copy.size
    is_other_content = bool(found.get("md5")) and found["md5"] != copy.md5
    return found.get("type") != "file" or is_other_size or is_other_content


def _path(item: Mapping[str, Any]) -> str:
    return str(item.get("path") or "")


def _owners_address(path: str) -> str:
    return OWNERS_PAGE + quote(path.replace(":/", "/", 1))


def error_code(answer: Response) -> str:
    """Disk's name of an error, empty if it says none."""
    try:
        told = answer.json()
    except ValueError:
        return ""
    return str(told.get("error") or "") if isinstance(told, dict) else ""


def refusal(answer: Response, name: str = "Яндекс.Диск", token: str = YANDEX_DISK_TOKEN) -> ChannelError:
    """What an answer of Disk that is no yes means. ``name``: as people read it; ``token``: the variable it is in."""
    status, code = answer.status_code, error_code(answer)
    words = f"{name}: {status} {code}".strip()
    if status in (401, 403):
        return ChannelDown(f"{words}: токен не пускает, проверьте {token} и его права")
    if status == 507 or code == "DiskStorageQuotaExhaustedError":
        return ChannelDown(f"{words}: на Диске кончилось место, освободите или докупите его")
    if status in (423, 429, 503):
        after = answer.headers.get("Retry-After", "")
        return ChannelBusy(words, retry_after=float(after) if after.isdecimal() else None)
    if status == 413:
        return ChannelRefused(f"{words}: файл больше, чем Диск берёт по вашему тарифу")
    if status == 412:
        return ChannelBusy(words)
    return ChannelUncertain(words) if status >= 500 else ChannelRefused(words)


# --- tables -----------------------------------------------------------------------------------------------------------
# Yandex has no API of cells. The file is read, its rows are changed in memory, and it is put back only if its md5 is
# still the one that was read; else all begins anew. Disk has no conditional upload: a save that falls between that
# look and the end of the upload, less than a second, is overwritten.

TABLE_TIMEOUT = (10.0, 120.0)
MOST_BYTES = 20 * 1024 * 1024
TRIES = 4
"""How often a round begins anew because somebody else has saved the file meanwhile."""
NAME = "Яндекс Таблица"


class YandexTable(SheetService):
    """``sheets``: those that are kept, if not all that the section names. One for all sheets of a file: its jobs wait
    for each other."""

    def __init__(self, section: YandexTableSection, token: str, sheets: Sequence[str] = ()) -> None:
        self._section = section
        self._sheets = sheets or [section.daily_reports, *section.sheets]
        headers = {"Authorization": f"OAuth {token}"}
        self._http = HttpClient(NAME, section.api, token, headers=headers, timeout=TABLE_TIMEOUT)
        self._guard = threading.Lock()

    def check(self) -> str:
        """Read the file; what to say of it (Russian). Raises ChannelError."""
        with self._guard:
            known = self._look()
            if known is None:
                self._href("upload", {"overwrite": "false"})
                return f"Яндекс.Диск пускает, книги {self._section.path} ещё нет: мост создаст её"
            book = self._opened(self._downloaded(known))
            counts = [(name, sum(not row.is_empty for row in self._sheet(book, name).rows)) for name in self._sheets]
        return "Яндекс Таблица открыта, " + ", ".join(f"на листе «{name}» строк: {count}" for name, count in counts)

    def write(self, sheet: str, head: Sequence[str], rows: Sequence[SheetRow], emptied: Emptied) -> None:
        with self._guard:
            for _ in range(TRIES):
                if self._written(sheet, head, rows, emptied):
                    return
        raise ChannelBusy(f"{NAME}: файл {self._section.path} всё время меняют, мост попробует позже")

    def read(self, sheet: str) -> Sequence[Sequence[Cell]]:
        with self._guard:
            known = self._look()
            if known is None:
                raise ChannelDown(f"{NAME}: файла {self._section.path} нет, поправьте path в [yandex_table]")
            book = self._opened(self._downloaded(known))
        if book.counts_from_1904:
            raise ChannelDown(f"{NAME}: книга считает дни с 1904 года, снимите это в её настройках")
        found: list[list[Cell]] = []
        for row in self._sheet(book, sheet).rows:
            found += [[] for _ in range(row.number - 1 - len(found))]
            cells: list[Cell] = [""] * (row.cells[-1].column + 1 if row.cells else 0)
            for cell in row.cells:
                cells[cell.column] = _value(cell)
            found.append(cells)
        return found

    def _written(self, sheet: str, head: Sequence[str], rows: Sequence[SheetRow], emptied: Emptied) -> bool:
        """False if somebody has changed the file meanwhile."""
        known = self._look()
        content = new_file(self._sheets) if known is None else self._downloaded(known)
        book = self._opened(content)
        part = self._sheet(book, sheet)
        try:
            _put(part, sheet, head, rows, emptied)
            changed = part.changed()
        except BadSheetFile as error:
            raise ChannelDown(f"{NAME}, лист «{sheet}»: {error}") from error
        if changed is None and known is not None:
            return True
        if changed is not None:
            book.replace(sheet, changed)
        return self._uploaded(book.packed(), known)

    # --- the file on the disk ---

    def _look(self) -> Mapping[str, Any] | None:
        """What Disk says of the file; None if it is not there."""
        answer = self._request("GET", "/resources", {"fields": "type,size,md5"})
        if answer.status_code == 404:
            return None
        told = self._json(answer)
        if told.get("type") != "file":
            raise ChannelDown(f"{NAME}: {self._section.path} — не файл, поправьте path в [yandex_table]")
        if not told.get("md5") or told.get("size") is None:
            raise ChannelBusy(f"{NAME}: Диск ещё не принял последнюю правку файла")
        if int(told["size"]) > MOST_BYTES:
            raise ChannelDown(f"{NAME}: файл больше {MOST_BYTES // 1024**2} МБ, начните новый (path в [yandex_table])")
        return told

    def _downloaded(self, known: Mapping[str, Any]) -> bytes:
        answer = self._http.request("GET", self._href("download", {}), headers={"Authorization": None})
        if not answer.ok:
            raise self._refusal(answer)
        content = answer.content
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != known["md5"]:
            raise ChannelUncertain(f"{NAME}: скачалось не то, что лежит на Диске, мост попробует ещё раз")
        return content

    def _uploaded(self, content: bytes, known: Mapping[str, Any] | None) -> bool:
        """False, with nothing done, if the file is no longer what it was."""
        is_new = known is None
        if is_new:
            self._make_folders()
        href = self._href("upload", {"overwrite": "false" if is_new else "true"})
        now = self._look()
        if (now is None) != is_new or (known is not None and now is not None and now["md5"] != known["md5"]):
            return False
        sent = self._http.request("PUT", href, content=content, headers={"Authorization": None})
        if not sent.ok:
            raise self._refusal(sent)
        there = self._look()
        if there is None or there["md5"] != hashlib.md5(content, usedforsecurity=False).hexdigest():
            # 202: taken, and not yet where it is to be; or somebody was quicker. The next round reads it all anew.
            raise ChannelUncertain(f"{NAME}: Диск файл принял, но пока показывает другой")
        return True

    def _make_folders(self) -> None:
        scheme, _, rest = self._section.path.partition(":/")
        path = f"{scheme}:"
        for level in rest.split("/")[:-1]:
            path = f"{path}/{level}"
            answer = self._request("PUT", "/resources", {"path": path})
            if not answer.ok and answer.status_code != 409:
                raise self._refusal(answer)

    def _href(self, what: str, query: Mapping[str, str]) -> str:
        answer = self._request("GET", f"/resources/{what}", query)
        if answer.status_code == 409:
            if error_code(answer) == NO_PARENT and query.get("overwrite") == "false":
                return ""
            raise ChannelBusy(f"{NAME}: файл на Диске только что появился, пропал или переехал")
        href = str(self._json(answer).get("href") or "")
        if not href.startswith(("https://", "http://")):
            raise ChannelUncertain(f"{NAME}: Диск не дал ссылки на файл")
        return href

    def _request(self, method: str, path: str, query: Mapping[str, str]) -> Response:
        return self._http.request(method, f"{path}?{urlencode({'path': self._section.path, **query})}")

    def _json(self, answer: Response) -> dict[str, Any]:
        if not answer.ok:
            raise self._refusal(answer)
        told = self._http.json_of(answer)
        return told if isinstance(told, dict) else {}

    def _refusal(self, answer: Response) -> ChannelError:
        if answer.status_code == 404:
            return ChannelBusy(f"{NAME}: файл {self._section.path} только что убрали")
        if answer.status_code == 423:
            return ChannelBusy(f"{NAME}: файл {self._section.path} занят, его кто-то правит; закройте его в редакторе")
        return refusal(answer, NAME, YANDEX_TABLE_TOKEN)

    # --- the book ---

    def _opened(self, content: bytes) -> SheetFile:
        try:
            return SheetFile(content)
        except BadSheetFile as error:
            raise ChannelDown(
                f"{NAME}: {self._section.path}: {error}; мост её не трогает. Верните прежнюю версию или уберите файл"
            ) from error

    def _sheet(self, book: SheetFile, name: str) -> SheetPart:
        try:
            found = book.sheet(name)
        except BadSheetFile as error:
            raise ChannelDown(f"{NAME}, лист «{name}»: {error}") from error
        if found is None:
            raise ChannelDown(
                f"{NAME}: листа «{name}» нет, создайте его (его имя — в [yandex_table] или [spend_sheet])"
            )
        return found


def _value(cell: FileCell) -> Cell:
    """A number where the file has one, else its text."""
    if cell.kind not in ("n", "") or not cell.text:
        return cell.text
    try:
        return float(cell.text)
    except ValueError:
        return cell.text


def _put(part: SheetPart, sheet: str, head: Sequence[str], rows: Sequence[SheetRow], emptied: Emptied) -> None:
    """Raises BadSheetFile, ChannelDown."""
    top: list[list[str]] = [[] for _ in range(HEAD_WITHIN)]
    for row in part.rows:
        if row.number <= HEAD_WITHIN:
            top[row.number - 1] = row.texts
    columns = columns_of(sheet, head, top)
    places: dict[str, int] = {}
    for row in part.rows:
        texts = row.texts
        if columns is not None and row.number > columns.head_row and len(texts) > columns.key and texts[columns.key]:
            places.setdefault(texts[columns.key], row.number)
    like = max(places.values(), default=None)
    new = [one for one in rows if one.key not in places]
    number = part.next_row
    if columns is None:
        if not new:
            return
        columns = SheetColumns(number, tuple(range(len(head))))
        part.put(number, dict(enumerate(head)))
        number += 1
    for one in changes_of(rows, places, emptied):
        part.put(places[one.key], columns.placed(one))
    for offset, one in enumerate(new):
        part.put(number + offset, columns.placed(one), like=like)
