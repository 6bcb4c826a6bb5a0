"""Journal: table ``journal``, what every rule decided about every event, with the reason.

Most of what rules decide is that nothing is to be done, and dozens of them hear of one event. Rows of older releases,
and what one rule alone left undone, are a row for the rule (``verdict`` «skipped», ``rule``). The others lie together
in ``packed_skips`` (``skips`` of rows of an older release), on the event's own row or on one that has nothing else
(``verdict`` «skips»): JSON with the rules in the order in which they were asked, each with its clause and the number of
its reason; one of the same handler as the rule before is named by its block alone (.new_client). Whoever reads the
journal reads all of these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import CTE, ColumnElement, Row, String, and_, column, func, insert, select, text
from sqlalchemy.engine import Connection

from amo_bridge.dates.duration import describe_step
from amo_bridge.events import DealObserved, Event, Origin, StepDue
from amo_bridge.events.base import with_subclasses
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.ladders import AWAITS_ITS_STEPS
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import LOUD, OPEN_STATES, journal, outbox
from amo_bridge.text.typography import action_words, nested_quotes

if TYPE_CHECKING:
    from amo_bridge.engine.dispatcher import Verdict
    from amo_bridge.rules.handler import Rule

SETTLED = {"done": "acts", "failed": "refused", "unknown": "unknown", "unsent": "unsent", "dropped": "dropped"}
# Who has to know of only one thing has to know of this first.
WORST_FIRST = ("refused", "unknown", "unsent", "dropped")


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


def outcome(verdict: str, states: Iterable[str], reason: str = "") -> str:
    """The verdict as a person should read it, ``states`` being those of its effects in the outbox. For «acts»: acts,
    refused, unknown, unsent, dropped, partly, or at_work as long as nothing but that is to be said. For «skipped»:
    awaits, if the ``reason`` is that the rule's steps come by the clock."""
    if verdict == "skipped" and reason == AWAITS_ITS_STEPS:
        return "awaits"
    found = {"at_work" if state in OPEN_STATES else SETTLED.get(state, "acts") for state in states}
    if verdict != "acts" or not found:
        return verdict
    if found <= {"acts", "at_work"}:
        return "at_work" if "at_work" in found else "acts"
    if found & {"acts", "at_work"}:
        return "partly"
    return next(one for one in WORST_FIRST if one in found)


PACKED = "skips"
"""The verdict of a row that has nothing but what is packed in it."""
LOOKED_THROUGH = 1000
"""Rows of a type of event among which one rule's skips are looked for: the newest."""


class Skip(NamedTuple):
    """One rule that did nothing about an event, and why (Russian). ``what``: the event, in words."""

    rule: str
    clause: str
    what: str
    reason: str

    @property
    def verdict(self) -> str:
        return "skipped"


class NumberedSkip(NamedTuple):
    """A skip with the row that has it; ``at``: Unix seconds."""

    row_id: int
    at: float
    event_id: int | None
    deal_id: int | None
    skip: Skip


def pack(kind: type[Event], skips: Sequence[Skip], what: str) -> dict[str, Any]:
    """The columns for skips about one event. ``what``: what the row itself says of the event."""
    reasons: dict[str, int] = {}
    rules, last = [], ""
    for skip in skips:
        handler, _, block = skip.rule.partition(".")
        name = f".{block}" if handler == last else skip.rule
        rules.append((name, skip.clause, reasons.setdefault(skip.reason, len(reasons))))
        last = handler
    packed: dict[str, Any] = {"why": list(reasons), "rules": rules}
    if skips[0].what != what:
        packed["what"] = skips[0].what
    text = json.dumps(packed, ensure_ascii=False, separators=(",", ":"))
    return {"kind": kind.__name__, "skip_count": len(skips), "packed_skips": text.encode()}


NOTHING_PACKED: Mapping[str, Any] = {"kind": None, "skip_count": None, "packed_skips": None}
SKIP_COLUMNS: tuple[Any, ...] = (journal.c.what, journal.c.skips, journal.c.packed_skips)
"""What ``unpack`` reads of a row."""


def unpack(row: Row[Any]) -> Iterator[Skip]:
    """What is packed in a row of the journal: none for a row of one decision."""
    if not (text := _skips_text(row)):
        return
    packed = json.loads(text)
    what, handler = packed.get("what", row.what), ""
    for name, clause, reason in packed["rules"]:
        rule = handler + name if name.startswith(".") else name
        handler = rule.partition(".")[0]
        yield Skip(rule, clause, what, packed["why"][reason])


def kinds_heard(rule: Rule) -> set[str]:
    """The names of the types of events that the rule listens to."""
    return {kind.__name__ for heard in rule.handler.on for kind in with_subclasses(heard)}


