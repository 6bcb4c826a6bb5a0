"""Freshness: changes decided a while ago against a fresh read; new deals of our own, known unread.

A deal that was moved since is not moved; a task that was finished is not finished again. Of fields, each is looked at
by itself: it is what was wanted already, or still what it was (sent), or somebody has changed it since: then it is
that person's, and is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from amo_bridge.clock import Clock
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.lost_writes import Written
from amo_bridge.crm.reads import deals_by_ids, tasks_by_ids
from amo_bridge.crm.records import DealRecord, TaskRecord, is_written
from amo_bridge.engine.effects import GUARDED, part_now, patched_parts
from amo_bridge.engine.outbox import Sendable
from amo_bridge.events import DealAdded, DealReported, Event
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.deals import MirroredDeal
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import outbox

# A card read more seconds ago than this is read again before it is changed.
MAX_READ_AGE_SECONDS = 10.0
# What was written shortly before a decision may not have been in the read that it was made by.
READ_SLACK_SECONDS = 60.0
UNKNOWN = object()


@dataclass
class Checked:
    """``send``: as they are to be sent. ``narrowed``: those of them of which a part is left out, with the reason.
    ``landed``: it is so already. ``dropped``: with the reason, Russian."""

    send: list[Sendable] = field(default_factory=list)
    narrowed: list[tuple[Sendable, str]] = field(default_factory=list)
    landed: list[tuple[Sendable, Written]] = field(default_factory=list)
    dropped: list[tuple[Sendable, str]] = field(default_factory=list)


class FreshnessCheck:
    """Compares what is about to be sent with amoCRM. ``account``: gives its names as they are known now."""

    def __init__(self, store: AccountStore, client: CrmClient, account: Callable[[], Account], clock: Clock) -> None:
        self._store = store
        self._client = client
        self._account = account
        self._clock = clock

    def check(self, batch: Sequence[Sendable]) -> Checked:
        """What of a batch of one kind is still to be sent. Reads amoCRM only for what is old, was tried before, or
        finishes a task. Raises CrmError."""
        now = self._clock.now().timestamp()
        doubtful = {
            row.id
            for row in batch
            if row.kind in GUARDED
            and (_finishes(row) or row.attempts or now - row.created_at > MAX_READ_AGE_SECONDS)
            and (row.payload.get("expects") or _is_guarded(row))
        }
        if not doubtful:
            return Checked(send=list(batch))
        rows = [row for row in batch if row.id in doubtful]
        records = self._read(batch[0].kind, [int(row.body["id"]) for row in rows])
        written = self._written_since(rows)
        checked = Checked()
        for row in batch:
            if row.id in doubtful:
                self._sort(row, records.get(int(row.body["id"])), written.get(int(row.body["id"]), {}), checked)
            else:
                checked.send.append(row)
        return checked

    def _read(self, kind: str, ids: Iterable[int]) -> Mapping[int, DealRecord | TaskRecord]:
        if kind == "change_task":
            return tasks_by_ids(self._client, ids)
        return deals_by_ids(self._client, ids, filter_enabled=self._account().is_api_filter_enabled)

    def _written_since(self, rows: Sequence[Sendable]) -> dict[int, dict[str, Any]]:
        """Card → part → what our own writes have made of it since these rows were decided."""
        oldest = min(row.created_at for row in rows) - READ_SLACK_SECONDS
        query = select(outbox.c.payload).where(
            self._store.owns(outbox),
            outbox.c.deal_id.in_({row.deal_id for row in rows}),
            outbox.c.kind == rows[0].kind,
            outbox.c.state == "done",
            outbox.c.done_at >= oldest,
        )
        found: dict[int, dict[str, Any]] = {}
        with self._store.read() as connection:
            for payload in connection.execute(query.order_by(outbox.c.done_at, outbox.c.id)).scalars():
                body = json.loads(payload)["body"]
                found.setdefault(int(body["id"]), {}).update(patched_parts(rows[0].kind, body))
        return found

    def _sort(
        self, row: Sendable, record: DealRecord | TaskRecord | None, ours: Mapping[str, Any], checked: Checked
    ) -> None:
        if isinstance(record, TaskRecord) and record.is_completed and _finishes(row):
            # What a person has finished meanwhile keeps the person's result.
            checked.dropped.append((row, "задача уже закрыта"))
        elif row.payload.get("expects"):
            self._sort_move(row, record, checked)
        elif record is None or not _is_guarded(row):
            # amoCRM will say what became of the card.
            checked.send.append(row)
        else:
            self._sort_fields(row, record, ours, checked)

    def _sort_move(self, row: Sendable, record: DealRecord | TaskRecord | None, checked: Checked) -> None:
        stage = (record.pipeline_id, record.status_id) if isinstance(record, DealRecord) else None
        if record is not None and stage == (row.body.get("pipeline_id"), row.body.get("status_id")):
            # It was sent before, and has landed since the look; what follows from it must follow all the same.
            checked.landed.append((row, Written(record.id, record.updated_at)))
        elif stage is None or list(stage) != row.payload["expects"]:
            checked.dropped.append((row, "сделка уже на другом этапе"))
        else:
            checked.send.append(row)

    def _sort_fields(
        self, row: Sendable, record: DealRecord | TaskRecord, ours: Mapping[str, Any], checked: Checked
    ) -> None:
        theirs, so_already = [], []
        before = row.payload.get("before") or {}
        wanted = patched_parts(row.kind, row.body)
        for part, value in wanted.items():
            current = part_now(record, part)
            if _is_equal(value, current):
                so_already.append(part)
            elif not self._is_untouched(row, record, current, before.get(part, UNKNOWN), ours.get(part, UNKNOWN)):
                theirs.append(part)
        if not theirs:
            is_all = len(so_already) == len(wanted) and not _others(row)
            if is_all:
                checked.landed.append((row, Written(record.id, record.updated_at)))
            else:
                checked.send.append(row)
            return
        reason = "; ".join(self._words(row.kind, part) for part in theirs)
        rest = _without(row.body, {*theirs, *so_already})
        if set(rest) == {"id"}:
            checked.dropped.append((row, reason))
        else:
            checked.narrowed.append((row.with_body(rest), reason))

    def _is_untouched(
        self, row: Sendable, record: DealRecord | TaskRecord, current: Any, before: Any, ours: Any
    ) -> bool:
        """Is it still what it was when the rule decided, or what another write of ours has made of it?"""
        if ours is not UNKNOWN and _is_equal(ours, current):
            return True
        if before is not UNKNOWN:
            return _is_equal(before, current)
        # Decided by an older version, or by a rule that did not read it: then any change by another user counts.
        decided_at = max(row.created_at, float(row.payload.get("not_before") or 0), record.created_at.timestamp())
        is_ours = record.updated_by == self._account().current_user_id
        return not row.attempts or is_ours or record.updated_at.timestamp() <= decided_at

    def _words(self, kind: str, part: str) -> str:
        if words := GUARDED[kind].get(part):
            return words
        account = self._account()
        name = next((one.name for one in account.all_fields if str(one.id) == part), part)
        return f"поле «{name}» изменено человеком"


def _finishes(row: Sendable) -> bool:
    return row.kind == "change_task" and bool(row.body.get("is_completed"))


def _is_guarded(row: Sendable) -> bool:
    return _finishes(row) or bool(patched_parts(row.kind, row.body))


def _others(row: Sendable) -> bool:
    """Does a patch hold anything besides what is guarded?"""
    return any(key not in ("id", "custom_fields_values", *GUARDED[row.kind]) for key in row.body)


def _is_equal(wanted: Any, current: Any) -> bool:
    return is_written(wanted, current) if isinstance(wanted, list) else wanted == current


def _without(body: Mapping[str, Any], parts: set[str]) -> dict[str, Any]:
    rest = {key: value for key, value in body.items() if key not in parts}
    if fields := rest.pop("custom_fields_values", None):
        left = [one for one in fields if str(one["field_id"]) not in parts]
        rest |= {"custom_fields_values": left} if left else {}
    return rest


# --- new deals of the bridge's own ------------------------------------------------------------------------------------
# Known by what was written, so that they need not be read. Only what amoCRM has just confirmed counts, for as long as
# a read would count as fresh, and as long as no webhook says anything else: amoCRM's own robots may work on a new deal
# at once. A restart forgets it, and the deal is read.

# So late the webhook about the new deal is still taken for its echo.
ECHO_WITHIN_SECONDS = 120.0
# amoCRM's clock is known by answers whose times have whole seconds.
CLOCK_ERROR = timedelta(seconds=5)
# Kinds of writes that leave the deal itself as it is.
BESIDE_THE_DEAL = ("add_note", "create_task", "add_call")


@dataclass(frozen=True)
class _NewDeal:
    record: DealRecord
    known_at: float


class NewDeals:
    """Of one account; the worker's thread alone uses it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[int, _NewDeal] = {}

    def put(self, row: Sendable, written: Written, asked_at: datetime, user_id: int) -> None:
        """A client's deal is there. ``asked_at``: when it was asked for, by amoCRM's clock; ``user_id``: as whom."""
        body = row.body
        contact_id = body["_embedded"]["contacts"][0].get("id") or written.contact_id
        if contact_id is None:
            return
        # Surely not later than it was made: whatever comes later is news.
        at = asked_at.replace(microsecond=0) - CLOCK_ERROR
        record = DealRecord(
            id=written.id,
            name=body["name"],
            pipeline_id=body["pipeline_id"],
            status_id=body["status_id"],
            responsible_user_id=body["responsible_user_id"],
            created_by=user_id,
            updated_by=user_id,
            created_at=at,
            updated_at=at,
            tags=tuple(tag["name"] for tag in body["_embedded"]["tags"]),
            contact_ids=(contact_id,),
            main_contact_id=contact_id,
            fields={
                one["field_id"]: tuple(value["value"] for value in one["values"] or ())
                for one in body.get("custom_fields_values") or ()
            },
        )
        self._forget_old()
        self._known[written.id] = _NewDeal(record, self._clock.now().timestamp())

    def forget(self, written: Iterable[Sendable]) -> None:
        """These writes have changed deals."""
        for row in written:
            if row.kind not in BESIDE_THE_DEAL:
                self._known.pop(row.deal_id, None)

    def fresh(self, deal_id: int, events: Sequence[Event]) -> DealRecord | None:
        """The deal, as good as read just now; None if it has to be read. ``events``: all that a round knows of it."""
        known = self._known.get(deal_id)
        if known is None or self._age(known) > MAX_READ_AGE_SECONDS:
            return None
        reported = [event for event in events if isinstance(event, DealReported)]
        if not all(_is_echo(known.record, event) for event in reported):
            del self._known[deal_id]
            return None
        # A webhook's time is amoCRM's own; that of the event which the sender has queued is not.
        told = (event.at for event in reported if event.name is not None)
        return replace(known.record, updated_at=max([known.record.updated_at, *filter(None, told)]))

    def __contains__(self, deal_id: int) -> bool:
        return deal_id in self._known

    def confirmed(self, event: Event, copy: MirroredDeal | None) -> MirroredDeal | None:
        """The mirror's copy once the webhook about the new deal says the same as it; None for anything else."""
        if copy is None or not isinstance(event, DealAdded) or event.at is None:
            return None
        known = self._known.get(event.deal_id)
        is_new = known is not None and self._age(known) <= ECHO_WITHIN_SECONDS
        if not is_new or event.at <= copy.record.updated_at or not _is_echo(copy.record, event):
            return None
        return replace(copy, record=replace(copy.record, updated_at=event.at))

    def _age(self, known: _NewDeal) -> float:
        return abs(self._clock.now().timestamp() - known.known_at)

    def _forget_old(self) -> None:
        self._known = {number: one for number, one in self._known.items() if self._age(one) <= ECHO_WITHIN_SECONDS}


def _is_echo(record: DealRecord, event: DealReported) -> bool:
    """Does it tell of the creation, and nothing else than what was written?"""
    if not isinstance(event, DealAdded):
        return False
    at = event.at or record.updated_at
    return MirroredDeal(replace(record, updated_at=at), at).covers(replace(event, at=at))
