"""Write results: applies own writes to the mirror, so that the webhook echoing them changes nothing.

Echoes are recognised by what was written, not by who wrote: fields, tags and roll-backs go into the mirror at once.
Moves and new deals are queued as events: rules must see them even if amoCRM's webhook is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.crm.account import LOST
from amo_bridge.crm.lost_writes import Written
from amo_bridge.crm.records import ENTITY_TYPES, ContactRecord, DealRecord
from amo_bridge.crm.writes import WRITE_KINDS
from amo_bridge.engine.effects import UNDONE
from amo_bridge.engine.event_queue import add_events
from amo_bridge.engine.manual_edits import BY_PERSON
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.task_ends import NEW_TASK, finished_tasks, forget_ends
from amo_bridge.engine.timers import Timers, Timetable
from amo_bridge.events import DealAdded, DealMoved, DealUpdated, Event, Origin, TaskCompleted
from amo_bridge.events.base import from_json
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.mirror.deals import Mirror
from amo_bridge.mirror.tasks import MirroredTask, TaskRows
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import made

BY_USER = "by_user"
"""The payload key that says who has finished the task by means of the bridge: it is that person's work."""
TASK_FIELDS = ("text", "task_type_id", "responsible_user_id")
"""Fields that amoCRM and the mirror name alike."""


