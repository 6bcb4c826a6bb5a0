"""How often a deal was put back from a stage within the last hour."""

from __future__ import annotations

import pytest
from support.fakes import ACCOUNT, LOST, MEETING, NEW, agency, clock, effect, on_stage, queue

from amo_bridge.engine.gates import RollbackHistory
from amo_bridge.storage.database import AccountStore, Store


def put_back(store: Store, number: int, *, of: str = MEETING, deal: int = 7, rolls_back: bool = True) -> None:
    body = {"id": deal, **on_stage(NEW)}
    queue(
        store,
        effect("patch_deal", deal, body=body, expects=agency().stage(of).key, rolls_back=rolls_back),
        event_key=f"event {number}",
    )


@pytest.mark.parametrize("times", [0, 1, 3])
def test_put_backs_from_this_stage_count_and_nothing_else_does(store: Store, times: int) -> None:
    for number in range(times):
        put_back(store, number)
    put_back(store, 10, of=LOST)
    put_back(store, 11, deal=8)
    put_back(store, 12, rolls_back=False)
    assert (
        RollbackHistory(AccountStore(store, ACCOUNT), clock(), [7]).counter(7, agency().stage(MEETING).key)() == times
    )
    assert (
        RollbackHistory(AccountStore(store, ACCOUNT + 1), clock(), [7]).counter(7, agency().stage(MEETING).key)() == 0
    )
