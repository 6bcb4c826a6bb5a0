"""Records of users, and the rights amoCRM nests in its answers (amoCRM docs, users-api)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EVERYTHING = dict.fromkeys(("view", "edit", "add", "delete", "export"), "A")


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
