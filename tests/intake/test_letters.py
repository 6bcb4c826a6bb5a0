"""Letters of a mailbox: whose each is, what is made of it, and that nothing is made twice."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select
from support.fakes import ACCOUNT, NOON
from support.imap_server import letter

from amo_bridge.channels.mail import address_key
from amo_bridge.channels.mail_log import MailMemory, SentLetter
from amo_bridge.clock import FixedClock
from amo_bridge.crm.account import LOST
from amo_bridge.intake.letters import Fate, FetchedLetter, LetterBook
from amo_bridge.intake.mail import of_mail
from amo_bridge.intake.model import Enquiry
from amo_bridge.intake.repository import IntakeRequests
from amo_bridge.intake.request import VendorSettings
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import deals, events, outbox, touches

OPEN, OTHER, CLOSED = 30_000_001, 30_000_002, 30_000_003
ZOYA, OLGA, IVAN = 1, 2, 3
OURS = "<out-501@agency.example>"
SETTINGS = VendorSettings(own_domains=("agency.example",))
BOUNCE = b"""From: MAILER-DAEMON@mx.example.com
To: info@agency.example
Subject: Undelivered Mail Returned to Sender
Message-ID: <bounce-1@mx.example.com>
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

nobody
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; zoya@example.com
Action: failed
Status: 5.1.1
--b
Content-Type: text/rfc822-headers

Message-ID: <out-501@agency.example>
--b--
"""


class Mail:
    """An account with an open deal of Zoya's, two of Olga's and a closed one of Ivan's; a letter of ours to Zoya."""

    def __init__(self, store: Store) -> None:
        self.store = AccountStore(store, ACCOUNT)
        self.is_dry = False
        self.book = LetterBook(self.store, SETTINGS, FixedClock(NOON), lambda: self.is_dry)
        people = [
            MirroredContact(id=ZOYA, mails=("zoya@example.com",), deal_ids=(OPEN,)),
            MirroredContact(id=OLGA, mails=("olga@example.com",), deal_ids=(OPEN, OTHER)),
            MirroredContact(id=IVAN, mails=("ivan@example.com",), deal_ids=(CLOSED,)),
        ]
        row = {"account": ACCOUNT, "pipeline_id": 1, "stage_since": 0, "updated_at": 0, "read_at": 0, "record": "{}"}
        stages = {OPEN: 10, OTHER: 10, CLOSED: LOST}
        with self.store.write() as connection:
            ContactIndex(self.store).put(connection, people, NOON)
            connection.execute(
                insert(deals), [{**row, "deal_id": deal, "status_id": status} for deal, status in stages.items()]
            )
        self.remember(OPEN, OURS)

    def remember(self, deal_id: int, message_id: str, outbox_id: int = 501) -> None:
        """A letter that the bridge has sent to Zoya."""
        key = address_key(ACCOUNT, "zoya@example.com")
        sent = SentLetter(outbox_id, deal_id, ZOYA, key, "бриф", "бриф", message_id, None)
        memory = MailMemory(self.store, FixedClock(NOON))
        memory.begin(sent)
        with self.store.write() as connection:
            memory.keep(connection, sent.outbox_id)

    def take(self, raw: bytes, *, new_clients: bool = True, days_old: float = 0, **how: Any) -> Fate:
        fetched = FetchedLetter("info", raw, NOON - timedelta(days=days_old), **how)
        with self.store.write() as connection:
            return self.book.put(connection, fetched, new_clients=new_clients)

    def notes(self) -> list[tuple[int, str]]:
        with self.store.read() as connection:
            rows = connection.execute(select(outbox.c.deal_id, outbox.c.payload).order_by(outbox.c.id)).all()
        return [(row.deal_id, json.loads(row.payload)["body"]["params"]["text"]) for row in rows]

    def events(self) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            return [json.loads(body) for body in connection.execute(select(events.c.body)).scalars()]

    def answered(self) -> list[tuple[int, str, list[str]]]:
        found = [one for one in self.events() if one["type"] == "ClientAnswered"]
        return [(one["deal_id"], one["text"], list(one.get("file_names", ()))) for one in found]

    def kept(self) -> list[tuple[str, str]]:
        return [(one.key, one.state) for one in IntakeRequests(self.store).latest()]


@pytest.fixture
def mail(store: Store) -> Mail:
    return Mail(store)


