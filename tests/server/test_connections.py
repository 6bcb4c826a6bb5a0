"""Slow, silent and greedy clients: whoever sends a whole request is answered meanwhile, and they are let go."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from support.running_bridge import wait_until

from amo_bridge.server import connections
from amo_bridge.server.connections import MOST_BODY, Server, most_connections

HEADER = b"POST /hooks/amocrm/x HTTP/1.1\r\nHost: x\r\n"
HALF = HEADER + b"X-half: "
BODY = HEADER + b"Content-Length: 100000\r\n\r\nhalf"
LARGE = 40 * 1024 * 1024


class Running:
    """A server of a small app: it tells the length of a body; /page waits until ``release`` is set."""

    def __init__(self, most: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.release = threading.Event()
        self.waiting = threading.Semaphore(0)
        self.server = Server(self._app, self.listener, most)
        self._clients = ExitStack()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def _app(self, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/page":
            self.waiting.release()
            assert self.release.wait(60)
        length = len(environ["wsgi.input"].read())
        start("200 OK", [("Content-Type", "application/octet-stream")])
        return [b"x" * LARGE] if environ["PATH_INFO"] == "/large" else [str(length).encode()]

    def _live(self) -> None:
        while not self._stopping.is_set():
            self.server.turn()
        self.server.stop_listening()
        while self.server.is_working:
            self.server.turn()
        self.server.end()

    @property
    def open(self) -> int:
        return len(self.server.active_channels)

    def client(self, *said: bytes) -> socket.socket:
        client = self._clients.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=30))
        for words in said:
            client.sendall(words)
        return client

    def hook(self, body: bytes = b"abc", path: str = "/hooks/amocrm/x") -> str:
        """amoCRM waits for two seconds."""
        return requests.post(f"http://127.0.0.1:{self.port}{path}", data=body, timeout=2).text

    def stop(self) -> None:
        """Seen within a second."""
        self._stopping.set()

    def end(self) -> None:
        """Whatever the test did."""
        self.release.set()
        self._clients.close()
        self.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    with ExitStack() as stack:

        def start(most: int = 4000) -> Running:
            running = Running(most)
            stack.callback(running.end)
            return running

        yield start


Serve = Callable[..., Running]


def is_over(client: socket.socket) -> bool:
    """Has the other side closed it? Reads what was said before."""
    try:
        while client.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def test_hooks_are_answered_under_2000_unfinished_headers_and_200_slow_bodies(serve: Serve) -> None:
    running = serve()
    held = [running.client(HALF) for _ in range(2000)]
    held += [running.client(BODY) for _ in range(200)]
    wait_until(lambda: running.open >= 2200, "all are connected")
    for _ in range(20):
        for client in held[::7]:
            client.sendall(b"a")
        assert running.hook() == "3"


def test_slow_clients_hold_no_thread_even_when_pages_hold_all_of_theirs(serve: Serve) -> None:
    running = serve()
    page = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"
    held = [running.client(page) for _ in range(3 * connections.PAGE_THREADS)]
    for _ in range(connections.PAGE_THREADS):
        assert running.waiting.acquire(timeout=30)
    assert [running.hook() for _ in range(10)] == ["3"] * 10
    assert running.hook(path="/health/live") == "3"
    running.release.set()
    assert all(client.recv(12) == b"HTTP/1.1 200" for client in held)


@pytest.mark.parametrize(
    ("said", "limits", "answer"),
    [
        pytest.param([], {"IDLE": 0.0}, b"", id="nothing"),
        pytest.param([HALF], {"HEADER": 0.0}, b"HTTP/1.1 408", id="half a header"),
        pytest.param([BODY], {"HEADER": 0.0, "TRANSFER": 0.0, "PACE": 1e9}, b"HTTP/1.1 408", id="half a body"),
        pytest.param([b"\r\n\r\n"], {"IDLE": 0.0, "HEADER": 0.0}, b"", id="empty lines"),
    ],
)
def test_who_sends_nothing_whole_is_let_go(
    said: list[bytes], limits: dict[str, float], answer: bytes, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = serve()
    client = running.client(*said)
    wait_until(lambda: running.open == 1, "it is connected")
    for name, value in limits.items():
        monkeypatch.setattr(connections, name, value)
    assert client.recv(12) == answer
    wait_until(lambda: running.open == 0, "it is let go")


def test_a_body_that_moves_at_its_pace_is_waited_for(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was received buys time: here any byte buys all the time there is."""
    monkeypatch.setattr(connections, "HEADER", 0.0)
    monkeypatch.setattr(connections, "TRANSFER", 0.0)
    monkeypatch.setattr(connections, "PACE", 1e-9)
    running = serve()
    client = running.client(HEADER + b"Content-Length: 4\r\n\r\nab")
    looked = threading.Semaphore(0)
    plain = running.server.look_for_slow
    monkeypatch.setattr(running.server, "look_for_slow", lambda: (plain(), looked.release()))
    for _ in range(2):
        assert looked.acquire(timeout=30)
    client.sendall(b"cd")
    assert client.recv(12) == b"HTTP/1.1 200"


