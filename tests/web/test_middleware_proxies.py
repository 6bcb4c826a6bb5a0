"""Whose word about the visitor's address is believed."""

from __future__ import annotations

import pytest
from flask import Flask, request

from amo_bridge.web.middleware import OwnProxies

VISITOR, FORGED = "203.0.113.7", "192.0.2.66"


def seen(peer: str, forwarded: str, proxies: int = 1) -> tuple[str, str]:
    """The address and the scheme that the pages see."""
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: f"{request.remote_addr} {request.scheme}")
    app.wsgi_app = OwnProxies(app.wsgi_app, proxies)  # type: ignore[method-assign]
    headers = {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"}
    address, scheme = app.test_client().get("/", headers=headers, environ_overrides={"REMOTE_ADDR": peer}).text.split()
    return address, scheme


@pytest.mark.parametrize(
    "peer", ["127.0.0.1", "172.18.0.5", "10.1.2.3", "192.168.1.1", "::1", "fd00::5", "::ffff:10.0.0.1"]
)
def test_a_proxy_of_our_own_is_believed(peer: str) -> None:
    assert seen(peer, VISITOR) == (VISITOR, "https")


@pytest.mark.parametrize("peer", ["198.51.100.1", "2001:db8::1", "::ffff:198.51.100.1", "172.32.0.1", "unknown"])
def test_a_stranger_is_who_he_is(peer: str) -> None:
    assert seen(peer, FORGED) == (peer, "http")


def test_what_the_visitor_himself_sent_the_proxy_does_not_count() -> None:
    assert seen("127.0.0.1", f"{FORGED}, {VISITOR}") == (VISITOR, "https")
    assert seen("127.0.0.1", f"{FORGED}, {VISITOR}, 10.0.0.9", proxies=2)[0] == VISITOR
