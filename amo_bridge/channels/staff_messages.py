"""Messages to colleagues with a button: one for each question, changed in place while it is open.

::

    asking ─► asked ─► closed       it says what became of it, without its button
       └─► refused                  the person can't be written to by a messenger with buttons

What is closed and wanted again is asked by a new message.

The row is there before the message is sent. A message whose answer was lost is sent once more: for our own people twice
is better than never, and both messages work.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Protocol, TypeVar

from sqlalchemy import Row, select, update
from sqlalchemy.engine import Connection

from amo_bridge.channels.messengers import Button
from amo_bridge.channels.presses import ButtonSubject, Press, StaffBots
from amo_bridge.clock import Clock
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.people import Reach, ReachablePerson
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import ChannelDown, ChannelError, ChannelRefused
from amo_bridge.logs import log
from amo_bridge.storage.database import AccountStore, chunks, insert_new
from amo_bridge.storage.tables import outbox, staff_messages

MESSENGERS = {"telegram": "Telegram", "max": "MAX"}
Sent = Literal["sent", "waits", "refused"]


class StaffMessages:
    """Those of one subject, ``mark``. ``about``: what stands at the top of each."""

    def __init__(self, mark: str, about: str, bots: StaffBots, store: AccountStore, clock: Clock) -> None:
        self._mark = mark
        self._about = about
        self._bots = bots
        self._store = store
        self._clock = clock

    def of(self, numbers: Sequence[int]) -> dict[int, Row[Any]]:
        """Number of the thing → its message."""
        mine = (self._store.owns(staff_messages), staff_messages.c.subject == self._mark)
        found: dict[int, Row[Any]] = {}
        with self._store.read() as connection:
            for some in chunks(sorted(numbers)):
                query = select(staff_messages).where(*mine, staff_messages.c.number.in_(some))
                found |= {row.number: row for row in connection.execute(query)}
        return found

    def open(self) -> list[Row[Any]]:
        """Messages that still have their button."""
        mine = (self._store.owns(staff_messages), staff_messages.c.subject == self._mark)
        query = select(staff_messages).where(*mine, staff_messages.c.state.in_(("asking", "asked")))
        with self._store.read() as connection:
            return list(connection.execute(query.order_by(staff_messages.c.id)))

    def is_due(self, row: Row[Any] | None, version: int) -> bool:
        """Is a message about this version to be sent now, or the one that was sent to be changed?"""
        if row is None:
            return True
        if row.state == "closed":
            # What was no longer asked for is wanted again.
            return True
        if row.state == "asked":
            return bool(row.version != version and not self._bots.is_down(row.way))
        return bool(row.state == "asking" and row.due_at <= self._clock.now().timestamp())

    def send(
        self,
        number: int,
        version: int,
        person: ReachablePerson,
        text: str,
        url: str,
        buttons: Sequence[Button],
        refused: Callable[[Connection], None],
    ) -> Sent:
        """Send the message, or put this text in its place. ``refused``: writes down another way to tell the person, in
        the transaction that gives this one up."""
        row = self.of([number]).get(number)
        is_there = row is not None and row.state == "asked" and bool(row.message)
        if is_there and (changed := self._change(row, version, text, url, buttons)) != "refused":
            return changed
        ways = self._bots.ways(person)
        self._begin(number, version, person, text)
        refusals, waits = [], ""
        for way in ways:
            if self._bots.is_down(way):
                waits = waits or f"{way} сейчас не отвечает"
                continue
            chat_id = person.chat(way)
            assert chat_id is not None
            try:
                message = self._bots[way].send(chat_id, self.shown(way, text, url), buttons)
            except ChannelRefused as error:
                refusals.append(str(error))
            except ChannelError as error:
                log.warning("a message with a button waits", subject=self._mark, number=number, error=str(error))
                self._bots.fell(way, error)
                waits = str(error)
                if not isinstance(error, ChannelDown):
                    # It may have gone out all the same: not by another way at once.
                    break
            else:
                self._bots.went_out(way)
                self._mark_row(number, state="asked", way=way, chat_id=chat_id, message=message, words="")
                return "sent"
        if waits:
            self._mark_row(number, due_at=self._bots.up_again_at, words=waits)
            return "waits"
        words = "; ".join(refusals) or "нет мессенджера с кнопками"
        with self._store.write() as connection:
            self._mark_in(connection, number, state="refused", words=words, due_at=self._clock.now().timestamp())
            refused(connection)
        return "refused"

    def end(self, row: Row[Any], more: str, url: str) -> int:
        """The message says what became of it and loses its button; 0 while the messenger does not answer."""
        if row.message and row.way in self._bots:
            if self._bots.is_down(row.way):
                return 0
            text = self.shown(row.way, f"{row.text}\n\n{more}", url)
            try:
                self._bots[row.way].edit(row.chat_id, row.message, text)
            except ChannelRefused as error:
                log.warning("a message keeps its old words", number=row.number, error=str(error))
            except ChannelError as error:
                log.warning("a message waits for its new words", number=row.number, error=str(error))
                self._bots.fell(row.way, error)
                return 0
            else:
                self._bots.went_out(row.way)
        self._mark_row(row.number, state="closed", due_at=self._clock.now().timestamp())
        return 1

    def shown(self, way: Any, text: str, url: str) -> str:
        """The text as a messenger shows it."""
        return self._bots[way].texts(self._about, text, url)[0]

    def _change(self, row: Any, version: int, text: str, url: str, buttons: Sequence[Button]) -> Sent:
        if row.way not in self._bots:
            return "refused"
        try:
            self._bots[row.way].edit(row.chat_id, row.message, self.shown(row.way, text, url), buttons)
        except ChannelRefused as error:
            log.warning("a message can't be changed: another is sent", number=row.number, error=str(error))
            return "refused"
        except ChannelError as error:
            self._bots.fell(row.way, error)
            return "waits"
        self._bots.went_out(row.way)
        self._mark_row(row.number, version=version, text=text)
        return "sent"

    def _begin(self, number: int, version: int, person: ReachablePerson, text: str) -> None:
        """The row of a message, there before it is sent."""
        row: Mapping[str, Any] = {
            "account": self._store.account_id, "subject": self._mark, "number": number, "version": version,
            "user_id": person.user.id, "way": "", "chat_id": 0, "message": "", "text": text, "state": "asking",
            "words": "", "due_at": 0.0,
        }  # fmt: skip
        with self._store.write() as connection:
            if not insert_new(connection, staff_messages, [row]):
                # What is closed keeps its last words: a new message is sent.
                self._forget_closed(connection, number)
            self._mark_in(connection, number, state="asking", version=version, text=text)

    def _forget_closed(self, connection: Connection, number: int) -> None:
        mine = (self._store.owns(staff_messages), staff_messages.c.subject == self._mark)
        closed = (*mine, staff_messages.c.number == number, staff_messages.c.state == "closed")
        connection.execute(update(staff_messages).where(*closed).values(way="", chat_id=0, message=""))

    def _mark_row(self, number: int, **values: object) -> None:
        with self._store.write() as connection:
            self._mark_in(connection, number, **values)

    def _mark_in(self, connection: Connection, number: int, **values: object) -> None:
        same = (
            self._store.owns(staff_messages),
            staff_messages.c.subject == self._mark,
            staff_messages.c.number == number,
        )
        connection.execute(update(staff_messages).where(*same).values(**values))


class Question(NamedTuple):
    """``instead``: the notice for whoever can't be written to by a messenger with buttons."""

    text: str
    url: str
    button: Button
    instead: Planned