def test_an_answer_that_nobody_reads_holds_no_thread_and_is_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = serve()
    held = [running.client(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(connections.PAGE_THREADS)]
    wait_until(lambda: running.open == len(held) and not any(
        one.is_worked_at for one in running.server._channels()
    ), "threads are free")  # fmt: skip
    assert running.hook(path="/other") == "3"
    monkeypatch.setattr(connections, "TRANSFER", 0.0)
    monkeypatch.setattr(connections, "PACE", 1e9)
    wait_until(lambda: running.open == 0, "they are let go")


def test_full_of_silent_connections_it_lets_in_who_sends_a_request(serve: Serve) -> None:
    running = serve(20)
    held = [running.client(HALF) for _ in range(60)]
    for _ in range(30):
        assert running.hook() == "3"
    assert running.open <= 20 + connections.SPARE
    assert is_over(held[0]), "the oldest went first"


def test_full_of_requests_that_are_worked_at_it_says_503_at_once(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SPARE", 0)
    running = serve(3)
    held = [running.client(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(3)]
    for _ in range(3):
        assert running.waiting.acquire(timeout=30)
    refused = running.client()
    assert refused.recv(12) == b"HTTP/1.1 503"
    running.release.set()
    assert held[0].recv(12) == b"HTTP/1.1 200"


def test_all_bodies_together_are_bounded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_BUFFERED", 100_000)
    running = serve()
    large = running.client(HEADER + b"Content-Length: 300000\r\n\r\n" + b"x" * 150_000)
    running.client(BODY)
    assert large.recv(12) == b"HTTP/1.1 503"
    wait_until(lambda: running.open == 1, "the small one stays")
    assert running.hook() == "3"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (HEADER + b"Content-Length: " + str(MOST_BODY).encode() + b"\r\n\r\n", b"413"),
        (HEADER + b"X: " + b"x" * connections.MOST_HEADER + b"\r\n\r\n", b"431"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
def test_what_is_too_large_or_no_request_is_refused(said: bytes, code: bytes, serve: Serve) -> None:
    answer = serve().client(said).recv(12)
    assert answer.split()[1] == code


def test_the_end_waits_for_what_is_worked_at_only(serve: Serve) -> None:
    running = serve()
    working, half = running.client(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"), running.client(HALF)
    assert running.waiting.acquire(timeout=30)
    wait_until(lambda: running.open == 2, "both are connected")
    running.stop()
    assert is_over(half)
    with pytest.raises(ConnectionError):
        running.client()
    running.release.set()
    assert working.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize(
    ("limits", "most", "asked"),
    [
        ((1024, 1_000_000), 4000, 6048),
        ((1024, 4096), 3072, 4096),
        ((1024, 1024), 341, None),
        ((20_000, 20_000), 4000, None),
        ((-1, -1), 4000, None),
    ],
)
def test_more_descriptors_are_asked_for_and_connections_fit_into_them(
    limits: tuple[int, int], most: int, asked: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(connections.resource, "getrlimit", lambda what: limits)
    monkeypatch.setattr(connections.resource, "setrlimit", lambda what, wanted: told.append(wanted[0]))
    assert most_connections() == most
    assert told == ([] if asked is None else [asked])
