"""Journal: table ``journal``, what every rule decided about every event, with the reason."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, insert, select
from sqlalchemy.engine import Connection

from amo_bridge.dates.duration import describe_step
from amo_bridge.engine.history import outcome
from amo_bridge.engine.skips import NOTHING_PACKED, PACKED, Skip, pack, unpack
from amo_bridge.events import DealObserved, Event, Origin, StepDue
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import LOUD, journal, outbox
from amo_bridge.text.typography import action_words, nested_quotes

if TYPE_CHECKING:
    # Commands read the journal without the engine that writes it.
    from amo_bridge.engine.dispatcher import Verdict


def describe(event: Event) -> str:
    """What happened, in Russian; «найдено позже: …» if no webhook told of it."""
    if isinstance(event, StepDue):
        # The words of a span of time belong to ``dates``, which events can't import.
        event = replace(event, step=describe_step(event.step))
    return f"{_origin(event)}{event.label}"


def _origin(event: Event) -> str:
    """An observed one has no mark: the line before, from which it follows, has it."""
    return "найдено позже: " if event.caught_up and not isinstance(event, DealObserved) else ""


BY_API = "API: "
"""How the name of a program begins where a person's login stands."""


def origin_of(who: str) -> Origin:
    """Of what a person did on a page, or a program by the API."""
    return "api" if who.startswith(BY_API) else "person"


UNDO_KEY = "undo|"
"""The outbox's keys of what takes something back begin so; the number of the row that it takes back follows."""


@dataclass(frozen=True)
class Entry:
    """One line of a deal's history. ``rule``: empty for the event itself. ``effects``: (description, state, error)."""

    at: datetime
    event_id: int | None
    what: str
    rule: str
    clause: str
    verdict: str
    reason: str
    effects: tuple[tuple[str, str, str], ...] = ()

    @property
    def outcome(self) -> str:
        """The verdict, or what became of its effects (``history.outcome``)."""
        return outcome(self.verdict, (state for _, state, _ in self.effects), self.reason)


class Journal:
    """The journal of one account."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    def write(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Insert what ``rows_of`` made, of any number of events."""
        if rows:
            connection.execute(insert(journal), rows)

    def rows_of(
        self,
        at: datetime,
        event_id: int,
        deal_id: int | None,
        event: Event,
        verdicts: Sequence[Verdict],
        note: str = "",
    ) -> list[dict[str, Any]]:
        """One row for the event, with what rules left undone about it; one for each other verdict. ``note``: why no
        rule was evaluated."""
        common: dict[str, Any] = {
            "account": self._store.account_id, "at": at.timestamp(), "event_id": event_id, "deal_id": deal_id,
            "clause": "", "reason": "", "actions": "[]", "source": None, **NOTHING_PACKED,
        }  # fmt: skip
        event_row = {**common, "what": describe(event), "rule": None, "verdict": "came", "reason": note}
        rows = [event_row]
        # Many rules hear of one event.
        words: dict[int, str] = {}
        skipped: dict[int, list[Verdict]] = {}
        for verdict in verdicts:
            if verdict.outcome == "skipped":
                skipped.setdefault(id(verdict.event), []).append(verdict)
        for together in skipped.values():
            about = together[0].event
            what = words[id(about)] = describe(about)
            if len(together) == 1:
                continue
            skips = [Skip(one.rule.name, one.rule.clause, what, one.reason) for one in together]
            if event_row["kind"] is None:
                event_row |= pack(type(about), skips, event_row["what"])
            else:
                rows.append({**common, "what": what, "rule": None, "verdict": PACKED, **pack(type(about), skips, what)})
        for verdict in verdicts:
            if verdict.outcome == "skipped" and len(skipped[id(verdict.event)]) > 1:
                continue
            if id(verdict.event) not in words:
                words[id(verdict.event)] = describe(verdict.event)
            does = [text for effect in verdict.effects for text in effect.all_words]
            rows.append(
                {
                    **common,
                    "what": words[id(verdict.event)],
                    "rule": verdict.rule.name,
                    "clause": verdict.rule.clause,
                    "verdict": verdict.outcome,
                    "reason": verdict.reason,
                    "actions": json.dumps(does, ensure_ascii=False) if does else "[]",
                    # Silence, most of all decisions, is asked for by no one's source.
                    "source": event.started_by if verdict.outcome in LOUD else None,
                }
            )
        return rows

    def note(self, connection: Connection, at: datetime, what: str, reasons: Mapping[int, str]) -> None:
        """Insert what no rule decided, such as a person's import. ``reasons``: deal → why."""
        rows: list[dict[str, Any]] = [
            {
                "account": self._store.account_id, "at": at.timestamp(), "event_id": None, "deal_id": deal_id,
                "what": what,
                "rule": None, "clause": "", "verdict": "came", "reason": reason, "actions": "[]", **NOTHING_PACKED,
            }
            for deal_id, reason in reasons.items()
        ]  # fmt: skip
        self.write(connection, rows)

    def of_deal(self, deal_id: int) -> list[Entry]:
        """A deal's history, oldest first, with the state of each effect."""
        with self._store.read() as connection:
            rows = connection.execute(
                select(journal).where(self._store.owns(journal), journal.c.deal_id == deal_id).order_by(journal.c.id)
            ).all()
            effects = connection.execute(
                select(*(outbox.c[name] for name in ("id", "key", "event_id", "rule", "payload", "state", "error")))
                .where(self._store.owns(outbox), outbox.c.deal_id == deal_id)
                .order_by(outbox.c.id)
            ).all()
        by_rule: dict[tuple[int | None, str], list[tuple[str, str, str]]] = {}
        undone: dict[tuple[int | None, str], list[tuple[str, str, str]]] = {}
        event_of = {effect.id: effect.event_id for effect in effects}
        for effect in effects:
            told = (action_words(json.loads(effect.payload)["words"]), effect.state, effect.error or "")
            if effect.key.startswith(UNDO_KEY):
                # It belongs to the line that says who has taken it back.
                event_id = event_of.get(int(effect.key.split("|")[1]))
                undone.setdefault((event_id, effect.rule), []).append(told)
            else:
                by_rule.setdefault((effect.event_id, effect.rule), []).append(told)
        return [entry for row in rows for entry in self._entries(row, undone if row.verdict == "undone" else by_rule)]

    def _entries(
        self, row: Row[Any], by_rule: dict[tuple[int | None, str], list[tuple[str, str, str]]]
    ) -> Iterator[Entry]:
        if row.verdict != PACKED:
            yield self._entry(row, by_rule)
        for skip in unpack(row):
            yield Entry(
                at=datetime.fromtimestamp(row.at, UTC),
                event_id=row.event_id,
                what=nested_quotes(skip.what),
                rule=skip.rule,
                clause=skip.clause,
                verdict="skipped",
                reason=nested_quotes(skip.reason),
            )

    def _entry(self, row: Row[Any], by_rule: dict[tuple[int | None, str], list[tuple[str, str, str]]]) -> Entry:
        effects: Iterable[tuple[str, str, str]] = ()
        if row.verdict in ("acts", "held", "undone"):
            effects = by_rule.get((row.event_id, row.rule), [])
        elif row.verdict == "would_act":
            effects = [(action_words(text), "dry", "") for text in json.loads(row.actions)]
        return Entry(
            at=datetime.fromtimestamp(row.at, UTC),
            event_id=row.event_id,
            what=nested_quotes(row.what),
            rule=row.rule or "",
            clause=row.clause,
            verdict=row.verdict,
            reason=nested_quotes(row.reason),
            effects=tuple(effects),
        )
