"""Services of tables against their stand-ins, and a person who edits the table by hand."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from python_calamine import CalamineWorkbook
from xlsxwriter import Workbook

from amo_bridge.channels.google import GoogleSheets
from amo_bridge.channels.sheets import SheetService
from amo_bridge.channels.vendors import GOOGLE_SHEETS, YANDEX_TABLE, KeptSheets
from amo_bridge.channels.yandex_disk import YandexTable
from amo_bridge.config.channels import GoogleSheetsSection, SheetsSection, YandexTableSection
from amo_bridge.standins.google_sheets import GoogleSheetsStandIn
from amo_bridge.standins.server import StandIns
from amo_bridge.standins.yandex_disk import YandexDiskStandIn
from support.google_account import service_account

Rows = list[list[Any]]


class SheetKit:
    """``faults``: paths of its requests that a fault may strike. ``opened``: how ``check`` begins."""

    vendor: KeptSheets
    stand_in_name: str
    faults: Sequence[str]
    opened: str
    section: SheetsSection
    word: str

    def service(self) -> SheetService:
        raise NotImplementedError

    def sheets(self) -> Mapping[str, Rows]:
        """As people see them; without empty cells at the end of a row."""
        raise NotImplementedError

    def save(self, sheets: Mapping[str, Rows]) -> None:
        raise NotImplementedError

    def edit(self, change: Callable[[Rows], object], sheet: str = "Отчёты") -> None:
        sheets = dict(self.sheets())
        change(sheets.setdefault(sheet, []))
        self.save(sheets)

    def keep(self, *names: str) -> None:
        """The table has these sheets, those that are new empty."""
        there = self.sheets()
        self.save({name: there.get(name, []) for name in names})


def without_end(rows: Rows) -> Rows:
    found = []
    for row in rows:
        while row and row[-1] == "":
            row = row[:-1]
        found.append(list(row))
    return found


class GoogleKit(SheetKit):
    vendor = GOOGLE_SHEETS
    stand_in_name = "google_sheets"
    faults = ("/token", "*:append", "*values:batchUpdate", "*values/*A:A", "*values/*A1:*")
    opened = "таблица Google открыта"

    def __init__(self, stand_ins: StandIns) -> None:
        found = stand_ins[self.stand_in_name]
        assert isinstance(found, GoogleSheetsStandIn)
        self.google = found
        told = found.settings()
        keys = {name: told[name] for name in ("api", "token_url", "spreadsheet")}
        self.section = GoogleSheetsSection(**keys)
        self.word = service_account(found.email)

    def service(self) -> GoogleSheets:
        assert isinstance(self.section, GoogleSheetsSection)
        return GoogleSheets(self.section, self.word)

    def sheets(self) -> Mapping[str, Rows]:
        return {name: without_end(rows) for name, rows in self.google.sheets.items()}

    def save(self, sheets: Mapping[str, Rows]) -> None:
        self.google.sheets = {name: [list(row) for row in rows] for name, rows in sheets.items()}


class YandexKit(SheetKit):
    """What people save comes from another program: their file has nothing of what the bridge has written."""

    vendor = YANDEX_TABLE
    stand_in_name = "yandex_disk"
    faults = ("*/resources", "*/resources/download", "*/download-target/*", "*/resources/upload", "*/upload-target/*")
    opened = "Яндекс Таблица открыта"
    path = "disk:/Продажи/Отчёты.xlsx"

    def __init__(self, stand_ins: StandIns) -> None:
        found = stand_ins[self.stand_in_name]
        assert isinstance(found, YandexDiskStandIn)
        self.disk = found
        self.section = YandexTableSection(api=found.settings()["api"], path=self.path)
        self.word = found.token

    def service(self) -> YandexTable:
        assert isinstance(self.section, YandexTableSection)
        return YandexTable(self.section, self.word)

    @property
    def content(self) -> bytes:
        return self.disk.files()[self.path]

    def sheets(self) -> Mapping[str, Rows]:
        return sheets_of(self.content) if self.path in self.disk.files() else {}

    def save(self, sheets: Mapping[str, Rows]) -> None:
        self.disk.save(self.path, book_of(sheets))


def book_of(sheets: Mapping[str, Rows]) -> bytes:
    buffer = io.BytesIO()
    with Workbook(buffer, {"in_memory": True, "strings_to_formulas": False}) as book:
        for name, rows in sheets.items():
            page = book.add_worksheet(name)
            for number, row in enumerate(rows):
                for column, value in enumerate(row):
                    page.write(number, column, value)
    return buffer.getvalue()


def sheets_of(content: bytes) -> dict[str, Rows]:
    """Read by a library that the bridge does not write with."""
    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    return {
        name: without_end(book.get_sheet_by_name(name).to_python(skip_empty_area=False)) for name in book.sheet_names
    }


KITS: Mapping[str, Callable[[StandIns], SheetKit]] = {"google": GoogleKit, "yandex": YandexKit}
