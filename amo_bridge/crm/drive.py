"""amoCRM's files service (amoCRM docs, files-api): which files a deal's card has, and what they are called.

The service has a host of its own, ``drive_url`` of the account, and takes the same token, if it has the files scope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.records import embedded
from amo_bridge.crm.values import integer

PAGE = 250
# A uuid takes some 60 characters of the address.
TOGETHER = 50


def file_ids_of_deal(client: CrmClient, deal_id: int) -> list[str]:
    """The uuids of the files in the card's file tab, oldest first. Raises CrmForbidden without the files scope."""
    found: list[Mapping[str, Any]] = []
    before: dict[str, Any] = {}
    while True:
        page = embedded(client.get(f"/api/v4/leads/{deal_id}/files", {"limit": PAGE, **before}) or {}, "files")
        known = {row.get("id") for row in found}
        new = [row for row in page if row.get("id") not in known]
        found += new
        if len(page) < PAGE or not new:
            break
        before = {"before_id": min(integer(row.get("id")) or 0 for row in new)}
    found.sort(key=lambda row: integer(row.get("id")) or 0)
    return list(dict.fromkeys(str(row["file_uuid"]) for row in found if row.get("file_uuid")))


def files_by_ids(client: CrmClient, drive_url: str, uuids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """uuid → the service's row, of the files that are there and not in the bin. Raises CrmError."""
    wanted = sorted(set(uuids))
    found: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(wanted), TOGETHER):
        some = wanted[start : start + TOGETHER]
        sought = {"filter": {"uuid": ",".join(some)}, "limit": TOGETHER}
        for row in embedded(client.get(f"{drive_url.rstrip('/')}/v1.0/files", sought) or {}, "files"):
            if row.get("uuid") in some and not row.get("is_trashed"):
                found[str(row["uuid"])] = row
    return found
