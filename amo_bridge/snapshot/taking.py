"""Reading an account for a snapshot: its names, deals, their people and their open tasks, page by page.

Only what rules look at when nobody moves anything; notes, calls and files are left out, and so is what was finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from amo_bridge.crm.account import gather
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.values import embedded

Row = dict[str, Any]
Progress = Callable[[str, int], None]
PAGE = 250
LISTS: dict[str, tuple[str, dict[str, Any]]] = {
    "companies": ("/api/v4/companies", {"order": {"id": "asc"}}),
    "contacts": ("/api/v4/contacts", {"order": {"id": "asc"}, "with": "leads"}),
    "leads": ("/api/v4/leads", {"order": {"id": "asc"}, "with": "contacts,loss_reason"}),
    "tasks": ("/api/v4/tasks", {"order": {"id": "asc"}, "filter": {"is_completed": 0}}),
}
"""Kind → its list and how it is asked for; people before the deals that they are linked to."""


def account_of(client: CrmClient) -> Row:
    """The account's own names (some eight requests). Raises CrmError."""
    return gather(client)


def rows_of(client: CrmClient, progress: Progress = lambda kind, rows: None) -> Iterator[tuple[str, Row]]:
    """(kind, row) of everything, a page of 250 at a time; ``progress`` hears how many of a kind were read so far.

    Raises CrmError.
    """
    for kind, (path, asked) in LISTS.items():
        for number, row in enumerate(client.pages(path, asked, kind, limit=PAGE), start=1):
            if number % PAGE == 1:
                progress(kind, number - 1)
            if kind != "tasks" or not row.get("is_completed"):
                yield kind, row


def rows_of_one(client: CrmClient, deal_id: int) -> Iterator[tuple[str, Row]]:
    """One deal with its people and its open tasks; nothing if there is no such deal. Raises CrmError."""
    deal = client.get(f"/api/v4/leads/{deal_id}", {"with": "contacts,loss_reason"})
    if not deal:
        return
    for kind in ("companies", "contacts"):
        for side in embedded(deal, kind):
            if row := client.get(f"/api/v4/{kind}/{side['id']}", {"with": "leads"}):
                yield kind, row
    yield "leads", deal
    asked = {"filter": {"entity_type": "leads", "entity_id": [deal_id], "is_completed": 0}}
    for row in client.pages("/api/v4/tasks", asked, "tasks"):
        # Filters may be ignored in silence.
        if row.get("entity_id") == deal_id and row.get("entity_type") == "leads" and not row.get("is_completed"):
            yield "tasks", row
