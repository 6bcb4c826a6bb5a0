"""Bearer tokens of requests: whom they act as, what that user may do (amoCRM docs, oauth/scopes).

Sets ``flask.g.token`` (the token's record) and ``flask.g.user_id`` for every request to /api/ and /drive/.
"""

from __future__ import annotations

import re

from flask import Flask, Response, g, request

from amo_bridge.sandbox import tokens
from amo_bridge.sandbox.http import problem
from amo_bridge.sandbox.middleware import bearer
from amo_bridge.sandbox.world import Record, World

PROTECTED = ("/api/", "/ajax/", "/drive/")
OPEN_LINKS = re.compile(r"/drive/download/")
"""Download links work without a token."""

ADMIN_ONLY = (
    (re.compile(r"/api/v\d+/(users|roles|webhooks|sources)(/|$)"), None),
    (re.compile(r"/api/v\d+/.+/custom_fields(/|$)"), {"POST", "PATCH", "DELETE"}),
    (re.compile(r"/api/v\d+/leads/pipelines(/|$)"), {"POST", "PATCH", "DELETE"}),
    (re.compile(r"/api/v\d+/customers/(mode|statuses|segments)(/|$)"), {"POST", "PATCH", "DELETE"}),
    (re.compile(r"/api/v\d+/contacts/chats(/|$)"), None),
)
"""Paths that only an administrator may use, with the methods it concerns (None: all)."""


def register(app: Flask, world: World) -> None:
    @app.before_request
    def authenticate() -> Response | None:
        g.user_id, g.token = 0, None
        if not request.path.startswith(PROTECTED) or OPEN_LINKS.match(request.path):
            return None
        with world.lock:
            return _authenticate(world)


def _authenticate(world: World) -> Response | None:
    token = tokens.valid_token(world, bearer(request.environ))
    if token is None:
        return unauthorized()
    user = acting_user(world, token)
    if user is None:
        return unauthorized()
    g.token, g.user_id = token, int(user["id"])
    if not is_admin(user) and _needs_admin(request.path, request.method):
        return problem(403, "Access denied")
    if request.path.startswith("/drive/") and "files" not in tokens.scopes_of(token):
        return problem(403, "Invalid scope")
    return None


def acting_user(world: World, token: Record) -> Record | None:
    """The user the request acts as; None if there is no such user, or one who may not act.

    A token goes on working when its own user is deactivated; a user named in X-Context-User-ID has to be active,
    and only an administrator's token may name one. X-Sandbox-Person is the sandbox's own: it stands for that
    person's click in the web page, for which no administrator is needed.
    """
    users = world.table("users")
    owner = users.get(token["user_id"])
    person = request.headers.get("X-Sandbox-Person")
    named = person if person is not None else request.headers.get("X-Context-User-ID")
    if named is None:
        return owner
    if person is None and (owner is None or not is_admin(owner)):
        return None
    user = users.get(int(named)) if named.strip().isdecimal() else None
    return user if user is not None and is_active(user) else None


def is_admin(user: Record) -> bool:
    return bool(user["is_admin"])


def is_active(user: Record) -> bool:
    return bool(user["is_active"]) and not user["is_free"]


def unauthorized() -> Response:
    return problem(401, "Invalid user name or password")


def _needs_admin(path: str, method: str) -> bool:
    return any(pattern.match(path) and (methods is None or method in methods) for pattern, methods in ADMIN_ONLY)
