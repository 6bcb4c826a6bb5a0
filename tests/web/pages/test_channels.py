"""«Каналы»: what is connected, since when, what went out last, the last error with what to do, the balance."""

from __future__ import annotations

from dataclasses import replace

import pytest
import responses
from support.pages import Pages, Visit, agency, words_of

from amo_bridge.channels.vendor_states import VendorStates, advice_for
from amo_bridge.config.channels import SmsRuSection


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
    assert "Что делать: посмотрите страницу «Отказы»" in words
    assert "Проверить связь" not in words, "a viewer asks nobody"


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


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("Telegram не знает такого бота, проверьте AMO_BRIDGE_TELEGRAM_TOKEN: 401", ""),
        ("onlinePBX: 403 no", "проверьте пароль или ключ и права: amo-bridge check"),
        ("SMSC: не хватает денег", "пополните счёт у поставщика"),
        ("до Novofon не достучаться: нет маршрута", "проверьте адрес (api), прокси и сеть; мост пробует сам"),
        ("Zadarma: слишком много запросов, 429", "поставщик просит реже: мост подождёт и повторит сам"),
        ("нечто странное", "посмотрите страницу «Отказы» и amo-bridge check"),
    ],
)
def test_what_to_do_about_an_error(error: str, advice: str) -> None:
    assert advice_for(error) == advice


def test_a_vendor_that_left_the_config_is_forgotten(connected: Pages) -> None:
    states = VendorStates(connected.account.account_store, connected.account.clock)
    states.connect(["mail"])
    (sms,) = [one for one in states.read({"sms": "smsru"}) if one.name == "sms"]
    assert (sms.since, sms.balance) == (None, None)
