"""Reconciliation: changes that no webhook told, found in amoCRM's lists and queued in their order.

Lists are read from the newest to the oldest; what is found waits in a table, and is handed on in the order in which it
happened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Self

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.events_api import events_since, newest_at
from amo_bridge.crm.records import EPOCH, DealRecord
from amo_bridge.engine.event_queue import add_events
from amo_bridge.errors import CrmError
from amo_bridge.events import DealAdded, DealMoved, DealReported, DealUpdated, Event, FieldValue
from amo_bridge.events.base import from_json, to_json
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.mirror.contacts import ContactRefresher
from amo_bridge.mirror.deals import Mirror, MirroredDeal, hook_texts
from amo_bridge.mirror.tasks import Fresh, reader_of, settling
from amo_bridge.mirror.touches import record_touches
from amo_bridge.storage.accounts import RECONCILED_AT, RECONCILED_UNTIL, Cursors
from amo_bridge.storage.database import AccountStore, chunks
from amo_bridge.storage.tables import events, found


class EventBuffer:
    def __init__(self, store: AccountStore) -> None:
        self._store = store

    def keep(self, connection: Connection, newest_first: Iterable[Event]) -> None:
        """Within the transaction that keeps the look's place."""
        rows = [
            {
                "account": self._store.account_id,
                "at": (event.at or EPOCH).timestamp(),
                "body": json.dumps(to_json(event, with_raw=True), ensure_ascii=False),
            }
            for event in newest_first
        ]
        if rows:
            connection.execute(insert(found), rows)

    def oldest(self, most: int) -> dict[int, Event]:
        """Those that happened first, by number, in the order in which they happened."""
        mine = select(found.c.id, found.c.body).where(self._store.owns(found))
        with self._store.read() as connection:
            rows = connection.execute(mine.order_by(found.c.at, found.c.id.desc()).limit(most)).all()
        return {row.id: from_json(json.loads(row.body)) for row in rows}

    def newest_first(self) -> Iterator[Event]:
        """All of them, as they were found."""
        mine = select(found.c.body).where(self._store.owns(found)).order_by(found.c.id)
        with self._store.read() as connection:
            for body in connection.execute(mine).scalars():
                yield from_json(json.loads(body))

    def drop(self, connection: Connection, numbers: Iterable[int]) -> None:
        """They are handed on."""
        connection.execute(delete(found).where(found.c.id.in_(list(numbers))))


# Where a look for missed changes stands: kept in the store, so that it goes on after a restart.

# The events list lags behind writes by seconds, and a deal may change while its page is being read.
OVERLAP = timedelta(minutes=2)
# What is older than this is in amoCRM's lists for certain. Without it the last busy minute of a quiet account would be
# read again with each look.
LONGEST_LAG = timedelta(minutes=15)
PAGE = 250


@dataclass(frozen=True)
class ReconciliationCursor:
    """Of which list (their number) so many rows are passed. Moments are Unix seconds by the account's clock:
    everything ``until`` then was known when the look was ``begun``; ``newest`` is what it has found."""

    until: float
    begun: float
    newest: float
    list: int = 0
    passed: int = 0

    @classmethod
    def at_the_beginning(cls, until: float, now: datetime) -> Self:
        return cls(until=until, begun=now.timestamp(), newest=until)

    @property
    def since(self) -> datetime:
        """How far back the lists are read."""
        return datetime.fromtimestamp(max(self.until - OVERLAP.total_seconds(), 0.0), UTC)

    @property
    def will_be_known(self) -> float:
        """Until when everything is known once this look is over. What happens while it reads page after page may stand
        on pages that it has passed."""
        surely = max(self.newest, self.begun - LONGEST_LAG.total_seconds())
        return max(min(surely, self.begun), self.until)

    def after(self, newest: float, passed: int | None) -> Self:
        """The place when another page has been read; ``passed`` is None where its list ended."""
        newest = max(newest, self.newest)
        if passed is None:
            return replace(self, newest=newest, list=self.list + 1, passed=0)
        return replace(self, newest=newest, passed=passed)

    def a_page_back(self) -> Self:
        """A row deleted meanwhile shifts the rest by one: after a restart the page before is read again."""
        return replace(self, passed=max(self.passed - PAGE, 0))


