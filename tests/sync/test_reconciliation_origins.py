"""Where a deal was made is told by its oldest move, on whatever page that stands."""

from __future__ import annotations

import pytest
from support.fakes import BRIEF, MEETING, NEW, NOON, OFFER, agency, at

from amo_bridge.events import DealAdded, DealMoved, DealUpdated, Event
from amo_bridge.sync.reconciliation import OriginalStages


def moved(came_from: str | None, to: str, seconds: float = 0, deal: int = 7) -> DealMoved:
    old, new = came_from and agency().stage(came_from), agency().stage(to)
    return DealMoved(
        at=at(seconds), deal_id=deal,
        pipeline_id=new.pipeline_id, status_id=new.status_id,
        old_pipeline_id=old.pipeline_id if old else None, old_status_id=old.status_id if old else None,
    )  # fmt: skip


def made(deal: int = 7, on: str | None = None) -> DealAdded:
    stage = agency().stage(on) if on else None
    return DealAdded(
        at=NOON, deal_id=deal,
        pipeline_id=stage.pipeline_id if stage else None, status_id=stage.status_id if stage else None,
    )  # fmt: skip


def origins(*pages: list[Event]) -> list[DealAdded]:
    """Those that were made, as they are told when the pages are read one after another."""
    look = OriginalStages()
    return [event for page in pages for event in look.with_origins(page) if isinstance(event, DealAdded)]


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([[moved(NEW, MEETING), made()]], id="one page"),
        pytest.param([[moved(NEW, MEETING)], [made()]], id="two pages"),
        pytest.param([[moved(MEETING, OFFER, 2), moved(NEW, MEETING, 1), made()]], id="the oldest move counts"),
        pytest.param([[made(), moved(NEW, MEETING)]], id="in one second, in whatever order"),
        pytest.param([[moved(MEETING, OFFER), moved(NEW, MEETING), made()]], id="two moves in one second"),
        pytest.param([[moved(NEW, MEETING), moved(MEETING, OFFER), made()]], id="the same, listed the other way round"),
        pytest.param([[moved(NEW, MEETING)], [moved(MEETING, OFFER), made()]], id="the same, on two pages"),
        pytest.param([[moved(MEETING, NEW), moved(NEW, MEETING), made()]], id="there and back in one second"),
        pytest.param([[moved(NEW, MEETING)], [made(on=MEETING)]], id="the list of deals knows where it is"),
        pytest.param([[moved(None, OFFER, 1), moved(NEW, MEETING), made()]], id="a move that says half"),
        pytest.param([[moved(NEW, MEETING), moved(BRIEF, OFFER, deal=8), made()]], id="another deal's move"),
    ],
)
def test_a_deal_that_was_made_says_where(pages: list[list[Event]]) -> None:
    assert origins(*pages) == [made(on=NEW)]


@pytest.mark.parametrize("event", [made(), made(on=NEW)])
def test_a_deal_that_nobody_moved_is_told_as_it_was(event: DealAdded) -> None:
    assert origins([moved(NEW, MEETING, deal=8), event]) == [event]


def test_only_its_making_is_told_otherwise() -> None:
    rows = [DealUpdated(at=NOON, deal_id=7), moved(NEW, MEETING)]
    assert OriginalStages().with_origins(rows) == rows
