"""Tries are counted once for all: threads and processes that come at the same moment wait for each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from amo_bridge.storage.database import Store
from amo_bridge.web.auth.rate_limit import Breach, Limit, Tries

NAME, ADDRESS = Limit("name", 8, "имя"), Limit("address", 30, "адрес")


def test_replicas_that_count_at_once_let_no_try_too_many_through(store: Store) -> None:
    with closing(Store(store.url)) as replica, ThreadPoolExecutor(20) as pool:
        both = [Tries(store), Tries(replica)] * 15
        counted = list(pool.map(lambda one: one.begin([NAME, ADDRESS]), both))
    assert sum(not isinstance(one, Breach) for one in counted) == 8


def test_a_refused_try_counts_nowhere_and_one_taken_back_is_forgotten(store: Store) -> None:
    tries = Tries(store)
    numbers = [tries.begin([NAME, ADDRESS]) for _ in range(8)]
    for _ in range(30):
        refused = tries.begin([NAME, ADDRESS])
        assert isinstance(refused, Breach)
        assert refused.limit is NAME
    assert not isinstance(tries.begin([ADDRESS]), Breach)
    first = numbers[0]
    assert not isinstance(first, Breach)
    tries.take_back(first)
    assert not isinstance(tries.begin([NAME]), Breach)
    assert isinstance(tries.begin([NAME]), Breach)
