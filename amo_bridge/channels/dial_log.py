"""Repository of auto-dials and their calls: webhooks about a call, results from calls' history.

What the history never tells, a person decides. One that answers with an error, or of an exchange that is not connected
any more, has said nothing: that is not taken for «nobody was called».
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, insert, or_, select, update
from sqlalchemy.engine import Connection

from amo_bridge.channels.telephony import AskedCall, CallResult, Telephony, digits
from amo_bridge.clock import Clock
from amo_bridge.engine.outbox import Sendable
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
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.storage.accounts import DIAL_STOPPED, Cursors
from amo_bridge.storage.database import AccountStore, chunks, insert_new
from amo_bridge.storage.tables import DIAL_CALL_OPEN, cursors, deals, dial_calls, dials

IN_FLIGHT = ("asking", "placed", "doubt")
"""Nobody knows yet how such a call ended."""
DECISIONS = ("talked", "client", "manager")
"""What a person may say of a call of which the exchange knows nothing."""
LOOK_AFTER_WEBHOOK = timedelta(seconds=60)
"""The history shows a call so long after its end (seen at onlinePBX)."""
_REPORTED_WITHIN = timedelta(hours=3)
AT_ONCE = 100
MOST_ENDED = 200


@dataclass(frozen=True)
class Dial:
    """One start of auto-dial on a deal and stage; see the table. It is a SettledEffect, for what follows from it."""

    id: int
    key: str
    event_id: int | None
    rule: str
    deal_id: int
    stage: tuple[int, int]
    started_at: datetime
    state: str
    next_at: datetime
    why: str
    user_id: int | None
    manager_misses: int
    client_misses: int
    day: str
    day_calls: int
    silent_until: datetime
    ended_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.state != "ended"


@dataclass(frozen=True)
class DialCall:
    """One call; see the table."""

    id: int
    dial_id: int
    deal_id: int
    ref: str
    vendor: str
    vendor_ref: str
    user_id: int
    extension: str
    phone: str
    asked_at: datetime
    state: str
    looks: int
    seconds: int
    words: str
    told_by: str
    settled_at: datetime | None
    is_applied: bool

    @property
    def is_in_flight(self) -> bool:
        return self.state in IN_FLIGHT


@dataclass(frozen=True)
class EndedCall:
    """A call as an exchange's webhook reports it. ``key``: the exchange's own name of it; ``ref``: ours, if it gives
    that back. ``phone``: E.164; ``seconds``: of talk."""

    key: str
    ref: str
    phone: str | None
    extension: str | None
    talked: bool
    seconds: int
    words: str


class DialLog:
    """One account's dials."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._mine = store.owns(dials)
        self._calls = store.owns(dial_calls)
        self._cursors = Cursors(store)

    # --- dials ---

    def begin(
        self, connection: Connection, row: Sendable, stage: Sequence[int], now: datetime, next_at: datetime
    ) -> None:
        """Once for an effect."""
        values = {
            "account": self._store.account_id,
            "outbox_id": row.id,
            "key": row.key,
            "event_id": row.event_id,
            "rule": row.rule,
            "deal_id": row.deal_id,
            "pipeline_id": stage[0],
            "status_id": stage[1],
            "started_at": now.timestamp(),
            "state": "waiting",
            "next_at": next_at.timestamp(),
            "why": "первый звонок",
            "manager_misses": 0,
            "client_misses": 0,
            "day": "",
            "day_calls": 0,
            "silent_until": 0.0,
        }
        insert_new(connection, dials, [values])

    def open_of(self, deal_id: int) -> list[Dial]:
        """The dials that run for a deal."""
        return self._read(dials.c.deal_id == deal_id, dials.c.state != "ended")

    def due(self, now: datetime) -> list[Dial]:
        """Those whose next call is due, the most overdue first."""
        return self._read(dials.c.state == "waiting", dials.c.next_at <= now.timestamp(), most=AT_ONCE)

    def running(self) -> list[Dial]:
        """All that have not ended, the next call first."""
        return self._read(dials.c.state != "ended")

    def ended_since(self, moment: datetime) -> list[Dial]:
        """The latest first."""
        query = (
            select(dials)
            .where(self._mine, dials.c.state == "ended", dials.c.ended_at >= moment.timestamp())
            .order_by(dials.c.ended_at.desc())
            .limit(MOST_ENDED)
        )
        with self._store.read() as connection:
            return [_dial(row) for row in connection.execute(query)]

    def left_their_stage(self) -> list[Dial]:
        """Dials that run, of deals that the mirror knows to be on another stage."""
        moved = or_(deals.c.pipeline_id != dials.c.pipeline_id, deals.c.status_id != dials.c.status_id)
        same = and_(deals.c.account == dials.c.account, deals.c.deal_id == dials.c.deal_id)
        query = select(dials).join(deals, same).where(self._mine, dials.c.state != "ended", moved)
        with self._store.read() as connection:
            return [_dial(row) for row in connection.execute(query)]

    def get(self, dial_id: int) -> Dial | None:
        """None if the account has no such dial."""
        return next(iter(self._read(dials.c.id == dial_id)), None)

    def set(self, connection: Connection, dial_id: int, **values: object) -> bool:
        """Change a dial; False if it has ended, then it stays as it is."""
        mine = (self._mine, dials.c.id == dial_id, dials.c.state != "ended")
        return connection.execute(update(dials).where(*mine).values(**values)).rowcount > 0

    def end(self, connection: Connection, dial_id: int, why: str, now: datetime) -> bool:
        """False if it has ended before."""
        return self.set(connection, dial_id, state="ended", why=why, ended_at=now.timestamp())

    def claim(self, connection: Connection, dial_id: int, **values: object) -> bool:
        """Take a dial that waits for a call; False if it, or all dialling, was stopped in the meantime."""
        switch = (self._store.owns(cursors), cursors.c.name == DIAL_STOPPED, cursors.c.value != 0)
        mine = (self._mine, dials.c.id == dial_id, dials.c.state == "waiting", ~exists().where(*switch))
        taken = update(dials).where(*mine).values(state="calling", **values)
        return connection.execute(taken).rowcount > 0

    # --- the switch for all ---

    @property
    def is_stopped(self) -> bool:
        """Has a person stopped all dialling?"""
        return bool(self._cursors.read(DIAL_STOPPED))

    def stop_all(self, connection: Connection, *, is_stopped: bool) -> None:
        self._cursors.write(connection, DIAL_STOPPED, float(is_stopped))

    # --- calls ---

    def next_number(self, connection: Connection, dial_id: int) -> int:
        """Of a dial's next call: behind the last one there is, for retention deletes the first ones."""
        refs = select(dial_calls.c.ref).where(self._calls, dial_calls.c.dial_id == dial_id)
        numbers = [int(ref.rpartition("-")[2]) for ref in connection.execute(refs).scalars()]
        return max(numbers, default=0) + 1

    def add_call(self, connection: Connection, call: DialCall) -> int:
        """Write a call down before the exchange is asked for it; its number."""
        values = {
            "account": self._store.account_id,
            "dial_id": call.dial_id,
            "deal_id": call.deal_id,
            "ref": call.ref,
            "vendor": call.vendor,
            "vendor_ref": "",
            "user_id": call.user_id,
            "extension": call.extension,
            "phone": call.phone,
            "asked_at": call.asked_at.timestamp(),
            "state": "asking",
            "looks": 0,
            "seconds": 0,
            "words": "",
            "told_by": "",
            "is_applied": False,
        }
        return int(connection.execute(insert(dial_calls).values(**values).returning(dial_calls.c.id)).scalar_one())

    def set_call(self, connection: Connection, call_id: int, **values: object) -> None:
        connection.execute(update(dial_calls).where(self._calls, dial_calls.c.id == call_id).values(**values))

    def tell_of(self, connection: Connection, call: DialCall, **values: object) -> bool:
        """Change a call as it was read; False if a webhook or a person has told of it meanwhile, which stays."""
        same = (dial_calls.c.id == call.id, dial_calls.c.state == call.state, dial_calls.c.told_by == call.told_by)
        return connection.execute(update(dial_calls).where(self._calls, *same).values(**values)).rowcount > 0

    def doubt_interrupted(self) -> int:
        """The process died while it asked for these calls: whether they take place only the exchange knows."""
        look = dial_calls.c.asked_at + LOOK_AFTER_WEBHOOK.total_seconds()
        mine = (self._calls, DIAL_CALL_OPEN, dial_calls.c.state == "asking")
        words = "мост остановился, не дождавшись ответа АТС"
        with self._store.write() as connection:
            return connection.execute(
                update(dial_calls).where(*mine).values(state="doubt", look_at=look, words=words)
            ).rowcount

    def to_look_for(self, now: datetime) -> list[DialCall]:
        """Calls of which the history is to be asked, the longest due first."""
        is_due = and_(dial_calls.c.state.in_(("placed", "doubt")), dial_calls.c.look_at <= now.timestamp())
        return self._read_calls(DIAL_CALL_OPEN, is_due, order=dial_calls.c.look_at)

    def in_flight(self) -> list[DialCall]:
        return self._read_calls(DIAL_CALL_OPEN, dial_calls.c.state.in_(IN_FLIGHT))

    def unapplied(self) -> list[DialCall]:
        """Calls that have ended and by which their dial has not gone on yet, oldest first."""
        return self._read_calls(DIAL_CALL_OPEN, dial_calls.c.state.not_in(IN_FLIGHT))

    def calls_of(self, dial_ids: Iterable[int]) -> Mapping[int, list[DialCall]]:
        """Dial → its calls, oldest first."""
        found: dict[int, list[DialCall]] = {}
        for some in chunks(sorted(set(dial_ids))):
            for call in self._read_calls(dial_calls.c.dial_id.in_(some)):
                found.setdefault(call.dial_id, []).append(call)
        return found

    def call(self, call_id: int) -> DialCall | None:
        return next(iter(self._read_calls(dial_calls.c.id == call_id)), None)

    def decide(self, connection: Connection, call_id: int, decision: str, who: str, now: datetime) -> bool:
        """What a person says of a call of which nobody knew; False if that is known by now."""
        mine = (self._calls, dial_calls.c.id == call_id, dial_calls.c.state == "unknown")
        values = {
            "state": decision,
            "told_by": "person",
            "words": f"решил(а) {who}",
            "settled_at": now.timestamp(),
            "is_applied": False,
        }
        return connection.execute(update(dial_calls).where(*mine).values(**values)).rowcount > 0

    def _read(self, *conditions: ColumnElement[bool], most: int | None = None) -> list[Dial]:
        query = select(dials).where(self._mine, *conditions).order_by(dials.c.next_at, dials.c.id).limit(most)
        with self._store.read() as connection:
            return [_dial(row) for row in connection.execute(query)]

    def _read_calls(self, *conditions: ColumnElement[bool], order: Any = dial_calls.c.id) -> list[DialCall]:
        with self._store.read() as connection:
            rows = connection.execute(select(dial_calls).where(self._calls, *conditions).order_by(order))
            return [_call(row) for row in rows]


