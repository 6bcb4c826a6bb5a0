"""Events list of the account, written from every change (amoCRM docs, events-and-notes)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from flask import Flask, Response, request

from amo_bridge.sandbox.changes import Change
from amo_bridge.sandbox.entities import SINGULAR
from amo_bridge.sandbox.field_values import text_of
from amo_bridge.sandbox.http import (
    Refused,
    branch,
    embedded,
    hal,
    integer,
    integers,
    link,
    listing,
    no_content,
    query,
    strings,
    words,
)
from amo_bridge.sandbox.webhook_entities import differs
from amo_bridge.sandbox.world import Record, World

CUSTOM_FIELD = re.compile(r"custom_field_(\d+_)?value_changed")
ANY_CUSTOM_FIELD = "custom_field_value_changed"
MAX_FILTER_VALUES = 10
"""How many users or entities one filter may name."""

NAMES: Mapping[str, str] = {
    "lead_added": "Новая сделка",
    "lead_deleted": "Сделка удалена",
    "lead_restored": "Сделка восстановлена",
    "lead_status_changed": "Изменение этапа продажи",
    "lead_linked": "Прикрепление сделки",
    "lead_unlinked": "Открепление сделки",
    "contact_added": "Новый контакт",
    "contact_deleted": "Контакт удален",
    "contact_restored": "Контакт восстановлен",
    "contact_linked": "Прикрепление контакта",
    "contact_unlinked": "Открепление контакта",
    "company_added": "Новая компания",
    "company_deleted": "Компания удалена",
    "company_restored": "Компания восстановлена",
    "company_linked": "Прикрепление компании",
    "company_unlinked": "Открепление компании",
    "customer_added": "Новый покупатель",
    "customer_deleted": "Покупатель удален",
    "customer_status_changed": "Изменение этапа покупателя",
    "customer_linked": "Прикрепление покупателя",
    "customer_unlinked": "Открепление покупателя",
    "task_added": "Новая задача",
    "task_deleted": "Задача удалена",
    "task_completed": "Завершение задачи",
    "task_type_changed": "Изменение типа задачи",
    "task_text_changed": "Изменение текста задачи",
    "task_deadline_changed": "Изменение даты исполнения задачи",
    "task_result_added": "Результат по задаче",
    "incoming_call": "Входящий звонок",
    "outgoing_call": "Исходящий звонок",
    "incoming_chat_message": "Входящее сообщение",
    "outgoing_chat_message": "Исходящее сообщение",
    "entity_direct_message": "Сообщение внутреннего чата",
    "incoming_sms": "Входящее SMS",
    "outgoing_sms": "Исходящее SMS",
    "incoming_mail": "Входящее письмо",
    "outgoing_mail": "Исходящее письмо",
    "entity_tag_added": "Теги добавлены",
    "entity_tag_deleted": "Теги убраны",
    "entity_linked": "Прикрепление",
    "entity_unlinked": "Открепление",
    "entity_merged": "Выполнено объединение",
    "entity_responsible_changed": "Ответственный изменен",
    "sale_field_changed": "Изменение поля «Бюджет»",
    "name_field_changed": "Изменение поля «Название»",
    "ltv_field_changed": "Сумма покупок",
    "custom_field_value_changed": "Изменение поля",
    "common_note_added": "Новое примечание",
    "common_note_deleted": "Примечание удалено",
    "attachment_note_added": "Добавлен новый файл",
    "targeting_in_note_added": "Добавление в ретаргетинг",
    "targeting_out_note_added": "Удаление из ретаргетинга",
    "geo_note_added": "Новое примечание с гео-меткой",
    "service_note_added": "Новое системное примечание",
    "site_visit_note_added": "Заход на сайт",
    "message_to_cashier_note_added": "LifePay: Сообщение кассиру",
    "key_action_completed": "Ключевое действие",
    "link_followed": "Переход по ссылке",
    "robot_replied": "Ответ робота",
    "intent_identified": "Тема вопроса определена",
    "nps_rate_added": "Новая оценка NPS",
    "transaction_added": "Добавлена покупка",
}
SEEN_NUMBERS: Mapping[str, int] = {
    "lead_added": 1,
    "lead_deleted": 7,
    "lead_status_changed": 14,
    "custom_field_value_changed": 24,
    "entity_responsible_changed": 25,
    "common_note_added": 27,
    "attachment_note_added": 28,
    "entity_tag_added": 63,
    "sale_field_changed": 69,
    "name_field_changed": 70,
    "entity_linked": 72,
    "incoming_chat_message": 89,
    "outgoing_chat_message": 90,
}
NUMBERS: Mapping[str, int] = {key: SEEN_NUMBERS.get(key, 200 + place) for place, key in enumerate(NAMES)}
"""Numbers from 200 up are this sandbox's own: amoCRM publishes them nowhere and clients have no use for them."""
NOTE_EVENTS: Mapping[str, str] = {
    "common": "common_note_added",
    "attachment": "attachment_note_added",
    "geolocation": "geo_note_added",
    "service_message": "service_note_added",
    "extended_service_message": "service_note_added",
    "site_visit": "site_visit_note_added",
    "targeting_in": "targeting_in_note_added",
    "targeting_out": "targeting_out_note_added",
    "message_cashier": "message_to_cashier_note_added",
    "call_in": "incoming_call",
    "call_out": "outgoing_call",
    "sms_in": "incoming_sms",
    "sms_out": "outgoing_sms",
    "link_followed": "link_followed",
}
FIELD_TYPES: Mapping[str, int] = {
    "text": 1,
    "numeric": 2,
    "checkbox": 3,
    "select": 4,
    "multiselect": 5,
    "date": 6,
    "url": 7,
    "multitext": 8,
    "textarea": 9,
    "radiobutton": 10,
    "streetaddress": 11,
    "smart_address": 13,
    "birthday": 14,
    "legal_entity": 15,
    "items": 16,
    "category": 18,
    "date_time": 19,
    "price": 20,
    "tracking_data": 21,
    "linked_entity": 22,
    "file": 23,
    "monetary": 24,
}
"""Numbers of field types in events: up to 16 as in API v2, the rest assumed."""

