"""``GET /api/v4/account`` (amoCRM docs, account-info). Clients also use it to try their token."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, Response

from amo_bridge.sandbox.http import base, hal, self_link, words
from amo_bridge.sandbox.validation import acting_user
from amo_bridge.sandbox.world import World

ENTITY_NAMES = {
    "leads": {
        "ru": {
            "gender": "f",
            "singular_form": {"default": "сделка", "genitive": "сделки", "dative": "сделке", "accusative": "сделку"},
            "plural_form": {"default": "сделки", "genitive": "сделок", "dative": "сделкам", "accusative": "сделки"},
        },
        "en": {"gender": "f", "singular_form": {"default": "lead"}, "plural_form": {"default": "leads"}},
    }
}
"""Under ``with=entity_names`` on both levels: the documentation has moved it from the inner to the outer one."""


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
        **{name: account.get(name, 0) for name in ("created_at", "created_by", "updated_at", "updated_by")},
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
        "version": 12,
        "drive_url": f"{base()}/drive",
        "is_api_filter_enabled": world.account["is_api_filter_enabled"],
        "invoices_settings": {"lang": "ru", "invoices_catalog_id": None},
        "entity_names": ENTITY_NAMES,
    }
    return {name: value for name, value in options.items() if name in wanted}


def _embedded(world: World, wanted: set[str]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if "amojo_rights" in wanted:
        parts["amojo_rights"] = {"can_direct": True, "can_create_groups": True}
    if "users_groups" in wanted:
        parts["users_groups"] = [{**group, "uuid": None} for group in world.table("groups").values()]
    if "task_types" in wanted:
        parts["task_types"] = [dict(kind) for kind in world.table("task_types").values()]
    if "entity_names" in wanted:
        parts["entity_names"] = ENTITY_NAMES
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
        # The documentation's sample has the first name, amoCRM's own PHP library reads the second.
        "date_formant": "d.m.Y",
        "date_format": "d.m.Y",
        "time_format": "H:i:s",
        "timezone": zone,
        "timezone_offset": f"{offset[:3]}:{offset[3:]}",
    }
