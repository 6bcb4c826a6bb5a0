"""Google Sheets as a service of tables: values of a sheet by the API v4, with a service account.

Values go in as they are (``RAW``): with ``USER_ENTERED`` «+7916…» and «=…» would become formulas. A sheet that is not
there is a 400 «Unable to parse range», one that is not open to the account a 403 PERMISSION_DENIED (Sheets API,
spreadsheets.values).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from requests import Response
from requests.exceptions import JSONDecodeError

from amo_bridge.channels.google_account import GoogleAccount, json_of
from amo_bridge.channels.http_client import HttpClient
from amo_bridge.channels.sheets import SheetRow, SheetService
from amo_bridge.config.channels import GOOGLE_SHEETS_KEY, GoogleSheetsSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain

TIMEOUT = (10.0, 60.0)
SCOPE = "https://www.googleapis.com/auth/spreadsheets"
NO_SHEET = "Unable to parse range"


class GoogleSheets(SheetService):
    """``sheets``: those that are kept, if not all that the section names."""

    def __init__(self, section: GoogleSheetsSection, key: str, sheets: Sequence[str] = ()) -> None:
        self._section = section
        self._sheets = sheets or [section.daily_reports, *section.sheets]
        self._http = HttpClient("Google Таблицы", section.api, "", timeout=TIMEOUT)
        self._account = GoogleAccount("Google Таблицы", key, GOOGLE_SHEETS_KEY, SCOPE, section.token_url, self._http)

    def check(self) -> str:
        """Read the keys; what to say of the table (Russian). Raises ChannelError."""
        rows = ", ".join(f"на листе «{name}» строк: {len(self._keys(name))}" for name in self._sheets)
        return f"таблица Google открыта, {rows}"

    def write(self, sheet: str, head: Sequence[str], rows: Sequence[SheetRow]) -> None:
        keys = self._keys(sheet)
        places: dict[str, int] = {}
        for number, key in enumerate(keys, start=1):
            places.setdefault(key, number)
        last = _column(max(len(row.cells) for row in rows) + 1)
        there = [row for row in rows if row.key in places]
        if there:
            data = [
                {"range": f"{_quoted(sheet)}!A{places[row.key]}:{last}{places[row.key]}", "values": [_values(row)]}
                for row in there
            ]
            body = {"valueInputOption": "RAW", "data": data}
            self._ask("POST", f"{self._path}/values:batchUpdate", {}, body, sheet)
        new = [_values(row) for row in rows if row.key not in places and row.is_new_wanted]
        if new:
            values = [list(head), *new] if not keys else new
            query = {"valueInputOption": "RAW", "insertDataOption": "INSERT_ROWS"}
            where = quote(f"{_quoted(sheet)}!A:{last}", safe="")
            self._ask("POST", f"{self._path}/values/{where}:append", query, {"values": values}, sheet)

    @property
    def _path(self) -> str:
        return f"/v4/spreadsheets/{self._section.spreadsheet}"

    def _keys(self, sheet: str) -> list[str]:
        """The first column, from the first row on; an empty cell is an empty text."""
        where = quote(f"{_quoted(sheet)}!A:A", safe="")
        found = self._ask("GET", f"{self._path}/values/{where}", {"majorDimension": "COLUMNS"}, None, sheet)
        columns = found.get("values") or [[]]
        return [str(cell) for cell in columns[0]]

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
        try:
            told = answer.json()
        except JSONDecodeError as error:
            raise self._http.unreadable(error) from None
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
            return ChannelDown(
                f"Google Таблицы: листа «{sheet}» нет, создайте его (daily_reports, kpi и losses в [google_sheets])"
            )
        return ChannelUncertain(words) if status >= 500 else ChannelRefused(words)


def _values(row: SheetRow) -> list[str | int]:
    return [row.key, *row.cells]


def _quoted(sheet: str) -> str:
    """A sheet's name in A1 notation."""
    return "'" + sheet.replace("'", "''") + "'"


def _column(number: int) -> str:
    """«A» for 1, «AA» for 27."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
