"""Guard: log-in, roles and CSRF in front of all pages and the API; who may read health and metrics."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterator
from ipaddress import ip_address
from typing import Any, TypeVar

from flask import Flask, Request, abort, current_app, g, make_response, redirect, request, url_for
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Response

from amo_bridge.engine.metrics import METRICS_TOKEN
from amo_bridge.errors import BridgeError, ConfigError, StoreUnavailable
from amo_bridge.web.accounts import NoSuchAccount
from amo_bridge.web.auth.users import AT_MOST, ApiToken, Role, User
from amo_bridge.web.context import Visitor, accounts, asked_account

TOKEN = METRICS_TOKEN
# A proxy on this machine passes strangers on; these are how it says so.
PASSED_ON = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")


def may_look(request: Request, token: str) -> bool:
    """``token``: what has to be known; empty: nobody from outside may look."""
    if token and hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode()):
        return True
    return _is_loopback(request.remote_addr) and not any(name in request.headers for name in PASSED_ON)


def _is_loopback(address: str | None) -> bool:
    try:
        return ip_address(address or "").is_loopback
    except ValueError:
        return False


# The gate in front of the pages: whoever is not let in is stopped here, before a page's code runs.
#
# Closed by default: a page that says nothing is the admin's alone. Endpoints with a check of their own (webhooks,
# health) are put into the app before the gate is, and it leaves them alone.

MARK, MOST_BYTES, BY_TOKEN, COMMON = "__open_to__", "__most_bytes__", "__by_token__", "__common__"
# A form of ours is some kilobytes; a page that takes files says how much.
USUAL_BYTES = 256 * 1024
V = TypeVar("V", bound=Callable[..., Any])


def open_to(role: Role | None, *, most_bytes: int = USUAL_BYTES, is_common: bool = False) -> Callable[[V], V]:
    """Mark a view: who may see it (``None``: everybody, also who is not logged in), how large a request may be.

    ``is_common``: it is about all accounts of the installation, so a role in some of them opens nothing."""

    def mark(view: V) -> V:
        setattr(view, MARK, role)
        setattr(view, MOST_BYTES, most_bytes)
        setattr(view, COMMON, is_common)
        return view

    return mark


def by_token(role: Role, *, most_bytes: int = USUAL_BYTES, is_common: bool = False) -> Callable[[V], V]:
    """Mark a view of the API: who has a token of this role may use it. Cookies open nothing there, so nothing that a
    stranger's page sends along does."""

    def mark(view: V) -> V:
        setattr(view, BY_TOKEN, True)
        return open_to(role, most_bytes=most_bytes, is_common=is_common)(view)

    return mark


def install_guard(app: Flask, csrf: CSRFProtect, self_guarded: Collection[str]) -> None:
    """``self_guarded``: the endpoints that check their callers themselves."""
    manager = LoginManager(app)
    # A phone changes its address all the time.
    manager.session_protection = None
    manager.user_loader(_visitor)

    @app.before_request
    def guard() -> Response | None:
        if request.endpoint is None or request.endpoint in self_guarded:
            return None
        view = current_app.view_functions[request.endpoint]
        request.max_content_length = getattr(view, MOST_BYTES, USUAL_BYTES)
        needed: Role | None = getattr(view, MARK, Role.ADMIN)
        if getattr(view, BY_TOKEN, False):
            _check_token(needed or Role.ADMIN, view)
            return None
        if needed is not None:
            if not current_user.is_authenticated:
                if (trouble := g.get("trouble")) is not None:
                    raise trouble
                return _to_log_in()
            _check_role(current_user.user, needed, view)
        csrf.protect()
        return None

    @app.before_request
    def texts_that_can_be_kept() -> None:
        if (
            request.endpoint is not None
            and request.endpoint not in self_guarded
            and any("\0" in told for told in _texts())
        ):
            abort(400)


def _texts() -> Iterator[str]:
    """What was sent in the address and in a form. PostgreSQL takes no NUL, and no browser sends one."""
    yield from (str(told) for told in (request.view_args or {}).values())
    for several in (*request.args.listvalues(), *request.form.listvalues()):
        yield from several


def _check_role(holder: User | ApiToken, needed: Role, view: Callable[..., Any]) -> None:
    """``holder`` has the role that counts in the account that was asked for. Of one that is none of his own he is told
    what he would be told if there were none of that name."""
    account = asked_account()
    if account is not None and not holder.sees(account):
        raise NoSuchAccount(account)
    if not holder.may(needed) or (getattr(view, COMMON, False) and holder.accounts is not None):
        g.needed_role = needed
        abort(403)


def _check_token(needed: Role, view: Callable[..., Any]) -> None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    token = accounts().api_tokens.of(secret.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        abort(401)
    g.api_token = token.at(asked_account()) or token
    _check_role(g.api_token, needed, view)


def _visitor(secret: str) -> Visitor | None:
    """What a page loads by itself does not keep a sitting alive; what a person clicks does."""
    by_itself = request.method == "GET" and "HX-Request" in request.headers
    try:
        user = accounts().users.sitting(secret, is_alive=not by_itself)
    except StoreUnavailable as error:
        # The page that tells of it asks who is looking as well: nobody knows.
        g.trouble = error
        return None
    if user is None:
        return None
    return Visitor(user.at(asked_account()) or user, secret)


def _to_log_in() -> Response:
    """The way to the log-in page, and back to here afterwards if that makes sense."""
    if "HX-Request" in request.headers:
        answer = make_response("", 401)
        # A part of a page must not be replaced by the log-in form: the whole page goes there.
        answer.headers["HX-Redirect"] = url_for("signing_in.log_in")
        return answer
    back = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("signing_in.log_in", next=back if back != "/" else None))


# The cookie: signed with a key that the store keeps, so that every process of the installation can read it.
#
# It holds the name of a sitting and what protects forms, no more.

# They have no session, and must not wait for a store that does not answer.
WITHOUT = ("/hooks/", "/health", "/metrics")


def install_sessions(app: Flask) -> None:
    app.config.update(
        SESSION_COOKIE_NAME="amo_bridge",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=AT_MOST,
        # The cookie's own end is the form's end.
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_CHECK_DEFAULT=False,
    )
    app.session_interface = KeptKeySessions()


class KeptKeySessions(SecureCookieSessionInterface):
    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:  # type: ignore[override]
        """None where there are no sessions; and while the store can't be asked for the key: ``needs_key`` says why."""
        if request.path.startswith(WITHOUT):
            return None
        if app.secret_key is None:
            try:
                needs_key(app)
            except (BridgeError, ConfigError):
                return None
        return super().open_session(app, request)

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whoever forges the header makes his own cookie stricter, no more."""
        return request.is_secure or request.headers.get("X-Forwarded-Proto") == "https"


def needs_key(app: Flask) -> None:
    """Nothing can be signed without it. Raises StoreUnavailable, ConfigError."""
    if app.secret_key is None:
        app.secret_key = accounts().session_key()
