"""A decision of a rule, as several subjects tell it."""

from __future__ import annotations

from datetime import UTC, datetime

from amo_bridge.engine.history import Line
from amo_bridge.web.api.shape import Shape


class RuleDecision(Shape):
    """``verdict``: acts, would_act, skipped, failed, held, retried or dropped; ``outcome``: the verdict, or what became
    of it: at_work, refused, unsent, unknown or partly; awaits, where the rule's steps come by the clock. ``actions``:
    in words."""

    at: datetime
    rule: str
    clause: str
    deal_id: int | None
    what: str
    verdict: str
    outcome: str
    reason: str
    actions: list[str]


def told(line: Line) -> RuleDecision:
    return RuleDecision(
        at=datetime.fromtimestamp(line.at, UTC),
        rule=line.rule,
        clause=line.clause,
        deal_id=line.deal_id,
        what=line.what,
        verdict=line.verdict,
        outcome=line.outcome,
        reason=line.reason,
        actions=list(line.actions),
    )
