"""Yandex table as a service of tables: an XLSX file on Yandex.Disk, changed in place.

Yandex has no API of cells. The file is read, its rows are changed in memory, and it is put back only if its md5 is
still the one that was read; else all begins anew. Disk has no conditional upload: a save that falls between that look
and the end of the upload, less than a second, is overwritten.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

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
from amo_bridge.channels.yandex_disk import NO_PARENT, error_code, refusal
from amo_bridge.config.channels import YANDEX_TABLE_TOKEN, YandexTableSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelUncertain

if TYPE_CHECKING:
    from requests import Response

TIMEOUT = (10.0, 120.0)
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
        self._http = HttpClient(NAME, section.api, token, headers=headers, timeout=TIMEOUT)
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
