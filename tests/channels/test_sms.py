"""SMS: who may get one and when, how long it is, what errors in a 200 mean, and that nothing goes out twice."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import responses
from sqlalchemy import select, update
from support.dial_office import moscow
from support.fakes import (
    ACCOUNT,
    BRIEF,
    ScriptedCrm,
    agency,
    api_row,
    clock,
    errors,
    queue,
    record,
    rule_engine,
    states,
)

from amo_bridge.channels.sender import ChannelSender
from amo_bridge.channels.sms import SmsPort, report_sms
from amo_bridge.channels.sms_services import Smsc, SmsReport, SmsRu, SmsService
from amo_bridge.config.channels import SmscSection, SmsRuSection, SmsSection
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError, ChannelBusy, ChannelDown, ChannelRefused
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import channel_states, outbox, sms
from amo_bridge.text.sms_size import sms_size

OLGA = "79161234567"
CONSENT = agency().fields("contacts")[0].name
SEND = "https://sms.ru/sms/send"
SMSC = "https://smsc.ru/sys"


class Office:
    """The channel of SMS with a clock moved by hand, a client, and a service behind ``responses``."""

    def __init__(self, store: Store, section: SmsSection | None = None) -> None:
        self.store = AccountStore(store, ACCOUNT)
        self.hands = clock(moscow(23, 12))
        self.section = section or SmsRuSection(consent=CONSENT, sender="Agency")  # type: ignore[arg-type]
        service: SmsService = (
            SmsRu(self.section, "key-1") if isinstance(self.section, SmsRuSection) else Smsc(self.section, "pw")
        )  # type: ignore[arg-type]
        self.crm = ScriptedCrm()
        self.client("8 (916) 123-45-67")
        port = SmsPort(
            self.section,
            service,
            self.store,
            self.crm,
            self.rule_engine,
            self.hands,
            self.hands,  # type: ignore[arg-type]
        )
        self.lane = ChannelSender(self.store, port, self.hands, self.hands)

    def client(
        self, *phones: str, consent: str = "", tags: tuple[str, ...] = (), deal_tags: tuple[str, ...] = ()
    ) -> None:
        deal = record(BRIEF, 7, main_contact_id=55, contact_ids=(55,), tags=deal_tags)
        cells = [{"field_id": 1, "field_code": "PHONE", "values": [{"value": phone} for phone in phones]}]
        if consent:
            field_id = agency().field(CONSENT, "contacts").id
            cells.append({"field_id": field_id, "values": [{"value": consent}]})  # type: ignore[list-item]
        row = {
            "id": 55,
            "name": "Ольга",
            "custom_fields_values": cells,
            "_embedded": {"tags": [{"name": tag} for tag in tags]},
        }
        self.crm.rows = {"/api/v4/leads": [api_row(deal)], "/api/v4/contacts": [row]}

    def rule_engine(self) -> RuleEngine:
        engine = rule_engine()
        bridge = engine.config.bridge.model_copy(update={"tell": "Иван Петров"})
        return replace(engine, config=replace(engine.config, bridge=bridge))

    def want(self, text: str = "Встреча завтра в 12:00", *, service: bool = True) -> None:
        body = {"text": text, "service": service}
        queue(
            self.store.store, Effect("send_sms", 7, body, f"SMS клиенту «{text}»"), event_key=f"{text[:40]} {service}"
        )
        self.round()

    def round(self) -> None:
        for _ in range(20):
            try:
                if not self.lane.send():
                    return
            except BridgeError:
                return

    def later(self, **time: float) -> None:
        self.hands.advance(timedelta(**time))
        self.round()

    def sent(self) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(select(sms).order_by(sms.c.id)))

    def rows(self, kind: str) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            query = select(outbox.c.payload).where(outbox.c.kind == kind).order_by(outbox.c.id)
            return [json.loads(payload)["body"] for payload in connection.execute(query).scalars()]


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


def taken(balance: float = 500, **more: Any) -> dict[str, Any]:
    one = {"status": "OK", "status_code": 100, "sms_id": "000-1", "cost": "7.8"} | more
    return {"status": "OK", "status_code": 100, "balance": balance, "sms": {OLGA: one}}


def form_of(call: Any) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(call.request.body).items()}


# --- what goes out ----------------------------------------------------------------------------------------------------


@responses.activate
def test_it_goes_out_and_leaves_a_note_with_what_it_cost(office: Office) -> None:
    send = responses.post(SEND, json=taken())
    office.want()
    assert form_of(send.calls[0]) == {
        "api_id": "key-1", "json": "1", "to": OLGA, "msg": "Встреча завтра в 12:00", "from": "Agency",
    }  # fmt: skip
    (note,) = office.rows("add_note")
    assert note["note_type"] == "sms_out"
    assert note["params"] == {"text": "Встреча завтра в 12:00", "phone": f"+{OLGA}"}
    with office.store.read() as connection:
        told = connection.execute(select(outbox.c.result).where(outbox.c.kind == "send_sms")).scalar()
    assert told is not None
    assert json.loads(told)["told"] == "контакт 55, 1 часть, знаков 22, цена 7.8"
    assert (office.sent()[0].vendor_id, office.sent()[0].cost, office.sent()[0].state) == ("000-1", 7.8, "sent")


@responses.activate
@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({}, "нет согласия клиента на рассылку"),
        ({"consent": "нет"}, "нет согласия клиента на рассылку"),
        ({"consent": "да"}, None),
        ({"consent": "Да, 12.03.2026"}, None),
        ({"consent": "согласна"}, None),
        ({"consent": "не согласен"}, "нет согласия клиента на рассылку"),
        ({"consent": "согласен не был"}, "нет согласия клиента на рассылку"),
        ({"consent": "отказ"}, "нет согласия клиента на рассылку"),
        ({"consent": "-"}, "нет согласия клиента на рассылку"),
        ({"consent": "0"}, "нет согласия клиента на рассылку"),
    ],
)
def test_advertising_wants_consent(office: Office, told: dict[str, str], why: str | None) -> None:
    send = responses.post(SEND, json=taken())
    office.client("89161234567", **told)  # type: ignore[arg-type]
    office.want(service=False)
    assert len(send.calls) == (0 if why else 1)
    assert errors(office.store.store)[0] == (why or "")


@responses.activate
def test_without_a_field_of_consent_no_advertising_goes_out(store: Store) -> None:
    office = Office(store, SmsRuSection())
    office.want(service=False)
    assert errors(store) == ["реклама по SMS — только с согласия: назовите поле согласия (consent в [smsru])"]


@responses.activate
def test_a_deleted_field_of_consent_holds_up_advertising_alone(store: Store) -> None:
    office = Office(store, SmsRuSection(consent="Согласие"))  # type: ignore[arg-type]
    send = responses.post(SEND, json=taken())
    office.want(service=False)
    office.want()
    assert (len(send.calls), states(store)[:2]) == (1, ["failed", "done"])
    assert errors(store)[0] == (
        "согласие клиента не узнать: поля контакта «Согласие» нет в аккаунте; поправьте consent в [smsru]"
    )


@responses.activate
@pytest.mark.parametrize(
    ("client", "why"),
    [
        ({"deal_tags": ("без SMS",)}, "тег «без SMS»: SMS не отправлять"),
        ({"tags": ("Без sms",)}, "тег «без SMS»: SMS не отправлять"),
        ({"deal_tags": ("без робота",)}, "на сделке тег «без робота»"),
        ({"phones": ("+7 495 123-45-67",)}, "у клиента нет мобильного телефона"),
        ({"phones": ()}, "у клиента нет телефона"),
    ],
)
def test_who_gets_none(office: Office, client: dict[str, Any], why: str) -> None:
    told = {"phones": ("89161234567",), **client}
    office.client(*told.pop("phones"), **told)
    office.want()
    assert (states(office.store.store), errors(office.store.store)) == (["unsent"], [why])


@responses.activate
def test_at_night_it_waits_for_the_morning(office: Office) -> None:
    send = responses.post(SEND, json=taken())
    office.hands.move_to(moscow(23, 22))
    office.want()
    assert (len(send.calls), states(office.store.store)) == (0, ["ready"])
    for _ in range(140):
        office.later(minutes=5)
    assert len(send.calls) == 1
    assert moscow(24, 9) <= office.hands.now()


@responses.activate
def test_what_could_not_go_out_before_the_night_goes_out_in_the_morning(office: Office) -> None:
    send = responses.post(SEND, json={"status": "ERROR", "status_code": 220})
    office.hands.move_to(moscow(23, 20))
    office.want()
    with office.store.write() as connection:
        connection.execute(update(outbox).values(created_at=office.hands.now().timestamp()))
    office.hands.move_to(moscow(23, 23))
    office.round()
    responses.replace("POST", SEND, json=taken())
    office.hands.move_to(moscow(24, 9) + timedelta(minutes=4))
    office.round()
    assert (len(send.calls), states(office.store.store)[0]) == (1, "done")


@responses.activate
def test_a_text_that_is_too_long_is_not_sent(office: Office) -> None:
    office.want("ы" * 400)
    assert errors(office.store.store) == [
        "текст длинный: 6 частей, знаков 400, по 67 в части; можно частей 5 (most_parts)"
    ]


@pytest.mark.parametrize(
    ("text", "parts", "places"),
    [
        ("a" * 160, 1, 160),
        ("a" * 161, 2, 161),
        ("a" * 306, 2, 306),
        ("a" * 307, 3, 307),
        ("я" * 70, 1, 70),
        ("я" * 71, 2, 71),
        ("я" * 134, 2, 134),
        ("я" * 135, 3, 135),
        ("€" * 80, 1, 160),
        ("[" * 81, 2, 162),
        ("😀" * 35, 1, 70),
        ("a" * 69 + "я", 1, 70),
        ("", 1, 0),
    ],
)
def test_the_network_counts_parts(text: str, parts: int, places: int) -> None:
    assert (sms_size(text).parts, sms_size(text).places) == (parts, places)


# --- errors in a 200 --------------------------------------------------------------------------------------------------


@responses.activate
@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        ({"status": "ERROR", "status_code": 202}, "failed", "SMS.ru: номер получателя неправильный (202)"),
        ({"status": "ERROR", "status_code": 216}, "failed", "SMS.ru: в тексте запрещённое слово (216)"),
        ({"status": "ERROR", "status_code": 777, "status_text": "Нечто"}, "failed", "SMS.ru: Нечто (777)"),
        ({"status": "ERROR", "status_code": 201}, "ready", "SMS.ru: не хватает денег на счёте, пополните его (201)"),
        (
            {"status": "ERROR", "status_code": 204},
            "ready",
            "SMS.ru: имя отправителя (sender) не согласовано с операторами (204)",
        ),
        ({"status": "ERROR", "status_code": 220}, "ready", "SMS.ru: сервис временно недоступен (220)"),
        (taken(status="ERROR", status_code=207), "failed", "SMS.ru: на этот номер отправить нельзя (207)"),
    ],
)
def test_what_smsru_refuses(office: Office, answer: dict[str, Any], state: str, words: str) -> None:
    responses.post(SEND, json=answer)
    office.want()
    assert (states(office.store.store), errors(office.store.store)) == ([state], [words])


@responses.activate
@pytest.mark.parametrize(
    ("code", "kind"), [(2, ChannelDown), (3, ChannelDown), (6, ChannelRefused), (7, ChannelRefused), (9, ChannelBusy)]
)
def test_what_smsc_refuses(code: int, kind: type[Exception]) -> None:
    responses.post(f"{SMSC}/send.php", json={"error": "no", "error_code": code})
    with pytest.raises(kind, match="SMSC: "):
        Smsc(SmscSection(login="a"), "pw").send(1, OLGA, "x")


# --- exactly once -----------------------------------------------------------------------------------------------------


@responses.activate
def test_smsru_can_not_be_asked_so_a_person_decides(office: Office) -> None:
    send = responses.post(SEND, body=requests.ReadTimeout("30 s"))
    office.want()
    for _ in range(30):
        office.later(minutes=10)
    assert (len(send.calls), states(office.store.store)) == (1, ["unknown"])


@responses.activate
def test_smsc_is_asked_by_our_own_number(store: Store) -> None:
    office = Office(store, SmscSection(login="a"))
    send = responses.post(f"{SMSC}/send.php", body=requests.ReadTimeout("30 s"))
    status = responses.post(f"{SMSC}/status.php", json={"status": 0})
    office.want()
    assert states(store) == ["doubt"]
    office.later(minutes=1)
    assert states(store)[0] == "done"
    assert len(send.calls) == 1
    assert form_of(status.calls[0])["id"] == form_of(send.calls[0])["id"] == office.sent()[0].vendor_id
    assert len(office.rows("add_note")) == 1


@responses.activate
def test_what_smsc_does_not_know_is_not_sent_again_by_itself(store: Store) -> None:
    office = Office(store, SmscSection(login="a"))
    send = responses.post(f"{SMSC}/send.php", body=requests.ReadTimeout("30 s"))
    responses.post(f"{SMSC}/status.php", json={"status": -3})
    office.want()
    for _ in range(20):
        office.later(minutes=10)
    assert (len(send.calls), states(store)) == (1, ["unknown"])
    assert "решите сами" in errors(store)[0]


# --- delivery, money --------------------------------------------------------------------------------------------------


@responses.activate
def test_the_service_is_asked_whether_it_was_delivered(office: Office) -> None:
    responses.post(SEND, json=taken())
    responses.post("https://sms.ru/sms/status", json=state_of(102))
    office.want()
    office.later(minutes=3)
    assert office.sent()[0].state == "sent"
    responses.replace("POST", "https://sms.ru/sms/status", json=state_of(104))
    office.later(minutes=10)
    assert (office.sent()[0].state, office.sent()[0].words) == ("failed", "истекло время жизни")
    assert [entry.reason for entry in Journal(office.store).of_deal(7) if entry.what == "SMS"] == [
        "не доставлена: истекло время жизни"
    ]


def state_of(code: int) -> dict[str, Any]:
    return {"status": "OK", "status_code": 100, "sms": {"000-1": {"status": "OK", "status_code": code}}}


@responses.activate
def test_a_webhook_settles_it_once(office: Office) -> None:
    responses.post(SEND, json=taken())
    office.want()
    for state in ("delivered", "failed"):
        with office.store.write() as connection:
            report = SmsReport(state, "поздно")  # type: ignore[arg-type]
            assert report_sms(connection, office.store, "smsru", "000-1", report, office.hands.now())
    assert office.sent()[0].state == "delivered"
    with office.store.write() as connection:
        assert not report_sms(connection, office.store, "smsru", "000-9", SmsReport("delivered"), office.hands.now())


@responses.activate
def test_a_low_balance_is_told_once_a_day(office: Office) -> None:
    responses.post(SEND, json=taken(balance=42))
    office.want("раз")
    office.want("два")
    tasks = office.rows("create_task")
    assert [task["text"] for task in tasks] == [
        "amo-bridge: на счёте SMS осталось 42: пополните его, иначе SMS клиентам не уйдут"
    ]
    with office.store.read() as connection:
        assert connection.execute(select(channel_states.c.balance)).scalar() == 42


@responses.activate
def test_a_trial_sends_nothing_and_leaves_no_note(store: Store) -> None:
    office = Office(store, SmsRuSection(test=True))
    send = responses.post(SEND, json=taken(balance=1))
    office.want()
    assert form_of(send.calls[0])["test"] == "1"
    assert (office.rows("add_note"), office.rows("create_task")) == ([], [])
    assert states(store) == ["done"]


@responses.activate
def test_check_and_price() -> None:
    responses.post("https://sms.ru/my/balance", json={"status": "OK", "status_code": 100, "balance": 120})
    responses.post("https://sms.ru/sms/cost", json={"status": "OK", "sms": {OLGA: {"status": "OK", "cost": "3.5"}}})
    client = SmsRu(SmsRuSection(), "k")
    assert client.check() == "SMS.ru пускает, на счёте 120 ₽"
    assert client.price(f"+{OLGA}", "x") == 3.5