def report_call(connection: Connection, account_id: int, call: EndedCall, at: datetime) -> bool:
    """An exchange's webhook tells of a call that ended; ``at``: when it came. False: it is none of auto-dial's.

    A talk settles the call, also one that was given up. Without one the webhook does not tell whose fault it is: the
    history is asked as soon as it knows. What is known already stays: webhooks come late, twice, out of order.
    """
    row = _reported(connection, account_id, call, at)
    if row is None:
        return False
    is_settled = row.state not in IN_FLIGHT
    is_presumed = row.state == "unknown" or row.told_by == "absence"
    values: dict[str, object] = {} if row.vendor_ref else {"vendor_ref": call.key[:80]}
    if call.talked and (not is_settled or is_presumed):
        values |= {
            "state": "talked",
            "seconds": call.seconds,
            "told_by": "webhook",
            "settled_at": at.timestamp(),
            "is_applied": False,
        }
    elif not is_settled or is_presumed:
        values |= {"words": call.words, "told_by": "webhook", "look_at": (at + LOOK_AFTER_WEBHOOK).timestamp()}
        if is_presumed:
            # It did take place after all: the history will tell how it ended.
            values |= {"state": "placed", "looks": 0, "settled_at": None, "is_applied": False}
    if values:
        connection.execute(update(dial_calls).where(dial_calls.c.id == row.id).values(**values))
    return True


