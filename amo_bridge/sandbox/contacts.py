"""``/api/v4/contacts`` (amoCRM docs, contacts-api)."""

from __future__ import annotations

from flask import Flask

from amo_bridge.sandbox import clients
from amo_bridge.sandbox.world import World


def register(app: Flask, world: World) -> None:
    clients.register(app, world, "contacts")
