"""Auto-dials for pages and API: stopped, switched off and on, a call's result told."""

from __future__ import annotations

from amo_bridge.channels.dial_log import DECISIONS, DialCall, DialLog
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.context import audit, who

JOURNAL = "автодозвон"
_DECIDED = {"talked": "поговорили", "client": "клиент не ответил", "manager": "менеджер не взял трубку"}


def log_of(here: AccountView) -> DialLog:
    """Raises NotMet."""
    return DialLog(here.account_store)


def switch_all(here: AccountView, *, is_stopped: bool) -> None:
    """Nobody is called any more, or all goes on. Raises NotMet, StoreUnavailable."""
    with here.account_store.write() as connection:
        log_of(here).stop_all(connection, is_stopped=is_stopped)
    deed, words = ("stop", "Весь дозвон остановлен") if is_stopped else ("resume", "Дозвон продолжен")
    audit(f"dial.{deed}_all", words)
    here.bridge.wake()


def stop(here: AccountView, dial_id: int) -> bool:
    """The deal's journal says who has done it. False: it has ended before. Raises LookupError, StoreUnavailable."""
    log = log_of(here)
    dial = log.get(dial_id)
    if dial is None:
        raise LookupError(dial_id)
    why, now = f"остановил(а) {who()}", here.clock.now()
    with here.account_store.write() as connection:
        if not log.end(connection, dial.id, why, now):
            return False
        here.journal.note(connection, now, JOURNAL, {dial.deal_id: f"окончен: {why}"})
    audit("dial.stop", f"Сделка {dial.deal_id}: автодозвон остановлен")
    return True


def decide(here: AccountView, call_id: int, decision: str) -> bool:
    """What became of a call of which neither the exchange's webhook nor its history told. False: it is known by now.
    Raises LookupError, StoreUnavailable."""
    log = log_of(here)
    call: DialCall | None = log.call(call_id)
    if call is None or decision not in DECISIONS:
        raise LookupError(call_id)
    with here.account_store.write() as connection:
        if not log.decide(connection, call_id, decision, who(), here.clock.now()):
            return False
    audit("dial.decide", f"Сделка {call.deal_id}: о звонке решено — {_DECIDED[decision]}")
    here.bridge.wake()
    return True
