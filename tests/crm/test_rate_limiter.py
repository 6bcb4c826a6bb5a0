"""Never more than seven requests in any second, whoever sends them; and the circuit breaker."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, MetaData, Table, create_engine
from sqlalchemy.exc import OperationalError
from support.client_fakes import Clock

from amo_bridge.crm.rate_limiter import MAX_PUSH_BACK_SECONDS, LocalRateLimiter, StoreRateLimiter
from amo_bridge.errors import CrmBlocked, CrmTemporary, CrmUnpaid, StoreUnavailable
from amo_bridge.storage.tables import budgets

POSTGRES = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
# A second process that imports this file must find the same table.
TABLE = os.environ.get("TEST_CRM_BUDGET_TABLE", f"test_crm_budget_{os.getpid()}")
BLOCK = CrmBlocked("403 Forbidden", status=403)

Make = Callable[..., Any]
# What happens between two requests: how long the caller does other things, how late he wakes from each sleep.
GAPS = st.lists(st.tuples(st.floats(0, 0.4), st.floats(0, 0.3)), min_size=1, max_size=40)


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[tuple[Engine, Table]]:
    """A database of a kind with an empty table in it, thrown away afterwards."""
    url, arguments = f"sqlite:///{folder / 'budget.db'}", {}
    if kind == "postgresql":
        url, arguments = POSTGRES, {"connect_timeout": 3}
    engine = create_engine(url, connect_args=arguments)
    metadata = MetaData()
    table = budgets.to_metadata(metadata, name=TABLE)
    try:
        metadata.create_all(engine)
    except OperationalError as error:
        engine.dispose()
        pytest.skip(f"PostgreSQL does not answer at {POSTGRES}: {error.orig}")
    try:
        yield engine, table
    finally:
        metadata.drop_all(engine)
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Engine, Table]]:
    with opened(request.param, tmp_path) as both:
        yield both


@pytest.fixture(params=["sqlite", "postgresql", "local"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes a limiter on a clock; all kinds must behave alike."""
    if request.param == "local":
        yield lambda clock, **more: LocalRateLimiter(clock=clock, sleep=clock.sleep, **more)
        return
    with opened(request.param, tmp_path) as (engine, table):
        yield lambda clock, **more: StoreRateLimiter(engine, table, "acme", clock=clock, sleep=clock.sleep, **more)


def most_in_a_second(moments: list[float]) -> int:
    """The most moments that any closed second holds, even if the way to amoCRM takes up to 0.1 s longer for some."""
    ticks = sorted(round(moment * 1_000_000) for moment in moments)
    # A float's rounding of the clock may take some microseconds off seven spacings.
    return max(sum(start <= tick <= start + 1_099_990 for tick in ticks) for start in ticks)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(gaps=GAPS)
def test_no_second_holds_more_than_seven(make: Make, gaps: list[tuple[float, float]]) -> None:
    clock = Clock()
    late = 0.0

    def sleep(seconds: float) -> None:
        clock.now += seconds + late

    clock.sleep = sleep  # type: ignore[method-assign]
    limiter = make(clock, max_wait=MAX_PUSH_BACK_SECONDS)
    moments = []
    for pause, late in gaps:  # noqa: B007 - sleep reads it
        clock.now += pause
        limiter.acquire()
        moments.append(clock.now)
    assert most_in_a_second(moments) <= 7


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(turns=st.lists(st.tuples(st.integers(0, 2), st.sampled_from((0.0, 0.02, 0.158, 0.2, 0.315, 0.4))), max_size=60))
def test_no_second_holds_more_than_seven_of_several_processes(
    database: tuple[Engine, Table], turns: list[tuple[int, float]]
) -> None:
    """Each has its own memory of a second request; a turn is one's try, who waits if it is not his yet."""
    clock = Clock()
    processes = [
        StoreRateLimiter(*database, "acme", clock=clock, sleep=clock.sleep, max_wait=MAX_PUSH_BACK_SECONDS)
        for _ in range(3)
    ]
    moments = []
    for process, pause in turns:
        clock.now += pause
        if processes[process]._try() == 0:
            moments.append(clock.now)
    assert not moments or most_in_a_second(moments) <= 7
    with database[0].begin() as connection:
        connection.execute(database[1].delete())


