"""«Каналы»: what is connected, since when, what went out last, the last error with what to do, the balance."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import responses
from playwright.sync_api import Browser, expect
from sqlalchemy import insert
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.mail_server import post_office, section
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.channels.vendor_states import VendorStates, advice_for
from amo_bridge.config.channels import (
    MailSection,
    MaxBotSection,
    OnlinePbxSection,
    PersonSection,
    SmsRuSection,
    StorageSection,
    TelegramSection,
    UnisenderGoSection,
)
from amo_bridge.rules.option_types import UserName
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.standins.unisender_go import UnisenderGoStandIn
from amo_bridge.storage.tables import dial_calls
from amo_bridge.web.auth.users import Role


@pytest.fixture
def connected(pages: Pages) -> Pages:
    config = pages.bridge.config
    pages.bridge.config = replace(config, channels=replace(config.channels, smsru=SmsRuSection()))
    pages.bridge.environment = {**pages.bridge.environment, "AMO_BRIDGE_SMSRU_ID": "key"}
    pages.know_account(agency())
    states = VendorStates(pages.account.account_store, pages.account.clock)
    states.connect(["smsru"])
    states.keep_balance("smsru", 42.5)
    pages.refuse(
        kind="send_sms",
        payload='{"words": "SMS клиенту «Встреча»"}',
        error="SMS.ru: на этот номер отправить нельзя (207)",
    )
    return pages


def test_it_tells_of_a_connected_one(connected: Pages, viewer: Visit) -> None:
    words = words_of(viewer.get("/channels"))
    assert "[smsru]" in words
    assert "На счёте: 42.5" in words
    assert "SMS клиенту «Встреча»: SMS.ru: на этот номер отправить нельзя (207)" in words
    assert "Что делать: посмотрите страницу «Не выполнено»" in words
    assert "Проверить связь" not in words, "a viewer asks nobody"


def test_what_went_out_since_then_makes_an_error_old(connected: Pages, viewer: Visit) -> None:
    later = (datetime.now(UTC) + timedelta(minutes=5)).timestamp()
    connected.refuse(kind="send_sms", payload="{}", error=None, state="done", done_at=later)
    words = words_of(viewer.get("/channels"))
    assert "на этот номер отправить нельзя" not in words
    connected.refuse(kind="send_sms", payload='{"words": "SMS"}', error="снова нет", sent_at=later + 60)
    assert "SMS: снова нет" in words_of(viewer.get("/channels"))


def test_what_waits_for_the_morning_is_no_error(connected: Pages, viewer: Visit) -> None:
    later = (datetime.now(UTC) + timedelta(minutes=5)).timestamp()
    connected.refuse(
        kind="send_sms", payload="{}", error="тихие часы: SMS уйдёт после них", state="ready", created_at=later
    )
    assert "тихие часы" not in words_of(viewer.get("/channels"))


def test_of_calls_the_last_one_counts(connected: Pages, viewer: Visit) -> None:
    config = connected.bridge.config
    channels = replace(config.channels, onlinepbx=OnlinePbxSection(domain="a.onpbx.ru"))
    connected.bridge.config = replace(config, channels=channels)
    call = {
        "account": connected.account.key, "dial_id": 1, "deal_id": 1, "vendor": "onlinepbx", "user_id": 1,
        "extension": "101", "phone": "+79161234567", "asked_at": datetime.now(UTC).timestamp(),
    }  # fmt: skip
    with connected.office.store.write() as connection:
        connection.execute(insert(dial_calls).values(**call, ref="dial-1-1-1", state="refused", words="нет денег"))
    assert "нет денег" in words_of(viewer.get("/channels"))
    with connected.office.store.write() as connection:
        connection.execute(insert(dial_calls).values(**call, ref="dial-1-1-2", state="client"))
    assert "нет денег" not in words_of(viewer.get("/channels"))


def test_it_tells_who_wants_what_is_not_connected(connected: Pages, viewer: Visit) -> None:
    words = words_of(viewer.get("/channels"))
    assert "автодозвон не подключён" in words.casefold()
    assert "Хотят правила: " in words


@responses.activate
def test_the_admin_asks_a_vendor(connected: Pages, admin: Visit, viewer: Visit) -> None:
    responses.post("https://sms.ru/my/balance", json={"status": "OK", "balance": 120})
    admin.post("/channels/smsru/ask")
    assert "SMS.ru пускает, на счёте 120 ₽" in words_of(admin.get("/channels"))
    responses.replace("POST", "https://sms.ru/my/balance", json={"status": "ERROR", "status_code": 300})
    admin.post("/channels/smsru/ask")
    assert "Не вышло: SMS.ru: неправильный ключ, проверьте AMO_BRIDGE_SMSRU_ID (300)" in words_of(
        admin.get("/channels")
    )
    assert viewer.post("/channels/smsru/ask", page="/").status_code == 403
    admin.post("/channels/nobody/ask")
    assert "Такого раздела в настройке нет." in words_of(admin.get("/channels"))


# --- trials -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def exchange(connected: Pages) -> Pages:
    config = connected.bridge.config
    people = {UserName("Иван Петров"): PersonSection.model_validate({"extension": "101"})}
    more = {"onlinepbx": OnlinePbxSection(domain="a.onpbx.ru"), "telegram": TelegramSection(), "people": people}
    connected.bridge.config = replace(config, channels=replace(config.channels, **more))
    secrets = {"AMO_BRIDGE_ONLINEPBX_KEY": "k", "AMO_BRIDGE_TELEGRAM_TOKEN": "t"}
    connected.bridge.environment = {**connected.bridge.environment, **secrets}
    return connected


@responses.activate
def test_a_trial_sms_goes_out_once_and_the_answer_is_shown(connected: Pages, admin: Visit) -> None:
    taken = {"status": "OK", "balance": 10, "sms": {"79161234567": {"status": "OK", "sms_id": "1", "cost": "7.8"}}}
    send = responses.post("https://sms.ru/sms/send", json=taken)
    admin.post("/channels/smsru/trial", {"to": "8 916 123-45-67"})
    assert "[smsru] сервис принял SMS, цена 7.8, на счёте 10" in words_of(admin.get("/channels"))
    assert len(send.calls) == 1
    audit = words_of(admin.get("/audit"))
    assert "Пробное по [smsru]" in audit
    assert "123-45-67" not in audit


@responses.activate
@pytest.mark.parametrize(
    ("vendor", "told", "words"),
    [
        ("smsru", {"to": "нечто"}, "Не вышло: «нечто» — не мобильный телефон"),
        ("telegram", {"to": "@anna"}, "Не вышло: «@anna» — не номер чата"),
        (
            "onlinepbx",
            {"to": "+380501234567", "person": "Иван Петров"},
            "Не вышло: «+380501234567» — не телефон из стран",
        ),
        ("onlinepbx", {"to": "89161234567", "person": "Кто-то"}, "Не вышло: выберите, кому звонить сначала"),
        ("mail", {"to": "a@b.ru"}, "Такого раздела в настройке нет."),
    ],
)
def test_a_trial_to_nowhere_is_told(
    exchange: Pages, admin: Visit, vendor: str, told: dict[str, str], words: str
) -> None:
    admin.post(f"/channels/{vendor}/trial", told)
    assert words in words_of(admin.get("/channels"))


@responses.activate
def test_a_trial_call_rings_whom_one_chose_and_a_lost_answer_is_told(exchange: Pages, admin: Visit) -> None:
    base = "https://api2.onlinepbx.ru/a.onpbx.ru"
    responses.post(f"{base}/auth.json", json={"status": "1", "data": {"key_id": "a", "key": "b"}})
    call = responses.post(f"{base}/call/now.json", json={"status": "1", "data": {"uuid": "u"}})
    wanted = {"to": "89161234567", "person": "Иван Петров"}
    admin.post("/channels/onlinepbx/trial", wanted)
    assert "АТС приняла заказ: звонит «Иван Петров»" in words_of(admin.get("/channels"))
    assert call.calls[0].request.body.startswith("from=101&to=79161234567")
    responses.replace("POST", f"{base}/call/now.json", status=502)
    admin.post("/channels/onlinepbx/trial", wanted)
    assert "Неизвестно, ушло ли: onlinePBX: 502" in words_of(admin.get("/channels"))


@responses.activate
def test_a_trial_message_of_the_bot(exchange: Pages, admin: Visit) -> None:
    send = responses.post("https://api.telegram.org/bott/sendMessage", json={"ok": True, "result": {}})
    admin.post("/channels/telegram/trial", {"to": "77"})
    assert "Telegram принял сообщение" in words_of(admin.get("/channels"))
    assert len(send.calls) == 1


@responses.activate
def test_a_trial_message_by_max_and_both_messengers_are_shown_as_ways_to_tell_people(
    exchange: Pages, admin: Visit
) -> None:
    config = exchange.bridge.config
    exchange.bridge.config = replace(config, channels=replace(config.channels, max=MaxBotSection()))
    exchange.bridge.environment = {**exchange.bridge.environment, "AMO_BRIDGE_MAX_TOKEN": "t"}
    sent = {"message": {"body": {"mid": "mid.1"}}}
    send = responses.post("https://platform-api2.max.ru/messages?chat_id=-77", json=sent)
    admin.post("/channels/max/trial", {"to": "-77"})
    words = words_of(admin.get("/channels"))
    assert "[max] MAX принял сообщение" in words
    assert "[telegram], [max]" in words
    assert len(send.calls) == 1
    denied = {"code": "chat.denied", "message": "Key: error.dialog.suspended, args: [77,]."}
    responses.post("https://platform-api2.max.ru/messages?user_id=77", json=denied, status=403)
    admin.post("/channels/max/trial", {"to": "77"})
    assert "Не вышло: MAX: 403 chat.denied" in words_of(admin.get("/channels"))
    responses.get("https://platform-api2.max.ru/me", json={"username": "agency_bot"})
    admin.post("/channels/max/ask")
    assert "бот MAX @agency_bot на связи" in words_of(admin.get("/channels"))


@responses.activate
def test_a_trial_to_oneself_goes_by_ones_own_ways(exchange: Pages, admin: Visit) -> None:
    page = "/settings/people"
    admin.post("/channels/trial", page="/settings")
    assert "Послать некуда" in words_of(admin.get(page))
    config = exchange.bridge.config
    anna = {UserName("Елена Орлова"): PersonSection(telegram=78, max=5, login="анна")}
    people = {**config.channels.people, **anna}
    exchange.bridge.config = replace(config, channels=replace(config.channels, people=people))
    send = responses.post("https://api.telegram.org/bott/sendMessage", json={"ok": True, "result": {}})
    assert "Послать пробное сообщение себе" in words_of(admin.get(page))
    admin.post("/channels/trial", page=page)
    assert "[telegram] Telegram принял сообщение" in words_of(admin.get(page))
    assert len(send.calls) == 1
    assert "78" in str(send.calls[0].request.body)


def test_what_sends_nothing_to_people_has_no_trial(connected: Pages, admin: Visit) -> None:
    config = connected.bridge.config
    connected.bridge.config = replace(config, channels=replace(config.channels, storage=StorageSection()))
    assert "/channels/storage/trial" not in admin.get("/channels").text
    admin.post("/channels/storage/trial", {"to": "12345"})
    assert "людям ничего не отправляет" in words_of(admin.get("/channels"))


def test_a_trial_letter(pages: Pages, admin: Visit) -> None:
    with post_office() as post:
        config = pages.bridge.config
        pages.bridge.config = replace(config, channels=replace(config.channels, mail=section(post)))
        pages.know_account(agency())
        admin.post("/channels/mail/trial", {"to": "anna@agency.example"})
        assert "почтовый сервер принял письмо" in words_of(admin.get("/channels"))
        assert len(post.taken) == 1


def test_a_trial_letter_by_a_service(pages: Pages, admin: Visit) -> None:
    stand_ins = StandIns(["unisender_go"], live=False)
    service = stand_ins["unisender_go"]
    assert isinstance(service, UnisenderGoStandIn)
    with serving(stand_ins):
        config = pages.bridge.config
        mail = MailSection.model_validate({"from": "info@agency.example"})
        go = UnisenderGoSection(api=service.settings()["api"])
        channels = replace(config.channels, mail=mail, unisender_go=go)
        pages.bridge.config = replace(config, channels=channels)
        pages.know_account(agency())
        admin.post("/channels/unisender_go/trial", {"to": "anna@agency.example"})
        assert "нет ключа API Unisender Go (AMO_BRIDGE_UNISENDER_GO_KEY)" in words_of(admin.get("/channels"))
        pages.bridge.environment = {**pages.bridge.environment, "AMO_BRIDGE_UNISENDER_GO_KEY": service.key}
        admin.post("/channels/unisender_go/trial", {"to": "anna@agency.example"})
        assert "Unisender Go принял письмо" in words_of(admin.get("/channels"))
        assert [one.address for one in service.letters] == ["anna@agency.example"]


def test_a_dry_run_sends_no_trial_and_a_viewer_none_at_all(connected: Pages, admin: Visit, viewer: Visit) -> None:
    config = connected.bridge.config
    connected.bridge.config = replace(config, bridge=config.bridge.model_copy(update={"dry_run": True}))
    admin.post("/channels/smsru/trial", {"to": "89161234567"})
    assert "ничего не уходит" in words_of(admin.get("/channels"))
    assert viewer.post("/channels/smsru/trial", {"to": "89161234567"}, page="/").status_code == 403
    assert "Отправить пробное" not in words_of(viewer.get("/channels"))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_trial_is_sent_from_a_browser(exchange: Pages, browser: Browser, size: dict[str, int]) -> None:
    exchange.add_user("Анна", Role.ADMIN)
    with served(exchange.app) as url, opened(browser, url, viewport=size) as context:
        page = context.new_page()
        page.goto("/login?next=/channels")
        page.get_by_label("Имя").fill("Анна")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        expect(page.get_by_role("heading", name="Отправить пробное")).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
        page.get_by_label("Мобильный телефон: smsru").fill("городской 8 495 123-45-67")
        page.get_by_role("button", name="Отправить пробное: smsru").click()
        expect(page.get_by_text("не мобильный телефон")).to_be_visible()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("Telegram не знает такого бота, проверьте AMO_BRIDGE_TELEGRAM_TOKEN: 401", ""),
        ("onlinePBX: 403 no", "проверьте пароль или ключ и права: amo-bridge check"),
        ("SMSC: не хватает денег", "пополните счёт у поставщика"),
        ("до Novofon не достучаться: нет маршрута", "проверьте адрес (api), прокси и сеть; мост пробует сам"),
        ("Zadarma: слишком много запросов, 429", "поставщик просит реже: мост подождёт и повторит сам"),
        ("нечто странное", "посмотрите страницу «Не выполнено» и amo-bridge check"),
    ],
)
def test_what_to_do_about_an_error(error: str, advice: str) -> None:
    assert advice_for(error) == advice


def test_a_vendor_that_left_the_config_is_forgotten(connected: Pages) -> None:
    states = VendorStates(connected.account.account_store, connected.account.clock)
    states.connect(["mail"])
    (sms,) = [one for one in states.read({"sms": "smsru"}) if one.name == "sms"]
    assert (sms.since, sms.balance) == (None, None)