Values = Sequence[Mapping[str, Any]]


class NewEvent(NamedTuple):
    """One event before it has an id.

    ``kind`` is singular; ``found_as`` is what a filter by entity finds it under.
    """

    type: str
    kind: str
    entity_id: int
    after: Values = ()
    before: Values = ()
    found_as: tuple[str, int] | None = None


CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
PLURAL = {"lead": "leads", "contact": "contacts", "company": "companies", "task": "tasks"}
MAX_LIMIT = 100


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    log = EventLog(world)
    world.subscribe(log.changed)

    @app.get("/api/v4/events")
    def events() -> Response:
        wanted, table = EventFilter(query()), world.table("events")
        newest_first = (table[event_id] for event_id in sorted(table, reverse=True))
        # Ids sort by time, so what comes after the first event that is too old is too old as well.
        recent = takewhile(lambda event: event["created_at"] >= wanted.since, newest_first)
        found = [event for event in recent if wanted.fits(event)]
        limit = integer(query().get("limit")) or 0
        # A larger limit falls back to the default (seen by clients).
        max_limit = MAX_LIMIT if limit <= MAX_LIMIT else 50
        return listing("events", found, lambda event: _shown(world, event), max_limit=max_limit)

    @app.get("/api/v4/events/<event>")
    def get_event(event: str) -> Response:
        record = world.table("events").get(event)
        return no_content() if record is None else hal(_shown(world, record))

    @app.get("/api/v4/events/types")
    def types() -> Response:
        language = request.args.get("language_code", "ru")
        shown = [
            {"key": key, "type": NUMBERS[key], "lang": name if language == "ru" else key} for key, name in NAMES.items()
        ]
        return embedded("events_types", shown, _total_items=len(shown))


