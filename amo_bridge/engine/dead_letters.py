"""Dead letters: effects that amoCRM refused for good, events that no try could evaluate.

A person puts them back or drops them, and the journal says who.

An effect is named «F21» and an event «H11»: a letter that no clause of a regulation begins with, and the row's number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Row, insert, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.engine.journal import describe, origin_of
from amo_bridge.events.base import from_json
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, chunks
from amo_bridge.storage.tables import GAVE_UP, events, is_given_up, journal, outbox
from amo_bridge.text.typography import action_words, nested_quotes

Decision = Literal["retried", "dropped"]
WORDS: dict[Decision, str] = {"retried": "возвращено в работу", "dropped": "снято"}
EFFECT, EVENT = "F", "H"
# Russian Н looks the same as H. A and E (and the Russian letters like them) are what these were called before.
LETTERS = {"F": EFFECT, "A": EFFECT, "А": EFFECT, "H": EVENT, "Н": EVENT, "E": EVENT, "Е": EVENT}
NAME = re.compile(rf"([{''.join(LETTERS)}])(\d{{1,18}})", re.IGNORECASE)


class NotFailed(LookupError):
    """A name that stands for nothing that has failed; the text says which (Russian)."""


@dataclass(frozen=True)
class DeadLetter:
    """``what``: in Russian, what was to be done or had come. ``error``: the vendor's own words. ``rule``: empty for an
    event. ``after``: the effect without which this one can't be done."""

    name: str
    at: datetime
    deal_id: int | None
    rule: str
    what: str
    error: str
    attempts: int
    after: str | None = None
    event_id: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}


class DeadLetters:
    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def all(self) -> list[DeadLetter]:
        """Oldest first."""
        with self._store.read() as connection:
            return sorted(self._found(connection).values(), key=lambda failure: failure.at)

    def retry(self, names: Iterable[str] | None, who: str) -> list[DeadLetter]:
        """Put back into work, as if never tried; what it waits for and what waits for it come along. None: everything.

        Raises NotFailed; then nothing was changed."""
        with self._store.write() as connection:
            return self.put_back(connection, names, who)

    def put_back(self, connection: Connection, names: Iterable[str] | None, who: str) -> list[DeadLetter]:
        """As ``retry``, within a transaction."""
        chosen = _named(self._found(connection), names, with_causes=True)
        for failure in chosen:
            if failure.name.startswith(EVENT):
                self._set(connection, failure, state="open", attempts=0, due_at=0.0, error=None)
            else:
                state = "waiting" if failure.after in {one.name for one in chosen} else "ready"
                # Due now, not since ever: how old a letter is counts from the person's decision.
                now = self._clock.now().timestamp()
                self._set(connection, failure, state=state, attempts=0, due_at=now, error=None)
        self._tell(connection, chosen, "retried", who)
        return chosen

    def drop(self, names: Iterable[str] | None, who: str) -> list[DeadLetter]:
        """Never to be tried again, nor what waits for it. None: everything. Raises NotFailed as ``retry``."""
        with self._store.write() as connection:
            chosen = _named(self._found(connection), names, with_causes=False)
            for failure in chosen:
                self._set(connection, failure, state="dropped")
            self._tell(connection, chosen, "dropped", who)
        return chosen

    def _found(self, connection: Connection) -> dict[str, DeadLetter]:
        """Name → failure."""
        effects = select(outbox).where(self._store.owns(outbox), is_given_up(outbox))
        lost = select(events).where(self._store.owns(events), events.c.state == "failed")
        rows = connection.execute(effects.order_by(outbox.c.id)).all()
        causes = {row.after_id for row in rows if row.after_id}
        done: set[int] = set()
        for chunk in chunks(sorted(causes)):
            which = (outbox.c.id.in_(chunk), outbox.c.state == "done")
            done |= set(connection.execute(select(outbox.c.id).where(*which)).scalars())
        # What was waited for may have been done since.
        told = [replace(_effect(row), after=None) if row.after_id in done else _effect(row) for row in rows]
        told += [_event(row) for row in connection.execute(lost.order_by(events.c.id))]
        return {failure.name: failure for failure in told}

    def _set(self, connection: Connection, failure: DeadLetter, **values: object) -> None:
        table = events if failure.name.startswith(EVENT) else outbox
        connection.execute(
            update(table).where(table.c.id == int(failure.name[1:]), table.c.state.in_(GAVE_UP)).values(**values)
        )

    def _tell(self, connection: Connection, chosen: list[DeadLetter], decision: Decision, who: str) -> None:
        rows = [
            {
                "account": self._store.account_id,
                "at": self._clock.now().timestamp(),
                "event_id": failure.event_id,
                "deal_id": failure.deal_id,
                "what": failure.what,
                "rule": failure.rule or None,
                "clause": self._clause(connection, failure),
                "verdict": decision,
                "reason": f"{WORDS[decision]}, {who}; отказ был: {failure.error}",
                "actions": "[]",
                "source": origin_of(who),
            }
            for failure in chosen
        ]
        if rows:
            connection.execute(insert(journal), rows)

    def _clause(self, connection: Connection, failure: DeadLetter) -> str:
        """The regulation's clause, as the journal knows it from the day when the rule acted."""
        if not failure.rule or failure.deal_id is None:
            return ""
        told = select(journal.c.clause).where(
            self._store.owns(journal),
            journal.c.deal_id == failure.deal_id,
            journal.c.rule == failure.rule,
        )
        if failure.event_id is not None:
            told = told.where(journal.c.event_id == failure.event_id)
        return str(connection.execute(told.limit(1)).scalar() or "")


