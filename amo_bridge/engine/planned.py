"""Verdicts → outbox rows, under keys that never change: what is there already is not added again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.engine import Connection

from amo_bridge.engine.dispatch import Verdict
from amo_bridge.engine.effects import Effect
from amo_bridge.storage.database import insert_new
from amo_bridge.storage.tables import outbox

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
