"""Verdicts → outbox rows, under keys that never change: what is there already is not added again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Row, bindparam, func, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.crm.writes import WRITE_KINDS
from amo_bridge.engine.dispatcher import Verdict
from amo_bridge.engine.effects import NEW_ID, NEW_URL, Channel, Effect, in_lane
from amo_bridge.storage.database import Store, insert_new
from amo_bridge.storage.tables import in_open_state, made, outbox

# Both databases limit the parameters of one statement.
CHUNK = 500


class Done(Protocol):
    """A row of the outbox that is settled."""

    @property
    def key(self) -> str: ...

    @property
    def rule(self) -> str: ...

    @property
    def event_id(self) -> int | None: ...


@dataclass(frozen=True)
class Planned:
    """An effect about to be kept. ``after``: the id of the row that has to be done before."""

    event_id: int | None
    rule: str
    key: str
    effect: Effect
    after: int | None = None

    def followers(self, my_id: int) -> Iterator[Planned]:
        for number, follow in enumerate(self.effect.then):
            yield Planned(self.event_id, self.rule, f"{self.key}|then{number}", follow, my_id)

    def row(self, account: int, now: datetime) -> dict[str, Any]:
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
    """Write the effects of many (event id, verdict); how many of each verdict were new."""
    keyed = [
        {_key(verdict, effect, ordinal): effect for ordinal, effect in enumerate(verdict.effects)}
        for _, verdict in decided
    ]
    there = set(_ids(connection, account, [key for effects in keyed for key in effects]))
    new: list[Planned] = []
    counts = []
    for (event_id, verdict), effects in zip(decided, keyed, strict=True):
        mine = {key: effect for key, effect in effects.items() if key not in there}
        there |= set(mine)
        new += [Planned(event_id, verdict.rule.name, key, effect) for key, effect in mine.items()]
        counts.append(len(mine))
    _insert(connection, account, new, now)
    return counts


def add_following(connection: Connection, account: int, done: Done, effects: Sequence[Effect], now: datetime) -> None:
    """Write what follows from something that was done outside amoCRM, once however often it is told."""
    following = [
        Planned(
            done.event_id,
            done.rule,
            _once_key(done.rule, effect) if effect.once else f"{done.key}|then{number}",
            effect,
        )
        for number, effect in enumerate(effects)
    ]
    there = _ids(connection, account, [one.key for one in following])
    _insert(connection, account, [one for one in following if one.key not in there], now)


def _key(verdict: Verdict, effect: Effect, ordinal: int) -> str:
    if effect.once:
        return _once_key(verdict.rule.name, effect)
    return f"{verdict.rule.name}|{verdict.event_key}|{ordinal}"


def _once_key(rule: str, effect: Effect) -> str:
    return f"{rule}|once|{effect.deal_id}|{effect.slot}"


def _insert(connection: Connection, account: int, new: Sequence[Planned], now: datetime) -> None:
    """In their order; then what follows them, which needs their ids."""
    insert_new(connection, outbox, [one.row(account, now) for one in new])
    heads = [one for one in new if one.effect.then]
    if heads:
        ids = _ids(connection, account, [one.key for one in heads])
        _insert(connection, account, [follow for one in heads for follow in one.followers(ids[one.key])], now)


def _ids(connection: Connection, account: int, keys: Sequence[str]) -> dict[str, int]:
    """Which of these keys are in the outbox, and as which rows."""
    found: dict[str, int] = {}
    for start in range(0, len(keys), CHUNK):
        mine = (outbox.c.account == account, outbox.c.key.in_(keys[start : start + CHUNK]))
        rows = connection.execute(select(outbox.c.key, outbox.c.id).where(*mine))
        found |= {row.key: row.id for row in rows}
    return found


# The outbox: what is to be written into amoCRM, kept until it surely is.
#
# ::
#
#     waiting ─► ready ─► sending ─► done
#                  ▲          │
#                  │          ├─► ready      surely not applied (429, refused batch): later
#                  │          ├─► doubt      the answer was lost: look in amoCRM first
#                  └──────────┼── doubt      looked: not there
#                             ├─► failed     refused for good; the vendor's words are kept
#                             ├─► unsent     outside amoCRM: not to be sent after all (no address, unsubscribed)
#                             └─► unknown    outside amoCRM: the answer was lost, and nobody can look; a person decides
#
# Effects outside amoCRM stand in lanes of their own (engine/effects.py). "sending" is committed before the call, so a
# crash leaves a trace: whoever starts next turns it into doubt.

MOST = 5000
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


class Outbox:
    def __init__(self, store: Store, account: int, clock: Clock) -> None:
        self._store = store
        self._account = account
        self._clock = clock

    def add(self, connection: Connection, event_id: int, verdict: Verdict) -> int:
        """Write a verdict's effects under keys that never change: what is there already is not added again.

        Returns how many were new."""
        return self.add_all(connection, [(event_id, verdict)])[0]

    def add_all(self, connection: Connection, decided: Sequence[tuple[int, Verdict]]) -> list[int]:
        """As ``add`` for many (event id, verdict) in few statements: how many effects of each verdict were new."""
        return add_all(connection, self._account, decided, self._clock.now())

    def recover(self, settle: float) -> int:
        """What was being written into amoCRM when the process died, or the round broke off, is in doubt, and is looked
        for when it must have landed: in ``settle`` seconds. (From now, not from ``sent_at``: the budget may have held
        the request back for long, and it left just before the end.) Returns how many there were."""
        with self._store.write() as connection:
            return connection.execute(
                update(outbox)
                .where(outbox.c.account == self._account, outbox.c.state == "sending", in_lane("crm"))
                .values(state="doubt", due_at=self._clock.now().timestamp() + settle)
            ).rowcount

    def take(self, state: str, lane: Channel = "crm", *, in_order: bool = True) -> list[Sendable]:
        """The rows of a state that are due, oldest first; of each deal only what stands before everything else in the
        lane, unless the order does not matter."""
        now = self._clock.now().timestamp()
        with self._store.read() as connection:
            rows = connection.execute(
                select(outbox)
                .where(outbox.c.account == self._account, in_open_state(outbox), in_lane(lane))
                .order_by(outbox.c.id)
                .limit(MOST)
            ).all()
        at_hand = _first_of_each_deal(rows, now) if in_order else rows
        return [_sendable(row) for row in at_hand if row.state == state and row.due_at <= now]

    def count_open(self) -> int:
        with self._store.read() as connection:
            mine = (outbox.c.account == self._account, in_open_state(outbox))
            return connection.execute(select(func.count()).select_from(outbox).where(*mine)).scalar_one()

    def sending(self, rows: Sequence[Sendable]) -> None:
        """Committed before the call."""
        with self._store.write() as connection:
            self._set(connection, rows, state="sending", sent_at=self._clock.now().timestamp())

    def later(self, rows: Iterable[Sendable], seconds: float, why: str, *, state: str = "ready") -> None:
        """Not applied (ready) or not known (doubt): again in ``seconds``."""
        due = self._clock.now().timestamp() + seconds
        with self._store.write() as connection:
            for row in rows:
                self._set(connection, [row], state=state, due_at=due, attempts=row.attempts + 1, error=why)

    def postpone(self, row: Sendable, due_at: float, why: str) -> None:
        """Not to be tried before ``due_at``; that is no failed try."""
        with self._store.write() as connection:
            self._set(connection, [row], state="ready", due_at=due_at, error=why)

    def failed(self, connection: Connection, row: Sendable, why: str) -> None:
        """Refused for good. What waited for it can't be done either."""
        self.given_up(connection, row, "failed", why)

    def given_up(self, connection: Connection, row: Sendable, state: str, why: str) -> None:
        """A person has to decide about it (``state``: one of store.GAVE_UP)."""
        self._set(connection, [row], state=state, error=why)
        connection.execute(
            update(outbox)
            .where(outbox.c.after_id == row.id, outbox.c.state == "waiting")
            .values(state="failed", error=f"не выполнено то, после чего это делается: {why}")
        )

    def done(self, connection: Connection, row: Sendable, entity_id: int | None, url: str = "") -> None:
        """It is in amoCRM now, as ``entity_id``. What waited for it gets the id and the address, and is ready."""
        self.done_all(connection, [(row, entity_id, url)], {})

    def done_all(
        self, connection: Connection, written: Sequence[tuple[Sendable, int | None, str]], at: Mapping[int, float]
    ) -> None:
        """As ``done`` for many (row, entity id, address) in few statements. ``at``: row's id → amoCRM's time of it."""
        if not written:
            return
        now = self._clock.now().timestamp()
        became = {"done_at": now, "state": "done", "error": None}
        connection.execute(
            update(outbox).where(outbox.c.id == bindparam("row_id")).values(**became, result=bindparam("told")),
            [
                {"row_id": row.id, "told": json.dumps({"id": entity_id, "at": at.get(row.id)})}
                for row, entity_id, _ in written
            ],
        )
        memories = [
            self._memory(row, entity_id, now)
            for row, entity_id, _ in written
            if entity_id is not None and row.kind in CREATING_KINDS
        ]
        insert_new(connection, made, memories)
        self._rouse(connection, {row.id: (entity_id, url) for row, entity_id, url in written})

    def _memory(self, row: Sendable, entity_id: int, now: float) -> dict[str, Any]:
        memory = {"rule": row.rule, "deal_id": row.deal_id, "slot": row.payload["slot"], "kind": row.kind}
        return {"account": self._account, **memory, "entity_id": entity_id, "at": now}

    def _rouse(self, connection: Connection, done: Mapping[int, tuple[int | None, str]]) -> None:
        """What waited for these is ready, and knows what they became."""
        ids = list(done)
        for start in range(0, len(ids), CHUNK):
            # The account and the open states are there for the index: nothing else finds rows by what they wait for.
            open_rows = (outbox.c.account == self._account, in_open_state(outbox), outbox.c.state == "waiting")
            mine = (*open_rows, outbox.c.after_id.in_(ids[start : start + CHUNK]))
            waiting = connection.execute(select(outbox.c.id, outbox.c.after_id, outbox.c.payload).where(*mine)).all()
            for follow in waiting:
                entity_id, url = done[follow.after_id]
                filled = follow.payload.replace(NEW_URL, url).replace(NEW_ID, str(entity_id))
                connection.execute(update(outbox).where(outbox.c.id == follow.id).values(state="ready", payload=filled))

    def sent(self, connection: Connection, row: Sendable, told: str) -> None:
        """It is out, past amoCRM; ``told``: to whom and how."""
        now = self._clock.now().timestamp()
        self._set(connection, [row], state="done", done_at=now, error=None, result=json.dumps({"told": told}))

    def unsent(self, connection: Connection, row: Sendable, why: str) -> None:
        """It is not to go out after all."""
        self._set(connection, [row], state="unsent", done_at=self._clock.now().timestamp(), error=why)

    def dropped(self, connection: Connection, row: Sendable, why: str) -> None:
        """Not needed any more: the deal is elsewhere, or it is so already. Nor is what waited for it."""
        unneeded = {"state": "done", "done_at": self._clock.now().timestamp(), "error": why}
        self._set(connection, [row], **unneeded)
        connection.execute(
            update(outbox).where(outbox.c.after_id == row.id, outbox.c.state == "waiting").values(**unneeded)
        )

    def taken_ids(self, kind: str, entity_ids: Iterable[int]) -> set[int]:
        """Which of these earlier effects are known to have made: a look for a lost one must not find them."""
        ids = sorted(set(entity_ids))
        found: set[int] = set()
        with self._store.read() as connection:
            for start in range(0, len(ids), CHUNK):
                some = made.c.entity_id.in_(ids[start : start + CHUNK])
                query = select(made.c.entity_id).where(made.c.account == self._account, made.c.kind == kind, some)
                found |= set(connection.execute(query).scalars())
        return found

    def _set(self, connection: Connection, rows: Sequence[Sendable], **values: object) -> None:
        for start in range(0, len(rows), CHUNK):
            ids = [row.id for row in rows[start : start + CHUNK]]
            connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(**values))


def _first_of_each_deal(rows: Iterable[Row[Any]], now: float) -> Iterable[Row[Any]]:
    """Of each deal its oldest row, so that the order is kept; with it the rows of the same kind right behind it, if
    they add something (two patches of one deal in one request would be a gamble)."""
    head: dict[int, tuple[str, str, bool] | None] = {}
    for row in rows:
        if row.state == "waiting":
            continue
        mine = (row.kind, row.state, row.due_at <= now)
        if row.deal_id not in head:
            head[row.deal_id] = mine
            yield row
        elif head[row.deal_id] == mine and row.kind in APPENDING_KINDS:
            yield row
        else:
            head[row.deal_id] = None


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
