"""Presses of buttons under the bridge's messages to colleagues, handed to the subject they are about.

A webhook keeps the press (``keep_press``). One thread judges presses at once and lets each subject do its own rounds
every few seconds. What a button brings begins with the mark of its subject; the subject alone says what a press means.
An answer in words to such a message comes the same way; which message that was tells its subject.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Literal, Protocol

from sqlalchemy import Row, select, update
from sqlalchemy.engine import Connection

from amo_bridge.channels.messengers import Messenger
from amo_bridge.clock import Clock
from amo_bridge.config.channels import Way
from amo_bridge.engine.people import Reach, ReachablePerson
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError, ChannelError, CrmError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.retry import delay
from amo_bridge.storage.database import AccountStore, insert_new, notify
from amo_bridge.storage.tables import approval_presses, staff_messages

PERIOD_SECONDS = 5.0
# A press that waited so long is answered no more: nobody is looking, and the messengers refuse it.
ANSWERED_WITHIN = timedelta(minutes=10)
# An older one decides nothing: what it is about may be another thing by now, and the buttons are still there.
COUNTS_WITHIN = timedelta(hours=1)
NO_BUTTON = "Эта кнопка больше не действует"
BY_BUTTON = "На это сообщение словами не ответить: нажмите кнопку под ним или откройте ссылку"
LATE_REPLY = "Мост не работал, когда вы ответили: ничего не записано, ответьте ещё раз"
NOBODY = "Мост вас не знает: ваш номер {} не вписан в [people]"


@dataclass(frozen=True)
class Press:
    """A button was pressed. ``person``: the number at the messenger ``way``; ``message``: under which message of the
    chat; ``press``: the messenger's name of it; ``data``: the button's."""

    way: Literal["telegram", "max"]
    person: int
    chat_id: int
    message: str
    press: str
    data: str


@dataclass(frozen=True)
class Reply:
    """A message of the bridge was answered in words. As Press; ``text``: empty for a picture and the like."""

    way: Literal["telegram", "max"]
    person: int
    chat_id: int
    message: str
    text: str
    is_private: bool


def keep_press(connection: Connection, store: AccountStore, key: str, press: Press | Reply, received_at: float) -> bool:
    """Have a press or an answer judged; False if it is there already. ``key``: of the vendor's request."""
    row = {
        "account": store.account_id,
        "key": key[:160],
        "body": json.dumps(asdict(press), ensure_ascii=False),
        "received_at": received_at,
    }
    is_new = bool(insert_new(connection, approval_presses, [row]))
    notify(connection, store.account_id)
    return is_new


def user_of(press: Press | Reply, engine: RuleEngine) -> int | None:
    """Who has pressed or answered, as amoCRM knows them; None for a number that stands nowhere in ``[people]``."""
    reach = Reach(engine.config.channels, engine.account)
    people = (reach.person(user.id) for user in engine.account.users if user.is_active)
    return next((one.user.id for one in people if one and one.chat(press.way) == press.person), None)


@dataclass(frozen=True)
class Judged:
    """What is to be done about a press. ``answer``: what whoever pressed is told; ``text``: what the message says from
    now on, if it changes; ``keep``: writes down what was decided, in the transaction that settles the press, whose
    number it gets; it returns what is to be told instead if somebody else was faster."""

    answer: str
    text: str = ""
    keep: Callable[[Connection, int], Judged | None] | None = None


class ButtonSubject(Protocol):
    """What some buttons are about. ``mark``: how their data begins, before the first colon; it is stored at the
    messengers, so it never changes."""

    mark: str

    def judge(self, press: Press) -> Judged:
        """What a press of this mark means; nothing is written yet. Raises CrmError, StoreUnavailable."""

    def reply(self, number: int, reply: Reply) -> Judged | None:
        """What an answer in words to the message about the thing ``number`` means; None: nothing. Raises
        StoreUnavailable."""
        return None

    def expire(self, connection: Connection, press: Press) -> None:
        """Write down that a press waited too long and does not count."""

    def run(self) -> int:
        """A round: send what is to be asked, end what is over; how much was moved on. Raises StoreUnavailable."""


class StaffBots:
    """The messengers whose presses come in, and which of them are left alone after an error for a while: one that
    hangs must not hold up the other."""

    def __init__(self, bots: Mapping[Way, Messenger], clock: Clock) -> None:
        self._bots = bots
        self._clock = clock
        # Way → how often it has failed in a row, and until when it is left alone.
        self._failures: dict[Way, int] = {}
        self._down_until: dict[Way, float] = {}

    def __contains__(self, way: object) -> bool:
        return way in self._bots

    def __getitem__(self, way: Way) -> Messenger:
        return self._bots[way]

    def ways(self, person: ReachablePerson) -> list[Way]:
        """By which of them the person can be reached, the first one first."""
        return [way for way in person.ways if way in self._bots]

    @property
    def has_failed(self) -> bool:
        """After an error of a messenger, until a message went out again."""
        return bool(self._failures)

    @property
    def up_again_at(self) -> float:
        """When the first of those that are left alone is tried again (Unix seconds)."""
        return min(self._down_until.values())

    def is_down(self, way: Way) -> bool:
        return self._clock.now().timestamp() < self._down_until.get(way, 0.0)

    def went_out(self, way: Way) -> None:
        self._failures.pop(way, None)
        self._down_until.pop(way, None)

    def fell(self, way: Way, error: ChannelError) -> None:
        self._failures[way] = self._failures.get(way, 0) + 1
        wait = error.retry_after or delay(self._failures[way])
        self._down_until[way] = self._clock.now().timestamp() + wait


