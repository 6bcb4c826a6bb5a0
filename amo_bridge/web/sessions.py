"""The cookie: signed with a key that the store keeps, so that every process of the installation can read it.

It holds the name of a sitting and what protects forms, no more.
"""

from __future__ import annotations

from flask import Flask, Request, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin

from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.web.admission.users import AT_MOST
from amo_bridge.web.here import office

# They have no session, and must not wait for a store that does not answer.
WITHOUT = ("/hooks/", "/health", "/metrics")


def install(app: Flask) -> None:
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
        """None while the store can't be asked for the key; then ``needs_key`` says why."""
        if app.secret_key is None:
            if request.path.startswith(WITHOUT):
                return None
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
        app.secret_key = office().session_key()
