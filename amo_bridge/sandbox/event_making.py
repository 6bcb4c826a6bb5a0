"""A change of an entity → the events it leaves in the account's list (amoCRM docs, events-and-notes)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from amo_bridge.sandbox.changes import Change
from amo_bridge.sandbox.entities import SINGULAR
from amo_bridge.sandbox.event_types import FIELD_TYPES, NOTE_EVENTS
from amo_bridge.sandbox.hook_shapes import differs
from amo_bridge.sandbox.world import Record

Values = Sequence[Mapping[str, Any]]


class Made(NamedTuple):
    """One event before it has an id. ``kind`` is singular; ``found_as`` is what a filter by entity finds it under."""

    type: str
    kind: str
    entity_id: int
    after: Values = ()
    before: Values = ()
    found_as: tuple[str, int] | None = None


def events_of(change: Change, new_note_id: Callable[[], int]) -> Iterator[Made]:
    """The events of one change. ``new_note_id`` numbers the system note that an entity's creation leaves."""
    if change.kind in ("leads", "contacts", "companies"):
        yield from _card_events(change, new_note_id)
    elif change.kind == "tasks":
        yield from _task_events(change)
    elif change.kind == "notes":
        yield from _note_events(change)
    elif change.kind == "unsorted" and change.action == "add" and change.after is not None:
        # Its lead is told of only here; accepting and declining are changes of the lead itself.
        yield Made("lead_added", "lead", int(change.after["lead_id"]), [{"note": {"id": new_note_id()}}])
    elif change.kind == "messages":
        yield from _message_events(change)


def _card_events(change: Change, new_note_id: Callable[[], int]) -> Iterator[Made]:
    kind = SINGULAR[change.kind]
    made = {"add": "added", "delete": "deleted", "restore": "restored"}.get(change.action)
    if change.action in ("link", "unlink"):
        yield from _link_events(change, kind)
    elif change.extra.get("merged_into"):
        yield Made("entity_merged", kind, int(change.extra["merged_into"]))
    elif made == "added":
        yield Made(f"{kind}_added", kind, change.entity_id, [{"note": {"id": new_note_id()}}])
    elif made is not None:
        yield Made(f"{kind}_{made}", kind, change.entity_id)
    elif change.before is not None and change.after is not None:
        yield from _card_updates(change, kind, change.before, change.after)


def _card_updates(change: Change, kind: str, before: Record, after: Record) -> Iterator[Made]:
    def changed(event: str, show: Callable[[Record], Mapping[str, Any]]) -> Made:
        return Made(event, kind, change.entity_id, [show(after)], [show(before)])

    if differs(change, "status_id") or differs(change, "pipeline_id"):
        yield changed("lead_status_changed", _stage)
    if differs(change, "responsible_user_id"):
        yield changed("entity_responsible_changed", _responsible)
    if differs(change, "name"):
        yield changed("name_field_changed", lambda side: {"name_field_value": {"name": side["name"]}})
    if differs(change, "price"):
        yield changed("sale_field_changed", lambda side: {"sale_field_value": {"sale": side["price"]}})
    yield from _tag_events(change, kind, before, after)
    yield from _field_events(change, kind, before, after)


def _stage(side: Record) -> Mapping[str, Any]:
    return {"lead_status": {"id": side["status_id"], "pipeline_id": side["pipeline_id"]}}


def _responsible(side: Record) -> Mapping[str, Any]:
    return {"responsible_user": {"id": side["responsible_user_id"]}}


def _tag_events(change: Change, kind: str, before: Record, after: Record) -> Iterator[Made]:
    old = [tag["name"] for tag in before.get("tags") or ()]
    new = [tag["name"] for tag in after.get("tags") or ()]
    added = [{"tag": {"name": name}} for name in new if name not in old]
    deleted = [{"tag": {"name": name}} for name in old if name not in new]
    if added:
        yield Made("entity_tag_added", kind, change.entity_id, added)
    if deleted:
        yield Made("entity_tag_deleted", kind, change.entity_id, (), deleted)


