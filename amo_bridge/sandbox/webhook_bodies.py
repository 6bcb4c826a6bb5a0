"""Bodies of the webhooks that amoCRM sends for the changes of one request.

Which hook comes for what, and in which order the fields go, is from captured hooks and amoCRM docs, webhooks-format:
a stage change gives a status hook and an update hook, contacts and companies share the root ``contacts``, a task
completed from the task list gives two updates, deals changed by one request travel together in one body per action.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from amo_bridge.sandbox import webhook_entities
from amo_bridge.sandbox import webhook_entities as shapes
from amo_bridge.sandbox.changes import Change, Kind
from amo_bridge.sandbox.entities import SINGULAR
from amo_bridge.sandbox.webhook_entities import SILENT_TYPES, HookAccount
from amo_bridge.sandbox.webhook_fields import encode

BATCHED_ROOTS = frozenset({"leads", "contacts"})
"""Roots whose entities, changed by one request, come in one body (seen for a bulk move of deals)."""


class Hook(NamedTuple):
    """One webhook for the subscriptions to ``setting``."""

    setting: str
    body: bytes


@dataclass(frozen=True)
class Item:
    """One entity in one action of one hook."""

    setting: str
    root: str
    action: str
    entity_id: int
    fields: Mapping[str, Any]


def hooks_of(changes: Sequence[Change], account: HookAccount) -> list[Hook]:
    """The hooks for the changes of ONE request, in the order amoCRM would queue them."""
    groups: dict[tuple[object, ...], list[Item]] = {}
    for number, item in enumerate(item for change in changes for item in items_of(change, account)):
        alone = None if item.root in BATCHED_ROOTS and item.action != "note" else number
        groups.setdefault(_group(item, alone, groups), []).append(item)
    return [Hook(items[0].setting, _body(items, account)) for items in groups.values()]


def _group(item: Item, alone: int | None, groups: Mapping[tuple[object, ...], list[Item]]) -> tuple[object, ...]:
    """Where the item goes: an entity that is already in the group's body needs a body of its own."""
    number = 0
    while True:
        key = (item.setting, item.action, alone, number)
        if all(other.entity_id != item.entity_id for other in groups.get(key, ())):
            return key
        number += 1


def _body(items: Sequence[Item], account: HookAccount) -> bytes:
    first = items[0]
    return encode({"account": account.block, first.root: {first.action: [item.fields for item in items]}})


def items_of(change: Change, account: HookAccount) -> Iterator[Item]:
    """Every hook one change fires; the kinds not listed fire none."""
    maker = MAKERS.get(change.kind)
    if maker is not None:
        yield from maker(change, account)


def _deal_items(change: Change, account: HookAccount) -> Iterator[Item]:
    if change.action in ("link", "unlink"):
        yield from _link_items(change, account)
        return
    if change.action == "delete":
        yield Item("delete_lead", "leads", "delete", change.entity_id, shapes.deleted_deal(change))
        return
    if change.action in ("add", "restore"):
        fields = shapes.deal(change, account)
        yield Item(f"{change.action}_lead", "leads", change.action, change.entity_id, fields)
        return
    fields = shapes.deal(change, account)
    if shapes.differs(change, "status_id") or shapes.differs(change, "pipeline_id"):
        yield Item("status_lead", "leads", "status", change.entity_id, fields)
    if shapes.differs(change, "responsible_user_id"):
        yield Item("responsible_lead", "leads", "responsible", change.entity_id, fields)
    yield Item("update_lead", "leads", "update", change.entity_id, fields)


def _client_items(change: Change, account: HookAccount) -> Iterator[Item]:
    kind = SINGULAR[change.kind]
    if change.action in ("link", "unlink"):
        yield from _link_items(change, account)
    elif change.action == "delete":
        fields: Mapping[str, Any] = {"id": change.entity_id, "type": kind}
        yield Item(f"delete_{kind}", "contacts", "delete", change.entity_id, fields)
    else:
        fields = shapes.client(change, account)
        yield Item(f"{change.action}_{kind}", "contacts", change.action, change.entity_id, fields)


def _link_items(change: Change, account: HookAccount) -> Iterator[Item]:
    """A link is an update of the contact on it, or of the company if no contact is, whichever was linked."""
    sides = {change.kind: change.entity_id}
    if change.extra.get("to_entity_type"):
        sides[change.extra["to_entity_type"]] = int(change.extra["to_entity_id"])
    kind: Kind = "contacts" if "contacts" in sides else "companies"
    record = account.record(kind, sides.get(kind, 0))
    if record is None:
        return
    update = Change(kind, "update", sides[kind], record, record, change.user_id, change.at)
    yield Item(f"update_{SINGULAR[kind]}", "contacts", "update", sides[kind], shapes.client(update, account))


def _task_items(change: Change, account: HookAccount) -> Iterator[Item]:
    if change.action == "delete":
        yield Item("delete_task", "task", "delete", change.entity_id, {"id": change.entity_id})
    elif change.action == "add":
        yield Item("add_task", "task", "add", change.entity_id, shapes.task(change, account))
    elif change.action == "update":
        for fields in shapes.task_updates(change, account):
            yield Item("update_task", "task", "update", change.entity_id, fields)


def _note_items(change: Change, account: HookAccount) -> Iterator[Item]:
    note = change.after
    if change.action != "add" or note is None or note["note_type"] in SILENT_TYPES:
        return  # only added notes have a webhook
    kind = str(note.get("entity_type") or change.extra.get("entity_type"))
    fields: dict[str, Any] = {"note": shapes.note(change, kind, account)}
    if kind in ("contacts", "companies"):
        fields["type"] = SINGULAR[kind]
    root = "contacts" if kind == "companies" else kind
    yield Item(f"note_{SINGULAR[kind]}", root, "note", change.entity_id, fields)


def _unsorted_items(change: Change, account: HookAccount) -> Iterator[Item]:
    if change.action == "add":
        yield Item("add_unsorted", "unsorted", "add", change.entity_id, webhook_entities.added(change, account))
    elif change.action in ("accept", "decline"):
        yield Item("delete_unsorted", "unsorted", "delete", change.entity_id, webhook_entities.closed(change, account))


def _chat_items(change: Change, account: HookAccount) -> Iterator[Item]:
    root = "talk" if change.kind == "talks" else "message"
    if change.after is not None and change.action in ("add", "update"):
        yield Item(f"{change.action}_{root}", root, change.action, change.entity_id, change.after)


MAKERS: Mapping[str, Callable[[Change, HookAccount], Iterator[Item]]] = {
    "leads": _deal_items,
    "contacts": _client_items,
    "companies": _client_items,
    "tasks": _task_items,
    "notes": _note_items,
    "unsorted": _unsorted_items,
    "talks": _chat_items,
    "messages": _chat_items,
}