class Asked(Protocol):
    """A thing that one person is asked about."""

    @property
    def number(self) -> int: ...

    @property
    def user_id(self) -> int: ...


T = TypeVar("T", bound=Asked)


class StaffQuestions(ButtonSubject, Generic[T]):
    """A subject that asks one person about each thing that waits for him, until it waits no more.

    ``clock``: the bridge's own; ``account_clock``: amoCRM's, by which the things are kept."""

    about: ClassVar[str]

    def __init__(
        self,
        bots: StaffBots,
        store: AccountStore,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        account_clock: Clock,
    ) -> None:
        self._store = store
        self._rule_engine = rule_engine
        self._clock = clock
        self._account_clock = account_clock
        self._messages = StaffMessages(self.mark, self.about, bots, store, clock)

    @abstractmethod
    def _version(self, one: T) -> int:
        """Of what is asked: another one is put in the place of the message that was sent."""

    @abstractmethod
    def _question(self, engine: RuleEngine, one: T) -> Question | None:
        """What is sent; None: nothing yet."""

    @abstractmethod
    def _ending(self, engine: RuleEngine, number: int) -> tuple[str, str]:
        """What a message says that asks no more, and the page that it leads to."""

    def _is_due(self, row: Row[Any] | None, one: T) -> bool:
        return self._messages.is_due(row, self._version(one))

    def expire(self, connection: Connection, press: Press) -> None:
        """Nothing to write down: the message still asks, and the reminder comes."""

    def _ask(self, engine: RuleEngine, waiting: Mapping[int, T], now: datetime) -> int:
        if not waiting:
            return 0
        reach, known = Reach(engine.config.channels, engine.account), self._messages.of(list(waiting))
        moved = 0
        for number, one in waiting.items():
            person = reach.person(one.user_id)
            if person is None or not self._is_due(known.get(number), one) or reach.quiet_until(person, now):
                continue
            question = self._question(engine, one)
            if question is not None:
                sent = self._messages.send(
                    number, self._version(one), person, question.text, question.url, [question.button],
                    self._notice(question.instead),
                )  # fmt: skip
                moved += sent in ("sent", "refused")
        return moved

    def _notice(self, planned: Planned) -> Callable[[Connection], None]:
        def put(connection: Connection) -> None:
            insert_new(connection, outbox, [planned.row(self._store.account_id, self._clock.now())])

        return put

    def _end_others(self, engine: RuleEngine, waiting: Mapping[int, T]) -> int:
        """Messages about what waits no more say so."""
        moved = 0
        for row in self._messages.open():
            if row.number not in waiting:
                moved += self._messages.end(row, *self._ending(engine, row.number))
        return moved
