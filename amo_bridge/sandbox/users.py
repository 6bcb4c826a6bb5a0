"""Users and their rights, ``/api/v4/users`` (amoCRM docs, users-api)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox.http import link, listing, single, words
from amo_bridge.sandbox.world import Record, World

EVERYTHING = dict.fromkeys(("view", "edit", "add", "delete", "export"), "A")


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    @app.get("/api/v4/users")
    def list_users() -> Response:
        rows = sorted(world.table("users").values(), key=lambda user: user["id"])
        return listing("users", rows, lambda user: _shown(world, user, words("with")), totals=True)

    @app.get("/api/v4/users/<int:user_id>")
    def get_user(user_id: int) -> Response:
        user = world.table("users").get(user_id)
        return single(None if user is None else _shown(world, user, words("with")))


def _shown(world: World, user: Record, wanted: set[str]) -> dict[str, Any]:
    body = {name: user[name] for name in ("id", "name", "email", "lang")}
    body["rights"] = rights_of(user)
    if "user_rank" in wanted:
        body["user_rank"] = user["user_rank"]
    parts: dict[str, Any] = {}
    if "role" in wanted:
        parts["roles"] = []
    if "group" in wanted:
        parts["groups"] = [dict(world.table("groups")[user["group_id"]])]
    return {**body, "_links": link(f"users/{user['id']}"), "_embedded": parts}


# --- records ---------------------------------------------------------------------------------------------------------


def user_record(
    user_id: int, name: str, email: str, group_id: int, *, is_admin: bool, is_active: bool, rank: str | None
) -> dict[str, Any]:
    return {
        "id": user_id,
        "name": name,
        "email": email,
        "lang": "ru",
        "is_admin": is_admin,
        "is_free": False,
        "is_active": is_active,
        "group_id": group_id,
        "role_id": None,
        "user_rank": rank,
    }


def rights_of(user: Mapping[str, Any]) -> dict[str, Any]:
    """In a sandbox everyone may see and change everything; only administering is for administrators."""
    return {
        "leads": EVERYTHING,
        "contacts": EVERYTHING,
        "companies": EVERYTHING,
        "tasks": {"edit": "A", "delete": "A"},
        "mail_access": True,
        "catalog_access": True,
        "status_rights": None,
        **{name: user[name] for name in ("is_admin", "is_free", "is_active", "group_id", "role_id")},
    }