def test_the_rate_is_used_up(make: Make) -> None:
    clock = Clock()
    limiter = make(clock)
    started = clock.now
    for _ in range(71):
        limiter.acquire()
    assert clock.now - started == pytest.approx(11, abs=0.01)


def test_after_a_pause_the_first_request_goes_at_once(make: Make) -> None:
    clock = Clock()
    limiter = make(clock)
    limiter.acquire()
    clock.now += 1
    limiter.acquire()
    assert clock.slept == []


def test_after_a_pause_the_second_request_goes_at_once_too_and_the_third_waits_for_both(make: Make) -> None:
    clock = Clock()
    limiter = make(clock)
    for _ in range(3):
        limiter.acquire()
        limiter.acquire()
        assert clock.slept == []
        limiter.acquire()
        assert sum(clock.slept) == pytest.approx(2 * 1.1 / 7, abs=1e-5)
        clock.slept.clear()
        clock.now += 1


def test_the_second_request_of_a_pause_is_not_kept_for_the_next_one(make: Make) -> None:
    clock = Clock()
    limiter = make(clock)
    for _ in range(3):
        limiter.acquire()
        clock.now += 1
    limiter.acquire()
    limiter.acquire()
    assert clock.slept == []


def test_not_even_a_short_wait_is_cut_short_by_a_second_request(make: Make) -> None:
    clock = Clock()
    limiter = make(clock)
    limiter.acquire()
    limiter.push_back(0.1)
    limiter.acquire()
    assert sum(clock.slept) >= 0.1


def test_a_second_request_that_comes_later_is_followed_at_the_usual_distance(make: Make) -> None:
    clock = Clock()
    limiter = make(clock)
    limiter.acquire()
    clock.now += 0.25
    limiter.acquire()
    limiter.acquire()
    assert sum(clock.slept) == pytest.approx(1.1 / 7, abs=1e-5)


def test_no_second_request_slips_through_once_amocrm_said_429_or_stopped_us(make: Make) -> None:
    clock = Clock()
    limiter = make(clock)
    limiter.acquire()
    limiter.push_back(5)
    limiter.acquire()
    assert sum(clock.slept) == pytest.approx(5, abs=0.001)
    clock.now += 1
    limiter.acquire()
    limiter.stop(BLOCK)
    with pytest.raises(CrmBlocked):
        limiter.acquire()


def test_a_reserve_is_left_to_others(database: tuple[Engine, Table]) -> None:
    clock = Clock()
    limiter = StoreRateLimiter(*database, "acme", 7, 2, clock=clock, sleep=clock.sleep)
    for _ in range(4):
        limiter.acquire()
    # Two at once, because it was a pause; the third waits for both.
    assert sum(clock.slept) == pytest.approx(0.66, abs=1e-5)
    with pytest.raises(ValueError, match="reserve"):
        StoreRateLimiter(*database, "acme", 7, 7)


def test_a_429_pushes_everybody_back(make: Make) -> None:
    clock = Clock()
    limiter = make(clock)
    limiter.push_back(5)
    limiter.push_back(1)
    limiter.acquire()
    assert sum(clock.slept) == pytest.approx(5, abs=0.001)


def test_nobody_sleeps_for_minutes(make: Make) -> None:
    clock = Clock()
    limiter = make(clock, max_wait=30)
    limiter.push_back(300)
    with pytest.raises(CrmTemporary) as caught:
        limiter.acquire()
    assert caught.value.retry_after == pytest.approx(300, abs=0.001)
    assert clock.slept == []


