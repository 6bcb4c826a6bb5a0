"""Touches: what counts, who it was, once; and when the client answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from support.fakes import ACCOUNT, LOST, NEW, NOON, at, record

from amo_bridge.engine.event_queue import add_events
from amo_bridge.events import (
    CallLogged,
    Card,
    ClientAnswered,
    DealMoved,
    DealUpdated,
    Event,
    FileAttached,
    MailLogged,
    MessageReceived,
    NoteAdded,
    SmsLogged,
    TaskAdded,
    TaskCompleted,
)
from amo_bridge.events.base import from_json
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.mirror.touches import TouchLog, in_order
from amo_bridge.rules.deal import Touch
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events

IVAN, BRIDGE = 101, 500
DEAL: Card = ("deal", 7)


def note(kind: Callable[..., Event], direction: str = "out", number: int = 1, **more: Any) -> Event:
    about = {"at": NOON, "note_id": number, "entity_type": "deal", "entity_id": 7, "user_id": IVAN}
    return kind(direction=direction, **(about | more))


def message(direction: str = "in", **more: Any) -> MessageReceived:
    about = {"at": NOON, "message_id": "m1", "entity_type": "deal", "entity_id": 7, "contact_id": 70}
    return MessageReceived(direction=direction, **(about | more))


def done(**more: Any) -> TaskCompleted:
    about = {"at": NOON, "task_id": 9, "entity_type": "deal", "entity_id": 7, "user_id": IVAN}
    return TaskCompleted(**(about | more))


def moved(**more: Any) -> DealMoved:
    return DealMoved(**({"at": NOON, "deal_id": 7, "user_id": IVAN, "status_id": 142} | more))


LETTER = {"sender": "anna@client.test", "subject": "Re: Предложение", "summary": "Да, интересно"}


def hear(store: Store, *some: Event) -> None:
    with store.write() as connection:
        add_events(connection, ACCOUNT, list(some), NOON.timestamp())


def touches(store: Store, card: Card = DEAL) -> list[Touch]:
    return TouchLog(AccountStore(store, ACCOUNT), own_user_id=BRIDGE).on([card]).get(card, [])


@pytest.mark.parametrize(
    ("event", "kind", "direction", "who", "seconds"),
    [
        pytest.param(note(CallLogged, seconds=95), "call", "out", IVAN, 95, id="we called"),
        pytest.param(note(CallLogged, "in", user_id=0), "call", "in", None, 0, id="he called"),
        pytest.param(note(MailLogged, "in", user_id=0, **LETTER), "mail", "in", None, 0, id="he wrote a letter"),
        pytest.param(note(MailLogged), "mail", "out", IVAN, 0, id="we wrote a letter"),
        pytest.param(note(SmsLogged, "in", user_id=None), "sms", "in", None, 0, id="he wrote an SMS"),
        pytest.param(message(), "chat", "in", None, 0, id="he wrote in a chat"),
        pytest.param(message("out", user_id=IVAN), "chat", "out", IVAN, 0, id="we wrote in a chat"),
        pytest.param(done(), "task", "", IVAN, 0, id="a task is done"),
        pytest.param(moved(), "move", "", IVAN, 0, id="a person moved the deal"),
    ],
)
def test_what_counts(store: Store, event: Event, kind: str, direction: Any, who: int | None, seconds: int) -> None:
    hear(store, event)
    assert touches(store) == [Touch(kind=kind, direction=direction, at=NOON, user_id=who, seconds=seconds)]
    hear(store, event)
    assert len(touches(store)) == 1


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(moved(user_id=BRIDGE), id="the bridge moved it"),
        pytest.param(moved(user_id=0), id="a robot moved it"),
        pytest.param(done(user_id=BRIDGE), id="the bridge closed a task"),
        pytest.param(done(user_id=None), id="nobody knows who closed it"),
        pytest.param(message("out", user_id=None), id="a bot answered"),
        pytest.param(NoteAdded(at=NOON, note_id=1, entity_type="deal", entity_id=7, text="?"), id="a note"),
        pytest.param(FileAttached(at=NOON, note_id=1, entity_type="deal", entity_id=7, file_name="?"), id="a file"),
        pytest.param(DealUpdated(at=NOON, deal_id=7, user_id=IVAN), id="a field"),
        pytest.param(TaskAdded(at=NOON, task_id=9, entity_type="deal", entity_id=7, user_id=IVAN), id="a new task"),
        pytest.param(note(CallLogged, entity_type="customer"), id="another's card"),
    ],
)
def test_what_does_not_count(store: Store, event: Event) -> None:
    hear(store, event)
    assert touches(store) == []


def test_the_events_list_knows_who_it_was(store: Store) -> None:
    """A hook may say nobody or the robot, even of a person's move (seen by clients)."""
    hear(store, moved(user_id=0))
    assert touches(store) == []
    hear(store, moved(caught_up=True))
    assert [one.user_id for one in touches(store)] == [IVAN]
    hear(store, moved(user_id=0))
    assert [one.user_id for one in touches(store)] == [IVAN]