class ButtonJob:
    """In a thread of its own: presses at once, the subjects' rounds every few seconds."""

    name = "approvals"

    def __init__(
        self,
        subjects: Sequence[ButtonSubject],
        bots: StaffBots,
        store: AccountStore,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        """``settled`` hears that there is new work in amoCRM's own queue."""
        self._subjects = {subject.mark: subject for subject in subjects}
        self._bots = bots
        self._store = store
        self._rule_engine = rule_engine
        self._clock = clock
        self._settled = settled
        self._ran_at = 0.0

    @property
    def is_put_off(self) -> bool:
        return self._bots.has_failed

    def recover(self) -> None:
        """Who was just being asked is asked again: twice is better than never, and both messages work."""

    def send(self) -> int:
        """A round; how much was moved on. Raises CrmError, StoreUnavailable, LeadLost."""
        if self._rule_engine().config.bridge.dry_run:
            return 0
        moved, outage = self._take_all()
        now = self._clock.now().timestamp()
        if moved or not 0 <= now - self._ran_at < PERIOD_SECONDS:
            self._ran_at = now
            moved += sum(subject.run() for subject in self._subjects.values())
        if outage is not None:
            raise outage
        return moved

    def _take_all(self) -> tuple[int, CrmError | None]:
        """How many presses were settled, and why the others have to wait: amoCRM has to be asked for them."""
        moved = 0
        outage: CrmError | None = None
        for row in self._open_presses():
            try:
                moved += self._take_or_drop(row)
            except CrmError as error:
                outage = error
        return moved, outage

    def _open_presses(self) -> list[Row[Any]]:
        is_open = (self._store.owns(approval_presses), approval_presses.c.done_at.is_(None))
        with self._store.read() as connection:
            return list(connection.execute(select(approval_presses).where(*is_open).order_by(approval_presses.c.id)))

    def _take_or_drop(self, row: Row[Any]) -> int:
        """A press that meets a bug of ours must not hold up the others."""
        try:
            return self._take(row)
        except BridgeError:
            raise
        except Exception:
            log.exception("a press is not understood", press=row.id)
            with self._store.write() as connection:
                done = update(approval_presses).where(approval_presses.c.id == row.id)
                connection.execute(done.values(done_at=self._clock.now().timestamp()))
            return 1

    def _take(self, row: Row[Any]) -> int:
        told = json.loads(row.body)
        if "text" in told:
            return self._take_reply(row, Reply(**told))
        press = Press(**told)
        subject = self._subjects.get(press.data.partition(":")[0])
        now = self._clock.now().timestamp()
        is_late = now - row.received_at > COUNTS_WITHIN.total_seconds()
        if is_late or press.way not in self._bots:
            judged = Judged("")
        else:
            judged = subject.judge(press) if subject is not None else Judged(NO_BUTTON)
        with self._store.write() as connection:
            done = update(approval_presses).where(approval_presses.c.id == row.id).values(done_at=now)
            connection.execute(done)
            if is_late and subject is not None:
                subject.expire(connection, press)
            if judged.keep is not None:
                judged = judged.keep(connection, row.id) or judged
        self._settled()
        self._tell(press, judged, now - row.received_at)
        return 1

    def _take_reply(self, row: Row[Any], reply: Reply) -> int:
        now = self._clock.now().timestamp()
        found = self._answered(reply)
        judged = found and found[0].reply(found[1], reply)
        if judged is not None and now - row.received_at > COUNTS_WITHIN.total_seconds():
            judged = Judged(LATE_REPLY)
        if judged is None:
            # In a chat of several people an answer may be meant for another of them.
            judged = Judged(BY_BUTTON if reply.is_private else "")
        with self._store.write() as connection:
            done = update(approval_presses).where(approval_presses.c.id == row.id)
            connection.execute(done.values(done_at=now))
            if judged.keep is not None:
                judged = judged.keep(connection, row.id) or judged
        if judged.answer and reply.way in self._bots:
            bot = self._bots[reply.way]
            try:
                bot.send(reply.chat_id, bot.texts("", judged.answer, "")[0])
            except ChannelError as error:
                log.warning("an answer in words is not answered", error=str(error))
        return 1

    def _answered(self, reply: Reply) -> tuple[ButtonSubject, int] | None:
        """What the message was about: its subject, and the number of the thing."""
        same = (
            staff_messages.c.way == reply.way,
            staff_messages.c.chat_id == reply.chat_id,
            staff_messages.c.message == reply.message,
        )
        query = select(staff_messages.c.subject, staff_messages.c.number).where(self._store.owns(staff_messages), *same)
        with self._store.read() as connection:
            row = connection.execute(query).first()
        subject = self._subjects.get(row.subject) if row is not None else None
        return (subject, row.number) if row is not None and subject is not None else None

    def _tell(self, press: Press, judged: Judged, age: float) -> None:
        """Nothing hangs on it: what was decided is kept."""
        if press.way not in self._bots:
            return
        bot = self._bots[press.way]
        try:
            if judged.answer and age < ANSWERED_WITHIN.total_seconds():
                bot.answer_press(press.press, judged.answer)
            if judged.text:
                bot.edit(press.chat_id, press.message, judged.text)
        except ChannelError as error:
            log.warning("a press is not answered", error=str(error))
