"""Newer versions: told once the index has one, whatever the index says nothing fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import Any

import pytest
from support.fakes import ACCOUNT, NOON, clock

from amo_bridge.clock import FixedClock
from amo_bridge.config.model import UpdatesSection
from amo_bridge.runtime.updates import UpdateCheck, newer_version
from amo_bridge.storage.database import AccountStore, Store


@contextmanager
def index(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """A package index that always answers so; its address, and what it was asked."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def release(number: str) -> bytes:
    return json.dumps({"info": {"version": number}, "releases": {}}).encode()


def asked_once(store: Store, address: str, moment: FixedClock) -> None:
    check = UpdateCheck(UpdatesSection(check=True, index=address), AccountStore(store, ACCOUNT), moment)
    check.run()
    check.wait(30)


def newer(store: Store) -> str:
    return newer_version(AccountStore(store, ACCOUNT))


def test_a_newer_version_is_told_once_it_is_there(store: Store) -> None:
    assert newer(store) == ""
    with index(200, release("7.20.3")) as (address, asked):
        asked_once(store, address, clock(NOON))
    assert asked == ["/pypi/amo-bridge/json"]
    assert newer(store) == "7.20.3"
    with index(200, release(version("amo-bridge"))) as (address, _asked):
        asked_once(store, address, clock(NOON + timedelta(days=2)))
    assert newer(store) == "", "ours is the newest again"


def test_the_index_is_asked_once_a_day_even_if_it_is_down(store: Store) -> None:
    with index(503, b"") as (address, asked):
        for hours in (0, 1, 23, 25):
            asked_once(store, address, clock(NOON + timedelta(hours=hours)))
    assert len(asked) == 2
    assert newer(store) == ""


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", b"[]", b'{"info": []}', b'{"info": {"version": 2}}', release("2.0rc1"), release("1.2.3<script>")],
)
def test_nothing_fails_by_what_the_index_says(store: Store, body: bytes) -> None:
    with index(200, body) as (address, _asked):
        asked_once(store, address, clock(NOON))
    assert newer(store) == ""


def test_an_index_that_is_nowhere_is_one_line_in_the_log(store: Store) -> None:
    asked_once(store, "http://127.0.0.1:9", clock(NOON))
    assert newer(store) == ""


def test_an_answer_without_an_end_is_not_read_to_its_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amo_bridge.runtime.updates.LARGEST_ANSWER", 100)
    with index(200, release("9.9.9") + b" " * 1000) as (address, _asked):
        asked_once(store, address, clock(NOON))
    assert newer(store) == ""
