"""A mailbox over IMAP, on a real Dovecot: what is asked for, what is left untouched, how faults are told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask, request
from flask.typing import ResponseReturnValue
from support.imap_server import PASSWORD, ImapServer, cutting_proxy, imap_server, letter, needs_dovecot
from werkzeug.serving import make_server

from amo_bridge.config.intake import MailboxSection
from amo_bridge.errors import ConfigError
from amo_bridge.intake.mailbox import MailboxConnection, MailboxDown, MailboxSecret
from bench.processes import free_port

pytestmark = needs_dovecot


@pytest.fixture(scope="module")
def running() -> Iterator[ImapServer]:
    with imap_server() as server:
        yield server


@pytest.fixture
def server(running: ImapServer) -> ImapServer:
    with running.client() as client:
        _, counted = client.select("INBOX")
        if counted[0] == b"0":
            return running
        client.store("1:*", "+FLAGS", "\\Deleted")
        client.expunge()
    return running


@pytest.fixture
def box(server: ImapServer) -> Iterator[MailboxConnection]:
    connection = MailboxConnection(server.section(), lambda: PASSWORD)
    yield connection
    connection.close()


def test_letters_come_by_their_numbers_and_stay_unseen(server: ImapServer, box: MailboxConnection) -> None:
    before = box.open("INBOX").next_uid - 1
    first, second = letter(number=1), letter("Второе", number=2)
    server.deliver(first, second)
    box.open("INBOX")
    envelopes = box.letters_after(before)
    assert [one.uid for one in envelopes] == [before + 1, before + 2]
    whole = box.fetch([before + 1, before + 2])
    assert whole == {before + 1: first.replace(b"\n", b"\r\n"), before + 2: second.replace(b"\n", b"\r\n")}
    (head,) = box.fetch([before + 2], headers_only=True).values()
    assert (b"Subject:" in head, head.endswith(b"\r\n\r\n")) == (True, True)
    assert not any(b"Seen" in flags for flags in server.flags())
    assert box.letters_after(before + 2) == []


def test_a_letter_that_was_deleted_meanwhile_is_gone(server: ImapServer, box: MailboxConnection) -> None:
    box.open("INBOX")
    assert box.fetch([999_999]) == {}


def test_old_letters_are_found_by_the_day(server: ImapServer, box: MailboxConnection) -> None:
    now = datetime.now(UTC)
    server.deliver(letter(number=1), at=now - timedelta(days=900))
    server.deliver(letter(number=2), at=now - timedelta(days=2))
    box.open("INBOX")
    (found,) = box.letters_since((now - timedelta(days=5)).date())
    assert abs(found.at - (now - timedelta(days=2))) < timedelta(seconds=2)
    assert len(box.letters_since((now - timedelta(days=1000)).date())) == 2


def test_a_folder_with_a_russian_name_is_opened(server: ImapServer, box: MailboxConnection) -> None:
    with server.client() as client:
        client.create('"&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-"')
        client.append('"&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-"', "", None, letter())
    assert box.open("Отправленные").next_uid == 2


def test_news_end_the_waiting(server: ImapServer, box: MailboxConnection) -> None:
    before = box.open("INBOX").next_uid - 1
    assert box.letters_after(before) == []
    waiting = threading.Thread(target=box.wait, args=(60.0, threading.Event()))
    waiting.start()
    server.deliver(letter())
    waiting.join(30)
    assert not waiting.is_alive()
    assert len(box.letters_after(before)) == 1


def test_a_wrong_password_is_told_with_the_variable_that_holds_it(server: ImapServer) -> None:
    with pytest.raises(MailboxDown, match="AMO_BRIDGE_INTAKE_MAIL_INFO_PASSWORD") as raised:
        MailboxConnection(server.section(), lambda: "wrong").check()
    assert raised.value.is_setting


def test_a_password_that_is_not_there_is_told(server: ImapServer) -> None:
    def unreadable() -> str:
        raise ConfigError(["AMO_BRIDGE_INTAKE_MAIL_INFO_PASSWORD_FILE: файл не читается"])

    for password, words in ((lambda: "", "нет пароля"), (unreadable, "файл не читается")):
        with pytest.raises(MailboxDown, match=words) as raised:
            MailboxConnection(server.section(), password).check()
        assert raised.value.is_setting


def test_a_folder_that_is_not_there_is_told_with_those_that_are(server: ImapServer) -> None:
    with pytest.raises(MailboxDown, match=r"папки «Заявки» нет.*«INBOX».*«Sent»|«Sent».*«INBOX»") as raised:
        MailboxConnection(server.section(folder="Заявки"), lambda: PASSWORD).check()
    assert raised.value.is_setting


def test_nobody_there_is_told(server: ImapServer) -> None:
    with pytest.raises(MailboxDown, match="связь прервалась"):
        MailboxConnection(server.section(port=free_port()), lambda: PASSWORD).check()
    with pytest.raises(MailboxDown, match="такого сервера нет"):
        MailboxConnection(server.section(host="imap.invalid"), lambda: PASSWORD).check()


def test_a_server_without_encryption_is_told(server: ImapServer) -> None:
    with pytest.raises(MailboxDown, match=r"шифрование не удалось|связь прервалась"):
        MailboxConnection(server.section(tls="tls"), lambda: PASSWORD, timeout=5).check()


def test_the_check_says_that_it_works(server: ImapServer) -> None:
    assert (
        MailboxConnection(server.section(sent="Sent"), lambda: PASSWORD).check().startswith("почтовый сервер пускает")
    )


def test_a_connection_cut_in_the_middle_of_a_letter_is_told_and_opened_anew(server: ImapServer) -> None:
    server.deliver(letter(files=(("большой.bin", b"x" * 3_000_000),)))
    with cutting_proxy(server.port) as proxy:
        proxy.cuts.append(1_000_000)
        box = MailboxConnection(server.section(port=proxy.port), lambda: PASSWORD)
        uid = box.open("INBOX").next_uid - 1
        with pytest.raises(MailboxDown, match="связь прервалась"):
            box.fetch([uid])
        box.open("INBOX")
        assert len(box.fetch([uid])[uid]) > 3_000_000
        box.close()


class TokenService:
    """Gives access tokens of ten minutes, and knows whose they are."""

    def __init__(self) -> None:
        self.refresh, self.url = "refresh-1", ""
        self.known: list[str] = []
        self.asked: list[dict[str, str]] = []

    def renew(self) -> ResponseReturnValue:
        form = request.form.to_dict()
        self.asked.append(form)
        if form.get("refresh_token") != self.refresh:
            return {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, 400
        self.known.append(f"access-{len(self.asked)}")
        return {"access_token": self.known[-1], "expires_in": 600, "token_type": "Bearer"}

    def whose(self) -> ResponseReturnValue:
        is_known = request.args.get("access_token") in self.known
        return {"email": "info"} if is_known else ({"error": "invalid_token"}, 401)


@pytest.fixture
def tokens() -> Iterator[TokenService]:
    service = TokenService()
    app = Flask("tokens")
    app.add_url_rule("/token", "renew", service.renew, methods=["POST"])
    app.add_url_rule("/whose", "whose", service.whose)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def with_tokens(tokens: TokenService) -> Iterator[ImapServer]:
    with imap_server(f"{tokens.url}/whose?access_token=") as server:
        yield server


def test_a_box_is_opened_by_an_access_token(tokens: TokenService, with_tokens: ImapServer) -> None:
    section = with_tokens.section(login="xoauth2")
    tokens.known.append("given")
    environment = {"AMO_BRIDGE_INTAKE_MAIL_INFO_TOKEN": "given"}
    assert MailboxConnection(section, MailboxSecret(section, environment)).check().startswith("почтовый сервер пускает")
    tokens.known.clear()
    with pytest.raises(MailboxDown, match=r"токен не принят .AMO_BRIDGE_INTAKE_MAIL_INFO_TOKEN") as raised:
        MailboxConnection(section, MailboxSecret(section, environment)).check()
    assert raised.value.is_setting
    with pytest.raises(MailboxDown, match=r"нет токена .AMO_BRIDGE_INTAKE_MAIL_INFO_TOKEN"):
        MailboxConnection(section, MailboxSecret(section, {})).check()


def test_an_access_token_is_renewed_when_it_ends_or_is_refused(tokens: TokenService, with_tokens: ImapServer) -> None:
    section = with_tokens.section(login="xoauth2", token_url=f"{tokens.url}/token", client_id="app")
    environment = {
        "AMO_BRIDGE_INTAKE_MAIL_INFO_TOKEN": "refresh-1",
        "AMO_BRIDGE_INTAKE_MAIL_INFO_CLIENT_SECRET": "s3cret",
    }
    box = MailboxConnection(section, MailboxSecret(section, environment))
    box.check()
    box.check()
    wanted = {"grant_type": "refresh_token", "client_id": "app", "client_secret": "s3cret"}
    assert tokens.asked == [{**wanted, "refresh_token": "refresh-1"}], "it is good for ten minutes"
    tokens.known.clear()
    with pytest.raises(MailboxDown, match="токен не принят"):
        box.check()
    box.check()
    assert len(tokens.asked) == 2


def test_a_revoked_refresh_token_is_told_and_not_shown(tokens: TokenService, with_tokens: ImapServer) -> None:
    section = with_tokens.section(login="xoauth2", token_url=f"{tokens.url}/token", client_id="app")
    secret = MailboxSecret(section, {"AMO_BRIDGE_INTAKE_MAIL_INFO_TOKEN": "revoked-of-long-ago"})
    with pytest.raises(MailboxDown, match=r"дайте мосту доступ к ящику заново.*invalid_grant") as raised:
        MailboxConnection(section, secret).check()
    assert raised.value.is_setting
    assert "revoked-of-long-ago" not in str(raised.value)


@pytest.mark.parametrize(
    "keys",
    [
        {"token_url": "https://tokens.example/token", "client_id": "app"},
        {"login": "xoauth2", "token_url": "https://tokens.example/token"},
        {"login": "xoauth2", "client_id": "app"},
    ],
    ids=["пароль", "без приложения", "без адреса"],
)
def test_keys_of_another_login_are_refused(keys: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="token_url и client_id"):
        MailboxSection.model_validate({"name": "info", "host": "imap.example", "user": "info", **keys})