def test_cards_are_kept_apart_and_asked_from_a_time_on(store: Store) -> None:
    hear(
        store,
        note(CallLogged, number=1),
        note(CallLogged, number=2, at=at(60)),
        note(CallLogged, number=3, entity_type="contact", entity_id=70),
        note(CallLogged, number=4, entity_id=8),
    )
    log = TouchLog(AccountStore(store, ACCOUNT))
    assert {card: len(some) for card, some in log.on([DEAL, ("contact", 70), ("deal", 9)]).items()} == {
        DEAL: 2,
        ("contact", 70): 1,
    }
    assert [one.at for one in log.on([DEAL], since=at(1))[DEAL]] == [at(60)]
    assert TouchLog(AccountStore(store, ACCOUNT + 1)).on([DEAL]) == {}


# --- the client answered -----------------------------------------------------------------------------------------


def answers(store: Store) -> list[ClientAnswered]:
    with store.read() as connection:
        found = [from_json(json.loads(body)) for body in connection.execute(select(events.c.body)).scalars()]
    return [event for event in found if isinstance(event, ClientAnswered)]


@pytest.mark.parametrize(
    ("event", "by", "source", "text"),
    [
        (note(CallLogged, "in"), "call", "note:1", ""),
        (note(MailLogged, "in", **LETTER | {"subject": "Re: КП"}), "mail", "note:1", "Re: КП"),
        (note(SmsLogged, "in", text="да"), "sms", "note:1", "да"),
        (message(text="согласны"), "chat", "message:m1", "согласны"),
    ],
)
def test_the_client_s_word_is_an_answer_on_the_deal(
    store: Store, event: Event, by: str, source: str, text: str
) -> None:
    hear(store, event, event)
    (answer,) = answers(store)
    assert (answer.deal_id, answer.by, answer.source, answer.text, answer.at) == (7, by, source, text, NOON)


def test_how_many_files_came_with_a_letter_is_told(store: Store) -> None:
    hear(store, note(MailLogged, "in", attachments=2, **LETTER))
    (answer,) = answers(store)
    assert answer.files == 2


@pytest.mark.parametrize("event", [note(CallLogged), note(MailLogged), message("out", user_id=IVAN), done(), moved()])
def test_what_we_do_is_no_answer(store: Store, event: Event) -> None:
    hear(store, event)
    assert answers(store) == []


def test_a_call_to_the_contact_s_card_is_an_answer_on_each_of_his_open_deals(store: Store) -> None:
    with store.write() as connection:
        contact = MirroredContact(id=70, name="Анна", deal_ids=(7, 8, 9, 10), updated_at=NOON)
        ContactIndex(AccountStore(store, ACCOUNT)).put(connection, [contact], NOON)
        copies = [MirroredDeal(record(on, number), NOON) for number, on in ((7, NEW), (8, LOST), (9, NEW))]
        Mirror(AccountStore(store, ACCOUNT)).put(connection, copies, NOON)
    hear(store, note(CallLogged, "in", entity_type="contact", entity_id=70))
    assert [(one.deal_id, one.contact_id) for one in answers(store)] == [(7, 70), (9, 70)]


def test_a_call_of_somebody_unknown_is_nobody_s_answer(store: Store) -> None:
    hear(store, note(CallLogged, "in", entity_type="contact", entity_id=71))
    assert answers(store) == []


def test_a_call_that_is_noted_several_times_is_one_touch(store: Store) -> None:
    facts = {"uniq": "8f52d38a-5fb3", "phone": "+79161234567"}
    on_contact = note(CallLogged, number=1, entity_type="contact", entity_id=70, seconds=0, **facts)
    hear(store, on_contact, note(CallLogged, number=2, at=at(60), seconds=95, status=4, **facts))
    hear(store, note(CallLogged, number=3, at=at(3600), seconds=None, phone="+79161234567"))
    cards: list[Card] = [DEAL, ("contact", 70)]
    first, second = in_order(TouchLog(AccountStore(store, ACCOUNT)).on(cards), cards)
    assert (first.at, first.seconds, first.counts()) == (NOON, 95, True)
    assert (second.at, second.seconds, second.counts()) == (at(3600), None, False)


MACHINES = [
    pytest.param({"subject": "Автоответ: Re: Предложение"}, "автоответ", id="out of office"),
    pytest.param({"sender": "MAILER-DAEMON@mx.client.test"}, "почтовой программы", id="bounce"),
    pytest.param({"sender": "<>"}, "без отправителя", id="nobody's"),
]


@pytest.mark.parametrize(("facts", "why"), MACHINES)
def test_a_machine_s_letter_is_no_touch_and_no_answer_and_the_journal_says_why(
    store: Store, facts: dict[str, Any], why: str
) -> None:
    hear(store, note(MailLogged, "in", **LETTER | facts))
    assert touches(store) == []
    (answer,) = answers(store)
    assert why in answer.no_answer
    assert why in answer.reason_to_ignore


def test_a_letter_of_which_nobody_can_tell_is_an_answer_to_be_read_and_no_touch(store: Store) -> None:
    hear(store, note(MailLogged, "in", **LETTER | {"summary": "Я в отпуске до 15 числа, отвечу по возвращении"}))
    assert touches(store) == []
    (answer,) = answers(store)
    assert (answer.doubt, answer.reason_to_ignore) == ("письмо похоже на автоответ", "")