class WriteResults:
    """Applies finished writes of one account."""

    def __init__(self, store: AccountStore, clock: Clock, account_clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock
        self._account_clock = account_clock or clock
        self._index = ContactIndex(store)
        self._mirror = Mirror(store)
        self._timers = Timers(store.account_id)
        self._tasks = TaskRows(store.account_id)

    def apply(self, connection: Connection, done: Sequence[tuple[Sendable, Written]]) -> None:
        """Apply these writes, within the transaction that marks them as done."""
        # There may be hundreds of new tasks at a time: one statement for all.
        tasks = [_new_task(row.body, written.id, _at(row, written)) for row, written in done if row.kind == NEW_TASK]
        self._tasks.put(connection, tasks)
        closed = finished_tasks(row.body for row, _ in done if row.kind == "change_task")
        forget_ends(connection, self._store.account_id, sorted(closed))
        self._rename(connection, {row.body["id"]: row.body["text"] for row, _ in done if _renames(row)})
        self._queue(connection, [event for row, written in done for event in _news(row, written)])
        self._put_clients(connection, done)
        patched = [
            (row, written) for row, written in done if row.kind == "patch_deal" and not row.payload.get(BY_PERSON)
        ]
        written_at = {row.deal_id: _at(row, written) for row, written in patched}
        undone = {row.deal_id: _at(row, written) for row, written in done if row.payload.get(UNDONE)}
        changes = [(row.deal_id, partial(_patched, row=row)) for row, _ in patched]
        self._mirror.amend_all(connection, changes, undone, written_at=written_at)
        for row, written in done:
            if row.kind not in (NEW_TASK, "patch_deal") and WRITE_KINDS[row.kind].creates != "deal":
                self._apply_one(connection, row, written)

    def _put_clients(self, connection: Connection, done: Sequence[tuple[Sendable, Written]]) -> None:
        """People who were given a deal, so that their next enquiry finds them before amoCRM's webhook arrives."""
        # amoCRM's times have whole seconds; whoever changes the contact later does it in a later one.
        now = self._account_clock.now().replace(microsecond=0)
        people, links = [], []
        for row, written in done:
            person = row.payload.get("person")
            # A contact in «Неразобранное» is in no list of amoCRM's before a person takes it.
            if person is None or row.kind == "create_unsorted":
                continue
            known = row.body["_embedded"]["contacts"][0].get("id")
            if known is not None:
                links.append((known, written.id))
            elif written.contact_id is not None:
                record = ContactRecord(
                    id=written.contact_id,
                    name=person["name"],
                    phones=tuple(person["phones"]),
                    emails=tuple(person["mails"]),
                    responsible_user_id=row.body["responsible_user_id"],
                    deal_ids=(written.id,),
                    updated_at=now,
                )
                people.append(MirroredContact.of(record))
        self._index.put(connection, people, now)
        self._index.link(connection, links, now)

    def _rename(self, connection: Connection, texts: Mapping[int, str]) -> None:
        """A rule gave its task another text: that is the one it is set with from now on."""
        for task_id, text in texts.items():
            mine = (self._store.owns(made), made.c.kind == NEW_TASK, made.c.entity_id == task_id)
            connection.execute(update(made).where(*mine).values(text=text))

    def _apply_one(self, connection: Connection, row: Sendable, written: Written) -> None:
        at = _at(row, written)
        if row.payload.get(BY_PERSON):
            return
        if row.kind == "link_contact":
            self._mirror.amend(connection, row.deal_id, lambda record: _linked(record, int(row.body["to_entity_id"])))
        elif row.kind == "unlink_contact":
            self._mirror.amend(connection, row.deal_id, lambda record: _unlinked(record, int(row.body["to_entity_id"])))
        elif row.kind == "change_task":
            self._apply_to_task(connection, row, at)

    def _apply_to_task(self, connection: Connection, row: Sendable, at: datetime) -> None:
        """A finished task is queued as an event, but for one that is taken back; other changes go into the mirror."""
        body = row.body
        known = self._tasks.known(connection, [body["id"]]).get(body["id"])
        if known is None:
            return
        result = (body.get("result") or {}).get("text")
        if row.payload.get(UNDONE) and "is_completed" in body:
            ended = {"is_completed": body["is_completed"], "result": result}
            ended["completed_at"] = at if body["is_completed"] else None
            self._tasks.put(connection, [replace(known, **ended)], {known.id: known}, at)
        elif body.get("is_completed") and not known.is_completed:
            user_id, at = row.payload.get(BY_USER, 0), max(at, known.updated_at)
            event = TaskCompleted(at=at, made_by=_origin(row), task_id=known.id, user_id=user_id, result=result)
            self._queue(connection, [event])
        else:
            # ``updated_at`` stays, as a deal's does: see _patched.
            changed = {name: body[name] for name in TASK_FIELDS if name in body}
            if "complete_till" in body:
                changed["due"] = datetime.fromtimestamp(body["complete_till"], UTC)
            self._tasks.put(connection, [replace(known, **changed)], {known.id: known}, at)

    def update_timers(self, connection: Connection, timetable: Timetable, written: Iterable[Sendable]) -> None:
        """Recalculate the timers of the deals that these writes changed, after ``apply``."""
        changed = {row.deal_id for row in written if row.kind == "patch_deal"}
        if changed and timetable:
            self._timers.follow(connection, timetable, self._mirror.among(connection, changed).values())

    def _queue(self, connection: Connection, found: Sequence[Event]) -> None:
        if found:
            add_events(connection, self._store.account_id, found, self._clock.now().timestamp())


def _news(row: Sendable, written: Written) -> Iterator[Event]:
    """What rules must see of a write."""
    at, made_by = _at(row, written), _origin(row)
    if WRITE_KINDS[row.kind].creates == "deal":
        # First what asks for little: a rule that acts on the new deal has later events wait for another read.
        if reported := row.payload.get("reports"):
            yield from_json({**reported, "deal_id": written.id})
        if row.kind != "create_unsorted":
            yield DealAdded(at=at, made_by=made_by, deal_id=written.id, user_id=0, **_stage(row.body))
    elif row.kind != NEW_TASK and row.payload.get(BY_PERSON):
        # What a person did on a page is news: the mirror gets it when the event is processed.
        yield DealUpdated(at=at, made_by=made_by, deal_id=row.deal_id, user_id=0)
    elif row.kind == "patch_deal" and _stage(row.body) and not row.payload["rolls_back"]:
        yield DealMoved(at=at, made_by=made_by, deal_id=row.deal_id, user_id=0, **_stage(row.body))


def _origin(row: Sendable) -> Origin:
    """Who wanted the write: a person, a program, an import of attendees (no rule stands on such a row), or a rule."""
    if told := row.payload.get(BY_PERSON):
        return "api" if told == "api" else "person"
    if BY_USER in row.payload:
        return "person"
    return "bridge" if row.rule else "import"


def _renames(row: Sendable) -> bool:
    return row.kind == "change_task" and "text" in row.body


def _at(row: Sendable, written: Written) -> datetime:
    """When it became true, by amoCRM's clock."""
    return written.updated_at or datetime.fromtimestamp(row.payload["not_before"], UTC)


def _new_task(body: Mapping[str, Any], task_id: int, at: datetime) -> MirroredTask:
    return MirroredTask(
        id=task_id,
        entity_type=ENTITY_TYPES.get(body.get("entity_type") or ""),
        entity_id=body.get("entity_id"),
        responsible_user_id=body.get("responsible_user_id", 0),
        task_type_id=body.get("task_type_id", 1),
        text=body["text"],
        due=datetime.fromtimestamp(body["complete_till"], UTC),
        created_at=at,
        updated_at=at,
    )


def _stage(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: int(body[key]) for key in ("pipeline_id", "status_id") if body.get(key) is not None}


def _linked(record: DealRecord, contact_id: int) -> DealRecord:
    """The record with one more contact; a deal's first contact is its main one."""
    if contact_id in record.contact_ids:
        return record
    main = record.main_contact_id or contact_id
    return replace(record, contact_ids=(*record.contact_ids, contact_id), main_contact_id=main)


def _unlinked(record: DealRecord, contact_id: int) -> DealRecord:
    """The record without the contact; amoCRM makes the next one the main one."""
    left = tuple(one for one in record.contact_ids if one != contact_id)
    main = record.main_contact_id if record.main_contact_id != contact_id else next(iter(left), None)
    return replace(record, contact_ids=left, main_contact_id=main)


def _patched(record: DealRecord, row: Sendable) -> DealRecord:
    """The record with what was written; the stage only for a roll-back, which is as if the deal had never moved.

    ``updated_at`` stays: a person may have changed something between our read and our write, and the webhook about it
    is older than the write.
    """
    body = row.body
    fields = dict(record.fields)
    for field in body.get("custom_fields_values") or ():
        fields[field["field_id"]] = tuple(value["value"] for value in field["values"] or ())
    removed = {tag["name"] for tag in body.get("tags_to_delete") or ()}
    added = (tag["name"] for tag in body.get("tags_to_add") or ())
    tags = (*(tag for tag in record.tags if tag not in removed), *added)
    changed: dict[str, Any] = {"fields": {key: values for key, values in fields.items() if values}, "tags": tags}
    if "responsible_user_id" in body:
        changed["responsible_user_id"] = body["responsible_user_id"]
    if row.payload["rolls_back"]:
        changed |= _stage(body)
        if body.get("status_id") != LOST:
            # amoCRM forgets the reason when a lost deal is opened again.
            changed |= {"loss_reason": None, "loss_reason_id": None, "closed_at": None}
    return replace(record, **changed)
