"""The gate in front of the pages: whoever is not let in is stopped here, before a page's code runs.

Closed by default: a page that says nothing is the admin's alone. Doors with a lock of their own (webhooks, health)
are put into the app before the gate is, and it leaves them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

from flask import Flask, abort, current_app, g, make_response, redirect, request, url_for
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Response

from amo_bridge.errors import StoreUnavailable
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.here import Visitor, office

MARK, MOST_BYTES, BY_TOKEN = "__open_to__", "__most_bytes__", "__by_token__"
# A form of ours is some kilobytes; a page that takes files says how much.
USUAL_BYTES = 256 * 1024
V = TypeVar("V", bound=Callable[..., Any])


def open_to(role: Role | None, *, most_bytes: int = USUAL_BYTES) -> Callable[[V], V]:
    """Mark a view: who may see it (``None``: everybody, also who is not logged in), how large a request may be."""

    def mark(view: V) -> V:
        setattr(view, MARK, role)
        setattr(view, MOST_BYTES, most_bytes)
        return view

    return mark


def by_token(role: Role, *, most_bytes: int = USUAL_BYTES) -> Callable[[V], V]:
    """Mark a view of the API: who has a token of this role may use it. Cookies open nothing there, so nothing that a
    stranger's page sends along does."""

    def mark(view: V) -> V:
        setattr(view, BY_TOKEN, True)
        return open_to(role, most_bytes=most_bytes)(view)

    return mark


def install(app: Flask, csrf: CSRFProtect, doors: Collection[str]) -> None:
    """``doors``: the endpoints that have their own locks."""
    manager = LoginManager(app)
    # A phone changes its address all the time.
    manager.session_protection = None
    manager.user_loader(_visitor)

    @app.before_request
    def guard() -> Response | None:
        if request.endpoint is None or request.endpoint in doors:
            return None
        view = current_app.view_functions[request.endpoint]
        request.max_content_length = getattr(view, MOST_BYTES, USUAL_BYTES)
        needed: Role | None = getattr(view, MARK, Role.ADMIN)
        if getattr(view, BY_TOKEN, False):
            _check_token(needed or Role.ADMIN)
            return None
        if needed is not None:
            if not current_user.is_authenticated:
                if (trouble := g.get("trouble")) is not None:
                    raise trouble
                return _to_the_door()
            if not current_user.user.may(needed):
                g.needed_role = needed
                abort(403)
        csrf.protect()
        return None

    @app.before_request
    def texts_that_can_be_kept() -> None:
        if request.endpoint is not None and request.endpoint not in doors and any("\0" in told for told in _texts()):
            abort(400)


def _texts() -> Iterator[str]:
    """What was sent in the address and in a form. PostgreSQL takes no NUL, and no browser sends one."""
    yield from (str(told) for told in (request.view_args or {}).values())
    for several in (*request.args.listvalues(), *request.form.listvalues()):
        yield from several


def _check_token(needed: Role) -> None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    token = office().api_tokens.of(secret.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        abort(401)
    g.api_token = token
    if not token.may(needed):
        g.needed_role = needed
        abort(403)


def _visitor(secret: str) -> Visitor | None:
    """What a page loads by itself does not keep a sitting alive; what a person clicks does."""
    by_itself = request.method == "GET" and "HX-Request" in request.headers
    try:
        user = office().users.sitting(secret, is_alive=not by_itself)
    except StoreUnavailable as error:
        # The page that tells of it asks who is looking as well: nobody knows.
        g.trouble = error
        return None
    return None if user is None else Visitor(user, secret)


def _to_the_door() -> Response:
    """The way to the log-in page, and back to here afterwards if that makes sense."""
    if "HX-Request" in request.headers:
        answer = make_response("", 401)
        # A part of a page must not be replaced by the log-in form: the whole page goes there.
        answer.headers["HX-Redirect"] = url_for("signing_in.log_in")
        return answer
    back = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("signing_in.log_in", next=back if back != "/" else None))