def _shown(world: World, event: Record) -> dict[str, Any]:
    kind = PLURAL.get(event["entity_type"], str(event["entity_type"]))
    entity: dict[str, Any] = {"id": event["entity_id"], "_links": link(f"{kind}/{event['entity_id']}")}
    if f"{event['entity_type']}_name" in words("with"):
        entity["name"] = (world.table(kind).get(event["entity_id"]) or {}).get("name", "")
    shown = {name: value for name, value in event.items() if name != "found_as"}
    return {**shown, "_links": link(f"events/{event['id']}"), "_embedded": {"entity": entity}}


# --- reading: the filters of a request -------------------------------------------------------------------------------


class EventFilter:
    """The filter part of one request. Raises Refused for what amoCRM answers with an error."""

    def __init__(self, query: Mapping[str, Any]) -> None:
        wanted = branch(query, "filter")
        self.ids = set(strings(branch(wanted, "id")))
        self.types = _types(strings(branch(wanted, "type")))
        self.created_by = integers(branch(wanted, "created_by"))
        self.entities = set(strings(branch(wanted, "entity")))
        self.entity_ids = integers(branch(wanted, "entity_id"))
        self.after, self.start, self.end = _times(branch(wanted, "created_at"))
        self.values = {side: branch(wanted, side) for side in ("value_after", "value_before")}
        if self.entity_ids and len(self.entities) != 1:
            raise Refused(400, "filter[entity_id] needs exactly one filter[entity]")
        for name, ids in (("created_by", self.created_by), ("entity_id", self.entity_ids)):
            if len(ids) > MAX_FILTER_VALUES:
                raise Refused(400, f"filter[{name}] takes at most {MAX_FILTER_VALUES} values")

    @property
    def since(self) -> int:
        """No event before this second fits."""
        return self.start or self.after or 0

    def fits(self, event: Record) -> bool:
        at = event["created_at"]
        return (
            (not self.ids or event["id"] in self.ids)
            and (not self.types or _type_fits(event["type"], self.types))
            and (not self.created_by or event["created_by"] in self.created_by)
            and (self.after is None or at > self.after)
            and (self.start is None or at >= self.start)
            and (self.end is None or at <= self.end)
            and self._entity_fits(event)
            and all(_values_fit(event[side], wanted) for side, wanted in self.values.items() if wanted)
        )

    def _entity_fits(self, event: Record) -> bool:
        kind, entity_id = event.get("found_as") or (event["entity_type"], event["entity_id"])
        return (not self.entities or kind in self.entities) and (not self.entity_ids or entity_id in self.entity_ids)


def _types(named: list[str]) -> set[str]:
    """A custom field's type in the filter excludes all other types."""
    of_fields = {name for name in named if CUSTOM_FIELD.fullmatch(name)}
    return of_fields or set(named)


def _type_fits(event_type: str, wanted: set[str]) -> bool:
    return event_type in wanted or (ANY_CUSTOM_FIELD in wanted and bool(CUSTOM_FIELD.fullmatch(event_type)))


def _times(wanted: object) -> tuple[int | None, int | None, int | None]:
    """(after, from, to): one number is "after", "from,to" is a pair, as are [from] and [to]."""
    if isinstance(wanted, str):
        numbers = [int(part) if part.strip().isdecimal() else None for part in wanted.split(",")]
        return (numbers[0], None, None) if len(numbers) == 1 else (None, numbers[0], numbers[1])
    start, end = (min(integers(branch(wanted, name)), default=None) for name in ("from", "to"))
    return None, start, end


