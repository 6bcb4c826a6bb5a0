"""Letters of a mailbox: whose each is, and what is made of it.

All of one letter is written in one transaction.

A letter of a client whose deal is known becomes a note on it and an event that rules hear; its files are uploaded later
(``LetterFiles``). Somebody unknown is an enquiry, kept for the worker of enquiries. A letter of ours that came back
closes the address. Programs and colleagues are passed over.

Whose it is: by the Message-ID of ours that it answers, then by the mark of our address («info+d123@…»), then by the
sender's address in amoCRM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import or_, select
from sqlalchemy.engine import Connection

from amo_bridge.channels.mail import address_key, usable
from amo_bridge.channels.mail_log import MailMemory
from amo_bridge.clock import Clock
from amo_bridge.crm.account import LOST, WON
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.event_queue import add_events
from amo_bridge.engine.outbox import Planned
from amo_bridge.events import MailboxLetter
from amo_bridge.intake.mail import ANSWERS_NOBODY, SOURCE, ClientLetter, outcome_of, parsed, read_letter
from amo_bridge.intake.model import DeliveryStatus, Enquiry, NoEnquiry, digest
from amo_bridge.intake.repository import BOX, DEAL, RequestState, known_request, request_row
from amo_bridge.intake.request import UnreadableBody, VendorRequest, VendorSettings
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.contacts import ContactIndex
from amo_bridge.mirror.touches import record_touches
from amo_bridge.storage.database import AccountStore, chunks, insert_new
from amo_bridge.storage.tables import deals, intake_requests, letters, outbox

RULE = "bridge.mail"
"""By whom the notes of letters are made, as the outbox and the journal name it."""
DRY = " (вхолостую: примечание и файлы не записаны)"
LONGEST_NOTE = 6000
LONGEST_SUMMARY = 300
OLD_AFTER = timedelta(days=7)
"""A letter that is read so late is kept, but no rule acts on it as if the client had answered just now."""

Fate = Literal["letter", "enquiry", "bounce", "sent", "passed over", "repeated", "broken"]
"""What became of a letter, as it is counted."""


@dataclass(frozen=True)
class FetchedLetter:
    """``folder``: "in", or "out" for the folder of sent letters.

    ``is_cut``: too big, only its headers were fetched.
    """

    box: str
    raw: bytes
    at: datetime
    direction: Literal["in", "out"] = "in"
    is_cut: bool = False


@dataclass(frozen=True)
class Owner:
    """Whose letter it is.

    ``on_contact``: which of his open deals is meant nobody has said; it is the newest.
    """

    deal_id: int
    contact_id: int | None
    is_reply: bool = False
    on_contact: bool = False


class LetterOwners:
    """Finds the deal of a letter in the store; amoCRM is not asked. Raises StoreUnavailable."""

    def __init__(self, store: AccountStore, home: str) -> None:
        self._store = store
        self._contacts = ContactIndex(store, home)

    def of(self, letter: ClientLetter) -> Owner | None:
        """Of a letter that came."""
        reply = self._by_message_ids(letter.answers) or self._by_mark(letter.mark)
        owner = self.of_addresses([letter.sender])
        if reply is None:
            return owner
        if self._open([reply.deal_id]):
            return reply
        # The deal is closed: what he wants now is about another one, if he has one.
        return owner

    def of_addresses(self, addresses: Sequence[str]) -> Owner | None:
        """Of somebody with one of these addresses who has an open deal."""
        found = self._contacts.by_mails(addresses)
        people = {one.id: one for owners in found.values() for one in owners}
        of_deal = {deal_id: one.id for one in people.values() for deal_id in one.deal_ids}
        are_open = self._open(list(of_deal))
        if not are_open:
            return None
        newest = max(are_open)
        return Owner(newest, of_deal[newest], on_contact=len(are_open) > 1)

    def _by_message_ids(self, answers: Sequence[str]) -> Owner | None:
        if not answers:
            return None
        ours = (self._store.owns(letters), letters.c.message_id.in_(answers[:50]))
        columns = (letters.c.message_id, letters.c.deal_id, letters.c.contact_id)
        with self._store.read() as connection:
            rows = {row.message_id: row for row in connection.execute(select(*columns).where(*ours))}
        nearest = next((rows[one] for one in answers if one in rows), None)
        return None if nearest is None else Owner(nearest.deal_id, nearest.contact_id, is_reply=True)

    def _by_mark(self, mark: str) -> Owner | None:
        """«+d123» is a deal, «+out-501» a letter of the outbox."""
        number = int("".join(char for char in mark if char.isdigit()) or 0)
        if mark.startswith("d") and number:
            return Owner(number, None, is_reply=True)
        if not number:
            return None
        ours = (self._store.owns(letters), letters.c.outbox_id == number)
        with self._store.read() as connection:
            row = connection.execute(select(letters.c.deal_id, letters.c.contact_id).where(*ours)).first()
        return None if row is None else Owner(row.deal_id, row.contact_id, is_reply=True)

    def _open(self, deal_ids: Sequence[int]) -> list[int]:
        found: list[int] = []
        with self._store.read() as connection:
            for some in chunks(sorted(set(deal_ids))):
                mine = (self._store.owns(deals), deals.c.deal_id.in_(some), deals.c.status_id.not_in((WON, LOST)))
                found += connection.execute(select(deals.c.deal_id).where(*mine)).scalars()
        return found


class LetterBook:
    """Writes down what is made of each letter.

    ``settings``: what parsers may know of the account. ``is_dry``: is the bridge to write nothing into amoCRM? Rules
    hear of the letter all the same.
    """

    def __init__(
        self,
        store: AccountStore,
        settings: VendorSettings,
        clock: Clock,
        is_dry: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._owners = LetterOwners(store, settings.home)
        self._memory = MailMemory(store, clock)
        self._is_dry = is_dry

    def put(self, connection: Connection, fetched: FetchedLetter, *, new_clients: bool) -> Fate:
        """Write one letter down. A letter that is known already changes nothing."""
        try:
            message = parsed(fetched.raw)
            letter = read_letter(message, fetched.raw, self._settings)
            outcome = outcome_of(message, fetched.raw, self._settings)
        except (UnreadableBody, ValueError, LookupError, RecursionError) as error:
            return self.put_broken(connection, fetched, f"письмо не читается: {error}")
        if fetched.direction == "out":
            return self._put_sent(connection, fetched, letter)
        if known_request(connection, self._store.account_id, SOURCE, letter.key):
            return "repeated"
        if isinstance(outcome, DeliveryStatus):
            return self._put_bounce(connection, fetched, outcome)
        if isinstance(outcome, NoEnquiry) and not outcome.answer_to and not outcome.link_param:
            return "passed over"
        # A form of the site that comes by mail speaks for somebody else than its sender.
        is_form = isinstance(outcome, Enquiry) and letter.sender not in outcome.emails
        owner = None if is_form else self._owners.of(letter)
        if owner is not None:
            self._put_note(connection, fetched, letter, owner)
            return "letter"
        if not new_clients:
            return "passed over"
        # Whoever answers a letter of a colleague, or of a closed deal, and is not known: an enquiry like any other.
        marks = {ANSWERS_NOBODY: "1"} if isinstance(outcome, NoEnquiry) else {}
        if marks and isinstance(outcome_of(message, fetched.raw, self._settings, is_answer=False), NoEnquiry):
            return "passed over"
        why = "письмо больше предела, прочитаны только заголовки" if fetched.is_cut else ""
        row = self._row(fetched, letter.key, "new", why, {BOX: fetched.box, **marks})
        return "enquiry" if insert_new(connection, intake_requests, [row]) else "repeated"

    def put_broken(self, connection: Connection, fetched: FetchedLetter, why: str) -> Fate:
        """Keep what could not be understood, as it is."""
        row = self._row(fetched, f"broken:{digest(fetched.raw.decode('latin-1'))}", "broken", why)
        return "broken" if insert_new(connection, intake_requests, [row]) else "repeated"

    def _put_note(self, connection: Connection, fetched: FetchedLetter, letter: ClientLetter, owner: Owner) -> None:
        is_dry = self._is_dry()
        state: RequestState = "files" if letter.files and not is_dry else "read"
        why = "ответ на наше письмо" if owner.is_reply else "письмо клиента, у которого есть открытая сделка"
        why += DRY if is_dry else ""
        headers = {BOX: fetched.box, DEAL: str(owner.deal_id)}
        insert_new(connection, intake_requests, [self._row(fetched, letter.key, state, why, headers)])
        is_old = self._clock.now() - fetched.at > OLD_AFTER
        text = note_of(letter, is_cut=fetched.is_cut, written_at=fetched.at if is_old else None)
        self.add_note(connection, owner.deal_id, f"letter:{letter.key}", text, fetched.at)
        event = MailboxLetter(
            at=fetched.at.replace(microsecond=0),
            deal_id=owner.deal_id,
            message_id=letter.key,
            sender=letter.sender,
            subject=letter.subject,
            summary=letter.words[:LONGEST_SUMMARY],
            file_names=tuple(file.name for file in letter.files),
            contact_id=owner.contact_id,
            on_contact=owner.on_contact,
            is_reply=owner.is_reply,
        )
        self._queue(connection, event)

    def _put_sent(self, connection: Connection, fetched: FetchedLetter, letter: ClientLetter) -> Fate:
        """What a colleague sent himself counts as our answer; the bridge's own letters are known without it."""
        ours = (self._store.owns(letters), letters.c.message_id == letter.key)
        if connection.execute(select(letters.c.id).where(*ours)).first() is not None:
            return "passed over"
        owner = self._owners.of_addresses(letter.recipients)
        if owner is None:
            return "passed over"
        event = MailboxLetter(
            at=fetched.at.replace(microsecond=0),
            deal_id=owner.deal_id,
            message_id=letter.key,
            direction="out",
            sender=letter.sender,
            subject=letter.subject,
            contact_id=owner.contact_id,
            on_contact=owner.on_contact,
        )
        return "sent" if self._queue(connection, event) else "repeated"

    def _queue(self, connection: Connection, event: MailboxLetter) -> bool:
        """Let rules hear of it; of an old one only the touch is kept. False: it is known."""
        account = self._store.account_id
        if event.at is not None and self._clock.now() - event.at > OLD_AFTER:
            record_touches(connection, account, [event])
            return True
        return bool(add_events(connection, account, [event], self._clock.now().timestamp()))

    def _put_bounce(self, connection: Connection, fetched: FetchedLetter, status: DeliveryStatus) -> Fate:
        """Only what the bridge itself sent counts: anybody can write a report about anything."""
        address = usable(status.address or "") or ""
        key = address_key(self._store.account_id, address) if address else ""
        about = or_(letters.c.message_id == (status.vendor_id or ""), letters.c.address_key == (key or "-"))
        query = select(letters.c.deal_id, letters.c.address_key).where(self._store.owns(letters), about)
        sent = connection.execute(query.order_by(letters.c.id.desc())).first()
        words = "письмо вернулось: такого адреса нет" if status.state == "bounced" else status.reason
        row = self._row(fetched, status.key, "read", words, {BOX: fetched.box})
        if not insert_new(connection, intake_requests, [row]):
            return "repeated"
        if sent is None or status.state != "bounced":
            return "bounce" if sent is not None else "passed over"
        self._memory.suppress(connection, sent.address_key, "refused", words)
        text = f"Письмо клиенту вернулось: {address or 'адрес'} не принимает почту. Мост больше не пишет на этот адрес."
        self.add_note(connection, sent.deal_id, f"bounce:{status.key}", text, fetched.at)
        return "bounce"

    def add_note(self, connection: Connection, deal_id: int, key: str, text: str, at: datetime) -> None:
        """Into the outbox, once for a key; of a dry bridge nothing."""
        if self._is_dry():
            return
        body = {"entity_id": deal_id, "note_type": "common", "params": {"text": text}}
        effect = Effect("add_note", deal_id, body, f"примечание «{text[:80]}»", not_before=at.timestamp())
        row = Planned(None, RULE, f"{RULE}|{digest(key)}", effect).row(self._store.account_id, self._clock.now())
        insert_new(connection, outbox, [row])

    def _row(
        self, fetched: FetchedLetter, key: str, state: RequestState, why: str, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        return request_row(
            self._store.account_id,
            vendor=SOURCE,
            key=key,
            request=VendorRequest("(IMAP)", fetched.raw, received_at=fetched.at.timestamp()),
            headers=dict(headers or {BOX: fetched.box}),
            state=state,
            why=why,
        )


def note_of(letter: ClientLetter, *, is_cut: bool = False, written_at: datetime | None = None) -> str:
    """The letter as a note (Russian). ``written_at``: of a letter that is read much later."""
    who = f"{letter.name} <{letter.sender}>" if letter.name else letter.sender or "отправитель не назван"
    words = letter.words
    if len(words) > LONGEST_NOTE:
        words = f"{words[:LONGEST_NOTE]}… (письмо длиннее, целиком оно в ящике)"
    files = ", ".join(file.name for file in letter.files)
    when = f" ({written_at:%d.%m.%Y})" if written_at else ""
    lines = [
        f"Письмо{when} от {who}",
        f"Тема: {letter.subject}" if letter.subject else "Без темы",
        "",
        words or ("Письмо слишком большое и не скачано: прочтите его в ящике." if is_cut else "Текста в письме нет."),
        f"\nФайлы: {files}" if files else "",
    ]
    return "\n".join(lines).strip()
