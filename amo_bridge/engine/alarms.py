"""Telling a person that the bridge itself needs attention: a task in amoCRM, at most one a day about one thing."""

from __future__ import annotations

import json

import structlog

from amo_bridge.clock import Clock
from amo_bridge.crm.entities import DealRecord
from amo_bridge.due import Due
from amo_bridge.engine.brain import Brain
from amo_bridge.engine.rows import insert_new
from amo_bridge.engine.store import Store, outbox
from amo_bridge.errors import BridgeError, CrmStopped

log = structlog.get_logger()
DUE = Due.parse("end of day")
RULE = "bridge.alarm"
NO_DEAL = 0
STOPPED = (
    "amoCRM остановила мост {since:%d.%m.%Y %H:%M} UTC: {why}. Вебхуки мост записывал; что велят правила, сделано "
    "с опозданием. Что могло случиться и что проверить — docs/troubleshooting.md, раздел «401, 402, 403»"
)


class Alarms:
    def __init__(self, store: Store, account_key: int, brain: Brain, clock: Clock) -> None:
        self._store = store
        self._key = account_key
        self._brain = brain
        self._clock = clock

    def tell_of_stop(self, error: CrmStopped) -> None:
        """amoCRM wants nothing from us any more. The task waits in the outbox until it does again; then it tells why
        everything came late."""
        since = self._clock.now()
        self.tell(STOPPED.format(since=since, why=error), f"stopped:{type(error).__name__}")

    def tell(self, text: str, about: str) -> None:
        """Set a task for the person of ``[bridge] tell``, on no card. ``about`` tells one thing from another."""
        person = self._brain.config.bridge.tell
        if person is None:
            return
        now = self._clock.now()
        try:
            body = self._brain.resolver.free_task(f"amo-bridge: {text}", person, DUE, DealRecord(id=NO_DEAL), now)
        except (BridgeError, ValueError) as error:
            log.error("nobody could be told", about=about, error=str(error))
            return
        payload = {"body": body, "words": text, "slot": about, "not_before": 0.0, "expects": None, "rolls_back": False}
        row = {
            "account": self._key,
            "key": f"{RULE}|{about}|{now:%Y-%m-%d}",
            "rule": RULE,
            "deal_id": NO_DEAL,
            "kind": "create_task",
            "payload": json.dumps(payload, ensure_ascii=False),
            "created_at": now.timestamp(),
        }
        with self._store.write() as connection:
            insert_new(connection, outbox, [row])
