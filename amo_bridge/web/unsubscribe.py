"""``/u/<token>``: the link in a letter by which a client unsubscribes.

GET shows a button and changes nothing: programs that look at links follow them too. POST unsubscribes, without log-in,
cookie or redirect: mail programs send it by themselves (RFC 8058). The token is the password.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flask import Blueprint, Response, make_response, render_template

from amo_bridge.channels.mail_log import Mailed, Unsubscribing
from amo_bridge.config.channels import UNSUBSCRIBE_PATH
from amo_bridge.errors import StoreUnavailable
from amo_bridge.logs import log
from amo_bridge.storage.database import Store


def blueprint(stores: Callable[[], Iterable[Store]]) -> Blueprint:
    """``stores``: those of all accounts."""
    routes = Blueprint("unsubscribe", __name__)

    @routes.get(f"{UNSUBSCRIBE_PATH}<token>")
    def ask(token: str) -> Response:
        try:
            return _page("no_link", 404) if _found(stores, token) is None else _page("ask")
        except StoreUnavailable as error:
            return _not_now(error)

    @routes.post(f"{UNSUBSCRIBE_PATH}<token>")
    def unsubscribe(token: str) -> Response:
        try:
            found = _found(stores, token)
            if found is None:
                return _page("no_link", 404)
            unsubscribing, letter = found
            unsubscribing.unsubscribe(letter)
        except StoreUnavailable as error:
            return _not_now(error)
        log.info("unsubscribed", deal=letter.deal_id, letter=letter.letter_id)
        return _page("done")

    return routes


def _found(stores: Callable[[], Iterable[Store]], token: str) -> tuple[Unsubscribing, Mailed] | None:
    for store in stores():
        unsubscribing = Unsubscribing(store)
        if letter := unsubscribing.letter(token):
            return unsubscribing, letter
    return None


def _page(state: str, status: int = 200) -> Response:
    return make_response(render_template("unsubscribe.html", state=state), status)


def _not_now(error: StoreUnavailable) -> Response:
    log.error("nobody could be unsubscribed", error=str(error))
    answer = _page("not_now", 503)
    answer.headers["Retry-After"] = "60"
    return answer
