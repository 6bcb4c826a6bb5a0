"""Google Drive as a storage of documents: a service account on a shared drive, by the API v3.

The id of a copy is made first and kept, so that a repeated upload is a 409 and a lost answer is settled by asking for
the id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from amo_bridge.channels.google_account import GoogleAccount, json_of
from amo_bridge.channels.http_client import HttpClient
from amo_bridge.channels.storage_services import DealFolder, LocalCopy, folder_title
from amo_bridge.config.channels import GOOGLE_DRIVE_KEY, GoogleDriveSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain

if TYPE_CHECKING:
    from requests import Response

TIMEOUT = (10.0, 120.0)
SCOPE = "https://www.googleapis.com/auth/drive"
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
        self._http = HttpClient("Google Drive", section.api, "", timeout=TIMEOUT)
        self._account = GoogleAccount("Google Drive", key, GOOGLE_DRIVE_KEY, SCOPE, section.token_url, self._http)
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
