"""``task[…]`` → events about tasks."""

from __future__ import annotations

from amo_bridge.crm.hooks.item import Item
from amo_bridge.crm.values import ENTITY_TYPES, flag, identifier, moment, text, user, word
from amo_bridge.events import Event, TaskAdded, TaskCompleted, TaskDeleted, TaskReported, TaskUpdated

_ACTIONS: dict[str, type[TaskReported]] = {
    "add": TaskAdded,
    "update": TaskUpdated,
    "responsible": TaskUpdated,
    "delete": TaskDeleted,
}


def decode(item: Item) -> Event:
    kind = _ACTIONS.get(item.action)
    if kind is None:
        raise item.unknown_action()
    tree = item.tree
    if kind is TaskUpdated and flag(tree.get("action_close")):
        kind = TaskCompleted
    result = tree.get("result")
    return kind(
        task_id=item.required_id(),
        entity_type=ENTITY_TYPES.get(word(tree.get("element_type")) or ""),
        entity_id=identifier(tree.get("element_id")),
        text=text(tree.get("text")),
        task_type_id=identifier(tree.get("task_type")),
        is_completed=flag(tree.get("status")),
        responsible_user_id=user(tree.get("responsible_user_id")),
        old_responsible_user_id=user(tree.get("old_responsible_user_id")),
        user_id=_author(item),
        due=moment(tree.get("complete_before")),
        created_at=moment(tree.get("created_at")),
        result=text(result.get("text") if isinstance(result, dict) else result),
        **item.envelope(item.changed_at()),
    )


def _author(item: Item) -> int | None:
    """Who did it. ``modified_by`` comes with some updates only; of a new task it is the creator."""
    changed_by = user(item.tree.get("modified_by"))
    if changed_by is None and item.action == "add":
        return user(item.tree.get("created_user_id"))
    return changed_by