def _field_events(change: Change, kind: str, before: Record, after: Record) -> Iterator[Made]:
    old = {field["field_id"]: field for field in before.get("custom_fields_values") or ()}
    new = {field["field_id"]: field for field in after.get("custom_fields_values") or ()}
    for field_id in {**old, **new}:
        left, came = _field_values(old.get(field_id)), _field_values(new.get(field_id))
        if left != came:
            yield Made(f"custom_field_{field_id}_value_changed", kind, change.entity_id, came, left)


def _field_values(field: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if field is None:
        return []
    number = FIELD_TYPES.get(str(field.get("field_type")), 1)
    return [
        {
            "custom_field_value": {
                "field_id": field["field_id"],
                "field_type": number,
                "enum_id": item.get("enum_id"),
                "text": _text(item.get("value")),
            }
        }
        for item in field.get("values") or ()
    ]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return "" if value is None else str(value)


def _link_events(change: Change, kind: str) -> Iterator[Made]:
    """Both cards tell of the link: the one linked from says what was linked, the other says only that."""
    other = str(change.extra.get("to_entity_type", ""))
    if other not in SINGULAR:
        return
    other_kind, other_id = SINGULAR[other], int(change.extra["to_entity_id"])
    done = f"{change.action}ed"
    for event, at_kind, at_id, to_kind, to_id in (
        (f"{other_kind}_{done}", kind, change.entity_id, other_kind, other_id),
        (f"entity_{done}", other_kind, other_id, kind, change.entity_id),
    ):
        value = [{"link": {"entity": {"type": to_kind, "id": to_id}}}]
        sides: tuple[Values, Values] = (value, ()) if done == "linked" else ((), value)
        yield Made(event, at_kind, at_id, *sides)


def _task_events(change: Change) -> Iterator[Made]:
    task_id = change.entity_id
    if change.action in ("add", "delete"):
        yield Made(f"task_{change.action}{'ed' if change.action == 'add' else 'd'}", "task", task_id)
        return
    before, after = change.before, change.after
    if before is None or after is None:
        return

    def changed(event: str, show: Callable[[Record], Mapping[str, Any]]) -> Made:
        return Made(event, "task", task_id, [show(after)], [show(before)])

    if differs(change, "text"):
        yield changed("task_text_changed", lambda side: {"task": {"text": side["text"]}})
    if differs(change, "complete_till"):
        yield changed("task_deadline_changed", lambda side: {"task_deadline": {"timestamp": side["complete_till"]}})
    if differs(change, "task_type_id"):
        yield changed("task_type_changed", lambda side: {"task_type": {"id": side["task_type_id"]}})
    if differs(change, "responsible_user_id"):
        yield changed("entity_responsible_changed", _responsible)
    if after["is_completed"] and not before["is_completed"]:
        yield Made("task_completed", "task", task_id)
    if differs(change, "result") and after.get("result"):
        yield Made("task_result_added", "task", task_id, [{"note": {"id": after["result"].get("id")}}])


def _note_events(change: Change) -> Iterator[Made]:
    note = change.after or change.before
    if note is None or str(note.get("entity_type")) not in SINGULAR:
        return
    kind, note_type = SINGULAR[str(note["entity_type"])], str(note["note_type"])
    event = NOTE_EVENTS.get(note_type)
    if note_type == "amomail_message":
        event = "incoming_mail" if (note.get("params") or {}).get("income", True) else "outgoing_mail"
    if change.action == "delete":
        event = "common_note_deleted"
    if event is not None and change.action in ("add", "delete"):
        yield Made(event, kind, note["entity_id"], [{"note": {"id": change.entity_id}}])


def _message_events(change: Change) -> Iterator[Made]:
    """Told on the deal's card, found only by its contact (amoCRM docs, events-and-notes)."""
    message = change.after
    if message is None or change.action != "add":
        return
    contact = ("contact", int(message["contact_id"]))
    kind, entity_id = contact
    if message.get("entity_id"):
        kind, entity_id = str(message["entity_type"]), int(message["entity_id"])
    event = "incoming_chat_message" if message.get("type", "incoming") == "incoming" else "outgoing_chat_message"
    value = {"message": {name: message.get(name) for name in ("id", "origin", "talk_id")}}
    yield Made(event, kind, entity_id, [value], (), contact)
