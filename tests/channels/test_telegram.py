"""The bot against a stand-in of Telegram's server, and against every kind of trouble on the way there."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
from support.telegram_server import TOKEN, Telegram, telegram_server

from amo_bridge.channels.messengers import Chat, length
from amo_bridge.channels.telegram import MOST, Bot, messages
from amo_bridge.config.channels import TelegramSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain

API = "https://telegram.example"


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    with telegram_server() as server:
        yield server


@pytest.fixture
def bot(telegram: Telegram) -> Bot:
    return Bot(TelegramSection(api=telegram.url), TOKEN)


def test_a_message_arrives(telegram: Telegram, bot: Bot) -> None:
    bot.send(77, "<b>Ромашка</b>\nКлиент ждёт")
    assert telegram.sent == [(77, "<b>Ромашка</b>\nКлиент ждёт")]


def test_the_bot_knows_its_name(bot: Bot) -> None:
    assert bot.name() == "bridge_bot"


def test_who_has_written_is_known_once_the_newest_last(telegram: Telegram, bot: Bot) -> None:
    def said(chat_id: int, text: str, **chat: Any) -> dict[str, Any]:
        return {"update_id": 1, "message": {"text": text, "chat": {"id": chat_id, **chat}}}

    ivan = {"type": "private", "first_name": "Иван", "last_name": "Петров", "username": "ivan"}
    telegram.updates = [
        said(1, "/start", **ivan),
        said(-100, "привет", type="supergroup", title="Отдел продаж"),
        said(1, "это я", **ivan),
        {"update_id": 4, "my_chat_member": {"chat": {"id": 5, "type": "private", "first_name": "Ольга"}}},
        {"update_id": 5, "poll": {}},
        "nonsense",  # type: ignore[list-item]
    ]
    assert bot.chats() == [
        Chat(-100, "Отдел продаж", "supergroup", "привет"),
        Chat(1, "Иван Петров @ivan", "private", "это я"),
        Chat(5, "Ольга", "private", ""),
    ]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((403, "Forbidden: bot was blocked by the user", {}), ChannelRefused, "403 Forbidden: bot was blocked"),
        ((400, "Bad Request: chat not found", {}), ChannelRefused, "chat not found"),
        (
            (400, "Bad Request: group chat was upgraded", {"migrate_to_chat_id": -1007}),
            *(ChannelRefused, "у группы теперь другой номер: -1007"),
        ),
        ((429, "Too Many Requests: retry after 5", {"retry_after": 5}), ChannelBusy, "429"),
        ((500, "Internal Server Error", {}), ChannelUncertain, "500"),
    ],
)
def test_what_telegram_says(
    telegram: Telegram, bot: Bot, answer: tuple[int, str, dict[str, Any]], error: type[ChannelError], words: str
) -> None:
    telegram.answers = [answer]
    with pytest.raises(error) as told:
        bot.send(77, "раз")
    assert type(told.value) is error
    assert words in str(told.value)
    assert told.value.retry_after == answer[2].get("retry_after")


def test_a_wrong_token_stops_the_channel_and_is_named_but_not_told(telegram: Telegram) -> None:
    wrong = "987654321:BBwrong-token-of-thirty-five-chars-x"
    with pytest.raises(ChannelDown, match="AMO_BRIDGE_TELEGRAM_TOKEN") as told:
        Bot(TelegramSection(api=telegram.url), wrong).name()
    assert wrong not in str(told.value)


def test_nobody_listens() -> None:
    with pytest.raises(ChannelDown, match=r"не достучаться|прервалась") as told:
        Bot(TelegramSection(api="http://127.0.0.1:9"), TOKEN, timeout=(2, 2)).send(77, "раз")
    assert TOKEN not in str(told.value)


def test_a_dead_proxy(telegram: Telegram) -> None:
    section = TelegramSection(api=telegram.url, proxy="http://127.0.0.1:9")
    with pytest.raises(ChannelDown):
        Bot(section, TOKEN, timeout=(2, 2)).send(77, "раз")
    assert telegram.sent == []


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (requests.ConnectTimeout(f"{API}/bot{TOKEN}/sendMessage"), ChannelDown),
        (requests.exceptions.SSLError(f"bot{TOKEN}"), ChannelDown),
        (requests.ReadTimeout(f"bot{TOKEN}"), ChannelUncertain),
        (requests.ConnectionError(f"Connection aborted, bot{TOKEN}"), ChannelUncertain),
    ],
)
@responses.activate
def test_what_happens_on_the_way_tells_whether_it_was_sent(trouble: Exception, error: type[ChannelError]) -> None:
    responses.post(f"{API}/bot{TOKEN}/sendMessage", body=trouble)
    with pytest.raises(error) as told:
        Bot(TelegramSection(api=API), TOKEN).send(77, "раз")
    assert type(told.value) is error
    assert TOKEN not in str(told.value)
    assert told.value.__cause__ is None, "a traceback would show the address with the token"


@responses.activate
def test_a_page_instead_of_an_answer_leaves_a_doubt() -> None:
    responses.post(f"{API}/bot{TOKEN}/sendMessage", body="<html>502</html>", status=502)
    with pytest.raises(ChannelUncertain):
        Bot(TelegramSection(api=API), TOKEN).send(77, "раз")


# --- texts -------------------------------------------------------------------------------------------------------


def test_a_link_says_where_it_leads() -> None:
    assert messages("", "Отчёт", "https://bridge.ru/reports/daily/7") == [
        'Отчёт\n<a href="https://bridge.ru/reports/daily/7">Открыть</a>'
    ]


def test_what_comes_from_the_deal_is_escaped() -> None:
    (told,) = messages("<Ромашка & Co>", "1 < 2 & 3 > 2", 'https://a.ru/leads/detail/7?x="1"&y=2')
    assert told == (
        "<b>&lt;Ромашка &amp; Co&gt;</b>\n1 &lt; 2 &amp; 3 &gt; 2\n"
        '<a href="https://a.ru/leads/detail/7?x=&quot;1&quot;&amp;y=2">Открыть сделку</a>'
    )


@pytest.mark.parametrize(
    "text",
    ["слово " * 2000, "б" * 9000, "<&>" * 3000, "строка\n" * 1500, "😀" * 5000, " " * 9000 + "конец"],
    ids=["words", "one word", "markup", "lines", "emoji", "blanks"],
)
def test_a_long_text_goes_in_several_messages_and_nothing_is_lost(telegram: Telegram, bot: Bot, text: str) -> None:
    told = messages("Ромашка " * 100, text, "https://agency.amocrm.ru/leads/detail/7")
    for html in told:
        bot.send(77, html)
    assert len(telegram.sent) == len(told) > 1 or text.isspace() or "конец" in text
    import html as entities
    import re

    plain = "".join(entities.unescape(re.sub(r"<[^>]+>", "", one)) for one in told)
    assert "".join(text.split()) in "".join(plain.split())


def test_length_is_counted_as_telegram_does() -> None:
    assert (length("абв"), length("😀"), MOST) == (3, 2, 4096)


def test_a_picture_goes_as_a_photo_anything_else_as_a_document(telegram: Telegram, bot: Bot) -> None:
    for name in ("скрин.JPG", "чек.pdf", "IMG_2031.HEIC"):
        bot.send_file(77, name, BytesIO(b"12345"), 5, "<b>Оплата</b>")
    assert telegram.files == [
        (77, "photo", "скрин.JPG", b"12345", "<b>Оплата</b>"),
        (77, "document", "чек.pdf", b"12345", "<b>Оплата</b>"),
        (77, "document", "IMG_2031.HEIC", b"12345", "<b>Оплата</b>"),
    ]


def test_a_picture_that_is_no_photo_for_telegram_goes_as_a_document(telegram: Telegram, bot: Bot) -> None:
    telegram.no_photos = True
    bot.send_file(77, "лента.png", BytesIO(b"1"), 1)
    bot.send_file(77, "большая.png", BytesIO(b"1"), (10 << 20) + 1)
    assert [sent[1] for sent in telegram.files] == ["document", "document"]


def test_what_telegram_would_not_take_is_not_even_sent(telegram: Telegram, bot: Bot) -> None:
    with pytest.raises(ChannelRefused, match="больше 50 МБ"):
        bot.send_file(77, "видео.mp4", BytesIO(b"1"), (50 << 20) + 1)
    assert not telegram.files


def test_a_file_is_read_while_it_is_sent(tmp_path: Path, telegram: Telegram, bot: Bot) -> None:
    (tmp_path / "scan.pdf").write_bytes(b"x" * (3 << 20))
    with (tmp_path / "scan.pdf").open("rb") as opened:
        bot.send_file(77, "scan.pdf", opened, 3 << 20)
    assert len(telegram.files[0][3]) == 3 << 20
