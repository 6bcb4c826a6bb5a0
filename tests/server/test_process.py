"""The web side that is not there yet: webhooks are taken in, and whoever else asks waits for it."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from support.running_bridge import wait_until

from amo_bridge.server.process import LaterApp
from amo_bridge.web.receiver import HookReceiver

PATIENCE = 30


class Account:
    """Takes webhooks in once it is opened."""

    def __init__(self) -> None:
        self.is_open = False
        self.taken: list[bytes] = []
        self.meters = SimpleNamespace(hook_answered=lambda status, seconds: None)

    def receiver(self, secret: str) -> Account | None:
        return self if self.is_open and secret == "right" else None

    def put_later(self, body: bytes, settle: Callable[..., None]) -> None:
        self.taken.append(body)
        settle(None, OSError("no room") if body == b"too much" else None)


def page() -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/<path:anything>", view_func=lambda anything: "page", methods=["GET", "POST"])
    return app


def ask(app: LaterApp, path: str, body: bytes = b"", method: str = "POST") -> str:
    statuses: list[str] = []
    environ = {
        **Flask(__name__).test_request_context(path, method=method).request.environ,
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
    }
    b"".join(app(environ, lambda status, headers: statuses.append(status)))  # type: ignore[arg-type]
    return statuses[0]


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def app(account: Account) -> LaterApp:
    application: Any = account
    return LaterApp(HookReceiver(application))


def test_a_webhook_waits_for_the_receiver_alone(app: LaterApp, account: Account) -> None:
    with ThreadPoolExecutor() as pool:
        early = pool.submit(ask, app, "/hooks/amocrm/right", b"early")
        stranger = pool.submit(ask, app, "/hooks/amocrm/wrong", b"stranger")
        visitor = pool.submit(ask, app, "/", method="GET")
        account.is_open = True
        assert early.result(PATIENCE) == "204 NO CONTENT"
        assert ask(app, "/hooks/amocrm/right", b"too much") == "503 SERVICE UNAVAILABLE"
        assert not stranger.done()
        assert not visitor.done()
        app.open(page())
        assert (stranger.result(PATIENCE), visitor.result(PATIENCE)) == ("200 OK", "404 NOT FOUND")
    assert account.taken == [b"early", b"too much"]


def test_once_the_pages_are_there_they_answer_all(app: LaterApp, account: Account) -> None:
    app.open(page())
    account.is_open = True
    assert ask(app, "/hooks/amocrm/right", b"later") == "200 OK"
    assert account.taken == []


def test_without_webhooks_everybody_waits() -> None:
    app = LaterApp(None)
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(ask(app, "/health")))
    asking.start()
    assert answers == []
    app.open(page())
    wait_until(lambda: answers == ["200 OK"], "it is answered")
    asking.join(PATIENCE)
