"""Logs: what reaches them tells no client's phone or mail, and none of our secrets."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
import structlog

from amo_bridge import logs
from amo_bridge.events import CallLogged


@pytest.fixture
def output() -> Iterator[StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    written = StringIO()
    logs.set_up(file=written)
    yield written
    structlog.reset_defaults()
    root.handlers[:], root.level = before


def ours(text: str, **facts: Any) -> None:
    structlog.get_logger().info(text, **facts)


def a_library_s(text: str, **facts: Any) -> None:
    logging.getLogger("urllib3.connectionpool").warning("%s %s", text, facts or "")


Logger = Callable[..., None]
BOTH = pytest.mark.parametrize("write", [ours, a_library_s])

JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiIxIn0.c2lnbmF0dXJl-_x"
REFRESH = "def50200" + "0123456789abcdef" * 8

SECRETS = [
    pytest.param("anna.petrova+work@mail.example.ru", "petrova", id="a mail"),
    pytest.param("?query=anna%40mail.example.ru", "anna", id="a mail in an address"),
    pytest.param("+7 (916) 123-45-67", "123", id="a phone as people write it"),
    pytest.param("8 916 123 45 67", "916", id="a phone with an eight"),
    pytest.param("89161234567", "9161234567", id="a phone in one piece"),
    pytest.param("79161234567", "9161234567", id="a phone as exchanges write it"),
    pytest.param("+380501234567", "0501234567", id="an Ukrainian phone"),
    pytest.param("+375 29 123-45-67", "123-45", id="a Belarusian phone"),
    pytest.param("/api/v4/contacts?query=%2B79161234567", "9161234567", id="a phone in an address"),
    pytest.param("custom_fields%5Bvalue%5D=%2B79161234567&x=1", "9161234567", id="a phone in a hook"),
    pytest.param("Authorization: Bearer s3cr3t-token", "s3cr3t", id="a bearer"),
    pytest.param(f"token {JWT} is dead", "eyJhdWQ", id="a JWT"),
    pytest.param(f"'refresh_token': '{REFRESH}'", "0123456789abcdef", id="a refresh token"),
    pytest.param(f"unexpected answer {REFRESH}", "0123456789abcdef", id="a refresh token alone"),
    pytest.param('{"client_secret": "q1w2e3r4", "code": 1}', "q1w2e3r4", id="JSON with a secret"),
    pytest.param("client_secret=q1w2e3r4&x=1", "q1w2e3r4", id="a form with a secret"),
    pytest.param("GET /in/vk/in-" + "0123456789abcdef" * 3, "0123456789", id="a vendor's address"),
    pytest.param("password=hunter2", "hunter2", id="a password"),
    pytest.param("POST /bot123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/getMe", "AAHdqTcv", id="a bot's token"),
    pytest.param("https://bridge.example/u/Abcdefgh-_345678", "Abcdefgh", id="a link for unsubscribing"),
    pytest.param("postgresql+psycopg://bridge:hunter2@db.example/x", "hunter2", id="a database's address"),
    pytest.param("POST /hooks/amocrm/Zm9vYmFy_unguessable HTTP/1.1", "unguessable", id="the hook's path"),
    pytest.param("https://b.example/hooks/amocrm/unguessable?x=1", "unguessable", id="the hook's address"),
]


@BOTH
@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_no_secret_is_written_whoever_writes(output: StringIO, write: Logger, text: str, secret: str) -> None:
    write(f"before {text} after", fact=text, deep={"list": [text, ("tuple", text)]})
    assert secret in text
    line = output.getvalue()
    assert secret not in line
    assert "before" in line
    assert json.loads(line)["level"]


@pytest.mark.parametrize(
    "text",
    [
        "deal 30000001, note 400000001, contact 40000001",
        "at 1795424400 (2026-11-23T09:00:00+00:00)",
        "2026-11-23 09:00:00.123456+03:00",
        "POST /api/v4/leads/30000001/notes: 429",
        "Сделка «Ромашка» на этапе «Продажи / Новый клиент»",
        "amounts 100500.50 and 90000",
        "request 11189a4bbd74456f829e45af4e9c5df0",
    ],
)
def test_what_is_needed_to_find_a_fault_stays_readable(text: str) -> None:
    assert logs.mask_text(text) == text


def test_a_masked_phone_still_tells_one_from_another() -> None:
    assert logs.mask_text("+7 916 123-45-67") == "+7***67"
    assert logs.mask_text("anna@mail.ru") == "an***ru"


def test_a_value_under_a_telling_name_is_hidden_whatever_it_looks_like(output: StringIO) -> None:
    ours("connected", token="plain words", deep={"client_secret": 12345, "access_token": None}, deal=30_000_001)
    told = json.loads(output.getvalue())
    assert told["token"] == "***"
    assert told["deep"] == {"client_secret": "***", "access_token": None}
    assert told["deal"] == 30_000_001


def test_things_that_are_no_texts_are_masked_as_well(output: StringIO) -> None:
    call = CallLogged(direction="in", phone="+79161234567", note_id=5)
    ours("call", call=call, number=79161234567, body=b"phone=%2B79161234567", error=ValueError("anna@mail.ru"))
    line = output.getvalue()
    assert "9161234567" not in line
    assert "anna@" not in line
    assert "note_id=5" in line


@pytest.mark.parametrize("by_library", [False, True])
def test_a_traceback_is_masked_too(output: StringIO, by_library: bool) -> None:
    try:
        raise ValueError("client +7 916 123-45-67 at /hooks/amocrm/unguessable")
    except ValueError:
        if by_library:
            logging.getLogger("werkzeug").exception("broken")
        else:
            structlog.get_logger().exception("broken")
    told = json.loads(output.getvalue())
    assert "ValueError" in told["exception"]
    assert "123-45" not in told["exception"]
    assert "unguessable" not in told["exception"]


def test_libraries_are_heard_from_warnings_on(output: StringIO) -> None:
    logging.getLogger("urllib3").info("chatter")
    structlog.get_logger().debug("chatter")
    assert output.getvalue() == ""


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("logs.log.critical('broken', phone='+79161234567')", "+7***67"),
        ("logging.getLogger('urllib3').critical('broken +79161234567')", "+7***67"),
        ("logs.log.error('broken')", ""),
        ("logging.getLogger('urllib3').error('broken')", ""),
    ],
)
def test_a_command_imports_what_writes_logs_with_the_first_line(line: str, told: str) -> None:
    """And its stdout, which may be meant for a program, stays as it is."""
    program = (
        "import logging, sys; from amo_bridge import logs; logs.set_up_later(logging.CRITICAL)\n"
        f"assert 'structlog' not in sys.modules\n{line}"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    assert told in run.stderr
    assert "9161234567" not in run.stderr
    assert len(run.stderr.splitlines()) == bool(told)


def test_lines_of_several_threads_wait_for_the_first() -> None:
    """What structlog writes before it is set up goes to stdout, in clear."""
    program = """
import threading, structlog
from amo_bridge import logs
configure = structlog.configure
def slowly(**settings):
    other.start()
    other.join(0.2)
    configure(**settings)
structlog.configure = slowly
other = threading.Thread(target=lambda: logs.log.error("of another", phone="+79161234567"))
logs.set_up_later(40)
logs.log.error("first")
other.join()
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    assert [json.loads(line)["event"] for line in run.stderr.splitlines()] == ["first", "of another"]
    assert "+7***67" in run.stderr


@pytest.mark.parametrize("turn", [1, 2])
def test_a_command_typed_by_a_test_leaves_the_next_one_its_logs(turn: int, capsys: pytest.CaptureFixture[str]) -> None:
    logs.log.warning("as structlog writes by itself")
    assert "as structlog writes by itself" in capsys.readouterr().out
    logs.set_up_later(logging.CRITICAL)
