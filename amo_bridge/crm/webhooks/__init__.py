"""Decoding of webhooks: a body → events.

Total: any bytes give at least one event, and nothing that was said of an entity is dropped.

::

    leads[status][0][id]=5&account[id]=7  →  [DealMoved(deal_id=5, account_id=7, …)]

What has no typed event, or lacks the id that one needs, becomes ``Unrecognised`` and hinders no neighbour. A webhook is
not signed and may be repeated, late or lost: an event is a hint, and the entity is read before anything is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from amo_bridge.crm.values import branch, identifier, items
from amo_bridge.crm.webhooks import entities, form
from amo_bridge.crm.webhooks.form import Item, Unreadable
from amo_bridge.events import Event, Unrecognised

_ROOTS: Mapping[str, Callable[[Item], Event]] = {
    "leads": entities.decode_deal,
    "contacts": entities.decode_client,
    "customers": entities.decode_customer,
    "task": entities.decode_task,
    "unsorted": entities.decode_enquiry,
    "message": entities.decode_message,
    "outgoing_message": entities.decode_message,
    "talk": entities.decode_talk,
    "catalogs": entities.decode_list_element,
}
_ENVELOPE = "account"


def decode(body: bytes) -> list[Event]:
    """The events of one webhook, in the order of the body. Never raises, never returns an empty list."""
    if entities.looks_like_json(body):
        return [entities.decode_widget(body)]
    tree = form.parse(body)
    account = branch(tree, _ENVELOPE)
    hook = _Hook(identifier(account.get("id")), has_links="_links" in account)
    events = [event for root in tree if root != _ENVELOPE for event in hook.read_root(root, tree[root])]
    return events or [hook.unrecognised(why="пустой хук", raw=tree)]


class _Hook:
    """One webhook: what its envelope says of every item, and the items."""

    def __init__(self, account_id: int | None, *, has_links: bool) -> None:
        self.account_id = account_id
        self.has_links = has_links

    def read_root(self, root: str, content: Any) -> Iterator[Event]:
        if root == "add":
            yield from self._read_items(entities.decode_bare_add, "", root, content)
        elif root == form.REST:
            yield self.unrecognised(root, why="слишком длинный хук: конец не разобран", raw={root: content})
        elif root not in _ROOTS:
            yield self.unrecognised(root, why="неизвестный корень", raw={root: content})
        elif not isinstance(content, Mapping):
            yield self.unrecognised(root, why="нет действия", raw={root: content})
        else:
            for action, listed in content.items():
                yield from self._read_items(_ROOTS[root], root, action, listed)

    def _read_items(self, decoder: Callable[[Item], Event], root: str, action: str, listed: Any) -> Iterator[Event]:
        for tree in items(listed):
            if not isinstance(tree, Mapping):
                yield self.unrecognised(root, action, why="не объект", raw={"": tree})
                continue
            try:
                yield decoder(Item(root, action, tree, self.account_id, self.has_links))
            except Unreadable as reason:
                yield self.unrecognised(root, action, why=str(reason), raw=tree)

    def unrecognised(self, root: str = "", action: str = "", *, why: str, raw: Mapping[str, Any]) -> Unrecognised:
        return Unrecognised(root=root, action=action, why=why, account_id=self.account_id, raw=raw)
