"""Fill a new account from a snapshot: from what the API of another account answered.

Records keep their ids, so that a store which knows the account knows this one too. There is no change: the account
has always been so. Requests use an administrator's token of the sandbox's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from amo_bridge.sandbox import links
from amo_bridge.sandbox.users import user_record

if TYPE_CHECKING:
    from amo_bridge.sandbox.world import World


Row = Mapping[str, Any]
NO_GROUP = 0


def fill(world: World, account: Row, rows: Iterable[tuple[str, Row]], token: str) -> None:
    """``account``: its names, as crm/account.py reads them; ``rows``: (kind, row) of its lists."""
    _fill_account(world, account["account"])
    _fill_users(world, account, token)
    for pipeline in account["pipelines"]:
        _fill_pipeline(world, pipeline)
    for entity, fields in account["fields"].items():
        for field in fields:
            _put(world, f"custom_fields/{entity}", field, "custom_fields")
            for choice in field.get("enums") or ():
                world.reserve("enums", choice["id"])
    for reason in account["loss_reasons"]:
        _put(world, "loss_reasons", reason)
    for kind in account["account"].get("_embedded", {}).get("task_types", ()):
        _put(world, "task_types", kind)
    for kind, row in rows:
        _fill_row(world, kind, row)


def _fill_account(world: World, names: Row) -> None:
    settings = names.get("_embedded", {}).get("datetime_settings", {})
    world.account.update(
        id=names["id"],
        name=names["name"],
        subdomain=names["subdomain"],
        timezone=settings.get("timezone") or "Europe/Moscow",
        currency=names.get("currency") or "RUB",
        country=names.get("country") or "RU",
        customers_mode=names.get("customers_mode") or "disabled",
        is_api_filter_enabled=bool(names.get("is_api_filter_enabled")),
        is_duplicate_control_enabled=False,
        amojo_id=names.get("amojo_id") or "",
        **{name: names.get(name) or 0 for name in ("created_at", "created_by", "updated_at", "updated_by")},
    )


def _fill_users(world: World, account: Row, token: str) -> None:
    world.table("groups")[NO_GROUP] = {"id": NO_GROUP, "name": "Отдел"}
    for user in account["users"]:
        rights = user.get("rights") or {}
        is_active = rights.get("is_active")
        world.table("users")[world.reserve("users", user["id"])] = user_record(
            user["id"],
            user["name"],
            user.get("email") or "",
            NO_GROUP,
            is_admin=bool(rights.get("is_admin")),
            is_active=is_active is not False,
            rank=None,
        )
    own = account["account"]["current_user_id"]
    world.table("tokens")[token] = {"token": token, "user_id": own, "client_id": None, "expires_at": None}


def _fill_pipeline(world: World, pipeline: Row) -> None:
    _put(world, "pipelines", pipeline)
    for status in pipeline["_embedded"]["statuses"]:
        world.reserve("statuses", status["id"])
        world.table("statuses")[f"{pipeline['id']}/{status['id']}"] = _bare(status)


def _put(world: World, table: str, row: Row, kind: str = "") -> None:
    world.table(table)[world.reserve(kind or table, row["id"])] = _bare(row)


def _fill_row(world: World, kind: str, row: Row) -> None:
    embedded = row.get("_embedded") or {}
    record = {key: value for key, value in _bare(row).items() if key not in ("closest_task_at", "loss_reason")}
    if kind == "tasks":
        record["result"] = None
    else:
        record["tags"] = list(embedded.get("tags") or ())
        for tag in record["tags"]:
            _put(world, f"tags/{kind}", tag, "tags")
    world.table(kind)[world.reserve(kind, row["id"])] = record
    for to in ("contacts", "companies"):
        for side in embedded.get(to) or ():
            if kind != "tasks" and side["id"] in world.table(to):
                links.attach(world, kind, row["id"], to, side["id"], is_main=side.get("is_main"))


def _bare(row: Row) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("_links", "_embedded")}
