"""MAX's bot against the stand-in of its API, and against every kind of trouble on the way there."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
import requests
import responses

from amo_bridge.channels.max_bot import FOR_TEXT, LARGEST_FILE, MOST, MaxBot, plain_messages
from amo_bridge.channels.messengers import Button, Chat, length
from amo_bridge.config.channels import MaxBotSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.standins.bots import MaxStandIn
from amo_bridge.standins.server import StandIns, serving

API, TOKEN = "https://max.example", "max-test-token"
ANNA, GROUP = 7001, -555


@pytest.fixture
def stand_ins() -> Iterator[StandIns]:
    made = StandIns(["max"], live=False)
    with serving(made):
        yield made


@pytest.fixture
def max_bot(stand_ins: StandIns) -> MaxStandIn:
    made = stand_ins["max"]
    assert isinstance(made, MaxStandIn)
    made.people[ANNA], made.groups[GROUP] = "Анна", "Отдел продаж"
    return made


@pytest.fixture
def bot(max_bot: MaxStandIn) -> MaxBot:
    return MaxBot(MaxBotSection(api=f"{max_bot.url}/max"), max_bot.token)


@pytest.mark.parametrize("chat_id", [ANNA, GROUP])
def test_a_message_arrives_with_a_person_and_in_a_group(max_bot: MaxStandIn, bot: MaxBot, chat_id: int) -> None:
    mid = bot.send(chat_id, "Клиент ждёт")
    (sent,) = max_bot.sent
    assert (sent["user_id"], sent["text"], sent["id"]) == (chat_id, "Клиент ждёт", mid)


def test_the_bot_tells_its_name_and_who_is_there(stand_ins: StandIns, max_bot: MaxStandIn, bot: MaxBot) -> None:
    assert bot.check() == "бот MAX @agency_bot на связи"
    max_bot.write(ANNA, "это я")
    max_bot.start(ANNA, "")
    assert bot.chats() == [Chat(GROUP, "Отдел продаж", "chat", ""), Chat(ANNA, "Анна", "private", "")]


@pytest.mark.parametrize(("name", "kind"), [("скрин.png", "image"), ("счёт.pdf", "file")])
def test_a_file_is_uploaded_without_the_token_and_goes_with_its_words(
    max_bot: MaxStandIn, bot: MaxBot, name: str, kind: str
) -> None:
    bot.send_file(GROUP, name, BytesIO(b"12345"), 5, "Оплата")
    (file,) = max_bot.files
    assert (file["chat_id"], file["kind"], file["name"], file["size"], file["text"]) == (GROUP, kind, name, 5, "Оплата")


def test_a_file_that_is_too_large_is_refused(bot: MaxBot) -> None:
    with pytest.raises(ChannelRefused, match="50 МБ"):
        bot.send_file(GROUP, "кино.mp4", BytesIO(), LARGEST_FILE + 1)


def test_a_message_with_buttons_changes_and_a_press_is_answered(max_bot: MaxStandIn, bot: MaxBot) -> None:
    mid = bot.send(ANNA, "Согласовать КП", [Button("Да", "1:y"), Button("Нет", "1:n")])
    assert max_bot.sent[0]["buttons"] == {"Да": "1:y", "Нет": "1:n"}
    bot.edit(ANNA, mid, "Согласовано")
    assert (max_bot.sent[0]["text"], max_bot.sent[0]["buttons"]) == ("Согласовано", {})
    bot.answer_press("press/1", "Готово")
    assert max_bot.pressed == [("press/1", "Готово")]
    with pytest.raises(ChannelRefused, match="Message not found"):
        bot.edit(ANNA, "mid.other", "Согласовано")


def test_who_has_stopped_the_bot_and_who_never_opened_it(max_bot: MaxStandIn, bot: MaxBot) -> None:
    with pytest.raises(ChannelRefused, match=r"404 chat.not.found dialog.not.found"):
        bot.send(1, "раз")
    max_bot.blocked.add(ANNA)
    with pytest.raises(ChannelRefused, match=r"403 chat.denied"):
        bot.send(ANNA, "раз")
    assert max_bot.sent == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [("limited", ChannelBusy), ("broken", ChannelUncertain), ("lost_answer", ChannelUncertain)],
)
def test_faults_of_the_vendor(stand_ins: StandIns, bot: MaxBot, fault: str, error: type[ChannelError]) -> None:
    stand_ins.faults.add(fault, vendor="max")
    with pytest.raises(error) as told:
        bot.send(ANNA, "раз")
    assert type(told.value) is error


def test_a_wrong_token_stops_the_channel_and_is_named_but_not_told(max_bot: MaxStandIn) -> None:
    with pytest.raises(ChannelDown, match="AMO_BRIDGE_MAX_TOKEN") as told:
        MaxBot(MaxBotSection(api=f"{max_bot.url}/max"), "wrong-token").name()
    assert "wrong-token" not in str(told.value)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ({"json": {"message": {}}}, ChannelUncertain, "не сказал номер"),
        ({"json": ["nonsense"]}, ChannelUncertain, "не ответил как надо"),
        ({"body": "<html>Вход</html>"}, ChannelUncertain, "не ответил как надо"),
        ({"json": {"code": "attachment.not.ready"}, "status": 400}, ChannelBusy, "not.ready"),
        ({"body": requests.ConnectTimeout("нет")}, ChannelDown, "не достучаться"),
        ({"body": requests.ReadTimeout(TOKEN)}, ChannelUncertain, "не ответил"),
        ({"body": requests.exceptions.SSLError("self-signed certificate")}, ChannelDown, "не достучаться"),
    ],
)
@responses.activate
def test_odd_answers(answer: dict[str, Any], error: type[ChannelError], words: str) -> None:
    responses.post(f"{API}/messages", **answer)
    with pytest.raises(error, match=words) as told:
        MaxBot(MaxBotSection(api=API), TOKEN).send(ANNA, "раз")
    assert type(told.value) is error
    assert TOKEN not in str(told.value)


@pytest.mark.parametrize("text", ["слово " * 2000, "б" * 9000, "😀" * 5000, "коротко"])
def test_a_long_text_goes_in_several_messages_and_nothing_is_lost(text: str) -> None:
    told = plain_messages("Ромашка", text, "https://agency.amocrm.ru/leads/detail/7")
    assert all(length(message) <= MOST for message in told)
    assert all(length(message) <= FOR_TEXT + 300 for message in told)
    assert told[0].startswith("Ромашка\n")
    assert told[-1].endswith("/leads/detail/7")
    joined = "".join(told).replace("Ромашка\n", "").replace("\nhttps://agency.amocrm.ru/leads/detail/7", "")
    assert joined.replace(" ", "") == text.replace(" ", "")
