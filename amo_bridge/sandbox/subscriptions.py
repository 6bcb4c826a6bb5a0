"""``/api/v4/webhooks`` (amoCRM docs, webhooks-api): subscriptions. ``delivery.py`` sends."""

from __future__ import annotations

from urllib.parse import urlparse

from flask import Flask, Response

from amo_bridge.sandbox.http import Refused, branch, hal, listing, no_content, query, strings
from amo_bridge.sandbox.validation import Reader, acting_user, checked, read_one
from amo_bridge.sandbox.world import Record, World

MAX_WEBHOOKS = 100
OF_ENTITIES = ("add", "update", "delete", "restore", "responsible", "note")
SETTINGS = frozenset(
    {f"{action}_{entity}" for action in OF_ENTITIES for entity in ("lead", "contact", "company", "customer")}
    - {"restore_customer"}
    | {"status_lead", "add_talk", "update_talk", "add_chat_template_review", "add_message"}
    | {f"{action}_task" for action in ("add", "update", "delete", "responsible")}
    # Only the account's page offers these, but a sandbox has no page.
    | {"add_unsorted", "update_unsorted", "delete_unsorted"}
)


def register(app: Flask, world: World) -> None:
    @app.get("/api/v4/webhooks")
    def list_webhooks() -> Response:
        wanted = strings(branch(query(), "filter", "destination"), commas=False)
        rows = [hook for hook in world.table("webhooks").values() if not wanted or hook["destination"] in wanted]
        return listing("webhooks", rows, dict, totals=True)

    @app.post("/api/v4/webhooks")
    def subscribe() -> Response:
        ((_, wanted),) = checked([read_one(world)], _read)
        return hal(_subscribe(world, *wanted), 201)

    @app.delete("/api/v4/webhooks")
    def unsubscribe() -> Response:
        destination = read_one(world).body.get("destination")
        hook = _of(world, destination)
        if hook is None:
            raise Refused(404, "Webhook not found")
        del world.table("webhooks")[hook["id"]]
        return no_content()


def _read(reader: Reader) -> tuple[str, list[str], int | None]:
    reader.require("destination", "settings")
    destination = reader.text("destination", 2_000) or ""
    parts = urlparse(destination)
    if destination and (parts.scheme not in ("http", "https") or not parts.netloc):
        reader.fail("InvalidFormat", "destination", "This value is not a valid URL.")
    settings = reader.body.get("settings") or []
    if not isinstance(settings, list):
        reader.wrong_type("settings", "array")
        return destination, [], None
    for number, setting in enumerate(settings):
        if not isinstance(setting, str) or setting not in SETTINGS:
            reader.not_a_choice(f"settings.{number}")
    return destination, settings, reader.integer("sort")


def _subscribe(world: World, destination: str, settings: list[str], sort: int | None) -> Record:
    """The same destination again: its settings are replaced, and a hook that was switched off is on again."""
    now, known = world.clock.now(), _of(world, destination)
    if known is not None:
        hook = {**known, "settings": settings, "updated_at": now, "disabled": False}
    elif len(world.table("webhooks")) >= MAX_WEBHOOKS:
        raise Refused(400, f"Webhooks limit reached: {MAX_WEBHOOKS}")
    else:
        hook = {
            "id": world.next_id("webhooks"),
            "destination": destination,
            "created_at": now,
            "updated_at": now,
            "account_id": world.account["id"],
            "created_by": acting_user(),
            "sort": len(world.table("webhooks")) + 1 if sort is None else sort,
            "disabled": False,
            "settings": settings,
        }
    world.table("webhooks")[hook["id"]] = hook
    return hook


def _of(world: World, destination: object) -> Record | None:
    return next((hook for hook in world.table("webhooks").values() if hook["destination"] == destination), None)