def _reported(connection: Connection, account_id: int, call: EndedCall, at: datetime) -> Row[Any] | None:
    """By our own name of it, by the exchange's, else by numbers and time."""
    mine = select(dial_calls).where(dial_calls.c.account == account_id).order_by(dial_calls.c.id.desc()).limit(1)
    if call.ref and (row := connection.execute(mine.where(dial_calls.c.ref == call.ref)).first()):
        return row
    key = call.key.removeprefix("session:")
    if key and (row := connection.execute(mine.where(dial_calls.c.vendor_ref.in_((key, call.key)))).first()):
        return row
    if call.phone is None:
        return None
    since = (at - _REPORTED_WITHIN).timestamp()
    same = mine.where(
        dial_calls.c.phone == call.phone,
        dial_calls.c.vendor_ref == "",
        dial_calls.c.asked_at.between(since, at.timestamp()),
        dial_calls.c.state.in_((*IN_FLIGHT, "unknown", "manager")),
    )
    if call.extension:
        same = same.where(dial_calls.c.extension.in_((call.extension, digits(call.extension))))
    return connection.execute(same).first()


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _dial(row: Row[Any]) -> Dial:
    return Dial(
        id=row.id,
        key=row.key,
        event_id=row.event_id,
        rule=row.rule,
        deal_id=row.deal_id,
        stage=(row.pipeline_id, row.status_id),
        started_at=datetime.fromtimestamp(row.started_at, UTC),
        state=row.state,
        next_at=datetime.fromtimestamp(row.next_at, UTC),
        why=row.why,
        user_id=row.user_id,
        manager_misses=row.manager_misses,
        client_misses=row.client_misses,
        day=row.day,
        day_calls=row.day_calls,
        silent_until=datetime.fromtimestamp(row.silent_until, UTC),
        ended_at=_moment(row.ended_at),
    )


def _call(row: Row[Any]) -> DialCall:
    return DialCall(
        id=row.id,
        dial_id=row.dial_id,
        deal_id=row.deal_id,
        ref=row.ref,
        vendor=row.vendor,
        vendor_ref=row.vendor_ref,
        user_id=row.user_id,
        extension=row.extension,
        phone=row.phone,
        asked_at=datetime.fromtimestamp(row.asked_at, UTC),
        state=row.state,
        looks=row.looks,
        seconds=row.seconds,
        words=row.words,
        told_by=row.told_by,
        settled_at=_moment(row.settled_at),
        is_applied=row.is_applied,
    )


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
