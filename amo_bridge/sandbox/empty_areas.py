"""Areas of the API that a young account has nothing in: empty lists, no single record."""

from __future__ import annotations

from typing import NamedTuple

from flask import Flask, Response

from amo_bridge.sandbox.entities import find
from amo_bridge.sandbox.http import Refused, embedded, listing, no_content
from amo_bridge.sandbox.validation import Reader, checked, read_batch
from amo_bridge.sandbox.world import World


class EmptyArea(NamedTuple):
    path: str
    """After ``/api/v4/``."""
    one: str = ""
    """The address of a single one, if there is such a call."""
    missing: int = 404


AREAS = (
    EmptyArea("widgets", "widgets/<code>"),
    EmptyArea("website_buttons", "website_buttons/<int:source_id>"),
    EmptyArea("bots", "bots/<int:bot_id>"),
    EmptyArea("talks", "talks/<int:talk_id>"),
    EmptyArea("chats", "chats/<chat_id>"),
    EmptyArea("chats/templates", "chats/templates/<int:template_id>", 204),
)
CURRENCIES = ("RUB", "USD", "EUR", "KZT", "BYN", "UAH", "GBP", "CNY", "TRY", "AMD", "GEL", "UZS", "AZN", "KGS")
SHORT_LINK_LENGTH = 12


def register(app: Flask, world: World) -> None:
    for area in AREAS:
        _register(app, area)
    _register_actions(app)

    @app.get("/api/v4/currencies")
    def list_currencies() -> Response:
        own = world.account["currency"]
        codes = [own, *(code for code in CURRENCIES if code != own)]
        return listing("currencies", codes, lambda code: {"code": code}, totals=True)

    @app.get("/api/v4/<any(leads, customers):kind>/<int:entity_id>/subscriptions")
    def list_subscriptions(kind: str, entity_id: int) -> Response:
        if find(world, kind, entity_id) is None:
            raise Refused(404, "Entity not found")
        return no_content()

    @app.post("/api/v4/short_links")
    def add_short_links() -> Response:
        """Shortens links that tell who followed them; nobody follows them here."""

        def read(reader: Reader) -> dict[str, object]:
            reader.require("url", "metadata")
            metadata = reader.mapping("metadata") or {}
            reader.text("url", 2_000)
            if metadata.get("entity_type") != "contacts":
                reader.not_a_choice("metadata.entity_type")
            elif find(world, "contacts", metadata.get("entity_id")) is None:
                reader.not_a_choice("metadata.entity_id")
            return metadata

        drafts = checked(read_batch(world), read)
        links = []
        for reader, metadata in drafts:
            number = world.next_id("short_links")
            url = f"https://amo.sh/{number:0{SHORT_LINK_LENGTH}X}"
            about = {"url": url, "account_id": world.account["id"], "metadata": metadata}
            links.append({**about, "request_id": reader.request_id})
        return embedded("short_links", links)


def _register(app: Flask, area: EmptyArea) -> None:
    def list_all() -> Response:
        return no_content()

    def get_one(**where: object) -> Response:
        return _missing(area.missing)

    app.add_url_rule(f"/api/v4/{area.path}", f"{area.path} list", list_all, methods=["GET"])
    if area.one:
        app.add_url_rule(f"/api/v4/{area.one}", f"{area.path} get", get_one, methods=["GET"])


def _register_actions(app: Flask) -> None:
    """What can be done with a single one: none is there to do it with."""
    for path in (
        "talks/<int:talk_id>/close",
        "bots/<int:bot_id>/run",
        "bots/<int:bot_id>/stop",
        "salesbot/<int:bot_id>/continue/<int:step>",
    ):
        app.add_url_rule(f"/api/v4/{path}", path, lambda **where: _missing(404), methods=["POST"])
    for method in ("POST", "DELETE"):
        endpoint = f"widgets {method}"
        app.add_url_rule("/api/v4/widgets/<code>", endpoint, lambda **where: _missing(404), methods=[method])


def _missing(status: int) -> Response:
    if status == 204:
        return no_content()
    raise Refused(status, "Not found")
