"""A step of the start is tried until it works, and given up when the bridge is to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from amo_bridge import retry
from amo_bridge.errors import ConfigError, CrmUncertain, LeadLost, NotConnected, StoreUnavailable
from amo_bridge.retry import StartupRetry, delay


class Start:
    """A start whose step fails with each of ``errors``, one a try; ``on_show`` is called for each state shown."""

    def __init__(self, *errors: Exception, on_show: Callable[[Start], None] = lambda start: None) -> None:
        self.errors = list(errors)
        self.tries = 0
        self.states: list[str] = []
        self.problems: list[str] = []
        self.stopping = threading.Event()
        self._on_show = on_show
        self.retry = StartupRetry(self.stopping, self._show, self.problems.extend)

    def _show(self, state: str) -> None:
        self.states.append(state)
        self._on_show(self)

    def step(self) -> None:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """So long a pause that a test which waits it out never ends."""
    for name in ("FIRST", "SOON", "LATEST"):
        monkeypatch.setattr(retry, name, 3600.0)


def test_pauses_grow_to_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST", 2.0)
    assert [delay(attempt) for attempt in (0, 1, 2, 3, 11, 12, 500)] == [2, 2, 4, 8, 2048, 3600, 3600]


@pytest.mark.parametrize(
    "errors",
    [
        (),
        (StoreUnavailable("нет базы"),),
        (CrmUncertain("нет ответа"), OSError("нет папки"), NotConnected("нет токена")),
    ],
    ids=["at once", "once in vain", "three times in vain"],
)
def test_it_is_tried_until_it_works(errors: tuple[Exception, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST", 0.0)
    start = Start(*errors)
    assert start.retry(start.step, "inbox open")
    assert start.tries == len(errors) + 1
    assert start.states == [*(f"waiting: {error}" for error in errors), "inbox open"]


def test_somebody_else_leads() -> None:
    start = Start(LeadLost("другой процесс"))
    assert not start.retry(start.step)
    assert (start.tries, start.states, start.stopping.is_set()) == (1, [], False)


def test_a_config_that_does_not_fit_stops_the_bridge() -> None:
    start = Start(ConfigError(["нет этапа"]))
    assert not start.retry(start.step)
    assert (start.tries, start.problems, start.stopping.is_set()) == (1, ["нет этапа"], True)


def test_a_bug_is_not_tried_again() -> None:
    start = Start(ZeroDivisionError("ошибка"))
    with pytest.raises(ZeroDivisionError):
        start.retry(start.step)
    assert start.tries == 1


def test_nothing_is_begun_after_the_stop() -> None:
    start = Start()
    start.stopping.set()
    assert not start.retry(start.step)
    assert (start.tries, start.states) == (0, [])


def stop(start: Start) -> None:
    start.stopping.set()
    start.retry.wake()


@pytest.mark.usefixtures("long_pauses")
def test_a_stop_ends_the_pause_and_nothing_more_is_tried() -> None:
    start = Start(StoreUnavailable("нет базы"), on_show=stop)
    assert not start.retry(start.step)
    assert (start.tries, start.states) == (1, ["waiting: нет базы"])


@pytest.mark.usefixtures("long_pauses")
def test_a_change_ends_the_pause() -> None:
    start = Start(StoreUnavailable("нет базы"), on_show=lambda start: start.retry.wake())
    assert start.retry(start.step)
    assert start.tries == 2
