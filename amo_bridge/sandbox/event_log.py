"""The account's list of events: written from every change, read by GET /api/v4/events."""

from __future__ import annotations

import hashlib
from itertools import takewhile
from typing import Any

from flask import Flask, Response, request

from amo_bridge.sandbox import event_types
from amo_bridge.sandbox.changes import Change
from amo_bridge.sandbox.event_making import Made, events_of
from amo_bridge.sandbox.event_query import EventFilter
from amo_bridge.sandbox.http import embedded, hal, link, listing, no_content
from amo_bridge.sandbox.query import integer, query, words
from amo_bridge.sandbox.world import Record, World

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
PLURAL = {"lead": "leads", "contact": "contacts", "company": "companies", "task": "tasks"}
MOST = 100


class EventLog:
    """Writes events into the world's table ``events``."""

    def __init__(self, world: World) -> None:
        self._world = world

    def changed(self, change: Change) -> None:
        for made in events_of(change, lambda: self._world.next_id("notes")):
            number = self._world.next_id("events")
            event = {
                "id": event_id(change.at, number),
                "type": made.type,
                "entity_id": made.entity_id,
                "entity_type": made.kind,
                "created_by": change.user_id,
                "created_at": change.at,
                "value_after": list(made.after),
                "value_before": list(made.before),
                "account_id": self._world.account["id"],
                **_found_as(made),
            }
            self._world.table("events")[event["id"]] = event


def _found_as(made: Made) -> dict[str, Any]:
    return {"found_as": list(made.found_as)} if made.found_as else {}


def event_id(at: int, number: int) -> str:
    """26 characters that sort by time and then by number, like a ULID."""
    tail = int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:5])
    value = ((at * 1000) << 80) | ((number % 2**40) << 40) | tail
    return "".join(CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def register(app: Flask, world: World) -> None:
    log = EventLog(world)
    world.subscribe(log.changed)

    @app.get("/api/v4/events")
    def events() -> Response:
        wanted, table = EventFilter(query()), world.table("events")
        newest_first = (table[event_id] for event_id in sorted(table, reverse=True))
        # Ids sort by time, so what comes after the first event that is too old is too old as well.
        recent = takewhile(lambda event: event["created_at"] >= wanted.since, newest_first)
        found = [event for event in recent if wanted.fits(event)]
        asked = integer(query().get("limit")) or 0
        most = MOST if asked <= MOST else 50  # a larger limit falls back to the default (seen by clients)
        return listing("events", found, lambda event: _shown(world, event), max_limit=most)

    @app.get("/api/v4/events/<event>")
    def one_event(event: str) -> Response:
        record = world.table("events").get(event)
        return no_content() if record is None else hal(_shown(world, record))

    @app.get("/api/v4/events/types")
    def types() -> Response:
        language = request.args.get("language_code", "ru")
        shown = [
            {"key": key, "type": event_types.NUMBERS[key], "lang": name if language == "ru" else key}
            for key, name in event_types.NAMES.items()
        ]
        return embedded("events_types", shown, _total_items=len(shown))


def _shown(world: World, event: Record) -> dict[str, Any]:
    kind = PLURAL.get(event["entity_type"], str(event["entity_type"]))
    entity: dict[str, Any] = {"id": event["entity_id"], "_links": link(f"{kind}/{event['entity_id']}")}
    if f"{event['entity_type']}_name" in words("with"):
        entity["name"] = (world.table(kind).get(event["entity_id"]) or {}).get("name", "")
    shown = {name: value for name, value in event.items() if name != "found_as"}
    return {**shown, "_links": link(f"events/{event['id']}"), "_embedded": {"entity": entity}}