def test_the_letter_of_a_known_client_is_a_note_and_an_answer_on_his_open_deal(mail: Mail) -> None:
    assert (
        mail.take(letter("Заполнила.\n\n> прежнее", files=(("Анкета.docx", b"brief"),), subject="Анкета")) == "letter"
    )
    ((deal, note),) = mail.notes()
    assert deal == OPEN
    assert note == "Письмо от Зоя Тестова <zoya@example.com>\nТема: Анкета\n\nЗаполнила.\n\nФайлы: Анкета.docx"
    assert mail.answered() == [(OPEN, "Анкета", ["Анкета.docx"])]
    assert mail.kept() == [("<letter-1@mail.example.com>", "files")]


def test_a_dry_bridge_writes_no_note_of_a_letter_but_its_rules_hear_of_it(mail: Mail) -> None:
    mail.is_dry = True
    assert mail.take(letter("Заполнила.", files=(("Анкета.docx", b"brief"),), subject="Анкета")) == "letter"
    assert mail.take(BOUNCE) == "bounce"
    assert mail.notes() == []
    assert mail.answered() == [(OPEN, "Анкета", ["Анкета.docx"])]
    kept = {one.key: one for one in IntakeRequests(mail.store).latest()}["<letter-1@mail.example.com>"]
    assert (kept.state, kept.why.endswith("(вхолостую: примечание и файлы не записаны)")) == ("read", True)


def test_a_letter_that_comes_again_or_lies_in_another_box_changes_nothing(mail: Mail) -> None:
    assert mail.take(letter()) == "letter"
    assert mail.take(letter()) == "repeated"
    with mail.store.write() as connection:
        again = FetchedLetter("olga", letter(), NOON)
        assert mail.book.put(connection, again, new_clients=True) == "repeated"
    assert (len(mail.notes()), len(mail.answered())) == (1, 1)


def test_somebody_unknown_is_an_enquiry_for_the_worker_of_enquiries(mail: Mail) -> None:
    raw = letter(sender="new@example.com")
    assert mail.take(raw) == "enquiry"
    assert (mail.notes(), mail.events()) == ([], [])
    (kept,) = IntakeRequests(mail.store).latest()
    assert (kept.vendor, kept.state, kept.request.body) == ("mail", "new", raw)


def test_in_a_box_of_a_colleague_somebody_unknown_is_left_alone(mail: Mail) -> None:
    assert mail.take(letter(sender="new@example.com"), new_clients=False) == "passed over"
    assert mail.take(letter(), new_clients=False) == "letter"
    assert len(mail.kept()) == 1


ANSWERS = {
    "In-Reply-To": {"In_Reply_To": OURS},
    "the nearest of References": {"References": f"<other@example.com> {OURS}"},
    "the mark of the letter": {"Delivered_To": "info+out-501@agency.example"},
    "the mark of the deal": {"Delivered_To": f"info+d{OPEN}@agency.example"},
}


