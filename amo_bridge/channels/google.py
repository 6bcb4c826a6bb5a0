"""Google by a service account: Drive as a storage of documents, Sheets as a service of tables."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

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
from amo_bridge.channels.storage_services import DealFolder, LocalCopy, folder_title
from amo_bridge.config.channels import GOOGLE_DRIVE_KEY, GOOGLE_SHEETS_KEY, GoogleDriveSection, GoogleSheetsSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.logs import log

if TYPE_CHECKING:
    from requests import Response


# --- service account --------------------------------------------------------------------------------------------------
# Access tokens for an assertion that its own key has signed (RFC 7523, RS256): Google's libraries would weigh more
# than the bridge itself.

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SPARE_SECONDS = 120


class GoogleAccount:
    """``service``: whose API the token is for, as errors name it; ``variable``: where the key stands, for who has to
    mend it; ``scope``: what is asked for. A token is kept until it is about to end."""

    def __init__(self, service: str, key: str, variable: str, scope: str, token_url: str, http: HttpClient) -> None:
        self._service = service
        self._key = key
        self._variable = variable
        self._scope = scope
        self._token_url = token_url
        self._http = http
        self._token = ""
        self._token_until = 0.0

    @property
    def email(self) -> str:
        """To whom people have to open what the bridge is to reach. Raises ChannelDown."""
        return self._parts()["client_email"]

    def token(self, *, anew: bool = False) -> str:
        """``anew``: the one before was refused. Raises ChannelError."""
        if anew or time.time() >= self._token_until:
            parts = self._parts()
            now = int(time.time())
            claims = {
                "iss": parts["client_email"], "scope": self._scope, "aud": self._token_url, "iat": now,
                "exp": now + 3600,
            }  # fmt: skip
            form = {"grant_type": GRANT, "assertion": self._signed(claims, parts["private_key"])}
            answer = self._http.request("POST", self._token_url, form=form)
            told = json_of(answer)
            if not answer.ok or not told.get("access_token"):
                words = f"{self._service}: {answer.status_code} {told.get('error', '')}".strip()
                if answer.status_code >= 500 or answer.status_code == 429:
                    raise ChannelDown(words)
                raise ChannelDown(f"{words}: ключ не пускает, проверьте {self._variable} и часы сервера")
            self._token = str(told["access_token"])
            self._token_until = now + float(told.get("expires_in") or 3600) - SPARE_SECONDS
        return self._token

    def _parts(self) -> dict[str, str]:
        try:
            told = json.loads(self._key)
            return {"client_email": str(told["client_email"]), "private_key": str(told["private_key"])}
        except (ValueError, TypeError, KeyError):
            raise ChannelDown(
                f"{self._variable}: это не ключ сервисного аккаунта (файл JSON из консоли Google)"
            ) from None

    def _signed(self, claims: Mapping[str, Any], pem: str) -> str:
        """The claims with the key's signature (RFC 7515, RS256)."""
        try:
            key = serialization.load_pem_private_key(pem.encode(), None)
        except ValueError:
            raise ChannelDown(f"{self._variable}: private_key не читается") from None
        if not isinstance(key, RSAPrivateKey):
            raise ChannelDown(f"{self._variable}: private_key не RSA")
        told = ".".join(_part_of_jwt(one) for one in ({"alg": "RS256", "typ": "JWT"}, claims))
        signature = key.sign(told.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{told}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def json_of(answer: Response) -> dict[str, Any]:
    """The answer's object; empty if it holds none."""
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _part_of_jwt(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part, separators=(",", ":")).encode()).rstrip(b"=").decode()


# --- Drive ------------------------------------------------------------------------------------------------------------
# A service account on a shared drive, by the API v3.

DRIVE_TIMEOUT = (10.0, 120.0)
DRIVE_SCOPE = "https://www.googleapis.com/auth/drive"
FOLDER_TYPE = "application/vnd.google-apps.folder"
EVERYWHERE = {"supportsAllDrives": "true"}
PROPERTY = "amo_deal"
# A multiple of 256 KiB, as resumable uploads want it.
PART_SIZE = 8 << 20
MOST_RESUMES = 5
BUSY_REASONS = ("userRateLimitExceeded", "rateLimitExceeded", "sharingRateLimitExceeded")


