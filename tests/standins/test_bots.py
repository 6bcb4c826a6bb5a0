"""The stand-ins of Telegram and MAX: secrets in headers, polling silenced by a webhook, the vendors' refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from amo_bridge.standins.bots import MaxStandIn, TelegramStandIn
from amo_bridge.standins.server import StandIns
from tests.standins.conftest import Received


@pytest.fixture
def telegram(stand_ins: StandIns) -> TelegramStandIn:
    made = stand_ins["telegram"]
    assert isinstance(made, TelegramStandIn)
    return made


@pytest.fixture
def max_bot(stand_ins: StandIns) -> MaxStandIn:
    made = stand_ins["max"]
    assert isinstance(made, MaxStandIn)
    return made


def ask(bot: TelegramStandIn, method: str, **given: Any) -> requests.Response:
    return requests.post(f"{bot.url}/telegram/bot{bot.token}/{method}", json=given, timeout=5)


def test_updates_come_with_the_secret_and_silence_polling(
    stand_ins: StandIns, telegram: TelegramStandIn, received: Received
) -> None:
    telegram.people[7001] = "Нина Тестова"
    telegram.write(7001, "до вебхука")
    assert len(ask(telegram, "getUpdates").json()["result"]) == 1
    assert ask(telegram, "setWebhook", url=received.url, secret_token="s3cret").json()["ok"]
    telegram.write(7001, "Нужна реклама")
    telegram.share_contact(7001, "79000000091")
    telegram.start(7001, "d12345")
    stand_ins.timeline.advance()
    texts = [json.loads(body)["message"] for body in received.bodies]
    assert [one.get("text") for one in texts] == ["до вебхука", "Нужна реклама", None, "/start d12345"]
    assert texts[2]["contact"]["user_id"] == texts[2]["from"]["id"]
    assert {headers["X-Telegram-Bot-Api-Secret-Token"] for headers in received.headers} == {"s3cret"}
    conflict = ask(telegram, "getUpdates")
    assert (conflict.status_code, conflict.json()["error_code"]) == (409, 409)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "http://bridge.example/in"}, "HTTPS URL"),
        ({"url": "https://bridge.example:8080/in"}, "ports 80, 88, 443 or 8443"),
        ({"url": "https://bridge.example/in", "secret_token": "с пробелом"}, "unallowed characters"),
    ],
)
def test_telegram_refuses_an_address_it_could_not_call(
    telegram: TelegramStandIn, given: dict[str, str], words: str
) -> None:
    answer = ask(telegram, "setWebhook", **given)
    assert (answer.status_code, words in answer.json()["description"]) == (400, True)
    assert telegram.webhook_url == ""


def test_a_webhook_that_fails_is_told_and_repeated(
    stand_ins: StandIns, telegram: TelegramStandIn, received: Received
) -> None:
    ask(telegram, "setWebhook", url=received.url)
    received.answers.append(("", 500))
    telegram.write(7001, "Нужна реклама")
    stand_ins.timeline.advance()
    assert "500" in ask(telegram, "getWebhookInfo").json()["result"]["last_error_message"]
    stand_ins.timeline.advance(10)
    assert len(received.bodies) == 2
    assert "last_error_message" not in ask(telegram, "getWebhookInfo").json()["result"]


def test_telegram_refuses_in_its_own_words(stand_ins: StandIns, telegram: TelegramStandIn) -> None:
    telegram.people[7001] = "Нина"
    telegram.blocked.add(7001)
    assert ask(telegram, "sendMessage", chat_id=7001, text="да").status_code == 403
    assert ask(telegram, "sendMessage", chat_id=1, text="да").status_code == 400
    stand_ins.faults.add("limited", vendor="telegram")
    busy = ask(telegram, "getMe")
    assert (busy.status_code, busy.json()["parameters"]) == (429, {"retry_after": 5})
    wrong = requests.get(f"{telegram.url}/telegram/botwrong/getMe", timeout=5)
    assert (wrong.status_code, wrong.json()["description"]) == (401, "Unauthorized")


def max_ask(bot: MaxStandIn, method: str, path: str, token: str = "", **more: Any) -> requests.Response:
    headers = {"Authorization": token or bot.token}
    return requests.request(method, f"{bot.url}/max{path}", headers=headers, timeout=5, **more)


def test_max_posts_one_update_with_the_secret(stand_ins: StandIns, max_bot: MaxStandIn, received: Received) -> None:
    given = {"url": received.url, "secret": "s3cret", "update_types": ["message_created", "bot_started"]}
    assert max_ask(max_bot, "POST", "/subscriptions", json=given).json() == {"success": True}
    max_bot.people[7001] = "Нина Тестова"
    max_bot.start(7001, "d12345")
    max_bot.write(7001, "Нужна реклама")
    max_bot.share_contact(7001, "79000000091")
    stand_ins.timeline.advance()
    started, written, shared = (json.loads(body) for body in received.bodies)
    assert (started["update_type"], started["payload"]) == ("bot_started", "d12345")
    assert (written["message"]["body"]["text"], written["message"]["sender"]["name"]) == (
        "Нужна реклама",
        "Нина Тестова",
    )
    assert "79000000091" in shared["message"]["body"]["attachments"][0]["payload"]["vcf_info"]
    assert {headers["X-Max-Bot-Api-Secret"] for headers in received.headers} == {"s3cret"}
    assert max_ask(max_bot, "GET", "/updates").json()["updates"] == []
    (shown,) = max_ask(max_bot, "GET", "/subscriptions").json()["subscriptions"]
    assert shown["url"] == received.url


def test_max_refuses_in_its_own_words(max_bot: MaxStandIn) -> None:
    wrong = max_ask(max_bot, "GET", "/me", token="wrong")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "verify.token")
    http = max_ask(max_bot, "POST", "/subscriptions", json={"url": "http://bridge.example/in"})
    assert (http.status_code, http.json()["code"]) == (400, "proto.payload")
    short = max_ask(max_bot, "POST", "/subscriptions", json={"url": "https://bridge.example/in", "secret": "1234"})
    assert short.status_code == 400
    max_bot.people[7001] = "Нина"
    assert max_ask(max_bot, "POST", "/messages?user_id=7001", json={"text": ""}).status_code == 400
