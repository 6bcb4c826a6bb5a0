"""The queue of writers: nobody is overtaken."""

from __future__ import annotations

import threading

from support.running_bridge import wait_until

from amo_bridge.storage.database import WriteQueue


def test_waiters_get_it_in_the_order_in_which_they_came() -> None:
    turns, order, queued = WriteQueue(), [], []

    def waiter(number: int) -> None:
        queued.append(number)
        with turns:
            order.append(number)

    threads = []
    with turns:
        for number in range(5):
            thread = threading.Thread(target=waiter, args=(number,))
            thread.start()
            threads.append(thread)
            wait_until(lambda number=number: len(turns._waiting) == number + 1, "the waiter stands in the queue")  # type: ignore[misc]
        assert order == []
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_whoever_releases_and_wants_it_again_stands_behind_who_waited() -> None:
    turns, order = WriteQueue(), []

    def other() -> None:
        with turns:
            order.append("other")

    thread = threading.Thread(target=other)
    with turns:
        thread.start()
        wait_until(lambda: turns._waiting, "the other stands in the queue")
    with turns:
        order.append("again")
    thread.join()
    assert order == ["other", "again"]
