"""Outbox: effects and their states, from the decision until they surely are done.

::

    waiting ─► ready ─► sending ─► done
                 ▲          │
                 │          ├─► ready      surely not applied (429, refused batch): later
                 │          ├─► doubt      the answer was lost: look in amoCRM first
                 └──────────┼── doubt      looked: not there
                            ├─► failed     refused for good; the vendor's words are kept
                            ├─► unsent     outside amoCRM: must not be sent (no address, unsubscribed)
                            └─► unknown    outside amoCRM: the answer was lost, and nobody can look; a person decides

Effects outside amoCRM go by channels of their own (engine/effects.py). "sending" is committed before the call, so that
a crash leaves a trace: the next start turns it into doubt. Keys never change: an effect that is there already is not
added again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.crm.writes import WRITE_KINDS
from amo_bridge.engine.dispatcher import Verdict
from amo_bridge.engine.effects import NEW_ID, NEW_URL, Channel, Effect, in_channel
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, chunks, insert_new
from amo_bridge.storage.tables import events, in_open_state, journal, made, outbox

# --- adding -----------------------------------------------------------------------------------------------------------


class SettledEffect(Protocol):
    """A row of the outbox that was done."""

    @property
    def key(self) -> str: ...

    @property
    def rule(self) -> str: ...

    @property
    def event_id(self) -> int | None: ...


@dataclass(frozen=True)
class Planned:
    """An effect about to be stored. ``after``: the id of the row that has to be done before."""

    event_id: int | None
    rule: str
    key: str
    effect: Effect
    after: int | None = None

    def followers(self, row_id: int) -> Iterator[Planned]:
        """What is to be done after this effect, whose row has this id."""
        for number, effect in enumerate(self.effect.then):
            yield Planned(self.event_id, self.rule, f"{self.key}|then{number}", effect, row_id)

    def row(self, account: int, now: datetime) -> dict[str, Any]:
        """The row of the outbox."""
        return {
            "account": account,
            "key": self.key,
            "event_id": self.event_id,
            "rule": self.rule,
            "deal_id": self.effect.deal_id,
            "kind": self.effect.kind,
            "payload": json.dumps(self.effect.payload(), ensure_ascii=False),
            "state": "ready" if self.after is None else "waiting",
            "after_id": self.after,
            "created_at": now.timestamp(),
        }


def add_all(connection: Connection, account: int, decided: Sequence[tuple[int, Verdict]], now: datetime) -> list[int]:
    """Add the effects of many (event id, verdict); how many of each verdict were new."""
    keyed = [
        {_key(verdict, effect, ordinal): effect for ordinal, effect in enumerate(verdict.effects)}
        for _, verdict in decided
    ]
    known = set(_ids(connection, account, [key for effects in keyed for key in effects]))
    new: list[Planned] = []
    counts = []
    for (event_id, verdict), effects in zip(decided, keyed, strict=True):
        added = {key: effect for key, effect in effects.items() if key not in known}
        known |= set(added)
        new += [Planned(event_id, verdict.rule.name, key, effect) for key, effect in added.items()]
        counts.append(len(added))
    _insert(connection, account, new, now)
    return counts


def add_following(
    connection: Connection, account: int, done: SettledEffect, effects: Sequence[Effect], now: datetime
) -> None:
    """Add what follows from an effect done outside amoCRM; once, however often that is reported."""
    following = [
        Planned(
            done.event_id,
            done.rule,
            _once_key(done.rule, effect) if effect.once else f"{done.key}|then{number}",
            effect,
        )
        for number, effect in enumerate(effects)
    ]
    known = _ids(connection, account, [planned.key for planned in following])
    _insert(connection, account, [planned for planned in following if planned.key not in known], now)


def _key(verdict: Verdict, effect: Effect, ordinal: int) -> str:
    if effect.once:
        return _once_key(verdict.rule.name, effect)
    return f"{verdict.rule.name}|{verdict.event_key}|{ordinal}"


def _once_key(rule: str, effect: Effect) -> str:
    return f"{rule}|once|{effect.deal_id}|{effect.slot}"


def _insert(connection: Connection, account: int, new: Sequence[Planned], now: datetime) -> None:
    """In their order; then what follows them, which needs their ids."""
    insert_new(connection, outbox, [planned.row(account, now) for planned in new])
    heads = [planned for planned in new if planned.effect.then]
    if heads:
        ids = _ids(connection, account, [head.key for head in heads])
        _insert(connection, account, [follower for head in heads for follower in head.followers(ids[head.key])], now)


def _ids(connection: Connection, account: int, keys: Sequence[str]) -> dict[str, int]:
    """Key → row id, of those keys that are in the outbox."""
    found: dict[str, int] = {}
    for chunk in chunks(keys):
        wanted = (outbox.c.account == account, outbox.c.key.in_(chunk))
        rows = connection.execute(select(outbox.c.key, outbox.c.id).where(*wanted))
        found |= {row.key: row.id for row in rows}
    return found


# --- states -----------------------------------------------------------------------------------------------------------

# Rows looked at for one round of sending.
MAX_ROWS = 5000
APPENDING_KINDS = frozenset(name for name, kind in WRITE_KINDS.items() if kind.appends)
CREATING_KINDS = frozenset(name for name, kind in WRITE_KINDS.items() if kind.creates)


@dataclass(frozen=True)
class Sendable:
    """An outbox row as the senders see it."""

    id: int
    rule: str
    deal_id: int
    kind: str
    payload: Mapping[str, Any]
    attempts: int
    created_at: float
    event_id: int | None = None
    key: str = ""
    due_at: float = 0.0
    error: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        return dict(self.payload["body"])

    def with_body(self, body: Mapping[str, Any]) -> Sendable:
        """The same row with another object."""
        return replace(self, payload={**self.payload, "body": dict(body)})

    @property
    def reduced(self) -> int:
        """How often amoCRM has refused parts of it that were left out since."""
        return int(self.payload.get("reduced", 0))


class Outbox:
    """The outbox of one account."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def add(self, connection: Connection, event_id: int, verdict: Verdict) -> int:
        """Add a verdict's effects; how many were new."""
        return self.add_all(connection, [(event_id, verdict)])[0]

    def add_all(self, connection: Connection, decided: Sequence[tuple[int, Verdict]]) -> list[int]:
        """As ``add`` for many (event id, verdict) in few statements: how many effects of each verdict were new."""
        return add_all(connection, self._store.account_id, decided, self._clock.now())

    def recover(self, settle: float) -> int:
        """Doubt what was being written into amoCRM when the process stopped; how many effects that were.

        Each is looked for when it must have landed: in ``settle`` seconds from now. Not from ``sent_at``: the rate
        limiter may have held the request back for long, and it left just before the end."""
        with self._store.write() as connection:
            return connection.execute(
                update(outbox)
                .where(self._store.owns(outbox), outbox.c.state == "sending", in_channel("crm", outbox))
                .values(state="doubt", due_at=self._clock.now().timestamp() + settle)
            ).rowcount

    def take(self, state: str, channel: Channel = "crm", *, in_order: bool = True) -> list[Sendable]:
        """The rows of a state that are due, oldest first; of each deal only what stands before everything else in the
        channel, unless the order does not matter."""
        now = self._clock.now().timestamp()
        with self._store.read() as connection:
            rows = connection.execute(
                select(outbox)
                .where(self._store.owns(outbox), in_open_state(outbox), in_channel(channel, outbox))
                .order_by(outbox.c.id)
                .limit(MAX_ROWS)
            ).all()
        allowed = _first_of_each_deal(rows, now) if in_order else rows
        return [_sendable(row) for row in allowed if row.state == state and row.due_at <= now]

    def sending(self, rows: Sequence[Sendable]) -> list[Sendable]:
        """Mark as leaving; committed before the call. Returns those that may leave: a person may have taken one back
        since it was looked up."""
        leaves = {"state": "sending", "sent_at": self._clock.now().timestamp()}
        taken: set[int] = set()
        with self._store.write() as connection:
            for chunk in chunks([row.id for row in rows]):
                still = (outbox.c.id.in_(chunk), outbox.c.state == "ready")
                leaving = update(outbox).where(*still).values(**leaves).returning(outbox.c.id)
                taken |= set(connection.execute(leaving).scalars())
        return [row for row in rows if row.id in taken]

    def later(self, rows: Iterable[Sendable], seconds: float, reason: str, *, state: str = "ready") -> None:
        """Try again in ``seconds``: surely not applied (ready), or nobody knows (doubt)."""
        due = self._clock.now().timestamp() + seconds
        with self._store.write() as connection:
            for row in rows:
                self._set(connection, [row], state=state, due_at=due, attempts=row.attempts + 1, error=reason)

    def postpone(self, row: Sendable, due_at: float, reason: str) -> None:
        """Try not before ``due_at``; that is no failed try."""
        with self._store.write() as connection:
            self._set(connection, [row], state="ready", due_at=due_at, error=reason)

    def failed(self, connection: Connection, row: Sendable, reason: str) -> None:
        """Mark as refused for good. What waited for it can't be done either."""
        self.given_up(connection, row, "failed", reason)

    def reduced(
        self, connection: Connection, row: Sendable, body: Mapping[str, Any], words: str, left_out: Sequence[Effect]
    ) -> None:
        """Send the row again with another body; ``left_out`` is tried after it. ``words``: what is different."""
        payload = {
            **row.payload,
            "body": body,
            "words": f"{row.payload['words']} ({words})",
            "reduced": row.reduced + 1,
        }
        self._set(
            connection,
            [row],
            state="ready",
            due_at=0,
            attempts=row.attempts + 1,
            payload=json.dumps(payload, ensure_ascii=False),
        )
        mark = f"{row.key}|left{row.reduced}"
        before = row.payload.get("before")
        parts = [
            Planned(row.event_id, row.rule, f"{mark}.{number}", replace(effect, before=before), row.id)
            for number, effect in enumerate(left_out)
        ]
        _insert(connection, self._store.account_id, parts, self._clock.now())

    def narrowed(self, connection: Connection, row: Sendable, reason: str) -> None:
        """Keep the body that the row has now: a part of it is not to be sent any more. ``reason``: Russian."""
        payload = {**row.payload, "words": f"{row.payload['words']} (кроме части: {reason})"}
        self._set(connection, [row], payload=json.dumps(payload, ensure_ascii=False))

    def given_up(self, connection: Connection, row: Sendable, state: str, reason: str) -> None:
        """Mark as a dead letter: a person has to decide (``state``: one of tables.GAVE_UP)."""
        self._set(connection, [row], state=state, error=reason)
        connection.execute(
            update(outbox)
            .where(outbox.c.after_id == row.id, outbox.c.state == "waiting")
            .values(state="failed", error=f"не выполнено то, после чего это делается: {reason}")
        )

    def done(self, connection: Connection, row: Sendable, entity_id: int | None, url: str = "") -> None:
        """Mark as done: it is in amoCRM as ``entity_id``. What waited for it gets id and address, and is ready."""
        self.done_all(connection, [(row, entity_id, url)], {})

    def done_all(
        self, connection: Connection, written: Sequence[tuple[Sendable, int | None, str]], at: Mapping[int, float]
    ) -> None:
        """As ``done`` for many (row, entity id, address) in few statements. ``at``: row id → amoCRM's time of it."""
        if not written:
            return
        now = self._clock.now().timestamp()
        became = {"done_at": now, "state": "done", "error": None}
        connection.execute(
            update(outbox).where(outbox.c.id == bindparam("row_id")).values(**became, result=bindparam("outcome")),
            [
                {"row_id": row.id, "outcome": json.dumps({"id": entity_id, "at": at.get(row.id)})}
                for row, entity_id, _ in written
            ],
        )
        created = [
            self._made_row(row, entity_id, now)
            for row, entity_id, _ in written
            if entity_id is not None and row.kind in CREATING_KINDS
        ]
        insert_new(connection, made, created)
        for row, entity_id, _ in written:
            if row.deal_id < 0 and entity_id is not None and WRITE_KINDS[row.kind].creates == "deal":
                self._renumber(connection, row.deal_id, entity_id)
        self._release(connection, {row.id: (entity_id, url) for row, entity_id, url in written})

    def _renumber(self, connection: Connection, to_come: int, deal_id: int) -> None:
        """A deal to come is there: what was decided about it belongs to its card from now on."""
        for table in (outbox, events, journal):
            mine = (self._store.owns(table), table.c.deal_id == to_come)
            connection.execute(update(table).where(*mine).values(deal_id=deal_id))

    def _made_row(self, row: Sendable, entity_id: int, now: float) -> dict[str, Any]:
        """By this row of ``made`` a rule finds again what it has created."""
        origin = {"rule": row.rule, "deal_id": row.deal_id, "slot": row.payload["slot"], "kind": row.kind}
        ends = {"until": row.payload.get("until"), "text": row.body.get("text")}
        return {"account": self._store.account_id, **origin, "entity_id": entity_id, "at": now, **ends}

    def _release(self, connection: Connection, done: Mapping[int, tuple[int | None, str]]) -> None:
        """Make ready what waited for these, with their ids and addresses filled in."""
        for chunk in chunks(list(done)):
            # The account and the open states are there for the index: nothing else finds rows by what they wait for.
            open_rows = (self._store.owns(outbox), in_open_state(outbox), outbox.c.state == "waiting")
            which = (*open_rows, outbox.c.after_id.in_(chunk))
            followers = connection.execute(select(outbox.c.id, outbox.c.after_id, outbox.c.payload).where(*which)).all()
            for follower in followers:
                entity_id, url = done[follower.after_id]
                # An id that stands alone is a number to amoCRM.
                payload = follower.payload.replace(f'"{NEW_ID}"', str(entity_id))
                payload = payload.replace(NEW_URL, url).replace(NEW_ID, str(entity_id))
                change = update(outbox).where(outbox.c.id == follower.id)
                connection.execute(change.values(state="ready", payload=payload))

    def sent(self, connection: Connection, row: Sendable, details: str) -> None:
        """Mark as sent past amoCRM. ``details``: to whom and how, Russian, for the journal."""
        now = self._clock.now().timestamp()
        self._set(connection, [row], state="done", done_at=now, error=None, result=json.dumps({"told": details}))

    def unsent(self, connection: Connection, row: Sendable, reason: str) -> None:
        """Mark as ``unsent``: must not be sent (no address, unsubscribed). ``reason``: Russian, for the journal."""
        self._set(connection, [row], state="unsent", done_at=self._clock.now().timestamp(), error=reason)

    def dropped(self, connection: Connection, row: Sendable, reason: str) -> None:
        """Mark as not needed any more, with what waited for it: the deal is elsewhere, or it is so already."""
        unneeded = {"state": "done", "done_at": self._clock.now().timestamp(), "error": reason}
        self._set(connection, [row], **unneeded)
        connection.execute(
            update(outbox).where(outbox.c.after_id == row.id, outbox.c.state == "waiting").values(**unneeded)
        )

    def taken_ids(self, kind: str, entity_ids: Iterable[int]) -> set[int]:
        """Those of the ids that earlier effects have created, in whatever way: they are not what a lost write made."""
        ids = sorted(set(entity_ids))
        creates = WRITE_KINDS[kind].creates
        kinds = [name for name, other in WRITE_KINDS.items() if creates and other.creates == creates] or [kind]
        found: set[int] = set()
        with self._store.read() as connection:
            for chunk in chunks(ids):
                among = made.c.entity_id.in_(chunk)
                query = select(made.c.entity_id).where(self._store.owns(made), made.c.kind.in_(kinds), among)
                found |= set(connection.execute(query).scalars())
        return found

    def _set(self, connection: Connection, rows: Sequence[Sendable], **values: object) -> None:
        for chunk in chunks([row.id for row in rows]):
            connection.execute(update(outbox).where(outbox.c.id.in_(chunk)).values(**values))


