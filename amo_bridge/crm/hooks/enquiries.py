"""``unsorted[…]`` → enquiries that come into «Неразобранное» and leave it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amo_bridge.crm.hooks.item import Item, Unreadable
from amo_bridge.crm.values import branch, identifier, identifiers, user, word
from amo_bridge.events import Event, UnsortedAdded, UnsortedClosed, UnsortedUpdated

_ACTIONS: dict[str, type[UnsortedAdded]] = {"add": UnsortedAdded, "update": UnsortedUpdated}


def decode(item: Item) -> Event:
    if item.action == "delete":
        return _closed(item)
    kind = _ACTIONS.get(item.action)
    if kind is None:
        raise item.unknown_action()
    tree, data = item.tree, branch(item.tree, "data")
    deal_ids = identifiers(data.get("leads"))
    return kind(
        uid=_uid(item),
        category=word(tree.get("category")),
        deal_id=identifier(tree.get("lead_id")) or (deal_ids[0] if deal_ids else None),
        contact_ids=identifiers(data.get("contacts")),
        pipeline_id=identifier(tree.get("pipeline_id")),
        **item.envelope(item.changed_at()),
    )


def _closed(item: Item) -> UnsortedClosed:
    """``created_at`` of this hook is the enquiry's, not the decision's, so the event has no time (captured hook)."""
    tree = item.tree
    results = [branch(tree, f"{decision}_result") for decision in ("accept", "decline")]
    return UnsortedClosed(
        uid=_uid(item),
        decision=word(tree.get("action")) or _decision(tree),
        category=word(tree.get("category")),
        deal_ids=tuple(deal_id for result in results for deal_id in identifiers(result.get("leads"))),
        user_id=user(tree.get("modified_user_id")),
        **item.envelope(item.first_moment("updated_at")),
    )


def _decision(tree: Mapping[str, Any]) -> str | None:
    return next((decision for decision in ("accept", "decline") if f"{decision}_result" in tree), None)


def _uid(item: Item) -> str:
    uid = word(item.tree.get("uid"))
    if uid is None:
        raise Unreadable("нет uid")
    return uid
