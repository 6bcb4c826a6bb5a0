"""History of decisions: how each ended (done, refused, sent nowhere, partly); counts and filters."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import (
    Column,
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
)
from sqlalchemy.engine import Connection

from amo_bridge.engine.effects import Channel, in_channel
from amo_bridge.engine.journal import (
    NumberedSkip,
    asked_names,
    asked_parameters,
    newest_of_each,
    newest_skips,
    outcome,
    skips_of_rule,
)
from amo_bridge.events import Origin
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import (
    GAVE_UP,
    LOUD,
    deals,
    in_open_state,
    is_dropped,
    is_given_up,
    is_loud,
    is_unsent,
    journal,
    outbox,
)
from amo_bridge.text.typography import action_words, nested_quotes

if TYPE_CHECKING:
    from amo_bridge.rules.handler import Rule


@dataclass(frozen=True)
class Undone:
    """A decision of which not all was done. ``at``: Unix seconds. ``refused``: amoCRM or a channel's server refused
    something of it, or perhaps did; otherwise something was sent nowhere. ``partly``: something of it was done."""

    at: float
    refused: bool
    partly: bool


def states_of(
    connection: Connection, account_id: int, decided: Iterable[tuple[int | None, int | None, str]]
) -> Mapping[tuple[int | None, str], list[str]]:
    """(event, deal, rule) of decisions → the states of the effects of each (event, rule)."""
    wanted = [(event, deal) for event, deal, _ in decided if event is not None and deal is not None]
    found: dict[tuple[int | None, str], list[str]] = {}
    query = select(outbox.c.event_id, outbox.c.rule, outbox.c.state).where(
        outbox.c.account == account_id,
        outbox.c.deal_id.in_({deal for _, deal in wanted}),
        outbox.c.event_id.in_({event for event, _ in wanted}),
    )
    for row in connection.execute(query):
        found.setdefault((row.event_id, row.rule), []).append(row.state)
    return found


def undone_since(connection: Connection, account_id: int, first_id: int, moment: float) -> list[Undone]:
    """Of the decisions to act from this row of the journal and this moment on, those of which not all was done."""
    effect, other = outbox.alias(), outbox.alias()
    same = [column == effect.c[column.name] for column in (journal.c.account, journal.c.deal_id, journal.c.event_id)]
    done = exists().where(
        other.c.account == effect.c.account,
        other.c.deal_id == effect.c.deal_id,
        other.c.event_id == effect.c.event_id,
        other.c.rule == effect.c.rule,
        other.c.state == "done",
    )
    query = (
        select(journal.c.id, journal.c.at, done.label("partly"))
        # By the deal: a rule has written thousands of lines since then.
        .join_from(effect, journal, and_(*same, journal.c.rule + "" == effect.c.rule))
        .where(effect.c.account == account_id)
        .where(journal.c.verdict == "acts", journal.c.id >= first_id, journal.c.at >= moment)
        .where(effect.c.id >= _first(connection, FIRST_EFFECT_SINCE, moment - DECIDED_WITHIN))
    )
    found: dict[int, Undone] = {}
    # An index for each; together they would read all that was ever sent.
    for condition, refused in ((is_unsent(effect), False), (is_given_up(effect), True)):
        for row in connection.execute(query.where(condition)):
            found[row.id] = Undone(row.at, refused, bool(row.partly))
    return list(found.values())


# What the store tells at a glance: how much was done on each day, what a rule said last, how many deals are where.

# Verdicts by what a person wants to know of them.
GROUPS = {
    "acts": "acted",
    "would_act": "would_act",
    "skipped": "skipped",
    "failed": "failed", "held": "failed",
}  # fmt: skip
STEPS_BACK = 64
FEW = 5000
"""Effects whose decisions are looked for one by one."""
DECIDED_WITHIN = 24 * 3600.0
"""Seconds after an effect was made in which its decision may be written: an event that failed is decided again."""


@dataclass
class Count:
    """Decisions of rules within a stretch of time. ``failed``: by a bug, or something of it was refused. ``unsent``:
    nothing of it went out, as by channels that nobody has connected. ``would_act``: in dry run nothing was done."""

    acted: int = 0
    would_act: int = 0
    skipped: int = 0
    failed: int = 0
    unsent: int = 0

    def correct(self, one: Undone) -> None:
        """It was counted as done."""
        if one.refused or not one.partly:
            self.acted -= 1
            self.failed += one.refused
            self.unsent += not one.refused


@dataclass(frozen=True)
class DryRuns:
    """How often a rule would have acted, had it not been dry, and when last (Unix seconds)."""

    times: int = 0
    last_at: float | None = None


@dataclass(frozen=True)
class Line:
    """One decision. ``at``: Unix seconds. ``actions``: in words. ``outcome``: the verdict, or what became of it.
    ``source``: what made the rule be asked."""

    at: float
    rule: str
    clause: str
    deal_id: int | None
    what: str
    verdict: str
    outcome: str
    reason: str
    actions: tuple[str, ...]
    source: Source


Source = Origin | Literal["", "unknown"]
"""What made the rule be asked; empty of silence. ``unknown``: the line is older than this was kept."""
Ending = Literal["done", "would_act", "at_work", "trouble", "unsent"]
"""How a decision ended, as people ask for it: ``trouble`` wants a person, ``unsent`` went nowhere."""
VERDICTS_OF: Mapping[Ending, Sequence[str]] = {
    "done": ("acts", "retried", "undone"),
    "would_act": ("would_act",),
    "at_work": ("acts",),
    "trouble": ("acts", "failed", "held"),
    "unsent": ("acts",),
}


@dataclass(frozen=True)
class DecisionFilter:
    """Which decisions are asked for; what is None does not limit. ``since``, ``until``: Unix seconds. ``deal_ids``: of
    these deals alone. ``person``: whose the deal is now. ``before``: a decision's number, to go on from."""

    since: float
    until: float
    rule: str | None = None
    person: int | None = None
    ending: Ending | None = None
    channel: Channel | None = None
    source: Source | None = None
    deal_ids: Sequence[int] | None = None
    before: int | None = None


