"""Google Sheets as a service of tables: values of a sheet by the API v4, with a service account.

Values go in as they are (``RAW``): with ``USER_ENTERED`` «+7916…» and «=…» would become formulas. A sheet that is not
there is a 400 «Unable to parse range», one that is not open to the account a 403 PERMISSION_DENIED (Sheets API,
spreadsheets.values). Where rows are to be written it is made then (spreadsheets.batchUpdate, AddSheetRequest); two
sheets of one name can't be, so a lost answer makes no second one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from amo_bridge.channels.google_account import GoogleAccount, json_of
from amo_bridge.channels.http_client import HttpClient
from amo_bridge.channels.sheet_file import column_name
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
from amo_bridge.config.channels import GOOGLE_SHEETS_KEY, GoogleSheetsSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.logs import log

if TYPE_CHECKING:
    from requests import Response

TIMEOUT = (10.0, 60.0)
SCOPE = "https://www.googleapis.com/auth/spreadsheets"
NO_SHEET = "Unable to parse range"
LAST_COLUMN = "AZ"
"""Up to it the bridge's columns are looked for."""


class NoSheet(ChannelDown):
    """The table has no sheet of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Google Таблицы: листа «{name}» нет, создайте его (его имя — в [google_sheets] или [spend_sheet])"
        )


class GoogleSheets(SheetService):
    """``sheets``: those that are kept, if not all that the section names."""

    def __init__(self, section: GoogleSheetsSection, key: str, sheets: Sequence[str] = ()) -> None:
        self._section = section
        self._own = [section.daily_reports, *section.sheets]
        self._sheets = sheets or self._own
        self._http = HttpClient("Google Таблицы", section.api, "", timeout=TIMEOUT)
        self._account = GoogleAccount("Google Таблицы", key, GOOGLE_SHEETS_KEY, SCOPE, section.token_url, self._http)

    def check(self) -> str:
        """Read the keys; what to say of the table (Russian). Raises ChannelError."""
        return f"таблица Google открыта, {', '.join(self._checked(name) for name in self._sheets)}"

    def _checked(self, name: str) -> str:
        try:
            return f"на листе «{name}» строк: {len(self._keys(name))}"
        except NoSheet:
            if name not in self._own:
                # People's: it is read and never made.
                raise
            return f"листа «{name}» ещё нет, мост создаст его"

    def write(self, sheet: str, head: Sequence[str], rows: Sequence[SheetRow], emptied: Emptied) -> None:
        try:
            top = self._values(sheet, f"A1:{LAST_COLUMN}{HEAD_WITHIN}", "ROWS")
        except NoSheet:
            if not rows:
                return
            made = {"addSheet": {"properties": {"title": sheet}}}
            self._ask("POST", f"{self._path}:batchUpdate", {}, {"requests": [made]}, sheet)
            log.info("a sheet was made", sheet=sheet)
            top = []
        columns = columns_of(sheet, head, top) or SheetColumns(0, tuple(range(len(head))))
        keys = self._keys(sheet, columns.key) if columns.head_row else []
        places: dict[str, int] = {}
        for number, key in enumerate(keys, start=1):
            if number > columns.head_row and key:
                places.setdefault(key, number)
        changed = changes_of(rows, places, emptied)
        data = [one for row in changed for one in _ranges(sheet, places[row.key], columns, row)]
        if data:
            body = {"valueInputOption": "RAW", "data": data}
            self._ask("POST", f"{self._path}/values:batchUpdate", {}, body, sheet)
        new = [row for row in rows if row.key not in places]
        if new and columns.are_as_written:
            titles = [] if columns.head_row else [list(head)]
            query = {"valueInputOption": "RAW", "insertDataOption": "INSERT_ROWS"}
            where = quote(f"{_quoted(sheet)}!A:{column_name(len(head) - 1)}", safe="")
            values = [*titles, *([row.key, *row.cells] for row in new)]
            self._ask("POST", f"{self._path}/values/{where}:append", query, {"values": values}, sheet)
        elif new:
            self._append_placed(sheet, [columns.placed(row) for row in new])

    def read(self, sheet: str) -> Sequence[Sequence[Cell]]:
        # Numbers as they are, whatever their format shows; dates as numbers of days.
        return self._values(sheet, f"A:{LAST_COLUMN}", "ROWS", valueRenderOption="UNFORMATTED_VALUE")

    def _append_placed(self, sheet: str, rows: Sequence[Mapping[int, str | int]]) -> None:
        """Behind the last row that holds anything, in these columns: ``values:append`` begins in a column that it
        guesses itself."""
        told = self._ask("GET", self._path, {"fields": "sheets.properties(sheetId,title)"}, None, sheet)
        known = [one.get("properties") or {} for one in told.get("sheets") or []]
        number = next((one.get("sheetId") for one in known if one.get("title") == sheet), None)
        if number is None:
            raise NoSheet(sheet)
        cells = [{"values": [_cell(row.get(column)) for column in range(max(row) + 1)]} for row in rows]
        request = {"sheetId": number, "rows": cells, "fields": "userEnteredValue"}
        self._ask("POST", f"{self._path}:batchUpdate", {}, {"requests": [{"appendCells": request}]}, sheet)

    @property
    def _path(self) -> str:
        return f"/v4/spreadsheets/{self._section.spreadsheet}"

    def _keys(self, sheet: str, column: int = 0) -> list[str]:
        """That column, from the first row on; an empty cell is an empty text."""
        name = column_name(column)
        columns = self._values(sheet, f"{name}:{name}", "COLUMNS") or [[]]
        return [str(cell) for cell in columns[0]]

    def _values(self, sheet: str, where: str, dimension: str, **more: str) -> list[list[Any]]:
        place = quote(f"{_quoted(sheet)}!{where}", safe="")
        found = self._ask("GET", f"{self._path}/values/{place}", {"majorDimension": dimension, **more}, None, sheet)
        return list(found.get("values") or [])

    def _ask(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None, sheet: str
    ) -> dict[str, Any]:
        address = f"{path}?{urlencode(query)}" if query else path

        def sent(token: str) -> Response:
            return self._http.request(method, address, body, headers={"Authorization": f"Bearer {token}"})

        answer = sent(self._account.token())
        if answer.status_code == 401:
            answer = sent(self._account.token(anew=True))
        if not answer.ok:
            raise self._refusal(answer, sheet)
        told = self._http.json_of(answer)
        return told if isinstance(told, dict) else {}

    def _refusal(self, answer: Response, sheet: str) -> ChannelError:
        status, told = answer.status_code, json_of(answer).get("error")
        told = told if isinstance(told, dict) else {}
        message = str(told.get("message") or "")
        words = f"Google Таблицы: {status} {told.get('status') or ''} {message}".strip()
        if status == 429:
            after = answer.headers.get("Retry-After", "")
            return ChannelBusy(words, retry_after=float(after) if after.isdecimal() else None)
        if status == 404:
            return ChannelDown("Google Таблицы: такой таблицы нет, проверьте spreadsheet в [google_sheets]")
        if status in (401, 403):
            return ChannelDown(f"{words}; откройте таблицу аккаунту {self._account.email} как редактору")
        if status == 400 and NO_SHEET in message:
            return NoSheet(sheet)
        return ChannelUncertain(words) if status >= 500 else ChannelRefused(words)


def _ranges(sheet: str, number: int, columns: SheetColumns, row: SheetRow) -> Iterator[dict[str, Any]]:
    """The row's cells, a range for each run of columns that stand side by side."""
    placed = sorted(columns.placed(row).items())
    runs: list[list[tuple[int, str | int]]] = []
    for column, value in placed:
        if runs and runs[-1][-1][0] == column - 1:
            runs[-1].append((column, value))
        else:
            runs.append([(column, value)])
    for run in runs:
        first, last = column_name(run[0][0]), column_name(run[-1][0])
        where = f"{_quoted(sheet)}!{first}{number}:{last}{number}"
        yield {"range": where, "values": [[value for _, value in run]]}


def _cell(value: str | int | None) -> dict[str, Any]:
    if value is None:
        return {}
    return {"userEnteredValue": {"numberValue" if isinstance(value, int) else "stringValue": value}}


def _quoted(sheet: str) -> str:
    """A sheet's name in A1 notation."""
    return "'" + sheet.replace("'", "''") + "'"
