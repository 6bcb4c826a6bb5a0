"""Google Sheets: values of the sheets of one spreadsheet, open to one service account (Sheets API v4).

Assumed: rows are appended behind the last one that holds anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.faults import VendorFaults
from amo_bridge.standins.google_drive import claims_of
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.vendor import StandIn, known_settings

Cell = str | int | float
_RANGE = re.compile(r"'((?:[^']|'')+)'!([A-Z]+)(\d*):([A-Z]+)(\d*)")
LIMITED_SECONDS = 30


class GoogleSheetsStandIn(StandIn):
    """``sheets``: name → rows. ``is_shared``: the table is open to the account."""

    name = "google_sheets"
    title = "Google Таблицы"
    hint = "Впишите api, token_url и spreadsheet в [google_sheets], ключ — в AMO_BRIDGE_GOOGLE_SHEETS_KEY."

    def __init__(self, timeline: Timeline, faults: VendorFaults) -> None:
        super().__init__(timeline, faults)
        self.email = "bridge@project.iam.gserviceaccount.com"
        self.spreadsheet = "spreadsheet-1"
        self.token = "google-test-token-2"
        self.is_shared = True
        self.sheets: dict[str, list[list[Cell]]] = {"Отчёты": []}

    def settings(self) -> dict[str, Any]:
        own = f"{self.url}/{self.name}"
        return {
            "api": own, "token_url": f"{own}/token", "spreadsheet": self.spreadsheet, "email": self.email,
            "is_shared": self.is_shared,
        }  # fmt: skip

    def configure(self, settings: Mapping[str, Any]) -> None:
        known_settings(settings, ("email", "is_shared"))
        for name, value in settings.items():
            setattr(self, name, value)

    def limited(self) -> ResponseReturnValue:
        answer = _no(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Write requests'")
        return answer[0], 429, {"Retry-After": str(LIMITED_SECONDS)}

    def unauthorised(self) -> ResponseReturnValue:
        if request.path.endswith("/token"):
            return jsonify(error="invalid_grant", error_description="Invalid JWT Signature."), 400
        return _no(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")

    def register(self, routes: Blueprint) -> None:
        @routes.post("/token")
        def token() -> ResponseReturnValue:
            claims = claims_of(request.form.get("assertion", ""))
            wanted = {"iss": self.email, "aud": self.settings()["token_url"]}
            is_right = all(claims.get(name) == value for name, value in wanted.items())
            if not is_right or "spreadsheets" not in claims.get("scope", ""):
                return self.unauthorised()
            return jsonify(access_token=self.token, expires_in=3599, token_type="Bearer")

        @routes.before_request
        def let_in() -> ResponseReturnValue | None:
            if request.path.endswith("/token"):
                return None
            if request.headers.get("Authorization") != f"Bearer {self.token}":
                return self.unauthorised()
            if (request.view_args or {}).get("number") != self.spreadsheet:
                return _no(404, "NOT_FOUND", "Requested entity was not found.")
            return None if self.is_shared else _no(403, "PERMISSION_DENIED", "The caller does not have permission")

        @routes.get("/v4/spreadsheets/<number>/values/<where>")
        def read(number: str, where: str) -> ResponseReturnValue:
            place = self._place(where)
            if place is None:
                return _unknown(where)
            dimension = request.args.get("majorDimension", "ROWS")
            cells = [row[place.column : place.last_column + 1] for row in place.rows[place.first - 1 : place.last]]
            if dimension == "COLUMNS":
                cells = [list(one) for one in zip_longest(*cells, fillvalue="")]
            while cells and not any(cells[-1]):
                cells.pop()
            found = {"values": [_without_end(one) for one in cells]} if cells else {}
            return jsonify(range=where, majorDimension=dimension, **found)

        @routes.post("/v4/spreadsheets/<number>/values/<where>:append")
        def append(number: str, where: str) -> ResponseReturnValue:
            place = self._place(where)
            if place is None:
                return _unknown(where)
            rows, values = place.rows, request.get_json()["values"]
            if request.args.get("valueInputOption") != "RAW":
                return _no(400, "INVALID_ARGUMENT", "'valueInputOption' is required")
            rows += [list(one) for one in values]
            return jsonify(spreadsheetId=number, updates={"updatedRows": len(values)})

        @routes.post("/v4/spreadsheets/<number>/values:batchUpdate")
        def update(number: str) -> ResponseReturnValue:
            sent = request.get_json()
            places = [(self._place(one["range"]), one) for one in sent["data"]]
            for place, one in places:
                if place is None:
                    return _unknown(one["range"])
            for place, one in places:
                assert place is not None
                for offset, values in enumerate(one["values"]):
                    _put(place.rows, place.first - 1 + offset, place.column, values)
            return jsonify(spreadsheetId=number, totalUpdatedRows=len(places))

        @routes.get("/v4/spreadsheets/<number>")
        def properties(number: str) -> ResponseReturnValue:
            shown = [{"properties": {"sheetId": index, "title": name}} for index, name in enumerate(self.sheets)]
            return jsonify(sheets=shown)

        @routes.post("/v4/spreadsheets/<number>:batchUpdate")
        def change(number: str) -> ResponseReturnValue:
            asked = request.get_json()["requests"][0]
            if "addSheet" in asked:
                title = asked["addSheet"]["properties"]["title"]
                if title in self.sheets:
                    words = f'A sheet with the name "{title}" already exists. Please enter another name.'
                    return _no(400, "INVALID_ARGUMENT", f"Invalid requests[0].addSheet: {words}")
                self.sheets[title] = []
                made = {"sheetId": len(self.sheets) - 1, "title": title}
                return jsonify(spreadsheetId=number, replies=[{"addSheet": {"properties": made}}])
            told = asked["appendCells"]
            rows = list(self.sheets.values())[told["sheetId"]]
            for row in told["rows"]:
                cells = [one.get("userEnteredValue", {}) for one in row["values"]]
                rows.append([one.get("stringValue", one.get("numberValue", "")) for one in cells])
            return jsonify(spreadsheetId=number, replies=[{}])

    def _place(self, where: str) -> _Place | None:
        """None for a sheet that is not there."""
        found = _RANGE.fullmatch(where)
        rows = self.sheets.get(found[1].replace("''", "'")) if found else None
        if found is None or rows is None:
            return None
        return _Place(
            rows, _column(found[2]), _column(found[4]), int(found[3] or 1), int(found[5]) if found[5] else None
        )


@dataclass
class _Place:
    """``column``: from 0; ``first``: row, from 1; ``last``: None to the end."""

    rows: list[list[Cell]]
    column: int
    last_column: int
    first: int
    last: int | None


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _without_end(cells: list[Cell]) -> list[Cell]:
    """As Google tells them: without the empty ones at the end."""
    while cells and cells[-1] == "":
        cells = cells[:-1]
    return cells


def _put(rows: list[list[Cell]], number: int, column: int, values: list[Cell]) -> None:
    while len(rows) <= number:
        rows.append([])
    row = rows[number]
    row += [""] * (column + len(values) - len(row))
    row[column : column + len(values)] = values


def _unknown(where: str) -> ResponseReturnValue:
    return _no(400, "INVALID_ARGUMENT", f"Unable to parse range: {where}")


def _no(status: int, name: str, message: str) -> tuple[Any, int]:
    return jsonify(error={"code": status, "message": message, "status": name}), status
