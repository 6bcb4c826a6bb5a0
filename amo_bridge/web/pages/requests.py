"""The last requests to amoCRM, for whoever wonders what the bridge asks for, and why."""

from __future__ import annotations

from contextlib import suppress

from flask import Blueprint, render_template, request
from flask_babel import lazy_gettext as _l

from amo_bridge.engine.metrics import MOST_KEPT, RequestLog, SentRequest
from amo_bridge.errors import StoreUnavailable
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages import Menu

routes = Blueprint("requests", __name__)
MENU = Menu(_l("Запросы к amoCRM"), "requests.show", place=92, role=Role.ADMIN)
MOST = 200
LONGEST_WORDS = 100


@routes.get("/requests")
@open_to(Role.ADMIN)
def show() -> str:
    here = current_account()
    text, only_failed = request.args.get("text", "").strip()[:LONGEST_WORDS], request.args.get("failed") == "1"
    return render_template(
        "requests/show.html",
        rows=requests_of(here, MOST, only_failed=only_failed, text=text),
        text=text,
        only_failed=only_failed,
        most=MOST,
        most_kept=MOST_KEPT,
    )


def requests_of(here: AccountView, most: int, *, only_failed: bool, text: str) -> list[SentRequest]:
    """Newest first; what this process has not written down yet is among them, unless nothing can be written: on a
    full disk it is still to be seen what there was. Raises StoreUnavailable."""
    if not here.is_known:
        return []
    log = RequestLog(here.account_store, here.bridge.meters.sent)
    with suppress(StoreUnavailable):
        log.keep()
    return log.last(most, only_failed=only_failed, text=text)
