"""``customers[…]``: the bridge follows deals, so of customers only the notes on their cards have a word."""

from __future__ import annotations

from amo_bridge.crm.hooks import notes
from amo_bridge.crm.hooks.item import Item, Unreadable
from amo_bridge.events import Event


def decode(item: Item) -> Event:
    if item.action == "note":
        return notes.decode(item)
    raise Unreadable("покупатели: мост за ними не следит")
