"""``/api/v4/leads/loss_reasons``: read only here (whether amoCRM takes writes is not known)."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response

from amo_bridge.sandbox.http import link, listing, single
from amo_bridge.sandbox.world import Record, World


def register(app: Flask, world: World) -> None:
    @app.get("/api/v4/leads/loss_reasons")
    def list_reasons() -> Response:
        rows = sorted(world.table("loss_reasons").values(), key=lambda reason: reason["sort"])
        return listing("loss_reasons", rows, _shown)

    @app.get("/api/v4/leads/loss_reasons/<int:reason_id>")
    def get_reason(reason_id: int) -> Response:
        reason = world.table("loss_reasons").get(reason_id)
        return single(None if reason is None else _shown(reason))


def _shown(reason: Record) -> dict[str, Any]:
    return {**reason, "_links": link(f"leads/loss_reasons/{reason['id']}")}
