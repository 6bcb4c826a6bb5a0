"""Yandex.Disk as a storage of documents, by its REST API (cloud-api.yandex.net, disk/resources).

A path is the only name of a file here; so a copy is known by its path and its md5. Folders carry the deal's number at
the beginning of their names and as a property of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.channels.storage_services import DealFolder, LocalCopy, NameTaken, folder_title, is_folder_of
from amo_bridge.config.channels import YANDEX_DISK_TOKEN, YandexDiskSection
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
