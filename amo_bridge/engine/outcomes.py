"""What became of a decision to act: done, refused, sent nowhere, or partly so; and the counts of those that failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import and_, case, exists, func, select
from sqlalchemy.engine import Connection

from amo_bridge.rules.ladders import AWAITS_ITS_STEPS
from amo_bridge.storage.tables import GAVE_UP, OPEN_STATES, journal, outbox

SETTLED = {"done": "acts", "failed": "refused", "unknown": "unknown", "unsent": "unsent", "dropped": "dropped"}
# Who has to know of only one thing has to know of this first.
WORST_FIRST = ("refused", "unknown", "unsent", "dropped")


@dataclass(frozen=True)
class Undone:
    """A decision of which not all was done. ``at``: Unix seconds. ``refused``: amoCRM or a channel's server refused
    something of it, or perhaps did; otherwise something was sent nowhere. ``partly``: something of it was done."""

    at: float
    refused: bool
    partly: bool


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


def states_of(
    connection: Connection, account_key: int, decided: Iterable[tuple[int | None, int | None, str]]
) -> Mapping[tuple[int | None, str], list[str]]:
    """(event, deal, rule) of decisions → the states of the effects of each (event, rule)."""
    wanted = [(event, deal) for event, deal, _ in decided if event is not None and deal is not None]
    found: dict[tuple[int | None, str], list[str]] = {}
    query = select(outbox.c.event_id, outbox.c.rule, outbox.c.state).where(
        outbox.c.account == account_key,
        outbox.c.deal_id.in_({deal for _, deal in wanted}),
        outbox.c.event_id.in_({event for event, _ in wanted}),
    )
    for row in connection.execute(query):
        found.setdefault((row.event_id, row.rule), []).append(row.state)
    return found


def undone_since(connection: Connection, account_key: int, first_id: int, moment: float) -> list[Undone]:
    """Of the decisions to act from this row of the journal and this moment on, those of which not all was done."""
    effect, other = outbox.alias(), outbox.alias()
    same = (column == effect.c[column.name] for column in (journal.c.account, journal.c.deal_id, journal.c.event_id))
    done = exists().where(
        other.c.account == effect.c.account,
        other.c.deal_id == effect.c.deal_id,
        other.c.event_id == effect.c.event_id,
        other.c.rule == effect.c.rule,
        other.c.state == "done",
    )
    query = (
        select(
            journal.c.at,
            func.max(case((effect.c.state.in_(GAVE_UP), 1), else_=0)).label("refused"),
            func.max(case((done, 1), else_=0)).label("partly"),
        )
        .join_from(effect, journal, and_(*same, journal.c.rule == effect.c.rule))
        .where(effect.c.account == account_key, effect.c.state.in_((*GAVE_UP, "unsent")))
        .where(journal.c.verdict == "acts", journal.c.id >= first_id, journal.c.at >= moment)
        .group_by(journal.c.id, journal.c.at)
    )
    return [Undone(row.at, bool(row.refused), bool(row.partly)) for row in connection.execute(query)]
