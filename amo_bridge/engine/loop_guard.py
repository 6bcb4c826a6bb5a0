"""Loop protection: a rule that acts on one deal again and again within an hour is held back, and somebody is told.

Two rules that undo each other's work, or a rule and a robot of the account, would otherwise go on for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Select, func, select
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.dates.due import Due
from amo_bridge.engine.dispatcher import EvaluationContext, Verdict
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError
from amo_bridge.rules.actions import CreateTask
from amo_bridge.storage.tables import outbox

log = structlog.get_logger()
WITHIN = timedelta(hours=1)
DUE = Due.parse("end of day")
SLOT = "loop"


class LoopGuard:
    """``held(…)`` passes a verdict on, or holds it back. The first one held back in an hour tells the person named in
    ``[bridge] tell`` by a task on the deal."""

    def __init__(self, account_id: int, rule_engine: RuleEngine, clock: Clock) -> None:
        self._key = account_id
        self._tell = rule_engine.config.bridge.tell
        self._resolver = rule_engine.resolver
        self._clock = clock
        self._known: dict[tuple[int, str], int] | None = None

    def look_at(self, connection: Connection, deal_ids: Iterable[int]) -> None:
        """Count for all these deals in one go; afterwards ``held`` is asked about no others."""
        wanted = outbox.c.deal_id.in_(sorted(set(deal_ids)))
        counts = self._count().add_columns(outbox.c.deal_id, outbox.c.rule)
        rows = connection.execute(counts.where(wanted).group_by(outbox.c.deal_id, outbox.c.rule))
        self._known = {(row.deal_id, row.rule): row.acted for row in rows}

    def held(self, connection: Connection, verdict: Verdict, case: EvaluationContext) -> Verdict:
        if verdict.outcome != "acts":
            return verdict
        acted = self._acted(connection, verdict, case.deal.id)
        if acted < verdict.rule.most_per_hour:
            return verdict
        log.error("rule held back", rule=verdict.rule.name, deal=case.deal.id, times=acted)
        words = f"правило сработало на этой сделке {acted} раз за час и остановлено до следующего часа"
        return replace(verdict, outcome="held", reason=words, effects=self._alarm(verdict, case, acted))

    def _acted(self, connection: Connection, verdict: Verdict, deal_id: int) -> int:
        """For how many events of the last hour the rule has acted on this deal."""
        if self._known is not None:
            return self._known.get((deal_id, verdict.rule.name), 0)
        mine = (outbox.c.deal_id == deal_id, outbox.c.rule == verdict.rule.name)
        return int(connection.execute(self._count().where(*mine)).scalar_one())

    def _count(self) -> Select[Any]:
        since = (self._clock.now() - WITHIN).timestamp()
        return select(func.count(func.distinct(outbox.c.event_id)).label("acted")).where(
            outbox.c.account == self._key, outbox.c.created_at > since
        )

    def _alarm(self, verdict: Verdict, case: EvaluationContext, acted: int) -> tuple[Effect, ...]:
        if self._tell is None:
            return ()
        text = (
            f"Правило «{verdict.rule.words}» сработало на этой сделке {acted} раз за час и остановлено. "
            f"Похоже на зацикливание: посмотрите историю (amo-bridge why {case.deal.id})"
        )
        task = CreateTask(deal_id=case.deal.id, text=text, to=self._tell, due=DUE, slot=SLOT)
        once_an_hour = f"{SLOT}:{int(self._clock.now().timestamp() // WITHIN.total_seconds())}"
        try:
            effects = self._resolver.effects(task, case.deal, case.record, self._clock.now())
            return tuple(replace(effect, once=True, slot=once_an_hour) for effect in effects)
        except (BridgeError, ValueError) as error:
            log.error("nobody could be told", error=str(error))
            return ()
