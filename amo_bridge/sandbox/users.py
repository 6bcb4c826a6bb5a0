"""Users, their rights and roles, ``/api/v4/users`` and ``/api/v4/roles`` (amoCRM docs, users-api)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox.http import hal, link, listing, single, words
from amo_bridge.sandbox.record_lists import CALLS, RecordList, Where, register_lists
from amo_bridge.sandbox.validation import Reader, checked, read_batch
from amo_bridge.sandbox.world import Record, World

EVERYTHING = dict.fromkeys(("view", "edit", "add", "delete", "export"), "A")
NOTHING: Mapping[str, Any] = {
    **dict.fromkeys(("leads", "contacts", "companies"), dict.fromkeys(EVERYTHING, "D")),
    "tasks": {"edit": "D", "delete": "D"},
    "mail_access": False,
    "catalog_access": False,
    "status_rights": None,
}
"""What a role may do unless it is said."""

MAX_NEW_USERS = 10
LONGEST_NAME = 50


# --- routes ----------------------------------------------------------------------------------------------------------


def register(app: Flask, world: World) -> None:
    register_lists(app, world, ROLES)

    @app.get("/api/v4/users")
    def list_users() -> Response:
        users = (user for user in world.table("users").values() if not user.get("is_deleted"))
        rows = sorted(users, key=lambda user: int(user["id"]))
        return listing("users", rows, lambda user: _shown(world, user, words("with")), totals=True)

    @app.get("/api/v4/users/<int:user_id>")
    def get_user(user_id: int) -> Response:
        user = world.table("users").get(user_id)
        return single(None if user is None or user.get("is_deleted") else _shown(world, user, words("with")))

    @app.post("/api/v4/users")
    def add_users() -> Response:
        added = []
        for reader, plain in checked(read_batch(world, MAX_NEW_USERS), _read_new):
            user = user_record(world.next_id("users"), is_admin=False, is_active=True, rank=None, **plain)
            world.table("users")[user["id"]] = user
            added.append({**_shown(world, user, set()), "request_id": reader.request_id})
        return hal({"_total_items": len(added), "_embedded": {"users": added}}, 201)


def _read_new(reader: Reader) -> dict[str, Any]:
    reader.require("name", "email", "password")
    world, rights = reader.world, reader.mapping("rights") or {}
    group_id = rights.get("group_id")
    if group_id is not None and group_id not in world.table("groups"):
        reader.not_a_choice("rights.group_id")
    if any(user["email"] == reader.body.get("email") for user in world.table("users").values()):
        reader.fail("NotUnique", "email")
    name, email = reader.text("name", LONGEST_NAME), reader.text("email")
    first_group = next(iter(world.table("groups")), 0)
    return {"name": name, "email": email, "group_id": first_group if group_id is None else group_id}


def _shown(world: World, user: Record, wanted: set[str]) -> dict[str, Any]:
    body = {name: user[name] for name in ("id", "name", "email", "lang")}
    body["rights"] = rights_of(user)
    if "user_rank" in wanted:
        body["user_rank"] = user["user_rank"]
    if "uuid" in wanted:
        body["uuid"] = None
    if "amojo_id" in wanted:
        body["amojo_id"] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"user {user['id']}"))
    if "phone_number" in wanted:
        body["phone_number"] = None
    parts: dict[str, Any] = {}
    if "role" in wanted:
        role = world.table("roles").get(user["role_id"])
        parts["roles"] = [] if role is None else [{**role, "_links": link(f"roles/{role['id']}")}]
    if "group" in wanted:
        group = world.table("groups").get(user["group_id"])
        parts["groups"] = [] if group is None else [dict(group)]
    return {**body, "_links": link(f"users/{user['id']}"), "_embedded": parts}


# --- roles -----------------------------------------------------------------------------------------------------------


def _read_role(reader: Reader, known: Record | None, where: Where) -> dict[str, Any]:
    before = known["rights"] if known else NOTHING
    return {"rights": {**before, **(reader.mapping("rights") or {})}}


def _people(world: World, role: Record) -> dict[str, Any]:
    if "users" not in words("with"):
        return {}
    found = [user["id"] for user in world.table("users").values() if user["role_id"] == role["id"]]
    return {"users": [{"id": user_id, "_links": link(f"users/{user_id}")} for user_id in found]}


ROLES = RecordList(
    name="roles",
    path="roles",
    kinds={"name": str, "rights": dict},
    required=("name",),
    calls=CALLS - {"change_many", "delete_many"},
    added=201,
    changed=202,
    missing=204,
    read_more=_read_role,
    embed=_people,
)

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