CURSOR_NAMES = tuple(f"look_{field.name}" for field in fields(ReconciliationCursor))


def read_cursor(cursors: Cursors) -> ReconciliationCursor | None:
    """Where the last look broke off, if it did."""
    told = [cursors.read(name) for name in CURSOR_NAMES]
    until, begun, newest, number, passed = told
    if until is None or begun is None or newest is None or number is None or passed is None:
        return None
    return ReconciliationCursor(until, begun, newest, int(number), int(passed))


def write_cursor(cursors: Cursors, connection: Connection, place: ReconciliationCursor) -> None:
    """Within the transaction that keeps what was read until there."""
    for name, value in zip(CURSOR_NAMES, astuple(place), strict=True):
        cursors.write(connection, name, value)


def forget_cursor(cursors: Cursors, connection: Connection) -> None:
    """The look is over."""
    cursors.forget(connection, *CURSOR_NAMES)


# On which stage a deal was made that has been moved since: told by its moves, while lists are read back to its making.
#
# A deal that the mirror never knew is judged as it is now. Without its origin it would seem to have been made there,
# and no gate would have anything to put back.

Stage = tuple[int | None, int | None]


class OriginalStages:
    """Of one look: its events have to come from the newest to the oldest."""

    def __init__(self) -> None:
        self._oldest: dict[int, list[DealMoved]] = {}

    def collect(self, newest_first: Iterable[Event]) -> None:
        """The oldest move tells where the deal was before all others; of several in one second, all are kept."""
        for event in newest_first:
            if isinstance(event, DealMoved) and event.old_status_id is not None:
                moves = self._oldest.setdefault(event.deal_id, [])
                if moves and moves[-1].at != event.at:
                    moves.clear()
                moves.append(event)

    def with_origins(self, newest_first: Sequence[Event]) -> list[Event]:
        """The same, where a deal that was made says on which stage. Within one second amoCRM lists in any order."""
        self.collect(newest_first)
        return [self._as_made(event) if isinstance(event, DealAdded) else event for event in newest_first]

    def _as_made(self, event: DealAdded) -> DealAdded:
        if event.deal_id not in self._oldest:
            return event
        pipeline_id, status_id = _origin(self._oldest[event.deal_id])
        return replace(event, pipeline_id=pipeline_id, status_id=status_id)


def _origin(moves: Sequence[DealMoved]) -> Stage:
    """Where the first of these moves, all of one second, began: where none of the others has led. Where they go round
    in a circle, the oldest in the list is believed."""
    led_to = {(move.pipeline_id, move.status_id) for move in moves}
    began = [(move.old_pipeline_id, move.old_status_id) for move in moves]
    return next((stage for stage in began if stage not in led_to), began[-1])


# Reconciliation: what no hook told of is found and fed in, by the same door as hooks.
#
# Three lists are read back to where the last look ended: the account's events (moves, files, calls, letters, messages,
# tasks), and deals and contacts by ``order[updated_at]=desc``, which works with API filtering off. What hooks have told
# already is known by its key or covered by the mirror, and changes nothing. Where nothing happened it costs three
# requests. Where much did, the worker goes on with its hooks after each page, and a restart goes on with the look.

# The worker does nothing else meanwhile.
BATCH_SIZE = 250


@dataclass(frozen=True)
class ListPage:
    """What a page of a list told, newest first. ``passed``: so many rows of the list are read now; None: all."""

    events: Sequence[Event]
    passed: int | None


