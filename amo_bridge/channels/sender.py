"""One channel of the outbox, sent through its port: one after the other, each surely not twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import select, update

from amo_bridge.channels.port import Job, Later, LostAnswer, NotSent, Outcome, Port, Sent
from amo_bridge.clock import Clock
from amo_bridge.engine.effects import in_channel
from amo_bridge.engine.outbox import Outbox, Sendable, add_following
from amo_bridge.errors import BridgeError, ChannelBusy, ChannelDown, ChannelRefused, ChannelUncertain, LeadLost
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.retry import delay
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import outbox

# What waits for the end of quiet hours is looked at again so often: the account's clock may be moved.
RETRY_PAUSE = timedelta(minutes=5)
UNKNOWN = "неизвестно, отправлено ли"
MOST_DOUBTS = 3
INTERRUPTED: Mapping[LostAnswer, Mapping[str, str]] = {
    "repeat": {"state": "ready"},
    "find": {"state": "doubt", "error": UNKNOWN},
    "leave": {"state": "unknown", "error": UNKNOWN},
}
"""What becomes of an effect that was just being sent when the process died."""


@dataclass(frozen=True)
class _Ending:
    """By what the effects that follow from one giving-up are known."""

    key: str
    rule: str
    event_id: int | None


class ChannelSender:
    """``clock`` counts real time (delays, ages), ``account_clock`` is the account's. ``settled`` hears that there may
    be new work in amoCRM's own queue."""

    def __init__(
        self,
        store: AccountStore,
        port: Port,
        clock: Clock,
        account_clock: Clock,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        self.port = port
        self._store = store
        self._clock = clock
        self._account_clock = account_clock
        self._settled = settled
        self._outbox = Outbox(store, clock)

    @property
    def name(self) -> str:
        return self.port.channel

    @property
    def is_put_off(self) -> bool:
        """Does something wait that was tried and did not go out?"""
        waits = (
            self._store.owns(outbox),
            in_channel(self.port.channel, outbox),
            outbox.c.state.in_(("ready", "doubt")),
        )
        tried = select(outbox.c.id).where(*waits, outbox.c.attempts > 0)
        with self._store.read() as connection:
            return connection.execute(tried.limit(1)).first() is not None

    def recover(self) -> int:
        """What was being sent when the process died, or a round broke off, is in doubt. How many there were."""
        mine = (self._store.owns(outbox), outbox.c.state == "sending", in_channel(self.port.channel, outbox))
        again = INTERRUPTED[self.port.lost_answer]
        self.port.recover()
        with self._store.write() as connection:
            return connection.execute(update(outbox).where(*mine).values(**again)).rowcount

    def send(self) -> int:
        """Send what is due; returns how many were settled. Raises ChannelDown when nothing can go out now, CrmError
        when amoCRM can't be asked: what is left waits."""
        lost = self._take("doubt") if self.port.lost_answer == "find" else []
        rows = self._take("ready")
        moved = self._send(lost, rows) if lost or rows else 0
        if by_the_clock := self.port.run_due():
            self._settled()
        return moved + by_the_clock

    def _send(self, lost: Sequence[Sendable], rows: Sequence[Sendable]) -> int:
        moved = 0
        try:
            for row in lost:
                moved += self._look_for(row)
            planned = self.port.plan(rows) if rows else {}
            for row in rows:
                if row.id in planned:
                    moved += self._deal_with(row, planned[row.id])
        finally:
            self.port.rest()
        if moved:
            self._settled()
        return moved

    def _take(self, state: str) -> list[Sendable]:
        rows = self._outbox.take(state, self.port.channel, in_order=self.port.in_order)[: self.port.batch_size]
        given_up = "unknown" if state == "doubt" else "failed"
        return [row for row in rows if not self._is_too_old(row, given_up)]

    def _look_for(self, row: Sendable) -> int:
        """Ask the vendor what became of a row whose answer was lost; what it does not have is sent again."""
        try:
            found = self.port.find_lost(row)
        except ChannelDown as error:
            self._outbox.later([row], delay(row.attempts + 1), f"{UNKNOWN}: {error}", state="doubt")
            raise
        except (ChannelBusy, ChannelUncertain) as error:
            seconds = error.retry_after or delay(row.attempts + 1)
            self._outbox.later([row], seconds, f"{UNKNOWN}: {error}", state="doubt")
            return 0
        except ChannelRefused as error:
            return self._give_up(row, "unknown", f"{UNKNOWN}: {error}")
        except BridgeError:
            raise
        except Exception as error:
            log.exception("port failed", lane=self.port.channel, effect=row.id)
            return self._give_up(row, "unknown", f"{UNKNOWN}: ошибка моста: {error!r}")
        if found is not None:
            return self._settle(row, found)
        self._outbox.postpone(row, self._clock.now().timestamp(), f"ответ потерян, у поставщика этого нет: {row.error}")
        return 0

    def _deal_with(self, row: Sendable, planned: Outcome | Job) -> int:
        if isinstance(planned, Sent | NotSent | Later):
            return self._settle(row, planned)
        if not self._outbox.sending([row]):
            return 0
        try:
            outcome = planned()
        except ChannelDown as error:
            # Not at once, and others before it: perhaps it is this one that the server dies of.
            self._outbox.later([row], delay(row.attempts + 1), str(error))
            raise
        except ChannelUncertain as error:
            return self._doubt(row, str(error))
        except ChannelBusy as error:
            self._outbox.later([row], error.retry_after or delay(row.attempts + 1), str(error))
            return 0
        except ChannelRefused as error:
            return self._give_up(row, "failed", str(error))
        except BridgeError:
            # The store is gone, or somebody else leads: whoever goes on finds the row as "sending".
            raise
        except Exception as error:
            # A bug that meets one letter must not hold up the others.
            log.exception("port failed", lane=self.port.channel, effect=row.id)
            return self._doubt(row, f"ошибка моста: {error!r}", is_bug=True)
        return self._settle(row, outcome)

    def _settle(self, row: Sendable, outcome: Outcome) -> int:
        if isinstance(outcome, Later):
            self._outbox.postpone(row, self._real(outcome.until), outcome.why)
            return 0
        with self._store.write() as connection:
            if isinstance(outcome, Sent):
                self._outbox.sent(connection, row, outcome.told)
            else:
                self._outbox.unsent(connection, row, outcome.why)
            add_following(connection, self._store.account_id, row, outcome.then, self._clock.now())
            self.port.keep(connection, row, outcome)
        log.info("sent" if isinstance(outcome, Sent) else "not sent", **self._facts(row))
        return 1

    def _real(self, until: datetime) -> float:
        """When to look at it again, on the bridge's own clock."""
        wait = min(until - self._account_clock.now(), RETRY_PAUSE)
        return (self._clock.now() + wait).timestamp()

    def _doubt(self, row: Sendable, why: str, *, is_bug: bool = False) -> int:
        if self.port.lost_answer != "leave" and not is_bug and row.attempts < MOST_DOUBTS:
            state = "doubt" if self.port.lost_answer == "find" else "ready"
            self._outbox.later([row], delay(row.attempts + 1), f"{UNKNOWN}: {why}", state=state)
            return 0
        return self._give_up(row, "unknown", f"{UNKNOWN}: {why}")

    def _is_too_old(self, row: Sendable, state: str) -> bool:
        """Could it not be sent for so long that nobody wants it any more? Then a person decides."""
        since = max(row.created_at, row.due_at) if row.attempts == 0 else row.created_at
        if self._clock.now().timestamp() - since <= self.port.gives_up_after.total_seconds():
            return False
        hours = self.port.gives_up_after.total_seconds() / 3600
        last = row.error or "канал не работал"
        self._give_up(row, state, f"не удалось отправить за {hours:g} ч, теперь поздно: {last}")
        return True

    def _give_up(self, row: Sendable, state: str, why: str) -> int:
        log.error("given up", **self._facts(row), state=state, error=why)
        following = self.port.given_up(row, why, is_known=state == "failed")
        # A person may have it tried again, and it may come to another end.
        mark = _Ending(f"{row.key}|end{int(self._clock.now().timestamp())}", row.rule, row.event_id)
        with self._store.write() as connection:
            self._outbox.given_up(connection, row, state, why)
            add_following(connection, self._store.account_id, mark, following, self._clock.now())
        return 1

    def _facts(self, row: Sendable) -> dict[str, object]:
        return {
            "lane": self.port.channel,
            "rule": row.rule,
            "deal": row.deal_id,
            "event_id": row.event_id,
            "effect": row.id,
        }


def channel_senders(
    ports: Sequence[Port],
    store: AccountStore,
    clock: Clock,
    account_clock: Clock,
    settled: Callable[[], None],
) -> list[ChannelSender]:
    """One sender for each port."""
    return [ChannelSender(store, port, clock, account_clock, settled) for port in ports]


# All senders of an account: those that wait for other people's servers have a thread each, the others go along with the
# worker's rounds.

# When nobody rings: what was postponed falls due.
POLL_INTERVAL_SECONDS = 2.0
LONGEST_PAUSE = 600.0


class Sending(Protocol):
    """What has a thread of its own because it waits for other people's servers."""

    @property
    def name(self) -> str: ...

    @property
    def is_put_off(self) -> bool: ...

    def recover(self) -> object:
        """The process died, or a round broke off."""

    def send(self) -> int:
        """Send what is due; how much was moved on. Raises BridgeError."""


class ChannelThread:
    """One channel in a thread of its own. ``trouble``: what it is waiting out, if anything, in one line."""

    def __init__(self, sender: Sending) -> None:
        self.trouble = ""
        self._sender = sender
        self._is_recovered = False
        self._bell = threading.Event()
        self._stopping = threading.Event()
        self._pause_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"channel {sender.name}", daemon=True)

    @property
    def name(self) -> str:
        return self._sender.name

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._bell.set()

    def begin_to_stop(self) -> None:
        self._stopping.set()
        self._bell.set()
        self._pause_over.set()

    def wait_stopped(self, timeout: float) -> None:
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._bell.clear()
            try:
                moved = self._round()
            except LeadLost:
                return
            except Exception as error:  # noqa: BLE001 - a dead thread would take letters and send none
                failures += 1
                self._is_recovered = False
                self._say(error)
                asked = error.retry_after if isinstance(error, ChannelDown) else None
                self._pause_over.wait(min(asked or delay(failures), LONGEST_PAUSE))
                continue
            failures = 0
            # What was put off is not due yet: nothing has shown that the outage is over.
            if self.trouble and (moved or not self._sender.is_put_off):
                self.trouble = ""
            if not moved:
                self._bell.wait(POLL_INTERVAL_SECONDS)

    def _round(self) -> int:
        if not self._is_recovered:
            # What was being sent when the process died, or a round broke off.
            self._sender.recover()
            self._is_recovered = True
        return self._sender.send()

    def _say(self, error: Exception) -> None:
        if str(error) != self.trouble:
            is_bug = not isinstance(error, BridgeError)
            log.error("lane waits", lane=self.name, error=str(error), kind=type(error).__name__, exc_info=is_bug)
        self.trouble = str(error) or type(error).__name__


