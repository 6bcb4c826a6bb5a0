"""Loss reasons, ``/api/v4/leads/loss_reasons``.

A lead keeps the id of a reason that was deleted; ``with=loss_reason`` shows nothing for it then.
"""

from __future__ import annotations

from flask import Flask

from amo_bridge.sandbox.record_lists import CALLS, RecordList, register_lists
from amo_bridge.sandbox.world import World

LOSS_REASONS = RecordList(
    name="loss_reasons",
    path="leads/loss_reasons",
    kinds={"name": str, "sort": int},
    required=("name",),
    defaults={"sort": 100_000},
    calls=CALLS - {"delete_many"},
    missing=204,
    totals=False,
    is_stamped=True,
)


def register(app: Flask, world: World) -> None:
    register_lists(app, world, LOSS_REASONS)
