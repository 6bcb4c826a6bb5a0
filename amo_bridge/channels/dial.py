"""Auto-dial: the exchange calls the manager, then the client, again and again until they have talked.

The outbox starts and stops it; each dial lives in table ``dials`` and goes on by the clock, in the channel's thread.
A call is written down before the exchange is asked for it and asked for once: what became of it is told by the
exchange's webhook or its history, and if neither knows, by a person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from sqlalchemy.engine import Connection

from amo_bridge.channels.dial_log import CONCERNS_ALL, LOOKS, SOON, CallHistory, Dial, DialCall, DialLog, HistoryFailed
from amo_bridge.channels.dial_rules import (
    Progress,
    first_hour,
    has_numbers,
    next_working_morning,
    number_to_dial,
    progress,
    talk_by_hand,
    zone_in,
)
from amo_bridge.channels.port import FOREVER, Job, LostAnswer, NotSent, Outcome, Port, Sent
from amo_bridge.channels.recipients import Recipient, recipients
from amo_bridge.channels.telephony import CallOrder, Telephony
from amo_bridge.clock import Clock
from amo_bridge.config.channels import DialSection, PersonSection
from amo_bridge.crm.client import CrmClient
from amo_bridge.dates.due import Due
from amo_bridge.engine.deal_view import FieldReader
from amo_bridge.engine.effects import Channel, Effect
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.outbox import Sendable, add_following
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import (
    BridgeError,
    ChannelBusy,
    ChannelDown,
    ChannelRefused,
    ChannelUncertain,
    UnknownName,
)
from amo_bridge.events import Card
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.mirror.touches import TouchLog, in_order
from amo_bridge.rules.actions import AddNote, CreateTask, Person
from amo_bridge.rules.deal import Touch
from amo_bridge.storage.database import AccountStore
from amo_bridge.text.names import same_name

JOURNAL = "автодозвон"
TASK_DUE = Due.parse("1 working day")
HOUR = timedelta(hours=1)
BRIDGE_FAILED = "ошибка моста, попробует через час: {!r}"
NOBODY = PersonSection()


class Planned(NamedTuple):
    """A call that may be made now."""

    dial: Dial
    order: CallOrder
    user_id: int
    client: str


@dataclass(frozen=True)
class Wait:
    """Not now. ``is_news``: the journal tells it."""

    until: datetime
    why: str


@dataclass(frozen=True)
class Over:
    """The dial ends. ``task``: for ``to``, once."""

    why: str
    task: str = ""
    to: Person = "manager"


class DialPort(Port):
    """Begins and ends dials for the outbox, and makes their calls by the clock. ``telephony``: the exchange."""

    channel: Channel = "dial"
    # The row itself asks nobody: it begins or ends a dial in our own store.
    lost_answer: LostAnswer = "repeat"
    gives_up_after = FOREVER

    def __init__(
        self,
        telephony: Telephony,
        store: AccountStore,
        client: CrmClient,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        account_clock: Clock,
    ) -> None:
        self._telephony = telephony
        self._store = store
        self._client = client
        self._rule_engine = rule_engine
        self._clock = clock
        self._account_clock = account_clock
        self._log = DialLog(store)
        self._history = CallHistory(telephony, store, self._log, account_clock)
        self._journal = Journal(store)
        # Calls by which a dial could not go on → when it is tried again.
        self._paused: dict[int, datetime] = {}

    # --- rows of the outbox ---

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        return {row.id: self._outcome(row) for row in rows}

    def keep(self, connection: Connection, row: Sendable, outcome: Outcome) -> None:
        if not isinstance(outcome, Sent):
            return
        now = self._account_clock.now()
        if row.kind == "start_auto_dial":
            self._log.begin(connection, row, row.body["stage"], now, now)
            return
        for dial in self._log.open_of(row.deal_id):
            self._log.end(connection, dial.id, row.body["because"] or "остановлен правилом", now)

    def _outcome(self, row: Sendable) -> Outcome:
        running = self._log.open_of(row.deal_id)
        if row.kind == "stop_auto_dial":
            return Sent(row.body["because"]) if running else NotSent("автодозвон не шёл")
        if running:
            return NotSent("автодозвон по сделке уже идёт")
        return Sent("звонит, когда работают и менеджер, и клиент")

    # --- by the clock ---

    def recover(self) -> None:
        self._log.doubt_interrupted()

    def run_due(self) -> int:
        """What the exchange knows of calls that go on; dials whose call has ended; calls that are due."""
        outage: BridgeError | None = None
        moved = 0
        try:
            moved += self._history.settle_due()
        except ChannelDown as error:
            outage = error
        moved += self._go_on()
        if outage is not None:
            raise outage
        return moved + self._call_due()

    @property
    def _options(self) -> DialSection:
        return self._rule_engine().config.channels.dial

    # --- how dials go on ---

    def _go_on(self) -> int:
        """Dials whose call has ended wait for the next one, or end; how many."""
        moved, now = 0, self._account_clock.now()
        for call in self._log.unapplied():
            if self._paused.get(call.id, now) > now:
                continue
            try:
                self._apply(call)
            except CONCERNS_ALL:
                raise
            except Exception as error:
                log.exception("dial failed", call=call.ref)
                self._paused[call.id] = now + HOUR
                self._tell_failure(call.dial_id, call.deal_id, error)
            else:
                self._paused.pop(call.id, None)
                moved += 1
        return moved

    def _tell_failure(self, dial_id: int, deal_id: int, error: Exception) -> None:
        words = BRIDGE_FAILED.format(error)
        with self._store.write() as connection:
            self._log.set(connection, dial_id, why=words)
            self._note(connection, deal_id, words)

    def _apply(self, call: DialCall) -> None:
        dial = self._log.get(call.dial_id)
        if dial is None:
            # Its dial is forgotten by now.
            with self._store.write() as connection:
                self._log.set_call(connection, call.id, is_applied=True)
            return
        after = progress(dial, call, self._options, self._rule_engine().calendar)
        is_over = not dial.is_open
        found = None
        if (after.note or after.task) and not is_over:
            # Before the transaction: amoCRM may take its time.
            found = recipients([dial], self._client, self._rule_engine())[dial.id]
        with self._store.write() as connection:
            self._log.set_call(connection, call.id, is_applied=True)
            self._note(connection, dial.deal_id, after.words)
            if is_over:
                return
            self._move_on(connection, dial, after)
            if isinstance(found, Recipient):
                if after.note:
                    note = AddNote(deal_id=dial.deal_id, text=after.note)
                    self._add(connection, dial, found, note, f"unanswered {call.id}")
                if after.task:
                    # Of each call of its own: a person has to hear of the second one, too.
                    self._set_task(connection, dial, found, after.task, "manager", f"call {call.id}")

    def _move_on(self, connection: Connection, dial: Dial, after: Progress) -> None:
        now = self._account_clock.now()
        if after.next_at is None and not after.is_undecided:
            if self._log.end(connection, dial.id, after.why, now):
                self._note(connection, dial.deal_id, f"окончен: {after.why}")
            return
        silent_until = max(after.silent_until or dial.silent_until, dial.silent_until)
        # A late word about a call before the one that goes on just now.
        is_calling = any(call.is_in_flight for call in self._log.calls_of([dial.id]).get(dial.id, ()))
        self._log.set(
            connection,
            dial.id,
            state="calling" if is_calling else "undecided" if after.is_undecided else "waiting",
            next_at=max(after.next_at or now, silent_until).timestamp(),
            silent_until=silent_until.timestamp(),
            why=after.why,
            manager_misses=after.manager_misses,
            client_misses=after.client_misses,
        )

    # --- calls that are due ---

    def _call_due(self) -> int:
        now = self._account_clock.now()
        moved = self._end_those_that_left(now)
        due = self._log.due(now)
        if not due:
            return moved
        rule_engine = self._rule_engine()
        if why := self._hindrance(rule_engine):
            self._explain(due, why)
            return moved
        calendar = rule_engine.calendar
        if not calendar.is_working(now):
            morning = calendar.add_working(now, timedelta())
            return moved + self._put_off(due, Wait(morning, "нерабочее время"))
        calls = self._log.calls_of(dial.id for dial in due)
        found = recipients(due, self._client, rule_engine)
        busy = {call.user_id for call in self._log.in_flight()}
        for number, dial in enumerate(due):
            # A round may last: somebody may have pressed «Остановить» meanwhile.
            if why := self._hindrance(self._rule_engine()):
                self._explain(due[number:], why)
                break
            try:
                moved += self._go_about(dial, found[dial.id], calls.get(dial.id, []), busy, now)
            except CONCERNS_ALL:
                raise
            except Exception as error:
                log.exception("dial failed", dial=dial.id)
                moved += self._put_off([dial], Wait(now + HOUR, BRIDGE_FAILED.format(error)))
        return moved

    def _go_about(
        self, dial: Dial, found: Recipient | NotSent, calls: Sequence[DialCall], busy: set[int], now: datetime
    ) -> int:
        """Call for this dial, put it off or end it; how much was moved on."""
        decided = self._decide(dial, found, calls, busy, now)
        if isinstance(decided, Wait):
            return self._put_off([dial], decided)
        if isinstance(decided, Over):
            return self._end(dial, found, decided, now)
        busy.add(decided.user_id)
        return self._call(decided, now)

    def _end_those_that_left(self, now: datetime) -> int:
        """Deals that the mirror knows to be on another stage by now."""
        left = self._log.left_their_stage()
        for dial in left:
            self._end(dial, NotSent(""), Over("сделка ушла с этапа"), now)
        return len(left)

    def _hindrance(self, rule_engine: RuleEngine) -> str:
        """Why nobody is called at all; empty if nothing hinders."""
        if not self._options.enabled:
            return "дозвон выключен: [dial] enabled = false"
        if rule_engine.config.bridge.dry_run:
            return "прогон без действий: [bridge] dry_run = true"
        return "дозвон остановлен на странице «Дозвон»" if self._log.is_stopped else ""

    def _explain(self, due: Sequence[Dial], why: str) -> None:
        changed = [dial for dial in due if dial.why != why]
        if changed:
            with self._store.write() as connection:
                for dial in changed:
                    self._log.set(connection, dial.id, why=why)

    def _decide(
        self,
        dial: Dial,
        found: Recipient | NotSent,
        calls: Sequence[DialCall],
        busy: set[int],
        now: datetime,
    ) -> Planned | Wait | Over:
        if isinstance(found, NotSent):
            return Over(found.why)
        if (found.record.pipeline_id, found.record.status_id) != dial.stage:
            return Over(f"сделка ушла на этап «{found.deal.stage.title}»")
        if tag := self._opt_out(found):
            return Over(f"тег «{tag}»: не звонить")
        if by_hand := self._talk_by_hand(dial, found, calls):
            local = self._rule_engine().calendar.local(by_hand.at)
            return Over(f"с клиентом поговорили {local:%d.%m в %H:%M} без автодозвона")
        if calls and calls[-1].told_by == "absence":
            try:
                if self._history.corrects_absence(calls[-1]):
                    return Wait(now, dial.why)
            except HistoryFailed as error:
                return Wait(now + error.wait, str(error))
        return self._whom(dial, found, busy, now)

    def _opt_out(self, found: Recipient) -> str:
        tag = self._options.opt_out_tag
        tags = [*found.record.tags, *(found.contact.tags if found.contact else ())]
        return next((str(tag) for one in tags if tag and same_name(one, tag)), "")

    def _talk_by_hand(self, dial: Dial, found: Recipient, calls: Sequence[DialCall]) -> Touch | None:
        cards: list[Card] = [("deal", dial.deal_id), *(("contact", one) for one in found.record.contact_ids)]
        touches = TouchLog(self._store).on(cards, dial.started_at)
        return talk_by_hand(in_order(touches, cards), calls, dial.started_at, self._options.talk_seconds)

    def _whom(self, dial: Dial, found: Recipient, busy: set[int], now: datetime) -> Planned | Wait | Over:
        rule_engine, options = self._rule_engine(), self._options
        calendar, home = rule_engine.calendar, rule_engine.config.calendar.country
        today = calendar.local(now).date()
        contact = found.contact
        if contact is None or not has_numbers(contact.phones, home):
            task = "Автодозвон ждёт: у клиента нет телефона. Узнайте номер и впишите его в контакт"
            self._ask_once(dial, found, task)
            return Wait(now + HOUR, "у клиента нет телефона")
        phone = number_to_dial(contact.phones, options, home)
        if phone is None:
            return Over("номер зарубежный: мост его не набирает", self._abroad(found), options.abroad_to)
        try:
            user_id = rule_engine.people.works_now(found.record.responsible_user_id, today)
        except UnknownName as error:
            return Wait(next_working_morning(now, calendar), str(error))
        name = self._name(user_id)
        user = next((one for one in rule_engine.account.users if one.id == user_id), None)
        if user is not None and not rule_engine.people.is_at_work(user, today):
            return Wait(next_working_morning(now, calendar), f"«{name}» отсутствует, заместителя нет")
        try:
            zone = self._client_zone(found)
        except UnknownName as error:
            return Wait(now + HOUR, f"часов клиента не узнать: {error}; поправьте client_zone в [dial]")
        try:
            hour = first_hour(now, calendar, options, zone)
        except ValueError as error:
            return Over(str(error), f"Автодозвон не звонит: {error}. Позвоните клиенту сами", "manager")
        if hour > now:
            return Wait(hour, "у клиента сейчас не время для звонков")
        if dial.day == str(today) and dial.day_calls >= options.a_day:
            return Wait(next_working_morning(now, calendar), f"сегодня звонков уже {dial.day_calls}, больше нельзя")
        if user_id in busy:
            return Wait(now + SOON, f"«{name}» занят другим звонком автодозвона")
        person = self._person(name)
        says = options.says.replace("{клиент}", contact.name).replace("{сделка}", found.deal.name)
        order = CallOrder("", person.extension or "", person.pbx_employee, phone, says)
        if problem := self._problem_of(order):
            return Wait(now + HOUR, f'у «{name}» {problem}: впишите в [people."{name}"]')
        return Planned(dial, order, user_id, contact.name)

    def _problem_of(self, order: CallOrder) -> str:
        if not order.extension and order.employee is None:
            return "нет номера АТС (extension)"
        return self._telephony.cause_of(order)

    @staticmethod
    def _abroad(found: Recipient) -> str:
        name = found.contact.name if found.contact else ""
        return f"Номер клиента зарубежный, автодозвон его не набирает. Свяжитесь с клиентом сами: {name}".rstrip(": ")

    def _client_zone(self, found: Recipient) -> tzinfo | None:
        """None where nobody has written it, or nobody can read it. Raises UnknownName."""
        name = self._options.client_zone
        if name is None or found.contact is None:
            return None
        account = self._rule_engine().account
        value = FieldReader(account, "contacts").values(found.contact).get(account.field(name, "contacts").name)
        return zone_in(str(value)) if value is not None else None

    def _name(self, user_id: int) -> str:
        users = self._rule_engine().account.users
        return next((user.name for user in users if user.id == user_id), str(user_id))

    def _person(self, name: str) -> PersonSection:
        people = self._rule_engine().config.channels.people
        return next((section for known, section in people.items() if same_name(known, name)), NOBODY)

    # --- one call ---

    def _call(self, planned: Planned, now: datetime) -> int:
        written = self._written_down(planned, now)
        if written is None:
            return 0
        dial, call = written
        order = replace(planned.order, ref=call.ref)
        try:
            vendor_ref = self._telephony.call(order)
        except ChannelDown as error:
            self._not_called(dial, call, SOON, str(error))
            raise
        except ChannelBusy as error:
            self._not_called(dial, call, timedelta(seconds=error.retry_after or 60), str(error))
        except ChannelUncertain as error:
            self._asked(call, "doubt", "", str(error))
            with self._store.write() as connection:
                self._note(connection, dial.deal_id, f"ответ АТС потерян, второй раз не звоним: {error}")
        except ChannelRefused as error:
            with self._store.write() as connection:
                end = "wrong" if "UNALLOCATED" in str(error) else "refused"
                self._log.tell_of(connection, call, state=end, words=str(error), settled_at=now.timestamp())
        except BridgeError:
            # The store is gone, or somebody else leads: whoever goes on finds the call as «asking».
            raise
        except Exception as error:
            log.exception("dial failed", call=call.ref)
            self._asked(call, "doubt", "", f"ошибка моста: {error!r}")
        else:
            self._asked(call, "placed", vendor_ref, "")
        return 1

    def _written_down(self, planned: Planned, now: datetime) -> tuple[Dial, DialCall] | None:
        """None if the dial was stopped in the meantime: then there is no call."""
        dial, order = planned.dial, planned.order
        today = str(self._rule_engine().calendar.local(now).date())
        count = dial.day_calls + 1 if dial.day == today else 1
        call = DialCall(
            id=0,
            dial_id=dial.id,
            deal_id=dial.deal_id,
            ref="",
            vendor=self._telephony.vendor,
            vendor_ref="",
            user_id=planned.user_id,
            extension=order.extension,
            phone=order.phone,
            asked_at=now,
            state="asking",
            looks=0,
            seconds=0,
            words="",
            told_by="",
            settled_at=None,
            is_applied=False,
        )
        name = self._name(planned.user_id)
        why = f"звоним: «{name}»"
        with self._store.write() as connection:
            if not self._log.claim(connection, dial.id, user_id=planned.user_id, day=today, day_calls=count, why=why):
                return None
            number = self._log.next_number(connection, dial.id)
            call = replace(call, ref=f"dial-{self._store.account_id}-{dial.id}-{number}")
            call = replace(call, id=self._log.add_call(connection, call))
            self._note(connection, dial.deal_id, f"{why}, потом клиент {planned.client}; звонок {number}-й")
        return replace(dial, state="calling", day=today, day_calls=count), call

    def _asked(self, call: DialCall, state: str, vendor_ref: str, words: str) -> None:
        look_at, ref = (call.asked_at + LOOKS[0]).timestamp(), vendor_ref[:80]
        with self._store.write() as connection:
            if (
                not self._log.tell_of(connection, call, state=state, vendor_ref=ref, words=words, look_at=look_at)
                and ref
            ):
                # A webhook was faster than the answer.
                self._log.set_call(connection, call.id, vendor_ref=ref)

    def _not_called(self, dial: Dial, call: DialCall, wait: timedelta, words: str) -> None:
        """The exchange surely never got the request: it does not count."""
        now = self._account_clock.now()
        with self._store.write() as connection:
            self._log.set_call(
                connection, call.id, state="unsent", words=words, settled_at=now.timestamp(), is_applied=True
            )
            self._log.set(
                connection,
                dial.id,
                state="waiting",
                next_at=(now + wait).timestamp(),
                day_calls=max(dial.day_calls - 1, 0),
                why=f"не вышло: {words}",
            )
            self._note(connection, dial.deal_id, f"АТС не ответила, звонка не было: {words}")

    # --- what is kept ---

    def _put_off(self, some: Sequence[Dial], wait: Wait) -> int:
        with self._store.write() as connection:
            for dial in some:
                is_open = self._log.set(connection, dial.id, next_at=wait.until.timestamp(), why=wait.why)
                if is_open and dial.why != wait.why and wait.until - self._account_clock.now() > SOON:
                    until = self._rule_engine().calendar.local(wait.until)
                    self._note(connection, dial.deal_id, f"ждёт до {until:%d.%m %H:%M}: {wait.why}")
        return len(some)

    def _end(self, dial: Dial, found: Recipient | NotSent, over: Over, now: datetime) -> int:
        with self._store.write() as connection:
            if not self._log.end(connection, dial.id, over.why, now):
                return 0
            self._note(connection, dial.deal_id, f"окончен: {over.why}")
            if over.task and isinstance(found, Recipient):
                self._set_task(connection, dial, found, over.task, over.to)
        return 1

    def _ask_once(self, dial: Dial, found: Recipient, task: str) -> None:
        with self._store.write() as connection:
            self._set_task(connection, dial, found, task, "manager")

    def _set_task(
        self, connection: Connection, dial: Dial, found: Recipient, text: str, to: Person, about: str = ""
    ) -> None:
        """One for a dial and ``about`` (else its text), however often it is wanted."""
        task = CreateTask(deal_id=dial.deal_id, text=text, to=to, due=TASK_DUE)
        self._add(connection, dial, found, task, f"task {about or text[:40]}")

    def _add(
        self, connection: Connection, dial: Dial, found: Recipient, action: AddNote | CreateTask, slot: str
    ) -> None:
        now = self._account_clock.now()
        try:
            made = self._rule_engine().resolver.effects(action, found.deal, found.record, now)
        except UnknownName as error:
            self._note(connection, dial.deal_id, f"«{action.text}» — не поставлено: {error}")
            return
        effects: list[Effect] = [replace(effect, once=True, slot=f"dial {dial.id} {slot}") for effect in made]
        add_following(connection, self._store.account_id, dial, effects, self._clock.now())

    def _note(self, connection: Connection, deal_id: int, words: str) -> None:
        self._journal.note(connection, self._account_clock.now().astimezone(UTC), JOURNAL, {deal_id: words})