@pytest.mark.parametrize("headers", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_to_our_letter_is_known_whoever_sends_it(mail: Mail, headers: dict[str, str]) -> None:
    assert mail.take(letter(sender="private@example.net", **headers)) == "letter"
    assert [deal for deal, _ in mail.notes()] == [OPEN]


def test_the_message_id_comes_before_the_senders_address(mail: Mail) -> None:
    mail.remember(OTHER, "<out-502@agency.example>", 502)
    mail.take(letter(In_Reply_To="<out-502@agency.example>"))
    assert [deal for deal, _ in mail.notes()] == [OTHER]


def test_an_answer_about_a_closed_deal_goes_to_the_open_one_or_is_an_enquiry(mail: Mail) -> None:
    mail.remember(CLOSED, "<out-503@agency.example>", 503)
    assert mail.take(letter(In_Reply_To="<out-503@agency.example>")) == "letter"
    assert [deal for deal, _ in mail.notes()] == [OPEN]
    raw = letter(number=2, sender="ivan@example.com", In_Reply_To="<out-503@agency.example>")
    assert mail.take(raw) == "enquiry"
    (kept,) = IntakeRequests(mail.store).latest(state="new")
    (outcome,) = of_mail(kept.request, SETTINGS)
    assert isinstance(outcome, Enquiry), "the worker of enquiries must not take it for an answer"


def test_whoever_answers_a_colleagues_letter_and_is_unknown_is_an_enquiry(mail: Mail) -> None:
    assert mail.take(letter(sender="new@example.com", In_Reply_To="<outlook-1@agency.example>")) == "enquiry"
    (kept,) = IntakeRequests(mail.store).latest(state="new")
    assert isinstance(of_mail(kept.request, SETTINGS)[0], Enquiry)


def test_with_several_open_deals_the_note_is_on_the_newest_and_rules_hear_of_all(mail: Mail) -> None:
    mail.take(letter(sender="olga@example.com"))
    assert [deal for deal, _ in mail.notes()] == [OTHER]
    assert sorted(deal for deal, _, _ in mail.answered()) == [OPEN, OTHER]
    assert all(one["on_contact"] for one in mail.events() if one["type"] == "ClientAnswered")


MACHINES = {
    "an out-of-office reply": {"Auto_Submitted": "auto-replied"},
    "a newsletter": {"List_Unsubscribe": "<https://example.com>"},
    "bulk mail": {"Precedence": "bulk"},
    "an old autoresponder": {"X_Autoreply": "yes"},
}


@pytest.mark.parametrize("headers", MACHINES.values(), ids=MACHINES)
def test_machines_are_passed_over_even_if_they_answer_us(mail: Mail, headers: dict[str, str]) -> None:
    assert mail.take(letter(In_Reply_To=OURS, **headers)) == "passed over"
    assert (mail.notes(), mail.kept(), mail.events()) == ([], [], [])


def test_colleagues_are_passed_over_and_their_letters_are_not_kept(mail: Mail) -> None:
    assert mail.take(letter(sender="olga@agency.example")) == "passed over"
    assert mail.kept() == []


def test_the_sites_form_that_comes_by_mail_is_an_enquiry_of_whom_it_speaks_for(mail: Mail) -> None:
    raw = letter("Имя: Вера\nТелефон: 8 900 000-00-41", sender="site@agency.example", Reply_To="zoya@example.com")
    assert mail.take(raw) == "enquiry"


def test_a_bounce_of_our_letter_closes_the_address_and_is_told_on_the_deal(mail: Mail) -> None:
    assert mail.take(BOUNCE) == "bounce"
    key = address_key(ACCOUNT, "zoya@example.com")
    suppression = MailMemory(mail.store, FixedClock(NOON)).suppressions([key])[key]
    assert (suppression.reason, suppression.words) == ("refused", "письмо вернулось: такого адреса нет")
    ((deal, note),) = mail.notes()
    assert deal == OPEN
    assert "zoya@example.com не принимает почту" in note
    assert mail.take(BOUNCE) == "repeated"
    assert len(mail.notes()) == 1


def test_a_report_about_a_letter_that_we_did_not_send_closes_nothing(mail: Mail) -> None:
    forged = BOUNCE.replace(b"zoya@example.com", b"ivan@example.com").replace(b"out-501", b"made-up")
    assert mail.take(forged) == "passed over"
    key = address_key(ACCOUNT, "ivan@example.com")
    assert MailMemory(mail.store, FixedClock(NOON)).suppressions([key]) == {}


def test_a_delay_closes_nothing(mail: Mail) -> None:
    delayed = BOUNCE.replace(b"Action: failed\nStatus: 5.1.1", b"Action: delayed\nStatus: 4.4.1")
    assert mail.take(delayed) == "bounce"
    assert mail.notes() == []


def test_a_letter_that_a_colleague_sent_himself_is_our_answer(mail: Mail) -> None:
    sent = letter(sender="olga@agency.example").replace(b"To: info@agency.example", b"To: zoya@example.com")
    assert mail.take(sent, direction="out") == "sent"
    assert mail.take(sent, direction="out") == "repeated"
    with mail.store.read() as connection:
        rows = connection.execute(select(touches.c.kind, touches.c.direction, touches.c.entity_id)).all()
    assert [tuple(row) for row in rows] == [("mail", "out", OPEN)]
    assert mail.notes() == []


def test_an_old_letter_is_kept_but_no_rule_acts_on_it(mail: Mail) -> None:
    assert mail.take(letter(), days_old=400) == "letter"
    ((deal, note),) = mail.notes()
    assert deal == OPEN
    assert note.startswith("Письмо (19.10.2025) от Зоя Тестова")
    assert mail.events() == []
    with mail.store.read() as connection:
        assert connection.execute(select(touches.c.kind)).scalars().all() == ["mail"]


def test_what_may_be_an_automatic_reply_is_told_as_doubtful(mail: Mail) -> None:
    mail.take(letter("Я в отпуске, отвечу по возвращении.", subject="Re: Бриф"))
    (found,) = [one for one in mail.events() if one["type"] == "ClientAnswered"]
    assert found["doubt"]


def test_a_letter_too_big_to_fetch_is_told_with_its_headers(mail: Mail) -> None:
    headers = letter(files=(("видео.mp4", b"x"),)).partition(b"\n\n")[0] + b"\n\n"
    assert mail.take(headers, is_cut=True) == "letter"
    ((_, note),) = mail.notes()
    assert "Письмо слишком большое и не скачано" in note


def test_what_is_no_letter_is_kept_as_broken_once(mail: Mail) -> None:
    assert [mail.take(b"\0\1"), mail.take(b"\0\1")] == ["broken", "repeated"]
    assert [state for _, state in mail.kept()] == ["broken"]