@dataclass(frozen=True)
class Decision(Line):
    """A line with its number, the event that it was about, and what was to be done: (words, state, error)."""

    id: int
    event_id: int | None
    effects: tuple[tuple[str, str, str], ...]


class History:
    def __init__(self, store: AccountStore) -> None:
        self._store = store

    def by_stretch(self, bounds: Sequence[float], *, is_loud_alone: bool = False) -> list[Count]:
        """``bounds``: n+1 moments, growing; counts of the n stretches between them. ``is_loud_alone``: without what
        was skipped, which is most of it."""
        stretch = case(*((journal.c.at < end, number) for number, end in enumerate(bounds[1:])), else_=len(bounds))
        packed = func.coalesce(func.sum(journal.c.skip_count), 0)
        counts = [Count() for _ in bounds[1:]]
        with self._store.read() as connection:
            first = self._first_since(connection, bounds[0])
            query = select(stretch.label("stretch"), journal.c.verdict, func.count().label("many"))
            if is_loud_alone:
                query = query.add_columns(literal_column("0").label("packed")).where(self._mine(), is_loud(journal))
                query = query.where(journal.c.at >= bounds[0], journal.c.at < bounds[-1])
            else:
                after = self._first_since(connection, bounds[-1]) + 2 * STEPS_BACK
                # By number: an index of all lines that begins with the account would be read from its beginning.
                mine = journal.c.account + 0 == self._store.account_id
                query = query.add_columns(packed.label("packed")).where(mine, journal.c.id.between(first, after))
                query = query.where(journal.c.at >= bounds[0])
            for row in connection.execute(query.group_by("stretch", journal.c.verdict)):
                group = GROUPS.get(row.verdict)
                if row.stretch >= len(counts):
                    continue
                counts[row.stretch].skipped += int(row.packed)
                if group:
                    setattr(counts[row.stretch], group, getattr(counts[row.stretch], group) + row.many)
            for one in undone_since(connection, self._store.account_id, first, bounds[0]):
                if one.at < bounds[-1]:
                    counts[bisect_right(bounds, one.at) - 1].correct(one)
        return counts

    def done_since(self, moment: float, most: int) -> list[Line]:
        """What rules did, or failed to do, newest first."""
        with self._store.read() as connection:
            query = (
                select(journal)
                .where(self._mine(), journal.c.id >= self._first_since(connection, moment), journal.c.at + 0 >= moment)
                .where(is_loud(journal))
                .order_by(journal.c.id.desc())
                .limit(most)
            )
            return self._lines(connection, connection.execute(query).all())

    def find(self, wanted: DecisionFilter, most: int) -> list[Decision]:
        """Decisions that came to something, newest first."""
        with self._store.read() as connection:
            query = self._matching(connection, wanted).order_by(_number(wanted).desc()).limit(most)
            rows = connection.execute(query).all()
            effects = self._effects(connection, rows)
        return [_decision(row, effects.get((row.event_id, row.deal_id, row.rule), [])) for row in rows]

    def count(self, wanted: DecisionFilter, most: int) -> int:
        """How many there are, counted up to ``most``."""
        with self._store.read() as connection:
            found = self._matching(connection, wanted, journal.c.id).limit(most).subquery()
            return connection.execute(select(func.count()).select_from(found)).scalar_one()

    def _matching(self, connection: Connection, wanted: DecisionFilter, *columns: Any) -> Select[Any]:
        first, number = self._first_since(connection, wanted.since), _number(wanted)
        loud = is_loud(journal) if wanted.deal_ids is None else (journal.c.verdict + "").in_(LOUD)
        query = select(*(columns or (journal,))).where(self._mine(), loud, number >= first)
        # By number alone: what is found in the order of time would have to be sorted.
        query = query.where(journal.c.at + 0 >= wanted.since, journal.c.at + 0 < wanted.until)
        if wanted.before is not None:
            query = query.where(number < wanted.before)
        if wanted.rule is not None:
            query = query.where(journal.c.rule == wanted.rule)
        if wanted.deal_ids is not None:
            query = query.where(journal.c.deal_id.in_(wanted.deal_ids))
        if wanted.person is not None:
            whose = (self._store.owns(deals), deals.c.responsible_user_id == wanted.person)
            query = query.where(journal.c.deal_id.in_(select(deals.c.deal_id).where(*whose)))
        if wanted.channel is not None:
            query = query.where(self._has_effect(in_channel(wanted.channel, outbox)))
        if wanted.source is not None:
            query = query.where(_has_source(wanted.source))
        return self._ended(connection, query, wanted)

    def _ended(self, connection: Connection, query: Select[Any], wanted: DecisionFilter) -> Select[Any]:
        if (ending := wanted.ending) is None:
            return query
        query = query.where(journal.c.verdict.in_(VERDICTS_OF[ending]))
        if ending == "at_work":
            return query.where(self._has_one(connection, wanted.since, in_open_state(outbox)))
        if ending == "unsent":
            return query.where(self._has_one(connection, wanted.since, is_unsent(outbox), is_dropped(outbox)))
        lost = self._has_effect(outbox.c.state.in_(GAVE_UP))
        if ending == "trouble":
            return query.where((journal.c.verdict != "acts") | lost)
        if ending == "done":
            not_done = self._has_effect(in_open_state(outbox) | outbox.c.state.in_((*GAVE_UP, "unsent", "dropped")))
            return query.where((journal.c.verdict != "acts") | ~not_done)
        return query

    def _has_one(self, connection: Connection, moment: float, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        """Is there an effect of the journal's decision, of this moment or later, of which one of these is true? Each
        has an index. Few are asked for their decisions; many are found soon by asking decisions for their effects."""
        first = _first(connection, FIRST_EFFECT_SINCE, moment - DECIDED_WITHIN)
        since = [select(outbox.c.id).where(self._store.owns(outbox), outbox.c.id >= first, one) for one in conditions]
        counts = (select(func.count()).select_from(one.limit(FEW).subquery()) for one in since)
        if sum(connection.execute(one).scalar_one() for one in counts) >= FEW:
            return self._has_effect(or_(*conditions))
        decision = journal.alias()
        same = [decision.c[name] == outbox.c[name] for name in ("account", "deal_id", "event_id")]
        # By the deal: a rule has written thousands of lines.
        joined = outbox.join(decision, and_(*same, decision.c.rule + "" == outbox.c.rule))
        mine = (self._store.owns(outbox), outbox.c.id >= first)
        decided = [select(decision.c.id).select_from(joined).where(*mine, one) for one in conditions]
        return journal.c.id.in_(union_all(*decided))

    def _has_effect(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        """Is there an effect of the journal's decision of which this is true?"""
        same = (outbox.c[name] == journal.c[name] for name in ("account", "deal_id", "event_id", "rule"))
        return exists().where(*same, condition).correlate(journal)

    def _effects(
        self, connection: Connection, rows: Sequence[Row[Any]]
    ) -> dict[tuple[int | None, int | None, str], list[tuple[str, str, str]]]:
        """(event, deal, rule) → what was to be done, of decisions to act."""
        acted = [row for row in rows if row.verdict in ("acts", "held") and row.event_id is not None]
        found: dict[tuple[int | None, int | None, str], list[tuple[str, str, str]]] = {}
        if not acted:
            return found
        columns = (outbox.c.event_id, outbox.c.deal_id, outbox.c.rule, outbox.c.payload, outbox.c.state, outbox.c.error)
        query = select(*columns).where(
            self._store.owns(outbox),
            outbox.c.deal_id.in_({row.deal_id for row in acted}),
            outbox.c.event_id.in_({row.event_id for row in acted}),
        )
        for one in connection.execute(query.order_by(outbox.c.id)):
            words = action_words(json.loads(one.payload)["words"])
            found.setdefault((one.event_id, one.deal_id, one.rule), []).append((words, one.state, one.error or ""))
        return found

    def of_rule(self, rule: Rule, most: int, *, loud: bool = False) -> list[Line]:
        """The last decisions of one rule, newest first. ``loud``: only those that came to something."""
        mine = (self._mine(), journal.c.rule == rule.name)
        query = select(journal).where(*mine).order_by(journal.c.id.desc()).limit(most)
        query = query.where(is_loud(journal)) if loud else query
        with self._store.read() as connection:
            rows = connection.execute(query).all()
            lines = self._lines(connection, rows)
            packed = [] if loud else skips_of_rule(connection, self._store.account_id, rule, most)
        numbered = [(row.id, line) for row, line in zip(rows, lines, strict=True)]
        numbered += [(one.row_id, _skip_line(one)) for one in packed]
        return [line for _, line in sorted(numbered, key=lambda one: -one[0])[:most]]

    def last_acted(self, rules: Iterable[str]) -> dict[str, float]:
        """Rule → when it acted last, as far back as the journal goes; only rules that did."""
        if not (names := sorted(rules)):
            return {}
        asked = asked_names(len(names))
        acted = select(journal.c.at).where(self._mine(), is_loud(journal), journal.c.verdict == "acts")
        last = acted.where(journal.c.rule == asked.c.column1).order_by(journal.c.id.desc()).limit(1).scalar_subquery()
        with self._store.read() as connection:
            found = connection.execute(select(asked.c.column1, last), asked_parameters(names)).all()
        return {rule: at for rule, at in found if at is not None}

    def skips(self, rules: Iterable[Rule], most: int) -> dict[str, Counter[str]]:
        """Rule → why it did nothing how often, of its last ``most`` decisions; that its steps come by the clock is no
        reason."""
        asked = list(rules)
        columns, names = (journal.c.id, journal.c.verdict, journal.c.reason), [rule.name for rule in asked]
        decided: dict[str, list[tuple[int, str, str]]] = {name: [] for name in names}
        with self._store.read() as connection:
            packed = newest_skips(connection, self._store.account_id, asked, most)
            rows = newest_of_each(connection, self._store.account_id, journal.c.rule, names, columns, most)
        for row in rows:
            decided[row.rule].append((row.id, row.verdict, row.reason))
        found: dict[str, Counter[str]] = {}
        for name, decisions in decided.items():
            decisions += [(one.row_id, "skipped", one.skip.reason) for one in packed[name]]
            last = Counter((verdict, reason) for _, verdict, reason in sorted(decisions, reverse=True)[:most])
            found[name] = Counter()
            for (verdict, reason), times in last.items():
                if outcome(verdict, (), reason) == "skipped":
                    found[name][nested_quotes(reason)] += times
        return found

    def dry_runs_since(self, moment: float) -> dict[str, DryRuns]:
        """Rule → what it would have done since then; only rules that would have acted."""
        with self._store.read() as connection:
            query = (
                select(journal.c.rule, func.count(), func.max(journal.c.at))
                .where(self._mine(), is_loud(journal), journal.c.verdict == "would_act", journal.c.at >= moment)
                .group_by(journal.c.rule)
            )
            return {rule: DryRuns(times, last_at) for rule, times, last_at in connection.execute(query)}

    def acted_since(self, moment: float) -> dict[str, int]:
        """Rule → how often it acted since then; only rules that did."""
        with self._store.read() as connection:
            query = (
                select(journal.c.rule, func.count())
                .where(self._mine(), is_loud(journal), journal.c.verdict == "acts", journal.c.at >= moment)
                .group_by(journal.c.rule)
            )
            return {rule: times for rule, times in connection.execute(query)}

    def deals_on_stages(self) -> dict[tuple[int, int], int]:
        """(pipeline, status) → how many deals the mirror has there; of many as they were a minute ago at most."""

        def counted() -> dict[tuple[int, int], int]:
            stage = (deals.c.pipeline_id, deals.c.status_id)
            query = select(*stage, func.count()).where(self._store.owns(deals)).group_by(*stage)
            with self._store.read() as connection:
                return {(pipeline, status): many for pipeline, status, many in connection.execute(query)}

        counts = self._store.store.large_counts
        return counts.get((self._store.account_id, "stages"), counted, lambda found: sum(found.values()))

    def _lines(self, connection: Connection, rows: Sequence[Row[Any]]) -> list[Line]:
        acted = [(row.event_id, row.deal_id, row.rule) for row in rows if row.verdict == "acts"]
        states = states_of(connection, self._store.account_id, acted) if acted else {}
        return [_line(row, states.get((row.event_id, row.rule), ())) for row in rows]

    def _mine(self) -> Any:
        return self._store.owns(journal)

    def _first_since(self, connection: Connection, moment: float) -> int:
        """A row's number from which on all are of this moment or later, or nearly so: rows are written in the order of
        time, and there is an index of numbers, none of times."""
        return _first(connection, FIRST_SINCE, moment)


def _number(wanted: DecisionFilter) -> ColumnElement[int]:
    """By which rows are walked through; as an expression it is no index's, so that those of some hundred deals are
    found by the deals: walking would read all that any rule did in that time."""
    return journal.c.id + 0 if wanted.deal_ids is not None else journal.c.id


def _first(connection: Connection, first_since: Select[Any], moment: float) -> int:
    first = connection.execute(first_since, {"moment": moment}).scalar()
    return 0 if first is None else int(first) - STEPS_BACK


def _first_since(number: Column[Any], at: Column[Any]) -> Select[Any]:
    """The range of numbers is halved until one is left, within one statement."""
    # One subquery for each end: of two at once SQLite reads every row.
    low, high = (select(end(number)).scalar_subquery() for end in (func.min, func.max))
    # Processes write side by side, so the order is only nearly that of time.
    halved = select(low.label("low"), (high - STEPS_BACK).label("high")).cte("halved", recursive=True)
    middle = (halved.c.low + halved.c.high) // 2
    following = select(at).where(number >= middle).order_by(number).limit(1).scalar_subquery()
    is_before = following < bindparam("moment")
    ends = (
        case((is_before, middle + 1), else_=halved.c.low).label("low"),
        case((is_before, halved.c.high), else_=middle).label("high"),
    )
    halved = halved.union_all(select(*ends).where(halved.c.low < halved.c.high))
    return select(func.max(halved.c.low))


FIRST_SINCE = _first_since(journal.c.id, journal.c.at)
FIRST_EFFECT_SINCE = _first_since(outbox.c.id, outbox.c.created_at)


def _has_source(source: Source) -> ColumnElement[bool]:
    """The statement's own text says that it is no webhook: only so is the index of the other sources taken."""
    if source == "unknown":
        return journal.c.source.is_(None)
    is_it = journal.c.source == source
    return is_it if source == "webhook" else is_it & (journal.c.source != literal_column("'webhook'"))


def _line(row: Row[Any], states: Sequence[str]) -> Line:
    return Line(
        at=row.at,
        rule=row.rule or "",
        clause=row.clause,
        deal_id=row.deal_id,
        what=nested_quotes(row.what),
        verdict=row.verdict,
        outcome=outcome(row.verdict, states, row.reason),
        reason=nested_quotes(row.reason),
        actions=tuple(map(action_words, json.loads(row.actions))),
        source=row.source or ("unknown" if row.verdict in LOUD else ""),
    )


def _skip_line(one: NumberedSkip) -> Line:
    reason = nested_quotes(one.skip.reason)
    return Line(
        at=one.at,
        rule=one.skip.rule,
        clause=one.skip.clause,
        deal_id=one.deal_id,
        what=nested_quotes(one.skip.what),
        verdict="skipped",
        outcome=outcome("skipped", (), one.skip.reason),
        reason=reason,
        actions=(),
        source="",
    )


def _decision(row: Row[Any], effects: Sequence[tuple[str, str, str]]) -> Decision:
    line = _line(row, [state for _, state, _ in effects])
    return Decision(**vars(line), id=row.id, event_id=row.event_id, effects=tuple(effects))


# What rules in dry run would have done: summed up from the journal, per rule and per deal.


@dataclass(frozen=True)
class Would:
    """Something that was not done, because the rule (or the whole bridge) is in dry run. ``at`` is aware, UTC."""

    at: datetime
    rule: str
    clause: str
    deal_id: int
    because: str
    does: tuple[str, ...]


def would_have(store: AccountStore, since: datetime, rule: str | None = None) -> list[Would]:
    """All of it since then, by rule and deal, the oldest first. Raises StoreUnavailable."""
    wanted = [store.owns(journal), is_loud(journal), journal.c.at >= since.timestamp()]
    wanted.append(journal.c.verdict == "would_act")
    if rule is not None:
        wanted.append(journal.c.rule == rule)
    with store.read() as connection:
        ordered = select(journal).where(*wanted).order_by(journal.c.rule, journal.c.deal_id, journal.c.id)
        return [
            Would(
                at=datetime.fromtimestamp(row.at, UTC),
                rule=row.rule,
                clause=row.clause,
                deal_id=row.deal_id or 0,
                because=nested_quotes(row.what),
                does=tuple(map(action_words, json.loads(row.actions))),
            )
            for row in connection.execute(ordered)
        ]