def _skips_text(row: Row[Any]) -> bytes:
    if row.packed_skips is not None:
        return bytes(row.packed_skips)
    return b"" if row.skips is None else str(row.skips).encode()


def newest_skips(
    connection: Connection, account: int, rules: Iterable[Rule], most: int
) -> dict[str, list[NumberedSkip]]:
    """Rule → what it left undone lately, newest first, as far as it is packed: of the last ``most`` events of each type
    that the rule listens to."""
    kinds = {rule.name: kinds_heard(rule) for rule in rules}
    found: dict[str, list[NumberedSkip]] = {name: [] for name in kinds}
    columns = (journal.c.id, journal.c.at, journal.c.event_id, journal.c.deal_id, *SKIP_COLUMNS)
    for row in newest_of_each(connection, account, journal.c.kind, set().union(*kinds.values()), columns, most):
        for skip in unpack(row):
            if row.kind in kinds.get(skip.rule, ()):
                found[skip.rule].append(NumberedSkip(row.id, row.at, row.event_id, row.deal_id, skip))
    return {name: sorted(skips, key=lambda one: -one.row_id)[:most] for name, skips in found.items()}


def newest_of_each(
    connection: Connection,
    account: int,
    within: ColumnElement[Any],
    named: Iterable[str],
    columns: Iterable[ColumnElement[Any]],
    most: int,
) -> Sequence[Row[Any]]:
    """The ``most`` newest rows of each rule (or kind), in one statement: where they begin is found in the index of
    ``within`` for each name."""
    if not (names := sorted(named)):
        return []
    asked = asked_names(len(names))
    numbers = select(journal.c.id).where(journal.c.account == account, within == asked.c.column1)
    begin = numbers.order_by(journal.c.id.desc()).offset(most - 1).limit(1).scalar_subquery()
    begun = select(asked.c.column1.label("name"), func.coalesce(begin, 0).label("first")).cte("begun")
    same = (journal.c.account == account, within == begun.c.name, journal.c.id >= begun.c.first)
    query = select(within, *columns).join_from(begun, journal, and_(*same))
    return connection.execute(query, asked_parameters(names)).all()


@lru_cache(maxsize=256)
def asked_names(many: int) -> CTE:
    """A table of so many names, which ``asked_parameters`` gives; both databases call its column ``column1``. Its text
    stays the same: SQLAlchemy compiles a statement with its own VALUES anew each time."""
    rows = ", ".join(f"(:asked_{number})" for number in range(many))
    return text(f"VALUES {rows}").columns(column("column1", String)).cte("asked")


def asked_parameters(names: Sequence[str]) -> dict[str, str]:
    return {f"asked_{number}": name for number, name in enumerate(names)}


def skips_of_rule(connection: Connection, account: int, rule: Rule, most: int) -> list[NumberedSkip]:
    """What one rule left undone lately, newest first, as far as it is packed; a rule that listens to few of the events
    of a type is looked for among the last ``LOOKED_THROUGH`` of them."""
    found = []
    for kind in sorted(kinds_heard(rule)):
        # A block of another handler may have this name too, so it is only known from the row itself.
        named = _of_kind(account, kind, LOOKED_THROUGH).where(_among_newest(account, kind))
        found += list(islice(_of_rule(rule, connection.execute(named)), most))
    return sorted(found, key=lambda one: -one.row_id)[:most]


def _of_rule(rule: Rule, rows: Iterable[Row[Any]]) -> Iterator[NumberedSkip]:
    named = f'.{rule.block}",'.encode()
    for row in rows:
        # Most rows do not name it, and need not be taken apart.
        for skip in unpack(row) if named in _skips_text(row) else ():
            if skip.rule == rule.name:
                yield NumberedSkip(row.id, row.at, row.event_id, row.deal_id, skip)


def _among_newest(account: int, kind: str) -> ColumnElement[bool]:
    """Among the ``LOOKED_THROUGH`` newest rows of the type."""
    numbers = select(journal.c.id).where(journal.c.account == account, journal.c.kind == kind)
    oldest = numbers.order_by(journal.c.id.desc()).offset(LOOKED_THROUGH - 1).limit(1).scalar_subquery()
    return journal.c.id >= func.coalesce(oldest, 0)


def _of_kind(account: int, kind: str, most: int) -> Any:
    columns = (journal.c[name] for name in ("id", "at", "event_id", "deal_id"))
    mine = (journal.c.account == account, journal.c.kind == kind)
    return select(*columns, *SKIP_COLUMNS).where(*mine).order_by(journal.c.id.desc()).limit(most)
