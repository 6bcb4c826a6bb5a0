"""``catalogs[…]`` → events about the elements of lists."""

from __future__ import annotations

from amo_bridge.crm.hooks.item import Item
from amo_bridge.crm.values import identifier, text
from amo_bridge.events import Event, ListElementReported


def decode(item: Item) -> Event:
    if item.action not in ("add", "update", "delete"):
        raise item.unknown_action()
    return ListElementReported(
        element_id=item.required_id(),
        action=item.action,
        catalog_id=identifier(item.tree.get("catalog_id")),
        name=text(item.tree.get("name")),
        **item.envelope(item.changed_at()),
    )
