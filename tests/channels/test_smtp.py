"""Against a real mail server: taken, put off, refused, broken off — each is told apart, and none is sent twice."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.mail_server import PASSWORD, USER, Post, make_certificate, post_office, section

from amo_bridge.channels.letter import AddressRefused
from amo_bridge.channels.smtp import MailServer
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelRefused, ChannelUncertain

LETTER = "Subject: раз\r\n\r\n.точка в начале\r\nконец\r\n".encode()
SENDER, CLIENT = "Агентство <info@agency.example>", "olga@client.example"


@pytest.fixture
def post() -> Iterator[Post]:
    with post_office() as office:
        yield office


@pytest.fixture
def server(post: Post) -> Iterator[MailServer]:
    opened = MailServer(section(post), "", timeout=5)
    yield opened
    opened.leave()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_a_letter_arrives_as_it_left(post: Post, server: MailServer) -> None:
    server.send(SENDER, CLIENT, LETTER)
    assert (post.taken, post.to) == ([LETTER], [CLIENT])


def test_a_round_of_letters_takes_one_connection(post: Post, server: MailServer) -> None:
    for _ in range(3):
        server.send(SENDER, CLIENT, LETTER)
    assert (len(post.taken), post.connections) == (3, 1)
    server.leave()
    server.send(SENDER, CLIENT, LETTER)
    assert (len(post.taken), post.connections) == (4, 2)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize("user", ["", USER])
def test_it_is_sent_under_cover(certificate: Path, tls: str, user: str) -> None:
    with post_office(tls, auth=bool(user), certificate=certificate) as post:
        server = MailServer(section(post, tls=tls, ca=str(certificate), user=user), PASSWORD, timeout=5)
        server.send(SENDER, CLIENT, LETTER)
        server.leave()
    assert post.taken == [LETTER]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_server_that_is_not_who_it_says_gets_nothing(certificate: Path, tls: str) -> None:
    with (
        post_office(tls, certificate=certificate) as post,
        pytest.raises(ChannelDown, match="VERIFY_FAILED"),
    ):
        MailServer(section(post, tls=tls), "", timeout=5).send(SENDER, CLIENT, LETTER)
    assert post.taken == []


@pytest.mark.parametrize("password", ["wrong-2026", "неверный"])
def test_a_wrong_password_stops_the_lane_and_is_named_but_not_told(certificate: Path, password: str) -> None:
    with post_office("starttls", auth=True, certificate=certificate) as post:
        server = MailServer(section(post, tls="starttls", ca=str(certificate), user=USER), password, timeout=5)
        with pytest.raises(ChannelDown, match="AMO_BRIDGE_MAIL_PASSWORD") as told:
            server.greet()
    assert password not in str(told.value)


def test_nobody_listens(server: MailServer, post: Post) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        post.port = reserved.getsockname()[1]
        with pytest.raises(ChannelDown, match="не отвечает как надо"):
            MailServer(section(post), "", timeout=5).send(SENDER, CLIENT, LETTER)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("450 4.2.1 ящик занят", ChannelBusy),
        ("451 4.7.1 greylisted", ChannelBusy),
        ("421 4.3.2 закрываемся", ChannelDown),
        ("550 5.1.1 нет такого ящика", AddressRefused),
        ("550 нет такого ящика", AddressRefused),
        ("552 5.2.1 ящик закрыт", AddressRefused),
        ("550 5.7.1 вы похожи на спам", ChannelRefused),
        ("552 5.2.2 ящик полон", ChannelRefused),
    ],
)
def test_what_the_server_says_to_an_address(post: Post, server: MailServer, reply: str, error: type) -> None:
    post.rcpt[CLIENT] = reply
    with pytest.raises(error) as told:
        server.send(SENDER, CLIENT, LETTER)
    assert type(told.value) is error
    assert reply in str(told.value), "in the server's own words"
    post.rcpt.clear()
    server.send(SENDER, CLIENT, LETTER)
    assert len(post.taken) == 1, "the next letter goes"


@pytest.mark.parametrize(
    ("reply", "error"),
    [("451 4.3.0 позже", ChannelBusy), ("554 5.7.1 спам", ChannelRefused), ("421 4.3.2 перезагрузка", ChannelDown)],
)
def test_what_the_server_says_to_a_text(post: Post, server: MailServer, reply: str, error: type) -> None:
    post.data = [reply]
    with pytest.raises(error) as told:
        server.send(SENDER, CLIENT, LETTER)
    assert type(told.value) is error
    server.send(SENDER, CLIENT, LETTER)
    assert len(post.taken) == 1


@pytest.mark.parametrize("taken", [0, 1])
def test_silence_after_the_text_leaves_a_doubt(post: Post, server: MailServer, taken: int) -> None:
    """Both look the same from here: the server has it, or it has not."""
    post.hang_up = "after" if taken else "before"
    with pytest.raises(ChannelUncertain, match="не ответил после текста"):
        server.send(SENDER, CLIENT, LETTER)
    assert len(post.taken) == taken
    post.hang_up = ""
    server.send(SENDER, CLIENT, LETTER)
    assert len(post.taken) == taken + 1


def test_a_connection_that_was_cut_between_letters_is_opened_anew(post: Post, server: MailServer) -> None:
    server.send(SENDER, CLIENT, LETTER)
    assert server._connection is not None
    assert server._connection.sock is not None
    server._connection.sock.shutdown(socket.SHUT_RDWR)
    with pytest.raises(ChannelDown):
        server.send(SENDER, CLIENT, LETTER)
    server.send(SENDER, CLIENT, LETTER)
    assert len(post.taken) == 2
