"""The first fill: every deal once, in pages, and on from where it broke off."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from support.fakes import ACCOUNT, NEW, NOON, api_row, clock, record

from amo_bridge.crm.records import DealRecord
from amo_bridge.errors import CrmUncertain
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.sync.initial_load import PAGE_SIZE, DealsLoad


class Pages:
    """An account with so many deals, which breaks off when asked for a page of ``broken``."""

    def __init__(self, deals: list[DealRecord]) -> None:
        self.rows = [api_row(deal) for deal in deals]
        self.broken: set[int] = set()
        self.asked: list[int] = []

    def get(self, path: str, params: dict[str, Any]) -> dict[str, Any] | None:
        page = params["page"]
        self.asked.append(page)
        if page in self.broken:
            raise CrmUncertain("no answer")
        rows = self.rows[(page - 1) * params["limit"] : page * params["limit"]]
        return {"_embedded": {"leads": rows}} if rows else None


def old_deals(count: int) -> list[DealRecord]:
    return [record(NEW, number, seconds=-3600) for number in range(1, count + 1)]


@pytest.fixture
def fill_of(store: Store) -> Callable[[Pages], DealsLoad]:
    return lambda pages: DealsLoad(AccountStore(store, ACCOUNT), pages, clock(), clock())  # type: ignore[arg-type]


Make = Callable[[Pages], DealsLoad]


@pytest.mark.parametrize("count", [0, 1, PAGE_SIZE - 1, PAGE_SIZE, 2 * PAGE_SIZE + 1])
def test_every_deal_is_read_once(store: Store, fill_of: Make, count: int) -> None:
    pages = Pages(old_deals(count))
    seen: list[int] = []
    fill_of(pages).run(seen.append)
    assert Mirror(AccountStore(store, ACCOUNT)).count() == count
    assert seen[-1] == count
    asked = len(pages.asked)
    assert asked == count // PAGE_SIZE + 1
    fill_of(pages).run()
    assert len(pages.asked) == asked


def test_it_goes_on_where_it_broke_off(store: Store, fill_of: Make) -> None:
    pages = Pages(old_deals(4 * PAGE_SIZE))
    pages.broken = {4}
    with pytest.raises(CrmUncertain):
        fill_of(pages).run()
    assert not fill_of(pages).is_done
    pages.broken, pages.asked = set(), []
    fill_of(pages).run()
    assert fill_of(pages).is_done
    # The page before is read again: a deal deleted meanwhile has moved the others up.
    assert pages.asked[0] == 3
    assert Mirror(AccountStore(store, ACCOUNT)).count() == 4 * PAGE_SIZE


def test_what_is_known_already_is_not_overwritten(store: Store, fill_of: Make) -> None:
    known = MirroredDeal(record(NEW, 1, seconds=-60, name="Новее"), NOON - timedelta(days=3))
    with store.write() as connection:
        Mirror(AccountStore(store, ACCOUNT)).put(connection, [known], NOON)
    fill_of(Pages(old_deals(2))).run()
    assert Mirror(AccountStore(store, ACCOUNT)).get([1, 2]) == {
        1: known,
        2: MirroredDeal(DealRecord.from_api(api_row(old_deals(2)[1])), NOON - timedelta(hours=1)),
    }


def test_what_changed_since_the_bridge_met_the_account_is_left_to_its_hooks(store: Store, fill_of: Make) -> None:
    changed = record(NEW, 3, seconds=1)
    fill = fill_of(Pages([*old_deals(2), changed]))
    fill.mark_start()
    fill.run()
    assert set(Mirror(AccountStore(store, ACCOUNT)).get([1, 2, 3])) == {1, 2}