def _values_fit(values: list[Mapping[str, Any]], wanted: object) -> bool:
    if isinstance(wanted, str):
        return any(_plain_value(value) == wanted for value in values)
    stages = branch(wanted, "leads_statuses")
    if isinstance(stages, Mapping):
        pairs = {tuple(sorted(_stage_filter(stage).items())) for stage in stages.values()}
        return any(tuple(sorted(_stage_of(value).items())) in pairs for value in values)
    users = integers(branch(wanted, "responsible_user_id"))
    if users:
        return any((value.get("responsible_user") or {}).get("id") in users for value in values)
    enums = integers(branch(wanted, "custom_field_values"))
    if enums:
        return any((value.get("custom_field_value") or {}).get("enum_id") in enums for value in values)
    plain = branch(wanted, "value")
    return plain is None or any(_plain_value(value) == plain for value in values)


def _stage_filter(wanted: object) -> dict[str, int | None]:
    return {name: min(integers(branch(wanted, name)), default=None) for name in ("pipeline_id", "status_id")}


def _stage_of(value: Mapping[str, Any]) -> dict[str, int | None]:
    stage = value.get("lead_status") or {}
    return {"pipeline_id": stage.get("pipeline_id"), "status_id": stage.get("id")}


def _plain_value(value: Mapping[str, Any]) -> str:
    inner: Mapping[str, Any] = next(iter(value.values()), {})
    for name in ("sale", "name", "rate", "ltv", "text"):
        if name in inner:
            return str(inner[name])
    return ""


# --- writing: the events of a change ---------------------------------------------------------------------------------


class EventLog:
    """Writes events into the world's table ``events``."""

    def __init__(self, world: World) -> None:
        self._world = world

    def changed(self, change: Change) -> None:
        for new in events_of(change, lambda: self._world.next_id("notes")):
            number = self._world.next_id("events")
            event = {
                "id": event_id(change.at, number),
                "type": new.type,
                "entity_id": new.entity_id,
                "entity_type": new.kind,
                "created_by": change.user_id,
                "created_at": change.at,
                "value_after": list(new.after),
                "value_before": list(new.before),
                "account_id": self._world.account["id"],
                **_found_as(new),
            }
            self._world.table("events")[event["id"]] = event


def _found_as(new: NewEvent) -> dict[str, Any]:
    return {"found_as": list(new.found_as)} if new.found_as else {}


def event_id(at: int, number: int) -> str:
    """26 characters that sort by time and then by number, like a ULID."""
    tail = int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:5])
    value = ((at * 1000) << 80) | ((number % 2**40) << 40) | tail
    return "".join(CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def events_of(change: Change, new_note_id: Callable[[], int]) -> Iterator[NewEvent]:
    """The events of one change. ``new_note_id`` numbers the system note that an entity's creation leaves."""
    if change.kind in ("leads", "contacts", "companies"):
        yield from _card_events(change, new_note_id)
    elif change.kind == "tasks":
        yield from _task_events(change)
    elif change.kind == "notes":
        yield from _note_events(change)
    elif change.kind == "unsorted" and change.action == "add" and change.after is not None:
        # Its lead has an event only here; accepting and declining are changes of the lead itself.
        yield NewEvent("lead_added", "lead", int(change.after["lead_id"]), [{"note": {"id": new_note_id()}}])
    elif change.kind == "messages":
        yield from _message_events(change)


def _card_events(change: Change, new_note_id: Callable[[], int]) -> Iterator[NewEvent]:
    kind = SINGULAR[change.kind]
    verb = {"add": "added", "delete": "deleted", "restore": "restored"}.get(change.action)
    if change.action in ("link", "unlink"):
        yield from _link_events(change, kind)
    elif change.extra.get("merged_into"):
        yield NewEvent("entity_merged", kind, int(change.extra["merged_into"]))
    elif verb == "added":
        yield NewEvent(f"{kind}_added", kind, change.entity_id, [{"note": {"id": new_note_id()}}])
    elif verb is not None:
        yield NewEvent(f"{kind}_{verb}", kind, change.entity_id)
    elif change.before is not None and change.after is not None:
        yield from _card_updates(change, kind, change.before, change.after)


def _card_updates(change: Change, kind: str, before: Record, after: Record) -> Iterator[NewEvent]:
    def changed(event: str, show: Callable[[Record], Mapping[str, Any]]) -> NewEvent:
        return NewEvent(event, kind, change.entity_id, [show(after)], [show(before)])

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


def _tag_events(change: Change, kind: str, before: Record, after: Record) -> Iterator[NewEvent]:
    old = [tag["name"] for tag in before.get("tags") or ()]
    new = [tag["name"] for tag in after.get("tags") or ()]
    added = [{"tag": {"name": name}} for name in new if name not in old]
    deleted = [{"tag": {"name": name}} for name in old if name not in new]
    if added:
        yield NewEvent("entity_tag_added", kind, change.entity_id, added)
    if deleted:
        yield NewEvent("entity_tag_deleted", kind, change.entity_id, (), deleted)


def _field_events(change: Change, kind: str, before: Record, after: Record) -> Iterator[NewEvent]:
    old = {field["field_id"]: field for field in before.get("custom_fields_values") or ()}
    new = {field["field_id"]: field for field in after.get("custom_fields_values") or ()}
    for field_id in {**old, **new}:
        old_values, new_values = _field_values(old.get(field_id)), _field_values(new.get(field_id))
        if old_values != new_values:
            yield NewEvent(f"custom_field_{field_id}_value_changed", kind, change.entity_id, new_values, old_values)


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
                "text": text_of(field.get("field_type"), item),
            }
        }
        for item in field.get("values") or ()
    ]


