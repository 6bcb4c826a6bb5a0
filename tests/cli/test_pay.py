"""``amo-bridge pay rebuild``: what amoCRM's list of events tells becomes facts in their order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from amo_bridge.cli.pay import facts_listed
from amo_bridge.crm.events_api import DealChange

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
BOX = 71


def test_moves_of_one_second_stay_in_their_order() -> None:
    """amoCRM lists the newest first, each kind for itself."""
    newest_first = [
        DealChange(7, NOON + timedelta(seconds=1), 11, stages=((1, 30), (1, 40))),
        DealChange(7, NOON, 11, stages=((1, 20), (1, 30))),
        DealChange(7, NOON, 11, owners=(11, 12)),
        DealChange(7, NOON, 11, stages=((1, 10), (1, 20))),
        DealChange(7, NOON, 11, field_id=BOX, texts=(("1",), ("0",))),
        DealChange(7, NOON, 11, field_id=BOX, texts=(("0",), ("1",))),
    ]
    told = facts_listed(newest_first, {BOX})
    stages = [(one.was, one.now) for one in told if one.what == "stage"]
    assert stages == [("1.10", "1.20"), ("1.20", "1.30"), ("1.30", "1.40")]
    assert [(one.was, one.now) for one in told if one.what == f"field:{BOX}"] == [("", "1"), ("1", "")]