class ChannelWorkers:
    """``jobs``: what goes out beside the outbox, in a thread each."""

    def __init__(self, senders: Iterable[ChannelSender] = (), jobs: Iterable[Sending] = ()) -> None:
        senders = list(senders)
        self._near = [sender for sender in senders if not sender.port.is_far]
        far: list[Sending] = [sender for sender in senders if sender.port.is_far]
        self._far = [ChannelThread(one) for one in (*far, *jobs)]

    @property
    def outages(self) -> dict[str, str]:
        """Channel → the outage that it waits out; only those that wait."""
        return {sender.name: sender.trouble for sender in self._far if sender.trouble}

    def start(self) -> None:
        for far in self._far:
            far.start()

    def recover(self) -> None:
        """Nobody sends just now: what is told to be under way is in doubt. (Threads of far channels do so too.)"""
        for sender in self._near:
            sender.recover()

    def send_near(self) -> int:
        """What waits for nobody; how many were settled."""
        return sum(sender.send() for sender in self._near)

    def wake(self) -> None:
        """There may be something new to send."""
        for sender in self._far:
            sender.wake()

    def stop(self, timeout: float = 30) -> None:
        """Finish what is in hand and leave."""
        for sender in self._far:
            sender.begin_to_stop()
        for sender in self._far:
            sender.wait_stopped(timeout)
