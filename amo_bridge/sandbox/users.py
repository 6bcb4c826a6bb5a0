"""``/api/v4/users`` (amoCRM docs, users-api)."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox.http import link, listing, one
from amo_bridge.sandbox.query import words
from amo_bridge.sandbox.user_records import rights_of
from amo_bridge.sandbox.world import Record, World


def register(app: Flask, world: World) -> None:
    @app.get("/api/v4/users")
    def list_users() -> Response:
        rows = sorted(world.table("users").values(), key=lambda user: user["id"])
        return listing("users", rows, lambda user: _shown(world, user, words("with")), totals=True)

    @app.get("/api/v4/users/<int:user_id>")
    def get_user(user_id: int) -> Response:
        user = world.table("users").get(user_id)
        return one(None if user is None else _shown(world, user, words("with")))


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
