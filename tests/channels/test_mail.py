"""Letters from the outbox to a real mail server: to whom, whether it may go, what is remembered, what follows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from support.channel_fakes import ScriptedPort, no_document
from support.fakes import (
    ACCOUNT,
    BRIEF,
    ScriptedCrm,
    agency,
    api_row,
    at,
    clock,
    errors,
    queue,
    record,
    rule_engine,
    states,
    user,
)
from support.mail_server import Post, post_office, section

from amo_bridge.channels.attachments import Attachments, DealFiles
from amo_bridge.channels.mail import MailPort
from amo_bridge.channels.mail_log import MailMemory
from amo_bridge.channels.sender import ChannelSender
from amo_bridge.channels.smtp import MailServer
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import ChannelDown
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import letters, outbox
from amo_bridge.text.templates import Templates

DEALS, CONTACTS = "/api/v4/leads", "/api/v4/contacts"
SHIPPED = Path(__file__).parents[2] / "letters"
OLGA = 55
MANAGER = "Иван Петров"


def contact(contact_id: int = OLGA, *emails: str, **more: Any) -> dict[str, Any]:
    coded = {"field_id": 1, "field_code": "EMAIL", "values": [{"value": email} for email in emails]}
    fields = [coded, *more.pop("fields", [])] if emails else more.pop("fields", [])
    return {"id": contact_id, "name": "Ольга Смирнова", "first_name": "Ольга", "custom_fields_values": fields, **more}


def deal_row(deal_id: int = 7, contact_id: int | None = OLGA, **changed: Any) -> dict[str, Any]:
    row = api_row(record(BRIEF, deal_id, **changed))
    row["_embedded"]["contacts"] = [{"id": contact_id, "is_main": True}] if contact_id else []
    return row


class Desk:
    """A lane of letters with everything behind it: amoCRM as told, a real mail server, the store."""

    def __init__(self, store: Store, post: Post, folder: Path) -> None:
        self.store = store
        self.post = post
        self.folder = folder
        self.hands = clock()
        self.crm = ScriptedCrm(rows={DEALS: [deal_row()], CONTACTS: [contact(OLGA, "olga@client.example")]})
        self.public_url: str | None = "https://bridge.example"
        self.memory = MailMemory(AccountStore(store, ACCOUNT), self.hands)

    def rule_engine(self) -> RuleEngine:
        config = rule_engine().config
        bridge = config.bridge.model_copy(update={"public_url": self.public_url})
        return replace(rule_engine(), config=replace(config, bridge=bridge))

    def send(self, **section_keys: Any) -> int:
        mail = section(self.post, **section_keys)
        port = MailPort(
            mail,
            MailServer(mail, "", timeout=5),
            Templates(self.folder),
            Attachments(self.folder, DealFiles(self.crm, self.rule_engine), no_document, 1 << 20),  # type: ignore[arg-type]
            self.memory,
            self.crm,  # type: ignore[arg-type]
            self.rule_engine,
            ACCOUNT,
            self.hands,
        )
        return ChannelSender(AccountStore(self.store, ACCOUNT), port, self.hands, self.hands).send()

    def what_follows(self) -> list[tuple[str, str]]:
        with self.store.read() as connection:
            rows = connection.execute(select(outbox.c.kind, outbox.c.payload).where(outbox.c.kind != "send_letter"))
            return [(row.kind, row.payload) for row in rows]


@pytest.fixture
def post() -> Iterator[Post]:
    with post_office() as office:
        yield office


@pytest.fixture
def desk(store: Store, post: Post, tmp_path: Path) -> Desk:
    return Desk(store, post, Path(shutil.copytree(SHIPPED, tmp_path / "letters")))


def wanted(store: Store, *templates: str, deal_id: int = 7, **changed: Any) -> None:
    body = {"service": True, "thread": "", "no_address": user(MANAGER)} | changed
    for template in templates:
        letter = Effect("send_letter", deal_id, {"template": template, **body}, f"письмо «{template}»", not_before=1.0)
        queue(store, letter, event_key=f"{template} {deal_id}")


def test_a_letter_goes_to_the_main_contact_and_leaves_a_note(desk: Desk) -> None:
    wanted(desk.store, "ждём бриф")
    assert desk.send(reply_to="sales@agency.example") == 1
    (letter,) = desk.post.letters
    assert (str(letter["To"]), letter["Subject"]) == ("Ольга Смирнова <olga@client.example>", "Ромашка: ждём бриф")
    body = letter.get_body(("plain",))
    assert body is not None
    assert f"и {MANAGER} вам перезвонит" in " ".join(body.get_content().split())
    assert "List-Unsubscribe" not in letter, "it is about work in hand"
    assert states(desk.store) == ["done", "ready"]
    ((kind, payload),) = desk.what_follows()
    assert kind == "add_note"
    assert "Клиенту отправлено письмо «Ромашка: ждём бриф»" in payload


def test_a_secret_field_is_not_written_in_a_letter(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.folder / "доступ.txt").write_text('Тема: Доступ\n\nВход: {{ поле["Тема запроса"] }}\n', "utf-8")
    desk.crm.rows[DEALS] = [deal_row(fields={"Тема запроса": ("Qwerty-12345",)})]
    config = rule_engine().config
    bridge = config.bridge.model_copy(update={"secret_fields": ("Тема запроса",)})
    monkeypatch.setattr(desk, "rule_engine", lambda: RuleEngine.of(replace(config, bridge=bridge), agency(), clock()))
    wanted(desk.store, "доступ")
    assert desk.send() == 1
    (letter,) = desk.post.letters
    body = letter.get_body(("plain",))
    assert body is not None
    assert body.get_content().strip() == "Вход: •••"


def test_a_note_may_be_left_out(desk: Desk) -> None:
    wanted(desk.store, "ждём бриф")
    desk.send(note=False)
    assert states(desk.store) == ["done"]


def test_many_letters_cost_two_reads_and_one_connection(desk: Desk) -> None:
    numbers = range(100, 120)
    desk.crm.rows[DEALS] = [deal_row(number, number) for number in numbers]
    desk.crm.rows[CONTACTS] = [contact(number, f"c{number}@client.example") for number in numbers]
    for number in numbers:
        wanted(desk.store, "ждём бриф", deal_id=number)
    assert desk.send() == len(numbers)
    assert len(desk.post.taken) == len(set(desk.post.to)) == len(numbers)
    assert len(desk.crm.asked) == 2
    assert desk.post.connections == 1


def test_letters_of_one_thread_answer_each_other(desk: Desk) -> None:
    wanted(desk.store, "ждём бриф", "реквизиты", thread="бриф")
    desk.send()
    desk.send()
    wanted(desk.store, "утепляющая/1", thread="другая")
    desk.send()
    first, second, other = desk.post.letters
    assert second["In-Reply-To"] == first["Message-ID"]
    assert "In-Reply-To" not in first
    assert "In-Reply-To" not in other


def test_advertising_can_be_unsubscribed_from(desk: Desk) -> None:
    wanted(desk.store, "утепляющая/1", service=False)
    desk.send()
    (letter,) = desk.post.letters
    with desk.store.read() as connection:
        token = connection.execute(select(letters.c.token)).scalar_one()
    link = f"https://bridge.example/u/{token}"
    assert (letter["List-Unsubscribe"], letter["List-Unsubscribe-Post"]) == (f"<{link}>", "List-Unsubscribe=One-Click")
    body = letter.get_body(("plain",))
    assert body is not None
    assert f"Больше не писать: {link}" in body.get_content()


def test_without_an_address_of_the_bridge_no_advertising_goes_out(desk: Desk) -> None:
    desk.public_url = None
    wanted(desk.store, "утепляющая/1", service=False)
    desk.send()
    assert (states(desk.store), desk.post.taken) == (["unsent"], [])
    assert "отписаться было бы негде" in errors(desk.store)[0]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ({CONTACTS: [contact()]}, "у клиента нет e-mail"),
        ({CONTACTS: [contact(OLGA, "ольга.ru")]}, "e-mail клиента записан с ошибкой"),
        ({DEALS: [deal_row(contact_id=None)]}, "у сделки нет контакта"),
        ({CONTACTS: []}, "у сделки нет контакта"),
    ],
)
def test_without_an_address_somebody_is_to_find_it_out_once(desk: Desk, rows: dict[str, Any], why: str) -> None:
    desk.crm.rows |= rows
    wanted(desk.store, "ждём бриф", "реквизиты")
    desk.send()
    desk.send()
    assert desk.post.taken == []
    assert [error for error in errors(desk.store) if error] == [why, why]
    ((kind, payload),) = desk.what_follows()
    assert kind == "create_task"
    assert f"не отправлено: {why}. Узнайте адрес" in payload
    assert f'"responsible_user_id": {user(MANAGER)}' in payload


def test_nobody_need_find_it_out(desk: Desk) -> None:
    desk.crm.rows[CONTACTS] = [contact()]
    wanted(desk.store, "ждём бриф", no_address=None)
    desk.send()
    assert (states(desk.store), desk.what_follows()) == (["unsent"], [])


def test_of_several_addresses_the_first_good_one_is_written_to(desk: Desk) -> None:
    desk.crm.rows[CONTACTS] = [
        contact(OLGA, "нет", "Olga@Client.example; second@client.example", "third@client.example")
    ]
    wanted(desk.store, "ждём бриф")
    desk.send()
    assert desk.post.to == ["olga@client.example"]


def test_a_deal_that_is_gone_or_switched_off_gets_no_letter(desk: Desk) -> None:
    desk.crm.rows[DEALS] = [deal_row(8, tags=("Без робота",))]
    wanted(desk.store, "ждём бриф")
    wanted(desk.store, "ждём бриф", deal_id=8)
    desk.send()
    assert desk.post.taken == []
    assert errors(desk.store) == [
        "сделки нет в аккаунте: удалена, объединена или не видна мосту",
        "на сделке тег «без робота»",
    ]


def test_who_unsubscribed_gets_no_advertising_but_letters_about_his_deal(desk: Desk) -> None:
    keep_out(desk, "unsubscribed", "по ссылке в письме")
    wanted(desk.store, "утепляющая/1", service=False)
    wanted(desk.store, "ждём бриф")
    desk.send()
    desk.send()
    assert [letter["Subject"] for letter in desk.post.letters] == ["Ромашка: ждём бриф"]
    assert errors(desk.store)[0] == "клиент отписался от рассылок"


def keep_out(desk: Desk, reason: Any, words: str) -> None:
    from amo_bridge.channels.mail import address_key

    with desk.store.write() as connection:
        desk.memory.suppress(connection, address_key(ACCOUNT, "olga@client.example"), reason, words)


CONSENT = "Согласие на рассылку"


@pytest.mark.parametrize(
    ("value", "goes"), [(True, True), ("да", True), (False, False), ("нет", False), (None, False)]
)  # fmt: skip
def test_advertising_needs_consent_where_the_config_names_a_field(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, value: object, goes: bool
) -> None:
    from amo_bridge.crm.account import Field

    kind = "checkbox" if isinstance(value, bool) else "text"
    field = Field.from_api({"id": 9, "name": CONSENT, "type": kind}, "contacts")
    account = replace(agency(), all_fields=(*agency().all_fields, field))
    usual = desk.rule_engine()
    monkeypatch.setattr(desk, "rule_engine", lambda: replace(usual, account=account))
    filled = [] if value is None else [{"field_id": 9, "values": [{"value": value}]}]
    desk.crm.rows[CONTACTS] = [contact(OLGA, "olga@client.example", fields=filled)]
    wanted(desk.store, "утепляющая/1", service=False)
    wanted(desk.store, "ждём бриф")
    desk.send(consent=CONSENT)
    desk.send(consent=CONSENT)
    assert len(desk.post.taken) == 1 + goes, "work in hand needs none"
    assert goes or errors(desk.store)[0] == "нет согласия клиента на рассылку"


def test_a_deleted_field_of_consent_holds_up_advertising_alone(desk: Desk) -> None:
    wanted(desk.store, "утепляющая/1", service=False)
    wanted(desk.store, "ждём бриф")
    desk.send(consent=CONSENT)
    desk.send(consent=CONSENT)
    assert (len(desk.post.taken), states(desk.store)[:2]) == (1, ["failed", "done"])
    assert errors(desk.store)[0] == (
        f"согласие клиента не узнать: поля контакта «{CONSENT}» нет в аккаунте; поправьте consent в [mail]"
    )


def test_an_address_that_was_refused_is_not_tried_again(desk: Desk) -> None:
    desk.post.rcpt["olga@client.example"] = "550 5.1.1 нет такого ящика"
    wanted(desk.store, "ждём бриф")
    desk.send()
    assert (states(desk.store), errors(desk.store)) == (["failed"], ["550 5.1.1 нет такого ящика"])
    desk.post.rcpt.clear()
    wanted(desk.store, "реквизиты")
    desk.send()
    assert desk.post.taken == []
    assert "раньше отказал этому адресу: 550 5.1.1" in errors(desk.store)[1]
    ((kind, _),) = desk.what_follows()
    assert kind == "create_task"


def test_a_slip_in_a_template_fails_in_words_and_others_go(desk: Desk) -> None:
    (desk.folder / "ждём бриф.txt").write_text("Тема: a\n{{ клиент.имяя }}", "utf-8")
    desk.crm.rows[DEALS] = [deal_row(), deal_row(8)]
    wanted(desk.store, "ждём бриф")
    wanted(desk.store, "реквизиты", deal_id=8)
    assert desk.send() == 2
    assert states(desk.store)[:2] == ["failed", "done"]
    assert errors(desk.store)[0] == "шаблон письма «ждём бриф»: «имяя» ничего не значит; может быть, «имя»?"


def test_a_letter_that_is_not_finished_goes_to_nobody_and_says_what_is_left(desk: Desk) -> None:
    (desk.folder / "ждём бриф.txt").write_text("Тема: a\n\nВпишите сюда реквизиты для оплаты.", "utf-8")
    desk.crm.rows[DEALS] = [deal_row(), deal_row(8, name="[Тест] <скидка>")]
    wanted(desk.store, "ждём бриф")
    wanted(desk.store, "реквизиты", deal_id=8)
    desk.send()
    assert (states(desk.store)[:2], len(desk.post.taken)) == (["failed", "done"], 1)
    assert errors(desk.store)[0] == (
        "шаблон письма «ждём бриф» не дописан: ждём бриф.txt, строка 3: «Впишите сюда реквизиты для оплаты». "
        "Впишите в него настоящие слова"
    )


def test_a_lost_answer_is_never_sent_again_by_itself(desk: Desk) -> None:
    desk.post.hang_up = "after"
    wanted(desk.store, "ждём бриф")
    desk.send()
    desk.post.hang_up = ""
    desk.hands.advance(at(7200) - at(0))
    desk.send()
    assert (states(desk.store), len(desk.post.taken)) == (["unknown"], 1)


def test_a_dead_server_keeps_letters_for_later(desk: Desk) -> None:
    desk.post.port, alive = 1, desk.post.port
    wanted(desk.store, "ждём бриф")
    with pytest.raises(ChannelDown):
        desk.send()
    assert states(desk.store) == ["ready"]
    desk.post.port = alive
    desk.hands.advance(at(5) - at(0))
    assert desk.send() == 1


def test_the_mail_lane_is_far_and_never_repeats_what_is_in_doubt() -> None:
    assert (MailPort.is_far, MailPort.lost_answer, MailPort.in_order) == (True, "leave", True)
    assert ScriptedPort().channel != MailPort.channel
