"""The account's files: which lie on a deal, what they are, and how one is uploaded.

The files service has a host of its own, ``drive_url`` of the account, and takes the same token if that has the files
scope (amoCRM docs, files-api).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amo_bridge.crm.client import BATCH_SIZE, CrmClient, batches
from amo_bridge.crm.values import api_text, embedded, integer
from amo_bridge.errors import CrmUncertain

# A uuid takes some 60 characters of the address.
UUIDS_IN_ADDRESS = 50
# Documented; the service tells its own limit with each session.
LARGEST_PART = 524_288


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
