"""A letter's bytes: threads, unsubscribing with one click, and nothing that gets into a header from outside."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from amo_bridge.channels.letter import Letter, message_id
from amo_bridge.config.channels import LONGEST_URL, TOKEN_LENGTH, UNSUBSCRIBE_PATH, too_long_for_unsubscribing
from amo_bridge.text.templates import Rendered

LONGEST_PUBLIC_URL = "https://" + "b" * (LONGEST_URL - len(UNSUBSCRIBE_PATH) - TOKEN_LENGTH - len("https://"))
LINK = f"{LONGEST_PUBLIC_URL}{UNSUBSCRIBE_PATH}{'t' * TOKEN_LENGTH}"


def letter(**changed: Any) -> Letter:
    facts: dict[str, Any] = {
        "sender": "Агентство «Ромашка» <info@agency.example>",
        "to_name": "Ольга Смирнова",
        "to_address": "olga@client.example",
        "content": Rendered("Ждём бриф: длинная тема, которая не помещается в одну строку заголовка", "Текст\n"),
        "message_id": "<1@agency.example>",
        "at": datetime(2026, 11, 23, 9, tzinfo=UTC),
    }
    return Letter(**(facts | changed))


def read(one: Letter) -> EmailMessage:
    return message_from_bytes(one.to_bytes(), policy=SMTP)  # type: ignore[arg-type, return-value]


def test_a_letter_says_from_whom_to_whom_and_what() -> None:
    got = read(letter(reply_to="sales@agency.example"))
    assert got["From"] == '"Агентство «Ромашка»" <info@agency.example>' or "info@agency.example" in got["From"]
    assert str(got["To"]) == "Ольга Смирнова <olga@client.example>"
    assert got["Subject"] == "Ждём бриф: длинная тема, которая не помещается в одну строку заголовка"
    assert (got["Reply-To"], got["Message-ID"]) == ("sales@agency.example", "<1@agency.example>")
    assert got["Date"] == "Mon, 23 Nov 2026 09:00:00 +0000"
    assert got.get_content() == "Текст\r\n" or got.get_content() == "Текст\n"
    for name in ("In-Reply-To", "List-Unsubscribe", "List-Unsubscribe-Post", "Auto-Submitted"):
        assert name not in got


def test_text_and_html_are_two_faces_of_one_letter() -> None:
    got = read(letter(content=Rendered("a", "Текст\n", "<p>Текст</p>")))
    assert got.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in got.iter_parts()] == ["text/plain", "text/html"]


def test_a_series_stays_in_one_thread() -> None:
    answers = tuple(f"<{number}@agency.example>" for number in range(12))
    got = read(letter(answers=answers))
    assert got["In-Reply-To"] == "<11@agency.example>"
    assert got["References"].split() == list(answers[2:])


def test_the_link_for_unsubscribing_stands_unbroken_in_the_very_bytes() -> None:
    """Python's e-mail library folds a longer one into encoded words, which no mail program undoes."""
    assert len(LINK) == LONGEST_URL == 57
    lines = letter(unsubscribe=LINK).to_bytes().split(b"\r\n")
    assert f"List-Unsubscribe: <{LINK}>".encode() in lines
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in lines
    assert too_long_for_unsubscribing(LONGEST_PUBLIC_URL) == ""
    assert "длиннее 38 знаков" in too_long_for_unsubscribing(LONGEST_PUBLIC_URL + "b")


def test_a_longer_link_would_be_broken() -> None:
    """Why there is a limit; when this fails, the limit may go."""
    assert b"=?utf-8?q?" in letter(unsubscribe=LINK + "t" * 80).to_bytes()


@pytest.mark.parametrize(
    "changed",
    [
        {"to_name": "Ольга\r\nBcc: all@client.example"},
        {"content": Rendered("Тема\r\nBcc: all@client.example", "Текст\n")},
        {"to_address": "olga@client.example\r\nBcc: all@client.example"},
        {"reply_to": "a@b.example\nBcc: all@client.example"},
        {"message_id": "<1@agency.example>\r\nBcc: all@client.example"},
    ],
)
def test_nothing_gets_into_the_headers_from_outside(changed: dict[str, Any]) -> None:
    try:
        raw = letter(**changed).to_bytes()
    except ValueError:
        return
    assert "Bcc" not in message_from_bytes(raw, policy=SMTP)  # type: ignore[arg-type]


def test_a_machines_notice_asks_for_no_answer() -> None:
    assert read(letter(is_notice=True))["Auto-Submitted"] == "auto-generated"


def test_a_message_id_is_the_same_for_the_same_effect() -> None:
    first = message_id(1, "rule|event|0", "info@agency.example")
    assert first == message_id(1, "rule|event|0", "info@agency.example")
    assert len({first, message_id(2, "rule|event|0", "info@agency.example"), message_id(1, "b", "info@a.ru")}) == 3
    assert first.endswith("@agency.example>")
