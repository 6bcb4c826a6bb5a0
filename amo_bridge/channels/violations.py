"""Port of the violations' ledger: it writes into the bridge's own store, so no answer is ever lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy.engine import Connection

from amo_bridge.channels.port import Job, LocalPort, Outcome, Sent
from amo_bridge.engine.effects import Channel
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.violations import Breach, Violations

RECORDED = "записано в учёт нарушений"


class ViolationPort(LocalPort):
    channel: Channel = "ledger"

    def __init__(self, violations: Violations, rule_engine: Callable[[], RuleEngine]) -> None:
        self._violations = violations
        self._rule_engine = rule_engine

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        return {row.id: Sent(RECORDED) for row in rows}

    def keep(self, connection: Connection, row: Sendable, outcome: Outcome) -> None:
        self._violations.record(connection, row.key, self._breach(row))

    def _breach(self, row: Sendable) -> Breach:
        # An earlier version queued neither the deal's name nor the reason.
        rule_engine, body = self._rule_engine(), row.body
        user_id = body["user_id"]
        return Breach(
            at=datetime.fromtimestamp(body["at"], UTC),
            user_id=user_id,
            person=next((user.name for user in rule_engine.account.users if user.id == user_id), str(user_id)),
            clause=body["clause"],
            deal_id=row.deal_id,
            deal_name=body.get("deal_name", ""),
            rule=row.rule,
            why=body.get("why") or self._words_of(row.rule),
            penalty=body["penalty"],
            currency=rule_engine.account.currency,
        )

    def _words_of(self, rule_name: str) -> str:
        """What the rule says of itself; nothing if it has left the config since."""
        return next((rule.words for rule in self._rule_engine().config.rules if rule.name == rule_name), "")