class GoogleDrive:
    vendor = "google_drive"
    has_links = True

    def __init__(self, section: GoogleDriveSection, key: str) -> None:
        self._section = section
        self._parent = section.folder or section.drive
        self._http = HttpClient("Google Drive", section.api, "", timeout=DRIVE_TIMEOUT)
        self._account = GoogleAccount("Google Drive", key, GOOGLE_DRIVE_KEY, DRIVE_SCOPE, section.token_url, self._http)
        self._made: dict[int, str] = {}
        """Deal → the id of a folder whose making was perhaps not answered."""

    def check(self) -> str:
        parent = self._ask("GET", f"/drive/v3/files/{self._parent}", {"fields": "id,name"})
        if parent is None:
            raise ChannelDown(self._not_shared())
        return f"Google Drive пускает, документы — в папке «{parent.get('name', '')}»"

    def folder(self, deal_id: int, title: str, known: str) -> DealFolder:
        query = {"fields": "id,trashed,webViewLink"}
        found = self._ask("GET", f"/drive/v3/files/{known}", query) if known else None
        # What a person has put into the bin is left there.
        if found is not None and not found.get("trashed"):
            return _folder(found)
        if (there := self._folder_of(deal_id)) is not None:
            # Of an earlier try, which perhaps broke off before it was shared.
            self._share(there.ref)
            return there
        number = self._made.setdefault(deal_id, self._new_id())
        body = {
            "id": number,
            "name": folder_title(deal_id, title),
            "mimeType": FOLDER_TYPE,
            "parents": [self._parent],
            "appProperties": {PROPERTY: str(deal_id)},
        }
        answer = self._request("POST", "/drive/v3/files", {"fields": "id,webViewLink"}, body)
        if answer.status_code == 404:
            raise ChannelDown(self._not_shared())
        if answer.status_code == 409:
            made = _folder(
                self._ask("GET", f"/drive/v3/files/{number}", {"fields": "id,webViewLink"}) or {"id": number}
            )
        else:
            made = _folder(self._read(answer))
        self._share(number)
        self._made.pop(deal_id, None)
        return DealFolder(made.ref, made.url, is_new=True)

    def new_ref(self, folder: DealFolder, name: str) -> str:
        return self._new_id()

    def put(self, folder: DealFolder, ref: str, name: str, copy: LocalCopy) -> str:
        headers = {"X-Upload-Content-Type": copy.content_type, "X-Upload-Content-Length": str(copy.size)}
        body = {"id": ref, "name": name, "parents": [folder.ref]}
        query = {"uploadType": "resumable", "fields": "id,webViewLink"}
        answer = self._request("POST", "/upload/drive/v3/files", query, body, headers)
        if answer.status_code == 409:
            url = self.find(ref, copy.size, copy.md5)
            if url is None:
                raise ChannelRefused(f"на Google Drive под номером «{name}» лежит другое")
            return url
        if answer.status_code == 404:
            raise ChannelBusy("папку сделки на Google Drive только что убрали")
        if not answer.ok:
            raise self._refusal(answer)
        sent = self._send(answer.headers.get("Location", ""), copy)
        return str(sent.get("webViewLink") or "") or self.find(ref, copy.size, copy.md5) or ""

    def find(self, ref: str, size: int, md5: str) -> str | None:
        found = self._ask("GET", f"/drive/v3/files/{ref}", {"fields": "id,size,md5Checksum,webViewLink"})
        if found is None or str(found.get("size")) != str(size) or found.get("md5Checksum") != md5:
            return None
        return str(found.get("webViewLink") or "")

    def open(self, deal_id: int, ref: str, name: str) -> Path | str:
        return f"https://drive.google.com/file/d/{ref}/view"

    # --- folders and uploads ---

    def _share(self, number: str) -> None:
        """Open the folder to whoever has its link, if the config says so; doing it again changes nothing."""
        if self._section.share:
            share = {"role": "reader", "type": "anyone"}
            self._read(self._request("POST", f"/drive/v3/files/{number}/permissions", {"fields": "id"}, share))

    def _folder_of(self, deal_id: int) -> DealFolder | None:
        """By the deal, whatever people have called it and wherever they have put it on the drive."""
        wanted = f"appProperties has {{key='{PROPERTY}' and value='{deal_id}'}} and trashed=false"
        query = {
            "q": f"mimeType='{FOLDER_TYPE}' and {wanted}",
            "fields": "files(id,webViewLink)",
            "includeItemsFromAllDrives": "true",
            "corpora": "drive",
            "driveId": self._section.drive,
        }
        found = (self._ask("GET", "/drive/v3/files", query) or {}).get("files") or []
        return _folder(found[0]) if found else None

    def _new_id(self) -> str:
        made = self._ask("GET", "/drive/v3/files/generateIds", {"count": "1", "space": "drive"}) or {}
        return str(next(iter(made.get("ids") or ()), "")) or self._unreadable("нет номера")

    def _send(self, session: str, copy: LocalCopy) -> dict[str, Any]:
        """Part by part; after a broken part Google says how far it has got."""
        if not copy.size:
            return self._read(self._part(session, b"", "bytes */0"))
        start, failures, is_known = 0, 0, True
        with copy.path.open("rb") as opened:
            while True:
                opened.seek(start)
                part = opened.read(PART_SIZE) if is_known else b""
                span = f"{start}-{start + len(part) - 1}" if is_known else "*"
                try:
                    answer = self._part(session, part, f"bytes {span}/{copy.size}")
                    if answer.status_code >= 500:
                        raise self._refusal(answer)
                except ChannelUncertain:
                    failures += 1
                    if failures > MOST_RESUMES:
                        raise
                    is_known = False
                    continue
                if answer.status_code == 404:
                    raise ChannelBusy("Google Drive забыл начатую загрузку, начнётся заново")
                if answer.status_code != 308:
                    return self._read(answer)
                taken = re.fullmatch(r"bytes=0-(\d+)", answer.headers.get("Range", ""))
                start, is_known = int(taken[1]) + 1 if taken else 0, True

    def _part(self, session: str, content: bytes, content_range: str) -> Response:
        headers = {"Authorization": f"Bearer {self._account.token()}", "Content-Range": content_range}
        return self._http.request("PUT", session, content=content, headers=headers)

    # --- access and answers ---

    def _ask(self, method: str, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        answer = self._request(method, path, query)
        return None if answer.status_code == 404 else self._read(answer)

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        address = f"{path}?{urlencode({**query, **EVERYWHERE})}"

        def sent(token: str) -> Response:
            return self._http.request(
                method, address, body, headers={"Authorization": f"Bearer {token}", **(headers or {})}
            )

        answer = sent(self._account.token())
        return sent(self._account.token(anew=True)) if answer.status_code == 401 else answer

    def _read(self, answer: Response) -> dict[str, Any]:
        if not answer.ok:
            raise self._refusal(answer)
        told = self._http.json_of(answer)
        return told if isinstance(told, dict) else {}

    def _unreadable(self, words: str) -> str:
        raise self._http.unreadable(ValueError(words))

    def _not_shared(self) -> str:
        email = self._account.email
        return f"Google Drive: диск или папка не открыты сервисному аккаунту {email}: добавьте его менеджером контента"

    def _refusal(self, answer: Response) -> ChannelError:
        status, told = answer.status_code, json_of(answer).get("error")
        told = told if isinstance(told, dict) else {}
        rows = told.get("errors")
        reasons = [str(row.get("reason")) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        words = f"Google Drive: {status} {', '.join(reasons) or told.get('message', '')}".strip()
        if status == 429 or any(reason in BUSY_REASONS for reason in reasons):
            after = answer.headers.get("Retry-After", "")
            return ChannelBusy(words, retry_after=float(after) if after.isdecimal() else None)
        if "storageQuotaExceeded" in reasons:
            return ChannelDown(f"{words}: нет места; у сервисного аккаунта своего нет, нужен общий диск (drive)")
        if status in (401, 403):
            return ChannelDown(f"{words}: {self._not_shared()}")
        return ChannelUncertain(words) if status >= 500 else ChannelRefused(words)


def _folder(found: Mapping[str, Any]) -> DealFolder:
    number = str(found["id"])
    return DealFolder(number, str(found.get("webViewLink") or f"https://drive.google.com/drive/folders/{number}"))


# --- Sheets -----------------------------------------------------------------------------------------------------------
# Values by the API v4. They go in as they are (RAW): with USER_ENTERED «+7916…» and «=…» would become formulas. A
# sheet that is not there is a 400 «Unable to parse range», one that is not open to the account a 403 PERMISSION_DENIED
# (Sheets API, spreadsheets.values). Where rows are to be written it is made then (spreadsheets.batchUpdate,
# AddSheetRequest); two sheets of one name can't be, so a lost answer makes no second one.

SHEETS_TIMEOUT = (10.0, 60.0)
SHEETS_SCOPE = "https://www.googleapis.com/auth/spreadsheets"
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
        self._http = HttpClient("Google Таблицы", section.api, "", timeout=SHEETS_TIMEOUT)
        self._account = GoogleAccount(
            "Google Таблицы", key, GOOGLE_SHEETS_KEY, SHEETS_SCOPE, section.token_url, self._http
        )

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