def _link_events(change: Change, kind: str) -> Iterator[NewEvent]:
    """Both cards get an event: the one linked from names what was linked, the other only that it was."""
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
        yield NewEvent(event, at_kind, at_id, *sides)


def _task_events(change: Change) -> Iterator[NewEvent]:
    task_id = change.entity_id
    if change.action in ("add", "delete"):
        yield NewEvent(f"task_{change.action}{'ed' if change.action == 'add' else 'd'}", "task", task_id)
        return
    before, after = change.before, change.after
    if before is None or after is None:
        return

    def changed(event: str, show: Callable[[Record], Mapping[str, Any]]) -> NewEvent:
        return NewEvent(event, "task", task_id, [show(after)], [show(before)])

    if differs(change, "text"):
        yield changed("task_text_changed", lambda side: {"task": {"text": side["text"]}})
    if differs(change, "complete_till"):
        yield changed("task_deadline_changed", lambda side: {"task_deadline": {"timestamp": side["complete_till"]}})
    if differs(change, "task_type_id"):
        yield changed("task_type_changed", lambda side: {"task_type": {"id": side["task_type_id"]}})
    if differs(change, "responsible_user_id"):
        yield changed("entity_responsible_changed", _responsible)
    if after["is_completed"] and not before["is_completed"]:
        yield NewEvent("task_completed", "task", task_id)
    if differs(change, "result") and after.get("result"):
        yield NewEvent("task_result_added", "task", task_id, [{"note": {"id": after["result"].get("id")}}])


def _note_events(change: Change) -> Iterator[NewEvent]:
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
        yield NewEvent(event, kind, note["entity_id"], [{"note": {"id": change.entity_id}}])


def _message_events(change: Change) -> Iterator[NewEvent]:
    """On the deal's card, found only by its contact (amoCRM docs, events-and-notes)."""
    message = change.after
    if message is None or change.action != "add":
        return
    contact = ("contact", int(message["contact_id"]))
    kind, entity_id = contact
    if message.get("entity_id"):
        kind, entity_id = str(message["entity_type"]), int(message["entity_id"])
    event = "incoming_chat_message" if message.get("type", "incoming") == "incoming" else "outgoing_chat_message"
    value = {"message": {name: message.get(name) for name in ("id", "origin", "talk_id")}}
    yield NewEvent(event, kind, entity_id, [value], (), contact)
