"""``POST /sandbox/seed``: many deals at once, straight into the tables, for benchmarks."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify

from amo_bridge.sandbox import contacts, deals, links
from amo_bridge.sandbox.control import json_body, known_keys
from amo_bridge.sandbox.deals import UNSORTED, first_of, main_pipeline
from amo_bridge.sandbox.entities import Draft
from amo_bridge.sandbox.http import Refused
from amo_bridge.sandbox.tags import TagChange
from amo_bridge.sandbox.world import World

MAX_DEALS = 1_000_000


def register(app: Flask, world: World) -> None:
    @app.post("/sandbox/seed")
    def add_many() -> tuple[Response, int]:
        """Adds {"deals": N, "stage"?: "Воронка / Этап", "contacts"?: bool} without events, webhooks and limits."""
        body = known_keys(json_body(), deals=int, stage=str, contacts=bool)
        number = body.get("deals")
        if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= MAX_DEALS:
            raise Refused(400, f"deals is between 1 and {MAX_DEALS}")
        with world.lock:
            ids = seed(world, number, _stage(world, body.get("stage")), with_contacts=body.get("contacts", False))
            world.save()
        return jsonify({"deals": number, "first_id": ids[0], "last_id": ids[-1]}), 201


def _stage(world: World, name: str | None) -> dict[str, int]:
    """The stage of that name as a pair of ids; None: the one where a new lead of the API stands.

    Raises Refused.
    """
    if name is None:
        pipeline_id = main_pipeline(world)
        return {"pipeline_id": pipeline_id, "status_id": first_of(world, pipeline_id)}
    wanted = [part.strip() for part in name.split("/", 1)]
    for status in world.table("statuses").values():
        pipeline = world.table("pipelines")[status["pipeline_id"]]
        if [pipeline["name"], status["name"]] == wanted and status["type"] != UNSORTED:
            return {"pipeline_id": pipeline["id"], "status_id": status["id"]}
    raise Refused(400, f"stage: no «{name}»; it is «pipeline / stage», and not one of incoming leads")


def seed(world: World, number: int, stage: dict[str, int], *, with_contacts: bool) -> list[int]:
    """The ids of the new deals: one a second up to now, and the users responsible for them in turn."""
    now = world.clock.now()
    users = [user["id"] for user in world.table("users").values() if user["is_active"]]
    ids = []
    for place in range(number):
        user_id, at = users[place % len(users)], now - (number - 1 - place)
        times = {"created_at": at, "updated_at": at}
        plain = {"name": f"Сделка {place + 1}", "price": 1000 * (place % 500), **times, **stage}
        lead = deals.build(world, Draft(plain, {}, TagChange()), user_id)
        world.table("leads")[lead["id"]] = lead
        if with_contacts:
            contact_id = _contact(world, place + 1, user_id, times)
            links.attach(world, "leads", lead["id"], "contacts", contact_id)
        ids.append(lead["id"])
    return ids


def _contact(world: World, place: int, user_id: int, times: dict[str, int]) -> int:
    phones: dict[int, Any] = {}
    for field in world.table("custom_fields/contacts").values():
        if field["code"] == "PHONE":
            kind = field["enums"][0]
            value = {"value": f"+7900{place:07d}", "enum_id": kind["id"], "enum_code": kind["code"]}
            phones[field["id"]] = [value]
    plain = {"name": f"Клиент {place}", "first_name": "Клиент", "last_name": str(place), **times}
    contact = contacts.build(world, "contacts", Draft(plain, phones, TagChange()), user_id)
    world.table("contacts")[contact["id"]] = contact
    return int(contact["id"])
