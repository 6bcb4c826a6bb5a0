"""Answers to clients: by the messenger of their last message, once, and what came of it stands on the card."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from support.command_line import EXAMPLE
from support.fakes import ACCOUNT, BRIEF, ScriptedCrm, api_row, clock, queue, record, rule_engine, states

from amo_bridge.channels.client_chats import LONGEST_ANSWER, ClientBots, ClientChatPort
from amo_bridge.channels.sender import ChannelSender
from amo_bridge.channels.vendors import connected
from amo_bridge.config.intake import IntakeSection
from amo_bridge.config.loader import load
from amo_bridge.engine.dead_letters import DeadLetters
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.intake.enquiries import EnquiryFilter, EnquiryRepository
from amo_bridge.intake.model import Enquiry
from amo_bridge.standins.bots import BotStandIn
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.standins.vk import VkStandIn
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import made, outbox

ANNA, OTHER, OLGA = 55, 56, 57
DEAL, ANOTHER = 7, 8
TG, MAX, VK = 7001, 7002, 5001
TOKENS = {
    "AMO_BRIDGE_INTAKE_TELEGRAM_TOKEN": "123456789:AAtest-token-of-thirty-five-characters",
    "AMO_BRIDGE_INTAKE_MAX_TOKEN": "max-test-token",
    "AMO_BRIDGE_INTAKE_VK_TOKEN": "vk-test-token",
}
FROM: dict[str, dict[str, Any]] = {
    "telegram": {"extra": {"telegram_id": str(TG)}},
    "max": {"extra": {"max_id": str(MAX)}},
    "vk": {"profile": f"https://vk.com/id{VK}"},
    "viber": {"extra": {"viber_id": "abc=="}},
    "tilda": {},
}


class Office:
    """The channel with the stand-ins of the three messengers behind it, a deal and its client."""

    def __init__(self, store: Store, stand_ins: StandIns) -> None:
        self.raw, self.store, self.stand_ins = store, AccountStore(store, ACCOUNT), stand_ins
        self.hands = clock()
        self.enquiries = EnquiryRepository(self.store, self.hands)
        for name, person in (("telegram", TG), ("max", MAX), ("vk", VK)):
            stand_ins[name].people[person] = "Анна"  # type: ignore[attr-defined]
        url = stand_ins.url
        sections = {name: {"api": f"{url}/{name}"} for name in ("telegram", "max", "vk")}
        self.tokens = dict(TOKENS)
        deals = [
            record(BRIEF, DEAL, main_contact_id=ANNA, contact_ids=(ANNA, OTHER)),
            record(BRIEF, ANOTHER, main_contact_id=OLGA, contact_ids=(OLGA,)),
        ]
        people = [{"id": number, "name": "Анна", "custom_fields_values": []} for number in (ANNA, OLGA)]
        rows = {"/api/v4/leads": [api_row(deal) for deal in deals], "/api/v4/contacts": people}
        self.crm: Any = ScriptedCrm(rows=rows)
        self.bots = ClientBots(IntakeSection.model_validate(sections), self.tokens)
        self.sender = self.started()

    def started(self) -> ChannelSender:
        """As after a start of the process."""
        port = ClientChatPort(self.bots, self.store, self.crm, self.rule_engine, self.hands)
        return ChannelSender(self.store, port, self.hands, self.hands)

    def rule_engine(self) -> RuleEngine:
        return rule_engine()

    def wrote(self, source: str, contact_id: int | None = ANNA, deal_id: int | None = DEAL) -> None:
        """The client has written by this messenger; it is an enquiry on the deal."""
        now = self.hands.now().timestamp()
        key = f"{source}:{contact_id}:{now}"
        one = Enquiry(source=source, key=key, **FROM[source])
        with self.store.write() as connection:
            self.enquiries.add(connection, one, request_id=None, received_at=now, state="done")
        newest = self.enquiries.find(EnquiryFilter(), 1)[0].id
        self.enquiries.write([newest], contact_id=contact_id, deal_id=deal_id)
        self.later(seconds=1)

    def asks(
        self, text: str = "Ждём вас", contact_id: int | None = None, note_id: int | None = 31, deal_id: int = DEAL
    ) -> None:
        body = {"text": text, "note_id": note_id, "contact_id": contact_id}
        queue(self.raw, Effect("answer_client", deal_id, body, f"ответ клиенту «{text}»"), event_key=f"note:{note_id}")
        with self.store.write() as connection:
            newest = select(func.max(outbox.c.id)).scalar_subquery()
            now = self.hands.now().timestamp()
            connection.execute(update(outbox).where(outbox.c.id == newest).values(created_at=now))

    def sends(self) -> None:
        self.sender.send()

    def later(self, **time: float) -> None:
        self.hands.advance(timedelta(**time))

    @property
    def sent(self) -> list[tuple[str, int, str]]:
        """All that clients have got: (messenger, who, text)."""
        bots = {name: self.stand_ins[name] for name in ("telegram", "max")}
        found = [
            (name, one.get("chat_id", one.get("user_id")), one["text"])
            for name, bot in bots.items()
            if isinstance(bot, BotStandIn)
            for one in bot.sent
        ]
        vk = self.stand_ins["vk"]
        assert isinstance(vk, VkStandIn)
        return [*found, *(("vk", one["peer_id"], one["message"]) for one in vk.sent)]

    @property
    def state(self) -> str:
        with self.store.read() as connection:
            return str(connection.execute(select(outbox.c.state).where(outbox.c.kind == "answer_client")).scalar_one())

    @property
    def notes(self) -> list[str]:
        """What is written on the card of it."""
        query = select(outbox.c.payload).where(outbox.c.kind == "add_note").order_by(outbox.c.id)
        with self.store.read() as connection:
            return [json.loads(one)["body"]["params"]["text"] for one in connection.execute(query).scalars()]


@pytest.fixture
def office(store: Store) -> Iterator[Office]:
    stand_ins = StandIns(["telegram", "max", "vk"], live=False)
    with serving(stand_ins):
        yield Office(store, stand_ins)


@pytest.mark.parametrize(
    ("source", "person", "name"), [("telegram", TG, "Telegram"), ("max", MAX, "MAX"), ("vk", VK, "ВКонтакте")]
)
def test_the_answer_goes_where_the_client_has_written(office: Office, source: str, person: int, name: str) -> None:
    office.wrote(source)
    office.asks("Ждём вас <в 5> & позже")
    office.sends()
    text = "Ждём вас &lt;в 5&gt; &amp; позже" if source == "telegram" else "Ждём вас <в 5> & позже"
    assert office.sent == [(source, person, text)]
    assert office.notes == [f"Ответ клиенту ушёл в {name}: «Ждём вас <в 5> & позже»"]
    assert office.state == "done"
    office.sends()
    assert len(office.sent) == 1


def test_his_last_message_decides_not_somebody_elses_and_not_a_form(office: Office) -> None:
    office.wrote("telegram")
    office.wrote("max")
    office.wrote("vk", contact_id=OTHER)
    office.wrote("tilda")
    office.asks()
    office.sends()
    assert [one[0] for one in office.sent] == ["max"]


def test_a_note_on_a_contact_reaches_that_contact(office: Office) -> None:
    office.wrote("telegram")
    office.wrote("vk", contact_id=OTHER, deal_id=None)
    office.asks(contact_id=OTHER)
    office.sends()
    assert [one[0] for one in office.sent] == ["vk"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "мост не знает, в каком мессенджере клиент"),
        ("tilda", "мост не знает, в каком мессенджере клиент"),
        ("viber", "клиент писал через Viber, а туда мост не пишет: ответьте ему в самом Viber"),
    ],
)
def test_where_nobody_can_be_written_to_the_card_says_so(office: Office, source: str | None, words: str) -> None:
    if source:
        office.wrote(source)
    office.asks()
    office.sends()
    (note,) = office.notes
    assert note.startswith("Ответ клиенту НЕ ушёл («Ждём вас»): ")
    assert words in note
    assert (office.state, office.sent) == ("unsent", [])


@pytest.mark.parametrize(
    ("source", "person", "words"),
    [
        ("telegram", TG, "клиент остановил бота: свяжитесь с ним иначе (Telegram: 403"),
        ("max", MAX, "клиент остановил бота: свяжитесь с ним иначе (MAX: 403 chat.denied"),
        ("vk", VK, "клиент не разрешил сообществу писать ему: свяжитесь с ним иначе (ВКонтакте: 901"),
    ],
)
def test_a_client_who_wants_no_messages_is_told_of_with_what_to_do(
    office: Office, source: str, person: int, words: str
) -> None:
    office.wrote(source)
    bot: Any = office.stand_ins[source]
    if isinstance(bot, BotStandIn):
        bot.blocked.add(person)
    else:
        bot.people.clear()
    office.asks()
    office.sends()
    assert words in office.notes[0]
    assert (office.state, office.sent) == ("unsent", [])


def test_no_token_and_a_section_that_is_gone_are_told(office: Office) -> None:
    office.wrote("telegram")
    office.tokens.clear()
    office.asks()
    office.sends()
    assert "Telegram: нет токена бота: задайте AMO_BRIDGE_INTAKE_TELEGRAM_TOKEN" in office.notes[0]
    office.bots = ClientBots(None, {})
    office.sender = office.started()
    office.asks(note_id=32)
    office.sends()
    assert "раздела [intake.telegram] в настройке больше нет" in office.notes[1]


def test_what_is_too_long_for_one_message_is_not_cut(office: Office) -> None:
    office.wrote("telegram")
    office.asks("б" * (LONGEST_ANSWER + 1))
    office.sends()
    assert f"ответ длиннее {LONGEST_ANSWER} знаков" in office.notes[0]
    assert office.sent == []


def test_the_bridges_own_notes_are_no_commands(office: Office) -> None:
    office.wrote("telegram")
    row = {"account": ACCOUNT, "rule": "r", "deal_id": DEAL, "slot": "", "kind": "add_note", "entity_id": 31, "at": 0.0}
    with office.store.write() as connection:
        connection.execute(insert(made).values(**row))
    office.asks(note_id=31)
    office.sends()
    assert (office.sent, office.notes, office.state) == ([], [], "unsent")


@pytest.mark.parametrize("source", ["telegram", "max"])
def test_a_lost_answer_is_never_repeated_and_a_person_decides(office: Office, source: str) -> None:
    office.wrote(source)
    office.stand_ins.faults.add("lost_answer", vendor=source)
    office.asks()
    office.sends()
    assert office.notes == []
    office.later(minutes=5)
    office.sends()
    assert len(office.sent) == 1
    assert office.state == "unknown"
    (note,) = office.notes
    assert note.startswith("Неизвестно, ушёл ли ответ клиенту («Ждём вас»)")
    assert "повторите на странице «Не выполнено»" in note
    with office.store.read() as connection:
        number = connection.execute(select(outbox.c.id).where(outbox.c.kind == "answer_client")).scalar_one()
    with office.store.write() as connection:
        DeadLetters(office.store, office.hands).put_back(connection, [f"F{number}"], "Анна")
    office.sends()
    assert len(office.sent) == 2
    assert office.notes[1].startswith("Ответ клиенту ушёл")


def test_vk_is_asked_again_under_the_same_number(office: Office) -> None:
    office.wrote("vk")
    office.stand_ins.faults.add("lost_answer", vendor="vk")
    office.asks()
    office.sends()
    # Meanwhile he writes elsewhere: what was asked for goes where it was asked for.
    office.later(seconds=1)
    office.wrote("telegram")
    office.later(minutes=5)
    office.sends()
    assert office.sent == [("vk", VK, "Ждём вас")]
    assert office.notes == ["Ответ клиенту ушёл в ВКонтакте: «Ждём вас»"]
    assert office.state == "done"


@pytest.mark.parametrize(("source", "state", "count"), [("telegram", "unknown", 0), ("vk", "done", 1)])
def test_a_process_that_died_while_sending_sends_nothing_twice(
    office: Office, source: str, state: str, count: int
) -> None:
    office.wrote(source)
    office.asks()
    with office.store.write() as connection:
        connection.execute(update(outbox).values(state="sending", sent_at=office.hands.now().timestamp()))
    office.sender = office.started()
    office.sender.recover()
    office.sends()
    assert (office.state, len(office.sent), len(office.notes)) == (state, count, 1)


def test_a_dead_messenger_holds_up_no_other_and_is_told_of_after_half_an_hour(office: Office) -> None:
    office.wrote("telegram")
    office.asks()
    office.stand_ins.faults.add("unauthorised", vendor="telegram", count=None)
    office.sends()
    assert (office.state, office.notes) == ("ready", [])
    office.wrote("max", OLGA, ANOTHER)
    office.asks("Мы здесь", note_id=32, deal_id=ANOTHER)
    office.sends()
    assert office.sent == [("max", MAX, "Мы здесь")]
    office.later(minutes=40)
    office.sends()
    assert any("НЕ ушёл («Ждём вас»)" in note and "INTAKE_TELEGRAM_TOKEN" in note for note in office.notes)
    assert "failed" in states(office.raw)


def test_the_account_is_told_to_have_the_channel_where_a_bot_is_connected() -> None:
    config = load(EXAMPLE, {})
    assert "chats" in connected(config)
    assert "chats" not in connected(replace(config, intake=None))
