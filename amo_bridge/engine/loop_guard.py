"""Loop guard: holds a rule back that acts on one deal too often within an hour (``most_per_hour``).

Two rules that undo each other's work, or a rule and a robot of the account, would otherwise go on for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.dates.due import Due
from amo_bridge.engine.dispatcher import EvaluationContext, Verdict
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError
from amo_bridge.events import EnquiryOnDeal, EnquiryReceived
from amo_bridge.logs import log
from amo_bridge.rules.actions import CreateTask
from amo_bridge.storage.tables import outbox

WINDOW = timedelta(hours=1)
DUE = Due.parse("end of day")
SLOT = "loop"


class LoopGuard:
    """Checks verdicts. The first one held back in an hour sets a task on the deal for the person in ``tell``."""

    def __init__(self, account_id: int, rule_engine: RuleEngine, clock: Clock) -> None:
        self._account_id = account_id
        self._tell = rule_engine.config.bridge.tell
        self._resolver = rule_engine.resolver
        self._clock = clock
        self._counts: dict[tuple[int, str], int] | None = None

    def load(self, connection: Connection, deal_ids: Iterable[int]) -> None:
        """Count for all these deals in one statement; afterwards ``check`` must be called for no others."""
        wanted = outbox.c.deal_id.in_(sorted(set(deal_ids)))
        counts = self._count_query().add_columns(outbox.c.deal_id, outbox.c.rule)
        rows = connection.execute(counts.where(wanted).group_by(outbox.c.deal_id, outbox.c.rule))
        self._counts = {(row.deal_id, row.rule): row.acted for row in rows}

    def check(self, connection: Connection, verdict: Verdict, context: EvaluationContext) -> Verdict:
        """The verdict, or ``held`` with the alert as its only effect."""
        if verdict.outcome != "acts" or isinstance(verdict.event, EnquiryReceived | EnquiryOnDeal):
            # A client may write as often as he likes: nothing of ours comes round in that.
            return verdict
        acted = self._acted(connection, verdict, context.deal.id)
        if acted < verdict.rule.most_per_hour:
            return verdict
        log.error("rule held back", rule=verdict.rule.name, deal=context.deal.id, times=acted)
        reason = f"правило сработало на этой сделке {acted} раз за час и остановлено до следующего часа"
        return replace(verdict, outcome="held", reason=reason, effects=self._alert(verdict, context, acted))

    def _acted(self, connection: Connection, verdict: Verdict, deal_id: int) -> int:
        """For how many events of the last hour the rule has acted on this deal."""
        if self._counts is not None:
            return self._counts.get((deal_id, verdict.rule.name), 0)
        of_rule = (outbox.c.deal_id == deal_id, outbox.c.rule == verdict.rule.name)
        return int(connection.execute(self._count_query().where(*of_rule)).scalar_one())

    def _count_query(self) -> Select[Any]:
        since = (self._clock.now() - WINDOW).timestamp()
        return select(func.count(func.distinct(outbox.c.event_id)).label("acted")).where(
            outbox.c.account == self._account_id, outbox.c.created_at > since
        )

    def _alert(self, verdict: Verdict, context: EvaluationContext, acted: int) -> tuple[Effect, ...]:
        if self._tell is None:
            return ()
        text = (
            f"Правило «{verdict.rule.words}» сработало на этой сделке {acted} раз за час и остановлено. "
            f"Похоже на зацикливание: посмотрите историю (amo-bridge why {context.deal.id})"
        )
        task = CreateTask(deal_id=context.deal.id, text=text, to=self._tell, due=DUE, slot=SLOT)
        once_an_hour = f"{SLOT}:{int(self._clock.now().timestamp() // WINDOW.total_seconds())}"
        try:
            effects = self._resolver.effects(task, context.deal, context.record, self._clock.now())
            return tuple(replace(effect, once=True, slot=once_an_hour) for effect in effects)
        except (BridgeError, ValueError) as error:
            log.error("nobody could be told", error=str(error))
            return ()
