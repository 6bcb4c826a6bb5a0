"""The outbox: what is to be written into amoCRM, kept until it surely is.

::

    waiting ─► ready ─► sending ─► done
                 ▲          │
                 │          ├─► ready      surely not applied (429, refused batch): later
                 │          ├─► doubt      the answer was lost: look in amoCRM first
                 └──────────┼── doubt      looked: not there
                            └─► failed     refused for good; the vendor's words are kept

"sending" is committed before the call, so a crash leaves a trace: whoever starts next turns it into doubt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.engine.dispatch import Verdict
from amo_bridge.engine.effects import NEW_ID, NEW_URL, Effect
from amo_bridge.engine.rows import insert_new
from amo_bridge.engine.store import OPEN_STATES, Store, made, outbox

MOST = 5000
# Both databases limit the parameters of one statement.
CHUNK = 500
ADDING = ("create_task", "add_note")
MAKING = ("create_task", "create_deal", "add_note")


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
        keyed = {self._key(verdict, effect, ordinal): effect for ordinal, effect in enumerate(verdict.effects)}
        there = set(
            connection.execute(
                select(outbox.c.key).where(outbox.c.account == self._account, outbox.c.key.in_(keyed))
            ).scalars()
        )
        new = {key: effect for key, effect in keyed.items() if key not in there}
        for key, effect in new.items():
            self._add(connection, event_id, verdict.rule.name, key, effect, None)
        return len(new)

    def _key(self, verdict: Verdict, effect: Effect, ordinal: int) -> str:
        if effect.once:
            return f"{verdict.rule.name}|once|{effect.deal_id}|{effect.slot}"
        return f"{verdict.rule.name}|{verdict.event_key}|{ordinal}"

    def _add(
        self, connection: Connection, event_id: int, rule: str, key: str, effect: Effect, after: int | None
    ) -> None:
        row = {
            "account": self._account,
            "key": key,
            "event_id": event_id,
            "rule": rule,
            "deal_id": effect.deal_id,
            "kind": effect.kind,
            "payload": json.dumps(effect.payload(), ensure_ascii=False),
            "state": "ready" if after is None else "waiting",
            "after_id": after,
            "created_at": self._clock.now().timestamp(),
        }
        insert_new(connection, outbox, [row])
        if effect.then:
            mine = connection.execute(
                select(outbox.c.id).where(outbox.c.account == self._account, outbox.c.key == key)
            ).scalar_one()
            for number, follow in enumerate(effect.then):
                self._add(connection, event_id, rule, f"{key}|then{number}", follow, mine)

    def recover(self, settle: float) -> int:
        """What was being sent when the process died, or the round broke off, is in doubt, and is looked for when it
        must have landed: in ``settle`` seconds. (From now, not from ``sent_at``: the budget may have held the request
        back for long, and it left just before the end.) Returns how many there were."""
        with self._store.write() as connection:
            return connection.execute(
                update(outbox)
                .where(outbox.c.account == self._account, outbox.c.state == "sending")
                .values(state="doubt", due_at=self._clock.now().timestamp() + settle)
            ).rowcount

    def take(self, state: str) -> list[Sendable]:
        """The rows of a state that are due, oldest first; of each deal only what stands before everything else."""
        now = self._clock.now().timestamp()
        with self._store.read() as connection:
            rows = connection.execute(
                select(outbox)
                .where(outbox.c.account == self._account, outbox.c.state.in_(OPEN_STATES))
                .order_by(outbox.c.id)
                .limit(MOST)
            ).all()
        return [_sendable(row) for row in _first_of_each_deal(rows, now) if row.state == state and row.due_at <= now]

    def count_open(self) -> int:
        with self._store.read() as connection:
            return len(
                connection.execute(
                    select(outbox.c.id).where(outbox.c.account == self._account, outbox.c.state.in_(OPEN_STATES))
                ).all()
            )

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

    def failed(self, connection: Connection, row: Sendable, why: str) -> None:
        """Refused for good. What waited for it can't be done either."""
        self._set(connection, [row], state="failed", error=why)
        connection.execute(
            update(outbox)
            .where(outbox.c.after_id == row.id, outbox.c.state == "waiting")
            .values(state="failed", error=f"не выполнено то, после чего это делается: {why}")
        )

    def done(self, connection: Connection, row: Sendable, entity_id: int | None, url: str = "") -> None:
        """It is in amoCRM now, as ``entity_id``. What waited for it gets the id and the address, and is ready."""
        now = self._clock.now().timestamp()
        self._set(connection, [row], state="done", done_at=now, result=json.dumps({"id": entity_id}), error=None)
        if entity_id is not None and row.kind in MAKING:
            memory = {"rule": row.rule, "deal_id": row.deal_id, "slot": row.payload["slot"], "kind": row.kind}
            insert_new(
                connection, made, [{"account": self._account, **memory, "entity_id": entity_id, "at": now}]
            )  # fmt: skip
        for follow in connection.execute(
            select(outbox.c.id, outbox.c.payload).where(outbox.c.after_id == row.id, outbox.c.state == "waiting")
        ).all():
            filled = follow.payload.replace(NEW_URL, url).replace(NEW_ID, str(entity_id))
            connection.execute(
                update(outbox).where(outbox.c.id == follow.id).values(state="ready", payload=filled)
            )  # fmt: skip

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
        elif head[row.deal_id] == mine and row.kind in ADDING:
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
    )
