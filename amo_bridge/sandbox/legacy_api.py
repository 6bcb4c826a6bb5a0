"""The few addresses outside API v4 that clients still ask: API v2 and the web page's own counters.

They are documented no longer; the forms come from public clients. All other addresses of API v2 answer 404.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox.catalogs import CATALOGS
from amo_bridge.sandbox.entities import find
from amo_bridge.sandbox.http import Refused, hal, query, request_json
from amo_bridge.sandbox.record_lists import store
from amo_bridge.sandbox.validation import acting_user
from amo_bridge.sandbox.world import World

ENTITY_TYPES = {"1": "contacts", "2": "leads", "12": "customers", "contacts": "contacts", "leads": "leads"}
PRODUCTS = "products_settings"


def register(app: Flask, world: World) -> None:
    @app.get("/api/v2/account")
    def get_account_of_v2() -> Response:
        """The account as API v2 showed it, with users and pipelines by id."""
        return hal(_account(world))

    @app.get(f"/api/v2/{PRODUCTS}")
    def get_products() -> Response:
        """Are products on?"""
        return hal(_products(world))

    @app.post(f"/api/v2/{PRODUCTS}")
    def set_products() -> Response:
        """Switches products on or off: {enable}."""
        sent = request_json()
        if not isinstance(sent, dict) or not isinstance(sent.get("enable"), bool):
            raise Refused(400, "Request data can not be empty")
        world.table("account_settings")[PRODUCTS] = {"is_enabled": sent["enable"]}
        if sent["enable"] and _products(world)["catalog_id"] is None:
            store(CATALOGS, world, {}, {"name": "Товары", "type": "products", "can_be_deleted": False})
        return hal(_products(world))

    @app.post("/api/v2/salesbot/run")
    @app.post("/api/v4/bots/run")
    def run_bots() -> Response:
        """Starts bots: [{bot_id, entity_id, entity_type}]. The account has none, so every one is unknown."""
        sent = request_json()
        tasks = sent if isinstance(sent, list) else []
        if not tasks or not all(isinstance(task, dict) for task in tasks):
            raise Refused(400, "Request data can not be empty")
        for task in tasks:
            kind = ENTITY_TYPES.get(str(task.get("entity_type")), "")
            if find(world, kind, task.get("entity_id")) is None:
                raise Refused(404, "Entity not found")
        raise Refused(404, "Bot not found")

    @app.post("/ajax/leads/sum/<int:pipeline_id>")
    def count_leads(pipeline_id: int) -> Response:
        """How many leads a pipeline has, as its page shows it."""
        leads = [
            lead
            for lead in world.table("leads").values()
            if lead["pipeline_id"] == pipeline_id and not lead["is_deleted"]
        ]
        return hal({"all_count": len(leads), "all_price": sum(lead["price"] for lead in leads)})

    @app.route("/ajax/contacts/list/<any(contacts, companies):kind>", methods=["GET", "POST"])
    def count_cards(kind: str) -> Response:
        """How many contacts or companies there are, as their page shows it."""
        shown = [card for card in world.table(kind).values() if not card["is_deleted"] and not card.get("is_unsorted")]
        return hal({"response": {"summary": {"count": len(shown)}}, "count": len(shown)})


def _products(world: World) -> dict[str, Any]:
    """Products are a list of the account of their own type; it is there once they were switched on."""
    settings = world.table("account_settings").get(PRODUCTS, {"is_enabled": False})
    found = (row["id"] for row in world.table("catalogs").values() if row["type"] == "products")
    return {"is_enabled": settings["is_enabled"], "catalog_id": next(found, None)}


def _account(world: World) -> dict[str, Any]:
    account = world.account
    wanted = str(query().get("with", "")).split(",")
    parts: dict[str, Any] = {}
    if "users" in wanted:
        shown = ("id", "name", "email", "lang", "is_admin", "is_active", "is_free", "group_id")
        users = world.table("users").values()
        parts["users"] = {str(user["id"]): {name: user[name] for name in shown} for user in users}
    if "pipelines" in wanted:
        parts["pipelines"] = {str(row["id"]): {**row, "statuses": _statuses(world, row["id"])} for row in _rows(world)}
    if "task_types" in wanted:
        parts["task_types"] = {str(kind["id"]): dict(kind) for kind in world.table("task_types").values()}
    if "groups" in wanted:
        parts["groups"] = {str(group["id"]): dict(group) for group in world.table("groups").values()}
    names = ("id", "name", "subdomain", "currency", "timezone")
    links = {"self": {"href": "/api/v2/account", "method": "get"}}
    body = {name: account[name] for name in names} | {"language": "ru", "current_user": acting_user()}
    return {"_links": links, **body, "_embedded": parts}


def _rows(world: World) -> list[Any]:
    return sorted(world.table("pipelines").values(), key=lambda row: int(row["sort"]))


def _statuses(world: World, pipeline_id: int) -> dict[str, Any]:
    names = ("id", "name", "color", "sort", "is_editable")
    rows = [row for row in world.table("statuses").values() if row["pipeline_id"] == pipeline_id]
    return {str(row["id"]): {name: row[name] for name in names} for row in rows}
