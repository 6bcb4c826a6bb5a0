"""«Каналы»: what is connected, since when, what went out last, the last error with what to do, the balance."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import responses
from sqlalchemy import insert
from support.pages import Pages, Visit, agency, words_of

from amo_bridge.channels.vendor_states import VendorStates, advice_for
from amo_bridge.config.channels import OnlinePbxSection, SmsRuSection
from amo_bridge.storage.tables import dial_calls


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