def _effect(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        name=f"{EFFECT}{row.id}",
        at=datetime.fromtimestamp(row.sent_at or row.created_at, UTC),
        deal_id=row.deal_id if row.deal_id > 0 else None,
        rule=row.rule,
        what=action_words(json.loads(row.payload)["words"]),
        error=row.error or "",
        attempts=row.attempts,
        after=f"{EFFECT}{row.after_id}" if row.after_id else None,
        event_id=row.event_id,
    )


def _event(row: Row[Any]) -> DeadLetter:
    try:
        what = nested_quotes(describe(from_json(json.loads(row.body))))
    except (LookupError, TypeError, ValueError) as error:
        # Perhaps that is why it failed; it has to be shown all the same.
        what = f"событие не читается: {error}"
    return DeadLetter(
        name=f"{EVENT}{row.id}",
        at=datetime.fromtimestamp(row.received_at, UTC),
        deal_id=row.deal_id if (row.deal_id or 0) > 0 else None,
        rule="",
        what=what,
        error=row.error or "",
        attempts=row.attempts,
        event_id=row.id,
    )


def _named(found: dict[str, DeadLetter], names: Iterable[str] | None, *, with_causes: bool) -> list[DeadLetter]:
    """The failures of these names, with those that can't be done without them, or they not without those."""
    if names is None:
        return list(found.values())
    asked = [_plain(name) for name in names]
    if unknown := [name for name in asked if name not in found]:
        raise NotFailed(f"среди отказов нет: {', '.join(unknown)}")
    chosen = set(asked)
    while more := {
        failure.name
        for failure in found.values()
        if failure.name not in chosen
        and (failure.after in chosen or (with_causes and any(found[one].after == failure.name for one in chosen)))
    }:
        chosen |= more
    return [failure for name, failure in found.items() if name in chosen]


def _plain(name: str) -> str:
    read = NAME.fullmatch(name.strip())
    if read is None:
        raise NotFailed(f"«{name}» — не номер отказа: нужен такой, как в «amo-bridge failed», например F21 или H11")
    return LETTERS[read[1].upper()] + str(int(read[2]))
