"""Loss reasons, ``/api/v4/leads/loss_reasons``: read only (whether amoCRM takes writes is not known).

People add, rename and delete them in the settings. A lead keeps the id of a reason that was deleted;
``with=loss_reason`` shows nothing for it then.
"""

from __future__ import annotations

from flask import Flask, Response, g

from amo_bridge.sandbox.http import Refused, hal
from amo_bridge.sandbox.people import sent_by_person
from amo_bridge.sandbox.record_lists import RecordList, register_lists, store
from amo_bridge.sandbox.world import Record, World

LOSS_REASONS = RecordList(
    name="loss_reasons",
    path="leads/loss_reasons",
    kinds={},
    defaults={"sort": 100_000},
    calls=frozenset({"list", "get"}),
    missing=204,
    totals=False,
    is_stamped=True,
)


def register(app: Flask, world: World) -> None:
    register_lists(app, world, LOSS_REASONS)

    @app.post("/sandbox/ui/add_loss_reason")
    def add_reason() -> Response:
        """``{user_id, name}``: an administrator adds a reason in the settings."""
        sent = sent_by_person(world, "name")
        g.user_id = sent["user_id"]
        return hal(store(LOSS_REASONS, world, {}, {"name": str(sent["name"])}))

    @app.post("/sandbox/ui/rename_loss_reason")
    def rename_reason() -> Response:
        """``{user_id, target_id, name}``: all leads show the new name."""
        sent = sent_by_person(world, "target_id", "name")
        reason = {**_found(world, sent["target_id"]), "name": str(sent["name"]), "updated_at": world.clock.now()}
        world.table("loss_reasons")[reason["id"]] = reason
        return hal(reason)

    @app.post("/sandbox/ui/delete_loss_reason")
    def delete_reason() -> Response:
        """``{user_id, target_id}``: gone from the settings."""
        sent = sent_by_person(world, "target_id")
        del world.table("loss_reasons")[_found(world, sent["target_id"])["id"]]
        return hal({"id": sent["target_id"]})


def _found(world: World, reason_id: object) -> Record:
    reason = world.table("loss_reasons").get(reason_id)
    if reason is None:
        raise Refused(404, "Loss reason not found")
    return reason