def _first_of_each_deal(rows: Iterable[Row[Any]], now: float) -> Iterable[Row[Any]]:
    """Of each deal its oldest row, so that the order is kept; with it the rows of the same kind right behind it, if
    they append something or change another task (two patches of one card in one request would be a gamble)."""
    heads: dict[int, tuple[str, str, bool] | None] = {}
    tasks: set[int] = set()
    for row in rows:
        if row.state == "waiting":
            continue
        likeness = (row.kind, row.state, row.due_at <= now)
        is_beside = row.kind in APPENDING_KINDS
        if row.kind == "change_task":
            task_id = int(json.loads(row.payload)["body"]["id"])
            is_beside = task_id not in tasks
            tasks.add(task_id)
        if row.deal_id not in heads:
            heads[row.deal_id] = likeness
            yield row
        elif heads[row.deal_id] == likeness and is_beside:
            yield row
        else:
            heads[row.deal_id] = None


def _sendable(row: Row[Any]) -> Sendable:
    return Sendable(
        id=row.id,
        rule=row.rule,
        deal_id=row.deal_id,
        kind=row.kind,
        payload=json.loads(row.payload),
        attempts=row.attempts,
        created_at=row.created_at,
        event_id=row.event_id,
        key=row.key,
        due_at=row.due_at,
        error=row.error,
    )