class Reconciler:
    """``account_clock`` tells amoCRM's time; ``again`` asks for the next portion of a long look."""

    def __init__(
        self,
        store: AccountStore,
        client: CrmClient,
        clock: Clock,
        account_clock: Clock,
        contacts: ContactRefresher,
        again: Callable[[], None],
    ) -> None:
        self._store = store
        self._client = client
        self._clock = clock
        self._account_clock = account_clock
        self._mirror = Mirror(store)
        self._contacts = contacts
        self._read_tasks = reader_of(client)
        self._again = again
        self._cursors = Cursors(store)
        self._found = EventBuffer(store)
        self._origins = OriginalStages()
        self._lists = (self._events, self._changed_deals, self._changed_contacts)
        self._place: ReconciliationCursor | None = None
        # The look in hand stood still for a while: amoCRM was silent, or the process that had begun it is gone.
        self._was_interrupted = False
        self._new = 0
        self._seen: frozenset[str] = frozenset()
        self._seen_now: set[str] = set()

    def begin(self) -> None:
        """From now on nothing may be missed; what happened before the bridge met the account is history.

        Does nothing in an account that it knows. Raises CrmError."""
        if self._cursors.read(RECONCILED_UNTIL) is None:
            now = newest_at(self._client) or EPOCH
            with self._store.write() as connection:
                self._cursors.write(connection, RECONCILED_UNTIL, now.timestamp())
        if (broken_off := read_cursor(self._cursors)) is not None:
            self._place = broken_off.a_page_back()
            self._was_interrupted = True
            self._origins.collect(self._found.newest_first())

    def run(self) -> int | None:
        """Look, or go on with the look; returns how many changes were handed on, or None when it has asked to be run
        ``again``: there is another page. Raises CrmError; then the next run reads that page."""
        place = self._place or self._beginning()
        while place.list < len(self._lists):
            try:
                place = self._read(place)
            except CrmError:
                self._was_interrupted = self._place is not None
                raise
            if place.passed:
                self._again()
                return None
        while handed_on := self._hand_on():
            if handed_on == BATCH_SIZE:
                self._again()
                return None
        return self._end(place)

    def _beginning(self) -> ReconciliationCursor:
        self._new, self._seen_now, self._origins = 0, set(), OriginalStages()
        return ReconciliationCursor.at_the_beginning(
            self._cursors.read(RECONCILED_UNTIL) or 0.0, self._account_clock.now()
        )

    def _read(self, place: ReconciliationCursor) -> ReconciliationCursor:
        """Read the next page and keep what it told; the place after it."""
        told = self._lists[place.list](place)
        unknown = self._origins.with_origins(self._not_covered(told.events))
        newest = max((event.at.timestamp() for event in told.events if event.at), default=0.0)
        after = place.after(newest, told.passed)
        if told.events or after.passed:
            with self._store.write() as connection:
                # What the mirror has seen is no event any more, but who did it only this list knows.
                record_touches(connection, self._store.account_id, told.events)
                self._found.keep(connection, unknown)
                write_cursor(self._cursors, connection, after)
        self._place = after
        return after

    def _hand_on(self) -> int:
        """Hand on the oldest of what was found; how much of it there was."""
        oldest = self._found.oldest(BATCH_SIZE)
        if oldest:
            # Hooks may have told of it meanwhile.
            unknown = self._not_covered(oldest.values())
            self._new += settling(self._read_tasks, partial(self._keep, oldest, unknown))
        return len(oldest)

    def _keep(self, oldest: Iterable[int], unknown: Sequence[Event], fresh: Fresh) -> int:
        with self._store.write() as connection:
            new = add_events(connection, self._store.account_id, unknown, self._clock.now().timestamp(), fresh=fresh)
            self._found.drop(connection, oldest)
        return new

    def _end(self, place: ReconciliationCursor) -> int | None:
        was_interrupted, self._was_interrupted, self._place = self._was_interrupted, False, None
        with self._store.write() as connection:
            self._cursors.write(connection, RECONCILED_UNTIL, place.will_be_known)
            if not was_interrupted:
                self._cursors.write(connection, RECONCILED_AT, self._clock.now().timestamp())
            forget_cursor(self._cursors, connection)
        # Not before their events are kept: a look that broke off must find them again.
        self._seen = frozenset(self._seen_now)
        if self._new:
            log.info("reconciled", changes=self._new, since=place.since.isoformat())
        if was_interrupted:
            # What happened while nobody looked stands on pages that it had passed.
            self._again()
            return None
        return self._new

    def _events(self, place: ReconciliationCursor) -> ListPage:
        look = events_since(
            self._client, place.since, start=place.passed, known_notes=self._known_notes, known_rows=self._seen
        )  # fmt: skip
        newest = max((at.timestamp() for at in look.rows.values()), default=0.0)
        # No more of them than the next look meets again.
        next_since = place.after(newest, look.ends_at).will_be_known - OVERLAP.total_seconds()
        self._seen_now |= {row_id for row_id, at in look.rows.items() if at.timestamp() >= next_since}
        return ListPage(look.events[::-1], look.ends_at)

    def _changed_deals(self, place: ReconciliationCursor) -> ListPage:
        params = {"order": {"updated_at": "desc"}, "with": "contacts,loss_reason"}
        page = self._client.page("/api/v4/leads", params, "leads", place.passed, PAGE)
        records = [DealRecord.from_api(row) for row in page.rows]
        changed = list(takewhile(lambda record: record.updated_at >= place.since, records))
        is_all = len(changed) < len(records)
        known = self._mirror.get(record.id for record in changed)
        told = [_as_event(record, place.since, known.get(record.id)) for record in changed]
        return ListPage(told, None if is_all else page.ends_at)

    def _changed_contacts(self, place: ReconciliationCursor) -> ListPage:
        return ListPage((), self._contacts.catch_up(place.since, place.passed))

    def _known_notes(self, note_ids: Sequence[int]) -> set[int]:
        """Those whose events are there, so that they need not be read."""
        keys = {f"note:{number}": number for number in note_ids}
        found: set[int] = set()
        with self._store.read() as connection:
            for chunk in chunks(sorted(keys)):
                mine = (self._store.owns(events), events.c.key.in_(chunk))
                found |= {keys[key] for key in connection.execute(select(events.c.key).where(*mine)).scalars()}
        return found

    def _not_covered(self, told: Iterable[Event]) -> list[Event]:
        """In the same order, without what the mirror has seen."""
        all_told = list(told)
        known = self._mirror.get(event.deal_id for event in all_told if isinstance(event, DealReported))
        return [event for event in all_told if not _covered(event, known)]


def _as_event(record: DealRecord, since: datetime, known: MirroredDeal | None = None) -> DealReported:
    if known and known.misses(record):
        # It changed within the second of the last read. An event without a time is no repeat: the deal is read again.
        return DealUpdated(caught_up=True, deal_id=record.id)
    kind = DealAdded if record.created_at >= since else DealUpdated
    return kind(
        at=record.updated_at,
        caught_up=True,
        deal_id=record.id,
        # Told in full, as a hook does: a change within the second of the last read shows in the contents alone.
        name=record.name,
        tags=record.tags,
        fields=tuple(
            FieldValue(field_id=field_id, values=tuple((text, None) for text in texts))
            for field_id, texts in hook_texts(record).items()
        ),
        pipeline_id=record.pipeline_id,
        status_id=record.status_id,
        price=record.price,
        responsible_user_id=record.responsible_user_id,
        user_id=record.updated_by,
        created_at=record.created_at,
    )


def _covered(event: Event, known: dict[int, MirroredDeal]) -> bool:
    if not isinstance(event, DealReported):
        return False
    mirrored = known.get(event.deal_id)
    return mirrored is not None and mirrored.covers(event)
