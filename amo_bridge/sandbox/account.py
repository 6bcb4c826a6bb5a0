"""``GET /api/v4/account`` (amoCRM docs, account-info). Clients also use it to try their token."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, Response

from amo_bridge.sandbox.http import base, hal, self_link, words
from amo_bridge.sandbox.validation import acting_user
from amo_bridge.sandbox.world import World


def register(app: Flask, world: World) -> None:
    @app.get("/api/v4/account")
    def get_account() -> Response:
        wanted = words("with")
        body = {**_usual(world), **_extra(world, wanted), "_links": self_link()}
        return hal({**body, "_embedded": _embedded(world, wanted)})


def _usual(world: World) -> dict[str, Any]:
    account = world.account
    return {
        "id": account["id"],
        "name": account["name"],
        "subdomain": account["subdomain"],
        "current_user_id": acting_user(),
        "country": account["country"],
        "currency": account["currency"],
        "currency_symbol": "₽" if account["currency"] == "RUB" else account["currency"],
        "customers_mode": account["customers_mode"],
        "is_unsorted_on": True,
        "mobile_feature_version": 0,
        "is_loss_reason_enabled": True,
        "is_helpbot_enabled": False,
        "is_technical_account": False,
        "contact_name_display_order": 1,
    }


def _extra(world: World, wanted: set[str]) -> dict[str, Any]:
    """What stands beside the usual keys when ``with`` names it."""
    options: dict[str, Any] = {
        "amojo_id": world.account["amojo_id"],
        "uuid": world.account["amojo_id"],
        "amojo_rights": {"can_direct": True, "can_create_groups": True},
        "version": 12,
        "drive_url": f"{base()}/drive",
        "is_api_filter_enabled": world.account["is_api_filter_enabled"],
    }
    return {name: value for name, value in options.items() if name in wanted}


def _embedded(world: World, wanted: set[str]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if "users_groups" in wanted:
        parts["users_groups"] = [{**group, "uuid": None} for group in world.table("groups").values()]
    if "task_types" in wanted:
        parts["task_types"] = [dict(kind) for kind in world.table("task_types").values()]
    if "entity_names" in wanted:
        parts["entity_names"] = {"leads": {"ru": {"gender": "f", "plural_form": {"dative": "сделкам"}}}}
    if "datetime_settings" in wanted:
        parts["datetime_settings"] = _datetime_settings(world)
    return parts


def _datetime_settings(world: World) -> dict[str, str]:
    zone = world.account["timezone"]
    offset = datetime.fromtimestamp(world.clock.now(), ZoneInfo(zone)).strftime("%z")
    return {
        "date_pattern": "d.m.Y H:i",
        "short_date_pattern": "d.m.Y",
        "short_time_pattern": "H:i",
        "date_formant": "d.m.Y",
        "time_format": "H:i:s",
        "timezone": zone,
        "timezone_offset": f"{offset[:3]}:{offset[3:]}",
    }
