"""Results of auto-dial's calls from the exchange's history; what it never tells, a person decides.

A history that answers with an error, or of an exchange that is not connected any more, has said nothing: that is not
taken for «nobody was called».
"""

from __future__ import annotations

from datetime import timedelta

from amo_bridge.channels.dial_log import DialCall, DialLog
from amo_bridge.channels.telephony import AskedCall, CallResult, Telephony
from amo_bridge.clock import Clock
from amo_bridge.errors import (
    BridgeError,
    ChannelBusy,
    ChannelDown,
    ChannelRefused,
    ChannelUncertain,
    CrmError,
    LeadLost,
    StoreUnavailable,
)
from amo_bridge.logs import log
from amo_bridge.storage.database import AccountStore

LOOKS = tuple(timedelta(minutes=minutes) for minutes in (1, 3, 10, 30, 60))
"""After the request for a call, when the history is asked about it; after the last one nobody knows."""
SILENCE_AFTER = 3
"""Looks after which silence says that the manager did not take it, where it can say so."""
FAILS_FOR = timedelta(days=1)
"""After the request: so long a history that answers with errors is asked again."""
SOON, RETRY = timedelta(minutes=1), timedelta(minutes=10)
NO_ANSWER = "история АТС не отвечает: {}"
OTHER_EXCHANGE = "звонок заказан у [{}], этот раздел в настройке больше не работает: спросить о звонке некого"
CONCERNS_ALL = (ChannelDown, CrmError, LeadLost, StoreUnavailable)
"""What ends the whole round; any other failure is that of one call or dial."""


class HistoryFailed(BridgeError):
    """The history has told nothing about a call: ask again in ``wait``. The text is Russian."""

    def __init__(self, words: str, wait: timedelta) -> None:
        super().__init__(words)
        self.wait = wait


class CallHistory:
    """Settles calls by the history of the exchange that is connected now."""

    def __init__(self, telephony: Telephony, store: AccountStore, dial_log: DialLog, account_clock: Clock) -> None:
        self._telephony = telephony
        self._store = store
        self._log = dial_log
        self._account_clock = account_clock

    def settle_due(self) -> int:
        """Ask about calls of which nothing is known; how many were settled. Raises ChannelDown."""
        moved = 0
        for call in self._log.to_look_for(self._account_clock.now()):
            if self._is_foreign(call):
                moved += self._silent(call, OTHER_EXCHANGE.format(call.vendor))
                continue
            try:
                found = self._find(call)
            except HistoryFailed as error:
                moved += self._failed(call, error)
            else:
                moved += self._silent(call, "") if found is None else self._settle(call, found, "history")
        return moved

    def corrects_absence(self, call: DialCall) -> bool:
        """Ask once more about a call that it did not know: a long talk stands in it only when it is over. Does it know
        better now? Then the call is settled anew. Raises HistoryFailed, ChannelDown."""
        if self._is_foreign(call):
            return False
        result = self._find(call)
        if result is None or result.end == call.state:
            return False
        self._settle(call, result, "history")
        return True

    def _is_foreign(self, call: DialCall) -> bool:
        """Whether it was asked for at an exchange that is not connected any more."""
        return call.vendor != self._telephony.vendor

    def _find(self, call: DialCall) -> CallResult | None:
        asked = AskedCall(call.ref, call.vendor_ref, call.extension, call.phone, call.asked_at)
        try:
            return self._telephony.find(asked)
        except CONCERNS_ALL:
            raise
        except ChannelBusy as error:
            raise HistoryFailed(str(error), SOON) from error
        except (ChannelUncertain, ChannelRefused) as error:
            log.warning("dial: the history does not answer", call=call.ref, error=str(error))
            raise HistoryFailed(NO_ANSWER.format(error), RETRY) from error
        except Exception as error:
            # An odd answer about one call holds up no other one.
            log.exception("dial: the history can't be read", call=call.ref)
            raise HistoryFailed(NO_ANSWER.format(repr(error)), RETRY) from error

    def _failed(self, call: DialCall, error: HistoryFailed) -> int:
        """How many were settled."""
        now, words = self._account_clock.now(), str(error)
        if now - call.asked_at >= FAILS_FOR:
            return self._give_up(call, call.looks, words)
        with self._store.write() as connection:
            self._log.tell_of(connection, call, look_at=(now + error.wait).timestamp(), words=words)
            self._log.set(connection, call.dial_id, why=words)
        return 0

    def _silent(self, call: DialCall, words: str) -> int:
        """Nothing is known of the call there: ask again later, or give it up. How many were settled."""
        now, looks = self._account_clock.now(), call.looks + 1
        is_told = call.told_by == "webhook"
        can_be_refusal = self._telephony.silence_is_refusal and not self._is_foreign(call)
        if looks >= SILENCE_AFTER and call.state == "placed" and can_be_refusal and not is_told:
            return self._settle(call, CallResult("manager", words="АТС не звонила клиенту"), "absence")
        if looks >= len(LOOKS):
            if is_told:
                # The webhook said that they did not talk; whose fault it was nobody says.
                return self._settle(call, CallResult("client", words=call.words), "webhook")
            return self._give_up(call, looks, words or call.words or "в истории АТС этого звонка нет")
        look_at = max(call.asked_at + LOOKS[looks], now + SOON)
        with self._store.write() as connection:
            self._log.tell_of(connection, call, looks=looks, look_at=look_at.timestamp(), words=words or call.words)
        return 0

    def _give_up(self, call: DialCall, looks: int, words: str) -> int:
        now = self._account_clock.now().timestamp()
        with self._store.write() as connection:
            self._log.tell_of(connection, call, state="unknown", looks=looks, settled_at=now, words=words)
        return 1

    def _settle(self, call: DialCall, found: CallResult, told_by: str) -> int:
        with self._store.write() as connection:
            self._log.tell_of(
                connection,
                call,
                state=found.end,
                seconds=found.seconds,
                words=found.words,
                vendor_ref=(found.vendor_ref or call.vendor_ref)[:80],
                told_by=told_by,
                settled_at=self._account_clock.now().timestamp(),
                is_applied=False,
            )
        return 1
