"""What hangs on a deal's card: linking contacts and files to it, and looking whether a lost answer has linked them.

Linking what is linked already changes nothing (amoCRM docs, entity-links-api, files-api): here a repeat could do no
harm, and the look only saves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.drive import file_ids_of_deal
from amo_bridge.crm.records import embedded
from amo_bridge.crm.values import identifier

IDS_IN_ADDRESS = 100
Bodies = Mapping[str, Mapping[str, Any]]


def link_contacts(client: CrmClient, bodies: Bodies) -> dict[str, int]:
    """Our mark → the deal's id. A body is amoCRM's: ``entity_id`` (the deal), ``to_entity_id``, ``to_entity_type``."""
    client.post("/api/v4/leads/link", list(bodies.values()))
    return {mark: int(body["entity_id"]) for mark, body in bodies.items()}


def linked_contacts(client: CrmClient, bodies: Bodies) -> dict[str, int]:
    """Of these links those that are there: our mark → the deal's id."""
    deals = sorted({int(body["entity_id"]) for body in bodies.values()})
    there = set(_links(client, deals))
    wanted = {mark: (int(body["entity_id"]), int(body["to_entity_id"])) for mark, body in bodies.items()}
    return {mark: deal for mark, (deal, contact) in wanted.items() if (deal, contact) in there}


def attach_files(client: CrmClient, bodies: Bodies) -> dict[str, int]:
    """Our mark → the deal's id. A body: ``entity_id`` (the deal) and ``file_uuids``; a request for each deal."""
    for body in bodies.values():
        files = [{"file_uuid": uuid} for uuid in body["file_uuids"]]
        client.put(f"/api/v4/leads/{int(body['entity_id'])}/files", files)
    return {mark: int(body["entity_id"]) for mark, body in bodies.items()}


def attached_files(client: CrmClient, bodies: Bodies) -> dict[str, int]:
    """Of these bodies those whose files are all on the card: our mark → the deal's id."""
    deals = {mark: int(body["entity_id"]) for mark, body in bodies.items()}
    return {
        mark: deal
        for mark, deal in deals.items()
        if set(bodies[mark]["file_uuids"]) <= set(file_ids_of_deal(client, deal))
    }


def _links(client: CrmClient, deals: list[int]) -> Iterable[tuple[int, int]]:
    """(deal, contact) of all contacts linked to these deals."""
    for start in range(0, len(deals), IDS_IN_ADDRESS):
        sought = {"filter": {"entity_id": deals[start : start + IDS_IN_ADDRESS], "to_entity_type": "contacts"}}
        for row in embedded(client.get("/api/v4/leads/links", sought) or {}, "links"):
            deal, contact = identifier(row.get("entity_id")), identifier(row.get("to_entity_id"))
            if deal and contact and row.get("to_entity_type") == "contacts":
                yield deal, contact
