"""The account's files: which lie on a deal, what they are, how one is uploaded and downloaded.

The files service has a host of its own, ``drive_url`` of the account, and takes the same token if that has the files
scope (amoCRM docs, files-api).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from amo_bridge.crm.client import BATCH_SIZE, CrmClient, batches
from amo_bridge.crm.records import api_text, embedded, integer
from amo_bridge.crm.responses import no_answer
from amo_bridge.errors import CrmRefused, CrmUncertain

# A uuid takes some 60 characters of the address.
UUIDS_IN_ADDRESS = 50
# Documented; the service tells its own limit with each session.
LARGEST_PART = 524_288
# In memory at a time, of a file that is downloaded.
PIECE = 262_144


class FileTooLarge(CrmRefused):
    """The file is larger than asked for; what was written of it is of no use."""


def file_ids_of_deal(client: CrmClient, deal_id: int) -> list[str]:
    """The uuids of the files in the card's file tab, oldest first. Raises CrmForbidden without the files scope."""
    found: list[Mapping[str, Any]] = []
    before: dict[str, Any] = {}
    while True:
        page = embedded(client.get(f"/api/v4/leads/{deal_id}/files", {"limit": BATCH_SIZE, **before}) or {}, "files")
        known = {row.get("id") for row in found}
        new = [row for row in page if row.get("id") not in known]
        found += new
        if len(page) < BATCH_SIZE or not new:
            break
        before = {"before_id": min(integer(row.get("id")) or 0 for row in new)}
    found.sort(key=lambda row: integer(row.get("id")) or 0)
    return list(dict.fromkeys(str(row["file_uuid"]) for row in found if row.get("file_uuid")))


def files_by_ids(client: CrmClient, drive_url: str, uuids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """uuid → the service's row, of the files that are there and not in the bin. Raises CrmError."""
    wanted = sorted(set(uuids))
    found: dict[str, Mapping[str, Any]] = {}
    for chunk in batches(wanted, UUIDS_IN_ADDRESS):
        query = {"filter": {"uuid": ",".join(chunk)}, "limit": UUIDS_IN_ADDRESS}
        for row in embedded(client.get(f"{drive_url.rstrip('/')}/v1.0/files", query) or {}, "files"):
            if row.get("uuid") in chunk and not row.get("is_trashed"):
                found[str(row["uuid"])] = row
    return found


def upload_file(client: CrmClient, drive_url: str, name: str, content: bytes, content_type: str) -> str:
    """Upload a file, part by part; its uuid. Nothing refers to it yet. Raises CrmError, CrmForbidden without the files
    scope."""
    session = client.post(
        f"{drive_url.rstrip('/')}/v1.0/sessions",
        {"file_name": name, "file_size": len(content), "content_type": content_type or "application/octet-stream"},
    )
    told: Mapping[str, Any] = session if isinstance(session, dict) else {}
    size = min(integer(told.get("max_part_size")) or LARGEST_PART, LARGEST_PART)
    address = api_text(told.get("upload_url"))
    for start in range(0, len(content), size):
        if not address:
            break
        answer = client.upload(address, content[start : start + size])
        told = answer if isinstance(answer, dict) else {}
        address = api_text(told.get("next_url"))
    uuid = api_text(told.get("uuid"))
    if not uuid:
        raise CrmUncertain(
            "the files service has not told the uuid of an uploaded file", method="POST", path="/v1.0/sessions"
        )
    return uuid


def download_file(client: CrmClient, drive_url: str, row: Mapping[str, Any], into: BinaryIO, *, most: int) -> int:
    """Write the newest version of a file, piece by piece; how many bytes that were. ``row``: fresh from
    ``files_by_ids``, because its link expires. Raises FileTooLarge for more than ``most`` bytes, CrmError."""
    size = integer(row.get("size"))
    if size is not None and size > most:
        raise FileTooLarge(f"the file has {size} bytes")
    links = row.get("_links")
    link = links.get("download") if isinstance(links, Mapping) else None
    address = api_text(link.get("href")) if isinstance(link, Mapping) else ""
    if not address:
        raise CrmRefused("the files service gives no link to the file", path="/v1.0/files")
    try:
        written = _copy(client, address, into, most)
    except CrmRefused as error:
        # The link works without a token (seen in the field); should it not, only the files service is shown one.
        if error.status not in (401, 403) or urlsplit(address).netloc != urlsplit(drive_url).netloc:
            raise
        written = _copy(client, address, into, most, with_token=True)
    if size is not None and written != size:
        raise CrmUncertain(f"{written} bytes came of {size}", method="GET", path=urlsplit(address).path)
    return written


def _copy(client: CrmClient, address: str, into: BinaryIO, most: int, *, with_token: bool = False) -> int:
    # Only here: with the first file.
    from requests import RequestException

    written = 0
    with client.streamed(address, with_token=with_token) as answer:
        try:
            for piece in answer.iter_content(PIECE):
                written += len(piece)
                if written > most:
                    raise FileTooLarge(f"the file has more than {most} bytes")
                into.write(piece)
        except RequestException as error:
            raise no_answer(error, method="GET", path=urlsplit(address).path) from error
    return written
