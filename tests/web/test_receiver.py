"""The short way of amoCRM's webhooks: the same answers as the way through Flask, and the same promise."""

from __future__ import annotations

import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import delete, select
from support.pages import NOWHERE, Pages
from support.running_bridge import ENVIRONMENT, SECRET, config_for, wait_until

from amo_bridge.engine import inbox as inbox_module
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.server.connections import Server
from amo_bridge.storage.tables import inbox
from amo_bridge.web.receiver import MOST_BYTES, HookReceiver

HOOK = b"leads%5Bstatus%5D%5B0%5D%5Bid%5D=30000001&account%5Bid%5D=31257294"


def is_whole(told: bytes, answers: int) -> bool:
    """Are so many answers there, the last with its body?"""
    head, end, body = told.rpartition(b"HTTP/1.")[2].partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return told.count(b"HTTP/1.") >= answers and bool(end) and len(body) >= int(length[1] if length else 0)


class Receiving:
    """A process that only takes webhooks in, served twice: with the short way and without."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        config = config_for(NOWHERE, folder)
        Pages.of(config).meet_account()
        self.database = folder / "amo-bridge.db"
        self.bridge = AccountRuntime(config, ENVIRONMENT, NOWHERE, role="web")
        self.pages = Pages(self.bridge)
        self.bridge.start()
        stack.callback(self.bridge.stop)
        wait_until(lambda: not self.bridge.is_opening, "webhooks are taken in")
        self.receiver = HookReceiver(self.bridge)
        self._stack, self._stop = stack, threading.Event()
        self.short, self.long = self._serve(self.receiver), self._serve(None)
        stack.callback(self._stop.set)

    def _serve(self, short_way: HookReceiver | None) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        server = Server(self.pages.app, listener, 100, short_way)

        def live() -> None:
            while not self._stop.is_set():
                server.turn()
            server.stop_listening()
            server.end()

        thread = threading.Thread(target=live, daemon=True)
        thread.start()
        self._stack.callback(thread.join, 30)
        return int(listener.getsockname()[1])

    def ask(self, port: int, request: bytes, answers: int = 1) -> bytes:
        """What is said to these bytes, until so many answers are there or the connection is closed."""
        with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as client:
            client.sendall(request)
            told = b""
            while not is_whole(told, answers) and (more := client.recv(65536)):
                told += more
            return told

    def bodies(self) -> list[bytes]:
        with self.bridge.resources.store.read() as connection:
            return [bytes(body) for body in connection.execute(select(inbox.c.body).order_by(inbox.c.id)).scalars()]

    def counted(self, status: int) -> float:
        """So many webhooks were answered so since ``forget``."""
        return self._count(status) - self._counted_before[status]

    def _count(self, status: int) -> float:
        labels = {"account": self.bridge.meters.account, "status": str(status)}
        return self.bridge.process_metrics.registry.get_sample_value("amo_bridge_hooks_total", labels) or 0

    def forget(self) -> None:
        with self.bridge.resources.store.write() as connection:
            connection.execute(delete(inbox))
        self._counted_before = {status: self._count(status) for status in (204, 503)}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    with ExitStack() as stack:
        yield Receiving(tmp_path_factory.mktemp("receiver"), stack)


@pytest.fixture
def receiving(process: Receiving) -> Receiving:
    process.forget()
    return process


HOOK_PATH = f"/hooks/amocrm/{SECRET}"


def post(path: str = HOOK_PATH, body: bytes = HOOK, version: str = "1.1", *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: bridge", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def comparable(answer: bytes) -> bytes:
    """Without the time, and of a page only its status: there are keys of forms in it. waitress closes after each 204;
    the short way keeps the connection, as HTTP/1.1 means it, and no webhook has a cookie to vary by."""
    if b"<html" in answer:
        return answer.partition(b"\r\n")[0]
    answer = re.sub(rb"Date: [^\r]+", b"Date: now", answer).replace(b"Vary: Cookie\r\n", b"")
    return answer.replace(b"Connection: close\r\n", b"") if b" 204 " in answer else answer


CHUNKED = (
    f"POST /hooks/amocrm/{SECRET} HTTP/1.1\r\nHost: bridge\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    + b"3\r\nabc\r\n0\r\n\r\n"
)


@pytest.mark.parametrize(
    ("request_bytes", "status", "kept"),
    [
        pytest.param(post(), 204, HOOK, id="a webhook"),
        pytest.param(post(body=b""), 204, b"", id="an empty body"),
        pytest.param(post(body=b"\xff\x00\r\n\r\n"), 204, b"\xff\x00\r\n\r\n", id="any bytes"),
        pytest.param(post(body=b"x" * 700_000), 204, b"x" * 700_000, id="a body that lies on disk"),
        pytest.param(post(f"/hooks/amocrm/{SECRET}?a=b", b"abc"), 204, b"abc", id="a query"),
        pytest.param(post(f"//hooks/amocrm/{SECRET}", b"abc"), 204, b"abc", id="two slashes"),
        pytest.param(post(f"/hooks/amocrm/%75{SECRET[1:]}", b"abc"), 204, b"abc", id="an escaped letter"),
        pytest.param(post(version="1.0"), 204, HOOK, id="HTTP/1.0"),
        pytest.param(post(HOOK_PATH, HOOK, "1.1", "Connection: close"), 204, HOOK, id="the last one"),
        pytest.param(CHUNKED, 204, b"abc", id="chunks"),
        pytest.param(post(f"/hooks/amocrm/{SECRET}x"), 404, None, id="a wrong secret"),
        pytest.param(post("/hooks/amocrm/%D1%81"), 404, None, id="a secret in Russian"),
        pytest.param(post("/hooks/amocrm/"), 404, None, id="no secret"),
        pytest.param(post(f"/hooks/amocrm/{SECRET}/"), 404, None, id="a slash behind"),
        pytest.param(post(f"/hooks/amocrm/{SECRET}/disconnect"), 405, None, id="another address"),
        pytest.param(post(body=b"x" * (MOST_BYTES + 1)), 413, None, id="too large"),
        pytest.param(post().replace(b"POST", b"PUT", 1), 405, None, id="another method"),
        pytest.param(post().replace(b"POST", b"post", 1), 400, None, id="no method"),
    ],
)
def test_the_short_way_says_what_the_long_one_says(
    request_bytes: bytes, status: int, kept: bytes | None, receiving: Receiving
) -> None:
    short, long = (receiving.ask(port, request_bytes) for port in (receiving.short, receiving.long))
    assert comparable(short) == comparable(long)
    assert short.split()[1] == str(status).encode()
    assert receiving.bodies() == ([] if kept is None else [kept, kept])
    assert receiving.counted(204) == (0 if kept is None else 2)


def test_several_webhooks_on_one_connection_are_answered_in_their_order(receiving: Receiving) -> None:
    several = [post(body=b"1"), post(f"/hooks/amocrm/{SECRET}x"), post(body=b"2"), post(body=b"3", version="1.0")]
    told = receiving.ask(receiving.short, b"".join(several), answers=4)
    assert re.findall(rb"HTTP/1\.[01] (\d+)", told) == [b"204", b"404", b"204", b"204"]
    assert receiving.bodies() == [b"1", b"2", b"3"]


def test_what_can_not_be_kept_in_time_is_refused_by_both_and_answered_once(
    receiving: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        monkeypatch.context() as patched,
        closing(sqlite3.connect(receiving.database, isolation_level=None)) as locking,
    ):
        patched.setattr(inbox_module, "PATIENCE", 0.3)
        patched.setattr(receiving.receiver, "longest_wait", 0.3)
        locking.execute("BEGIN IMMEDIATE")
        short, long = (receiving.ask(port, post()) for port in (receiving.short, receiving.long))
        assert comparable(short) == comparable(long)
        assert short.split()[1] == b"503"
        locking.execute("ROLLBACK")
    wait_until(lambda: len(receiving.bodies()) == 2, "what was late is kept all the same")
    assert comparable(receiving.ask(receiving.short, post())).split()[1] == b"204"
    assert (receiving.counted(503), receiving.counted(204)) == (2, 1)


def test_a_store_that_refuses_is_told_of_at_once(receiving: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    assert receiving.bridge._inbox is not None

    def broken(*told: object) -> None:
        raise OSError("no disk")

    monkeypatch.setattr(receiving.bridge._inbox, "_write", broken)
    answer = receiving.ask(receiving.short, post())
    assert (answer.split()[1], b"Retry-After: 60" in answer) == (b"503", True)
    assert receiving.bodies() == []
