"""Mail: usable addresses, suppression keys, and the port that sends letters to clients."""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection

from amo_bridge.channels.attachments import Attachments
from amo_bridge.channels.letter import AddressRefused, AddressUnwilling, Letter, LetterService, message_id
from amo_bridge.channels.mail_log import MailMemory, SentLetter, Suppression
from amo_bridge.channels.port import Job, LostAnswer, NotSent, Outcome, Port, Sent, refusal
from amo_bridge.channels.recipients import Recipient, is_yes, recipients
from amo_bridge.clock import Clock
from amo_bridge.config.channels import UNSUBSCRIBE_PATH, MailSection
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.records import ContactRecord, DealRecord
from amo_bridge.dates.due import Due
from amo_bridge.engine.deal_view import FieldReader
from amo_bridge.engine.effects import Channel, Effect
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import ChannelRefused, ChannelUncertain, UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.actions import AddNote, CreateTask
from amo_bridge.rules.deal import BUILT_IN_FIELDS, Deal
from amo_bridge.text.names import normalise
from amo_bridge.text.templates import FIELD, BadTemplate, Templates

# Strict enough that nothing gets into a header, loose enough for what people have.
USABLE = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?=.{4,253}$)([a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}")
_INVISIBLE = re.compile(r"[\s\u200b-\u200f\u2060\ufeff]+")


def usable(typed: str) -> str | None:
    """The address in the form in which it is compared and written to; None if no mail can go there.

    A Russian domain becomes its ASCII form; Russian letters before the «@» few servers take, so they count as a slip.
    """
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", typed)).lower().removeprefix("mailto:")
    local, at, domain = text.rpartition("@")
    if not at:
        return None
    try:
        address = f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return None
    is_well_formed = USABLE.fullmatch(address) and ".." not in address and not local.startswith(".")
    return address if is_well_formed else None


def address_key(account: int, address: str) -> str:
    """A digest under which a usable address is kept: enough to know it again, not to write to it."""
    return hashlib.sha256(f"{account}\0{address}".encode()).hexdigest()


# To whom a letter goes: the deal's main contact, at the first of his addresses that can be used; or why to nobody.


@dataclass(frozen=True)
class Addressee:
    contact: ContactRecord
    address: str
    address_key: str


@dataclass(frozen=True)
class Nobody:
    """``why`` in Russian. ``is_mendable``: somebody may find out a (better) address."""

    why: str
    is_mendable: bool = True


def keys_of(account: int, contacts: Iterable[ContactRecord]) -> list[str]:
    """The digests of all addresses of these contacts that can be used."""
    return [address_key(account, address) for contact in contacts for address in _usable(contact)]


def addressee(
    account: int,
    contact: ContactRecord | None,
    suppressions: Mapping[str, Suppression],
    *,
    is_service: bool,
    has_consent: bool,
) -> Addressee | Nobody:
    """``is_service``: the letter is about work in hand; otherwise it is advertising."""
    if contact is None:
        return Nobody("у сделки нет контакта")
    addresses = _usable(contact)
    if not addresses:
        return Nobody("у клиента нет e-mail" if not contact.emails else "e-mail клиента записан с ошибкой")
    known = {address: suppressions.get(address_key(account, address)) for address in addresses}
    if not is_service and any(one and one.reason == "unsubscribed" for one in known.values()):
        return Nobody("клиент отписался от рассылок", is_mendable=False)
    if not is_service and not has_consent:
        return Nobody("нет согласия клиента на рассылку", is_mendable=False)
    for address, suppression in known.items():
        if suppression is None or suppression.reason != "refused":
            return Addressee(contact, address, address_key(account, address))
    refusal = next(iter(known.values()))
    assert refusal is not None
    return Nobody(f"почтовый сервер раньше отказал этому адресу: {refusal.words}")


def _usable(contact: ContactRecord) -> list[str]:
    """People put several addresses into one cell."""
    typed = [part for cell in contact.emails for part in cell.replace(";", ",").split(",")]
    return list(dict.fromkeys(address for one in typed if (address := usable(one))))


# What a letter's template may speak of, in Russian words: клиент, сделка, менеджер, поле["…"], отписка.


class _Fields(Mapping[str, str]):
    """The deal's fields as texts; an empty one is an empty text, one that the account does not have is none at all."""

    def __init__(self, deal: Deal, known: Mapping[str, str]) -> None:
        self._deal = deal
        self._known = known

    def __getitem__(self, name: str) -> str:
        if normalise(name) not in self._known:
            raise KeyError(name)
        return self._deal.text(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)


def facts(deal: Deal, contact: ContactRecord, field_names: Mapping[str, str], unsubscribe: str) -> dict[str, Any]:
    """``field_names``: normalised → as written, of all fields that a deal of the account has. ``unsubscribe``: the
    link; empty in letters that need none."""
    return {
        "клиент": {"имя": contact.first_name or contact.name, "полное_имя": contact.name},
        "сделка": {
            "название": deal.name,
            "этап": deal.stage.name,
            "бюджет": str(deal.price) if deal.price else "",
        },
        "менеджер": {
            "имя": deal.responsible.name if deal.responsible else "",
            "почта": deal.responsible.email if deal.responsible else "",
        },
        FIELD: _Fields(deal, field_names),
        "отписка": unsubscribe,
    }


# The port for letters to clients: who gets it, whether it may go, what it says; then the mail server.

# 12 bytes are 16 characters, and nobody guesses one of 2⁹⁶.
TOKEN_BYTES = 12
TASK_DUE = Due.parse("1 working day")
# A service may list a letter some minutes after it has taken it.
MOST_FINDS = 3
NO_ADDRESS = "no address"


@dataclass(frozen=True)
class AtHand:
    """What was read for a round of letters. ``recipients``: by the row's id."""

    recipients: Mapping[int, Recipient | NotSent]
    suppressions: Mapping[str, Suppression]
    threads: Mapping[tuple[int, str], Sequence[str]]


class MailPort(Port):
    channel: Channel = "mail"
    # Of a mail server nobody can look whether the client has it.
    lost_answer: LostAnswer = "leave"

    def __init__(
        self,
        section: MailSection,
        service: LetterService,
        templates: Templates,
        attachments: Attachments,
        memory: MailMemory,
        client: CrmClient,
        rule_engine: Callable[[], RuleEngine],
        account_id: int,
        account_clock: Clock,
    ) -> None:
        self._section = section
        self._service = service
        if service.finds_lost:
            self.lost_answer = "find"
        self._templates = templates
        self._attachments = attachments
        self._memory = memory
        self._client = client
        self._rule_engine = rule_engine
        self._key = account_id
        self._account_clock = account_clock
        self._out: dict[int, str] = {}
        """Row → the service's number of its letter, of those that are out."""

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        self._out.clear()
        at_hand = self._read(rows)
        return {row.id: self._planned(row, at_hand) for row in rows}

    def keep(self, connection: Connection, row: Sendable, outcome: Outcome) -> None:
        if isinstance(outcome, Sent):
            self._memory.keep(connection, row.id, self._out.pop(row.id, ""))

    def rest(self) -> None:
        self._service.leave()

    def find_lost(self, row: Sendable) -> Sent | None:
        """By a webhook that has come since, else by the service's own list. Not there is no leave to send it again:
        perhaps it is only on its way."""
        kept = self._memory.lost(row.id)
        if kept is None:
            # It was being made ready: nothing was sent.
            return None
        found = recipients([row], self._client, self._rule_engine())[row.id]
        told, then = "сервис подтвердил, что письмо у него", self._note_found(row, found)
        if kept.is_out:
            return Sent(told, then=then)
        address = self._address_of(found, kept.address_key)
        if address is None:
            raise ChannelRefused("адреса, на который уходило письмо, у клиента больше нет: спросить не о чем")
        number = self._service.find(kept.letter_key, address, kept.began)
        if number is not None:
            self._out[row.id] = number
            return Sent(told, then=then)
        if row.attempts < MOST_FINDS:
            raise ChannelUncertain("сервис этого письма пока не знает")
        raise ChannelRefused("сервис этого письма не знает: решите сами, отправлять ли его снова")

    def _address_of(self, found: Recipient | NotSent, known_key: str) -> str | None:
        contact = found.contact if isinstance(found, Recipient) else None
        addresses = _usable(contact) if contact else []
        return next((one for one in addresses if address_key(self._key, one) == known_key), None)

    def _note_found(self, row: Sendable, found: Recipient | NotSent) -> tuple[Effect, ...]:
        if isinstance(found, NotSent):
            return ()
        return self._note(row.body["template"], found.deal, found.record)

    def _read(self, rows: Sequence[Sendable]) -> AtHand:
        found = recipients(rows, self._client, self._rule_engine())
        reached = [one for one in found.values() if isinstance(one, Recipient)]
        contacts = [one.contact for one in reached if one.contact]
        return AtHand(
            found,
            self._memory.suppressions(keys_of(self._key, contacts)),
            self._memory.threads(one.deal.id for one in reached),
        )

    def _planned(self, row: Sendable, at_hand: AtHand) -> Outcome | Job:
        recipient = at_hand.recipients[row.id]
        if isinstance(recipient, NotSent):
            return recipient
        deal, record, contact = recipient.deal, recipient.record, recipient.contact
        if not row.body["service"] and not self._rule_engine().config.bridge.public_url:
            return NotSent("рассылки без [bridge] public_url не отправляются: отписаться было бы негде")
        is_service = row.body["service"]
        try:
            has_consent = is_service or (contact is not None and self._has_consent(contact))
        except UnknownName as error:
            return refusal(f"согласие клиента не узнать: {error}; поправьте consent в [mail]")
        to = addressee(self._key, contact, at_hand.suppressions, is_service=is_service, has_consent=has_consent)
        if isinstance(to, Nobody):
            return NotSent(to.why, then=self._find_out(to, row, deal, record))
        answers = at_hand.threads.get((deal.id, row.body["thread"]), ())
        return partial(self._send, row, deal, record, to, tuple(answers))

    def _send(self, row: Sendable, deal: Deal, record: DealRecord, to: Addressee, answers: tuple[str, ...]) -> Outcome:
        kept = SentLetter(
            outbox_id=row.id,
            deal_id=deal.id,
            contact_id=to.contact.id,
            address_key=to.address_key,
            template=row.body["template"],
            thread=row.body["thread"],
            message_id=message_id(self._key, row.key, self._section.sender_address),
            token=None if row.body["service"] else secrets.token_urlsafe(TOKEN_BYTES),
        )
        files = self._attachments.load(row, Recipient(deal, record, to.contact))
        # Before it leaves: its link must work and its number be known, even if nobody hears the answer.
        letter = replace(self._letter(row, deal, to, answers, self._memory.begin(kept)), files=files)
        try:
            self._out[row.id] = self._service.deliver(letter)
        except AddressRefused as error:
            self._memory.refuse(to.address_key, str(error))
            raise
        except AddressUnwilling as error:
            self._memory.refuse_unwilling(row.id, to.address_key, is_complaint=error.is_complaint)
            if row.body["service"]:
                # A person must know that an invoice did not go out.
                raise ChannelRefused(str(error)) from error
            return NotSent(str(error))
        subject = letter.content.subject
        along = f", вложения: {', '.join(file.name for file in files)}" if files else ""
        return Sent(f"письмо «{subject}», контакт {to.contact.id}{along}", then=self._note(subject, deal, record))

    def _letter(self, row: Sendable, deal: Deal, to: Addressee, answers: tuple[str, ...], kept: SentLetter) -> Letter:
        link = self._link(kept.token) if kept.token else None
        try:
            content = self._templates.render(
                row.body["template"], facts(deal, to.contact, self._field_names(), link or "")
            )
            return Letter(
                sender=self._section.sender,
                to_name=to.contact.name,
                to_address=to.address,
                content=content,
                message_id=kept.message_id,
                at=self._account_clock.now(),
                reply_to=self._section.reply_to,
                answers=answers,
                unsubscribe=link,
                number=row.id,
            )
        except (BadTemplate, ValueError) as error:
            raise ChannelRefused(str(error)) from error

    def _link(self, token: str) -> str:
        return f"{self._rule_engine().config.bridge.public_url}{UNSUBSCRIBE_PATH}{token}"

    def _field_names(self) -> dict[str, str]:
        """All fields that a deal of the account has, as they are compared → as they are written."""
        names = [*BUILT_IN_FIELDS, *(field.name for field in self._rule_engine().account.fields())]
        return {normalise(name): name for name in names}

    def _has_consent(self, contact: ContactRecord) -> bool:
        """As ``is_yes`` says; without a field for it nobody is asked. Raises UnknownName."""
        if self._section.consent is None:
            return True
        rule_engine = self._rule_engine()
        name = rule_engine.account.field(self._section.consent, "contacts").name
        value = FieldReader(rule_engine.account, "contacts").values(contact).get(name)
        return is_yes(value)

    def _note(self, subject: str, deal: Deal, record: DealRecord) -> tuple[Effect, ...]:
        if not self._section.note:
            return ()
        note = AddNote(deal_id=deal.id, text=f"Клиенту отправлено письмо «{subject}»")
        return tuple(self._rule_engine().resolver.effects(note, deal, record, self._account_clock.now()))

    def _find_out(self, nobody: Nobody, row: Sendable, deal: Deal, record: DealRecord) -> tuple[Effect, ...]:
        """A task to find out the address, one for a rule and deal however many letters want it."""
        if not nobody.is_mendable or row.body["no_address"] is None:
            return ()
        text = f"Письмо «{row.body['template']}» не отправлено: {nobody.why}. Узнайте адрес и впишите его в контакт"
        task = CreateTask(deal_id=deal.id, text=text, to=row.body["no_address"], due=TASK_DUE)
        effects = self._rule_engine().resolver.effects(task, deal, record, self._account_clock.now())
        return tuple(replace(effect, once=True, slot=NO_ADDRESS) for effect in effects)