def test_an_open_circuit_breaker_lets_only_probes_through_until_one_works(make: Make) -> None:
    clock = Clock()
    limiter = make(clock, probe_interval=60)
    limiter.stop(BLOCK)
    with pytest.raises(CrmBlocked, match="403 Forbidden"):
        limiter.acquire()

    clock.now += 60
    limiter.acquire()
    assert limiter.probing
    with pytest.raises(CrmBlocked):
        limiter.acquire()

    limiter.resume()
    clock.now += 1
    limiter.acquire()
    assert not limiter.probing
    assert limiter.stopped() is None


def test_a_failed_probe_waits_for_the_next(make: Make) -> None:
    clock = Clock()
    limiter = make(clock, probe_interval=60)
    limiter.stop(BLOCK)
    clock.now += 60
    limiter.acquire()
    limiter.stop(CrmUnpaid("Payment required"))
    clock.now += 59
    with pytest.raises(CrmUnpaid):
        limiter.acquire()


def test_the_circuit_breaker_is_every_processs_and_outlives_them(database: tuple[Engine, Table]) -> None:
    engine, table = database
    StoreRateLimiter(engine, table, "acme").stop(BLOCK)
    other = create_engine(engine.url)
    after_restart = StoreRateLimiter(other, table, "acme")
    assert after_restart.stopped() is not None
    with pytest.raises(CrmBlocked):
        after_restart.acquire()
    StoreRateLimiter(other, table, "another account").acquire()
    other.dispose()


def test_a_clock_set_back_does_not_stop_the_bridge(database: tuple[Engine, Table]) -> None:
    clock = Clock()
    limiter = StoreRateLimiter(*database, "acme", clock=clock, sleep=clock.sleep)
    limiter.acquire()
    clock.now -= MAX_PUSH_BACK_SECONDS + 3600
    limiter.acquire()
    assert clock.slept == []


def test_the_databases_own_clock_serves_when_none_is_given(database: tuple[Engine, Table]) -> None:
    limiter = StoreRateLimiter(*database, "acme")
    limiter.acquire()
    limiter.push_back(600)
    with pytest.raises(CrmTemporary) as caught:
        limiter.acquire()
    assert 0 < (caught.value.retry_after or 0) <= 600


def test_a_store_that_does_not_answer_is_said_so(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'no such folder' / 'x.db'}")
    with pytest.raises(StoreUnavailable):
        StoreRateLimiter(engine, budgets.to_metadata(MetaData()), "acme").acquire()


def send_some(url: str, shared: Any, sent: Any) -> None:
    """One of two processes. The clock is common to both; whoever sleeps moves it on."""
    seen = 0.0

    def clock() -> float:
        nonlocal seen
        with shared.get_lock():
            seen = float(shared.value)
        return seen

    def sleep(seconds: float) -> None:
        with shared.get_lock():
            shared.value = max(shared.value, seen + seconds)

    engine = create_engine(url)
    limiter = StoreRateLimiter(engine, budgets.to_metadata(MetaData(), name=TABLE), "acme", clock=clock, sleep=sleep)
    moments = []
    for _ in range(30):
        limiter.acquire()
        moments.append(seen)
    sent.put(moments)
    engine.dispose()


def test_two_processes_share_seven_a_second(database: tuple[Engine, Table], monkeypatch: pytest.MonkeyPatch) -> None:
    url = database[0].url.render_as_string(hide_password=False)
    context = multiprocessing.get_context("spawn")
    shared, sent = context.Value("d", 1_700_000_000.0), context.Queue()
    monkeypatch.setenv("TEST_CRM_BUDGET_TABLE", TABLE)
    workers = [context.Process(target=send_some, args=(url, shared, sent)) for _ in range(2)]
    for worker in workers:
        worker.start()
    moments = [moment for _ in workers for moment in sent.get(timeout=60)]
    for worker in workers:
        worker.join()
    assert len(moments) == 60
    assert most_in_a_second(moments) <= 7
