"""SMS to clients: who may get one and when, what it costs, whether it was delivered.

Advertising goes out only with the client's consent (Federal Law «On Advertising», article 18). A message whose answer
was lost is never sent again: the service is asked, where it can be asked, else a person decides.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Row, select, update
from sqlalchemy.engine import Connection

from amo_bridge.channels.port import Job, Later, LostAnswer, NotSent, Outcome, Port, Sent, refusal
from amo_bridge.channels.recipients import Recipient, is_yes, recipients
from amo_bridge.channels.sms_services import SmsReport, SmsService, SmsTaken
from amo_bridge.channels.vendor_states import VendorStates
from amo_bridge.clock import Clock
from amo_bridge.config.channels import SmsSection
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.records import ContactRecord
from amo_bridge.engine.alerts import Alerts
from amo_bridge.engine.deal_view import FieldReader
from amo_bridge.engine.effects import Channel, Effect
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.errors import ChannelBusy, ChannelRefused, ChannelUncertain, UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.tables import sms
from amo_bridge.text.addresses import is_landline, numbers_in
from amo_bridge.text.names import same_name
from amo_bridge.text.sms_size import SmsSize, sms_size

JOURNAL = "SMS"
LOOKS = tuple(timedelta(minutes=minutes) for minutes in (2, 10, 60, 360, 1440, 2880))
"""After sending, when the service is asked whether it was delivered; after the last nobody knows."""
AT_ONCE = 20
FINDS = 3
LONGEST_NUMBER = 0x7FFFFFFF


@dataclass(frozen=True)
class Taken:
    """A message that is out, to be kept with its row."""

    contact_id: int
    phone: str
    size: SmsSize
    taken: SmsTaken


class SmsPort(Port):
    channel: Channel = "sms"
    # A night is twelve hours by itself (``quiet``).
    gives_up_after = timedelta(hours=18)

    def __init__(
        self,
        section: SmsSection,
        service: SmsService,
        store: AccountStore,
        client: CrmClient,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        account_clock: Clock,
    ) -> None:
        self.lost_answer: LostAnswer = "find" if service.finds_lost else "leave"
        self._section = section
        self._service = service
        self._store = store
        self._client = client
        self._rule_engine = rule_engine
        self._clock = clock
        self._account_clock = account_clock
        self._journal = Journal(store)
        self._out: dict[int, Taken] = {}

    # --- rows of the outbox ---

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        self._out.clear()
        found = recipients(rows, self._client, self._rule_engine())
        return {row.id: self._planned(row, found[row.id]) for row in rows}

    def keep(self, connection: Connection, row: Sendable, outcome: Outcome) -> None:
        if not isinstance(outcome, Sent) or (out := self._out.get(row.id)) is None:
            return
        now = self._account_clock.now()
        values = {
            "account": self._store.account_id,
            "outbox_id": row.id,
            "deal_id": row.deal_id,
            "contact_id": out.contact_id,
            "vendor": self._service.vendor,
            "vendor_id": out.taken.vendor_id[:40],
            "phone": out.phone,
            "parts": out.size.parts,
            "cost": out.taken.cost,
            "sent_at": now.timestamp(),
            "state": "sent",
            "words": "",
            "looks": 0,
            "look_at": None if self._section.test else (now + LOOKS[0]).timestamp(),
        }
        insert_new(connection, sms, [values])

    def find_lost(self, row: Sendable) -> Sent | None:
        """By our own number. Not there is no leave to send it again: perhaps it is only on its way."""
        found = recipients([row], self._client, self._rule_engine())[row.id]
        phone = self._phone(found.contact) if isinstance(found, Recipient) and found.contact else None
        number = self._number(row)
        if phone and self._service.state(str(number), phone) is not None:
            assert isinstance(found, Recipient)
            assert found.contact is not None
            size = sms_size(row.body["text"])
            self._out[row.id] = Taken(found.contact.id, phone, size, SmsTaken(str(number)))
            return Sent(self._summary(found.contact, size, SmsTaken("")), then=self._note(row, phone))
        if row.attempts < FINDS:
            raise ChannelUncertain("сервис этого сообщения пока не знает")
        raise ChannelRefused("сервис этого сообщения не знает: решите сами, отправлять ли его снова")

    def _planned(self, row: Sendable, found: Recipient | NotSent) -> Outcome | Job:
        if isinstance(found, NotSent):
            return found
        if (contact := found.contact) is None:
            return NotSent("у сделки нет контакта")
        if tag := self._opt_out(found, contact):
            return NotSent(f"тег «{tag}»: SMS не отправлять")
        try:
            if not row.body.get("service", False) and (why := self._lack_of_consent(contact)):
                return NotSent(why)
        except UnknownName as error:
            return refusal(f"согласие клиента не узнать: {error}; поправьте consent в [{self._service.vendor}]")
        phone = self._phone(contact)
        if phone is None:
            return NotSent("у клиента нет мобильного телефона" if contact.phones else "у клиента нет телефона")
        size = sms_size(row.body["text"])
        if size.parts > self._section.most_parts:
            return NotSent(f"текст длинный: {size.words}; можно частей {self._section.most_parts} (most_parts)")
        if until := self._quiet_until():
            return Later(until, "тихие часы: SMS уйдёт после них")
        return partial(self._send, row, contact, phone, size)

    def _send(self, row: Sendable, contact: ContactRecord, phone: str, size: SmsSize) -> Outcome:
        taken = self._service.send(self._number(row), phone, row.body["text"])
        self._out[row.id] = Taken(contact.id, phone, size, taken)
        self._watch_balance(taken.balance)
        return Sent(self._summary(contact, size, taken), then=self._note(row, phone))

    def _summary(self, contact: ContactRecord, size: SmsSize, taken: SmsTaken) -> str:
        cost = "" if taken.cost is None else f", цена {taken.cost:g}"
        test = ", проба: никуда не ушло" if self._section.test else ""
        return f"контакт {contact.id}, {size.words}{cost}{test}"

    def _note(self, row: Sendable, phone: str) -> tuple[Effect, ...]:
        if not self._section.note or self._section.test:
            return ()
        text = row.body["text"]
        body = {"entity_id": row.deal_id, "note_type": "sms_out", "params": {"text": text, "phone": phone}}
        at = self._account_clock.now().timestamp()
        return (Effect("add_note", row.deal_id, body, f"примечание: SMS «{text}»", not_before=at),)

    def _number(self, row: Sendable) -> int:
        """Our own of the message, the same however often the row is tried."""
        return zlib.crc32(f"{self._store.account_id}|{row.id}|{row.key}".encode()) & LONGEST_NUMBER or 1

    def _phone(self, contact: ContactRecord) -> str | None:
        home = self._rule_engine().config.calendar.country or "RU"
        found = [number for cell in contact.phones for number in numbers_in(cell, home)]
        return next((number for number in found if not is_landline(number)), None)

    def _opt_out(self, found: Recipient, contact: ContactRecord) -> str:
        wanted = self._section.opt_out_tag
        tags = (*found.record.tags, *contact.tags)
        return str(wanted) if wanted and any(same_name(tag, wanted) for tag in tags) else ""

    def _lack_of_consent(self, contact: ContactRecord) -> str:
        """Why no advertising may be sent (Russian); empty if it may. Raises UnknownName."""
        if self._section.consent is None:
            return f"реклама по SMS — только с согласия: назовите поле согласия (consent в [{self._service.vendor}])"
        account = self._rule_engine().account
        name = account.field(self._section.consent, "contacts").name
        value = FieldReader(account, "contacts").values(contact).get(name)
        return "" if is_yes(value) else "нет согласия клиента на рассылку"

    def _quiet_until(self) -> datetime | None:
        quiet = self._section.quiet
        if quiet is None:
            return None
        local = self._rule_engine().calendar.local(self._account_clock.now())
        if not quiet.holds_at(local.time()):
            return None
        end = local.replace(hour=quiet.end.hour, minute=quiet.end.minute, second=0, microsecond=0)
        return (end if end > local else end + timedelta(days=1)).astimezone(UTC)

    # --- money ---

    def _watch_balance(self, balance: float | None) -> None:
        """Keep what is on the account; tell somebody, once a day, that it runs out."""
        if balance is None:
            return
        VendorStates(self._store, self._clock).keep_balance(self._service.vendor, balance)
        if balance < self._section.low_balance and not self._section.test:
            alerts = Alerts(self._store, CurrentRules(self._rule_engine()), self._clock)
            words = f"на счёте SMS осталось {balance:g}: пополните его, иначе SMS клиентам не уйдут"
            alerts.tell(words, f"balance:{self._service.vendor}")

    # --- delivery ---

    def run_due(self) -> int:
        """Ask what became of messages that are out; how many are settled."""
        now = self._account_clock.now()
        query = (
            select(sms)
            .where(self._store.owns(sms), sms.c.state == "sent", sms.c.vendor == self._service.vendor)
            .where(sms.c.look_at <= now.timestamp())
            .order_by(sms.c.look_at)
            .limit(AT_ONCE)
        )
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        return sum(self._look(row, now) for row in rows)

    def _look(self, row: Row[tuple[object, ...]], now: datetime) -> int:
        report = None
        try:
            report = self._service.state(row.vendor_id, row.phone)
        except ChannelBusy:
            self._look_later(row, row.looks, now)
            return 0
        except (ChannelUncertain, ChannelRefused) as error:
            log.warning("sms: the service does not tell", sms=row.id, error=str(error))
        if report is not None and report.state != "sent":
            with self._store.write() as connection:
                settle_sms(connection, self._store, row.id, report, now)
            return 1
        if row.looks + 1 >= len(LOOKS):
            with self._store.write() as connection:
                values = {"state": "lost", "look_at": None, "words": "сервис так и не сказал, доставлено ли"}
                connection.execute(update(sms).where(sms.c.id == row.id).values(**values))
            return 1
        self._look_later(row, row.looks + 1, now)
        return 0

    def _look_later(self, row: Row[tuple[object, ...]], looks: int, now: datetime) -> None:
        due = datetime.fromtimestamp(row.sent_at, UTC) + LOOKS[min(looks, len(LOOKS) - 1)]
        look_at = max(due, now + timedelta(minutes=1))
        with self._store.write() as connection:
            changed = update(sms).where(sms.c.id == row.id).values(looks=looks, look_at=look_at.timestamp())
            connection.execute(changed)


def settle_sms(connection: Connection, store: AccountStore, sms_id: int, report: SmsReport, now: datetime) -> None:
    """Delivered or failed: what is known stays, whoever tells it again. The deal's journal says that it failed."""
    open_one = (store.owns(sms), sms.c.id == sms_id, sms.c.state.in_(("sent", "lost")))
    values = {"state": report.state, "words": report.words, "look_at": None}
    changed = connection.execute(update(sms).where(*open_one).values(**values).returning(sms.c.deal_id)).first()
    if changed is not None:
        words = "доставлена" if report.state == "delivered" else f"не доставлена: {report.words}"
        Journal(store).note(connection, now.astimezone(UTC), JOURNAL, {changed.deal_id: words})


def report_sms(
    connection: Connection, store: AccountStore, vendor: str, vendor_id: str, report: SmsReport, now: datetime
) -> bool:
    """A service's webhook tells what became of a message; False if it is none of ours."""
    mine = (store.owns(sms), sms.c.vendor == vendor, sms.c.vendor_id == vendor_id)
    row = connection.execute(select(sms.c.id).where(*mine)).first()
    if row is None:
        return False
    if report.state != "sent":
        settle_sms(connection, store, row.id, report, now)
    return True
