"""The clock of a rehearsal: it shows what the sandbox's does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import requests
from sqlalchemy import func, select, update

from amo_bridge.channels.registry import ports_to_nowhere
from amo_bridge.channels.vendors import connected
from amo_bridge.config.model import Config
from amo_bridge.crm.client import Shutdown
from amo_bridge.engine.effects import OUTSIDE
from amo_bridge.engine.metrics import Metrics
from amo_bridge.engine.scheduler import Replanner
from amo_bridge.engine.timers import FIRED, OPEN
from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.rehearsal.known_state import NOTHING, Known, begin_rules, bring_enquiries, remember
from amo_bridge.rehearsal.results import SimulatedAction, actions_after, last_line
from amo_bridge.runtime.startup import by_asking
from amo_bridge.runtime.wiring import CompositionRoot
from amo_bridge.runtime.worker import FIRST_READING, RECONCILE, SERIES, TIMERS, Worker
from amo_bridge.sandbox.server import serving
from amo_bridge.sandbox.world import World
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import OPEN_STATES, enquiries, events, in_open_enquiry_state, outbox, series, timers
from amo_bridge.sync.initial_load import DealsLoad


class SimulationClock:
    """A Clock that stands still until it is moved; the sandbox's account moves with it."""

    def __init__(self, world: World, start: datetime) -> None:
        self._clock = world.clock
        self._clock.freeze()
        self.move_to(start)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def move_to(self, moment: datetime) -> None:
        """To the first whole second that is not before the moment: amoCRM's times have no fractions."""
        self._clock.set(math.ceil(moment.timestamp()))


# Playing: from one moment at which something is due to the next, until the end; in between all is done that can be.

TOKEN = "rehearsal"
UNHURRIED = 5000.0
# If something is due and can't be done, time goes on all the same.
STUCK = timedelta(minutes=10)
MOST_ROUNDS = 10_000
CHORES = (FIRST_READING, RECONCILE, SERIES, TIMERS)
"""What a bridge is asked for from time to time and what may make work."""


class NeverDone(BridgeError):
    """The rules go on making work for each other at one moment; the text says at which (Russian)."""


class Play:
    """A bridge at work on a sandbox, moved by hand; at ``url`` people may
    work in the account. ``silent``: kinds of effects for which the config connects no channel."""

    def __init__(
        self, url: str, store: AccountStore, worker: Worker, hands: SimulationClock, silent: frozenset[str]
    ) -> None:
        self.url = url
        self.store = store
        self.hands = hands
        self._worker = worker
        self._silent = silent
        self._begun_at = last_line(store)

    def until(self, end: datetime, progress: Callable[[datetime], None] = lambda moment: None) -> None:
        """Let time pass up to ``end``: every moment at which something is due is stopped at. Raises NeverDone."""
        self.catch_up()
        while (moment := self._next()) <= end:
            self.hands.move_to(moment)
            progress(moment)
            self.catch_up()
        self.hands.move_to(end)
        self.catch_up()

    def catch_up(self) -> None:
        """Do all that is to be done at this moment."""
        for chore in CHORES:
            self._worker.request_job(chore)
        for _ in range(MOST_ROUNDS):
            if not self._worker.once() and not self._worker.is_asked:
                return
        raise NeverDone(f"правила без конца создают друг другу работу: {self.hands.now():%d.%m.%Y %H:%M} UTC")

    def actions(self, deal_id: int | None = None) -> list[SimulatedAction]:
        """What the rules have done so far."""
        return actions_after(self.store, self._begun_at, deal_id, self._silent)

    def _next(self) -> datetime:
        """The next moment at which something falls due."""
        queries = (
            select(func.min(timers.c.due_at)).where(self.store.owns(timers), timers.c.state == OPEN),
            select(func.min(outbox.c.due_at)).where(self.store.owns(outbox), outbox.c.state.in_(OPEN_STATES)),
            select(func.min(series.c.next_at)).where(self.store.owns(series), series.c.state == "open"),
            select(func.min(events.c.due_at)).where(self.store.owns(events), events.c.state == "open"),
            select(func.min(enquiries.c.due_at)).where(self.store.owns(enquiries), in_open_enquiry_state()),
        )
        with self.store.read() as connection:
            due = [moment for query in queries if (moment := connection.execute(query).scalar()) is not None]
        if not due:
            return datetime.max.replace(tzinfo=UTC)
        now, next_due = self.hands.now(), datetime.fromtimestamp(min(due), UTC)
        return next_due if next_due > now else now + STUCK


@contextmanager
def rehearsing(
    config: Config, world: World, folder: Path, start: datetime, known: Known = NOTHING, *, days: float = 0
) -> Iterator[Play]:
    """A bridge by ``config`` beside the account of ``world``, at ``start``; ``folder`` is for its store. ``days``: for
    so many the enquiries of the weeks before come once more (rehearsal/known_state.py).

    ``TOKEN`` is the token that the world must know. Steps that were due before ``start`` are taken for done. Raises
    ConfigError when the config does not fit the account.
    """
    hands = SimulationClock(world, start)
    with serving(world) as url:
        requests.post(f"{url}/sandbox/limits", json={"enabled": False}, timeout=30).raise_for_status()
        played = _played(config, url, folder)
        store = Store.in_folder(folder)
        try:
            store.prepare()
            yield _begun(played, store, hands, known, days)
        finally:
            store.close()


def _played(config: Config, url: str, folder: Path) -> Config:
    """The config for the sandbox: every enabled rule really acts there."""
    account = config.account.model_copy(update={"url": url, "requests_per_second": UNHURRIED})
    bridge = config.bridge.model_copy(
        update={"dry_run": False, "data": str(folder), "database": "", "public_url": None}
    )  # fmt: skip
    rules = tuple(replace(rule, dry_run=False) for rule in config.rules)
    return replace(config, account=account, bridge=bridge, rules=rules)


def _begun(config: Config, whole: Store, hands: SimulationClock, known: Known, days: float) -> Play:
    identified = by_asking(
        config,
        {"AMO_BRIDGE_TOKEN": TOKEN},
        whole,
        own_url=None,
        clock=hands,
        settle=0,
        meters=Metrics().of("rehearsal"),
        closing=Shutdown(Event()),
    )
    assert identified.context is not None
    if problems := identified.context.fit.lines("lost"):
        raise ConfigError(problems)
    context, store = identified.context, identified.store
    begin_rules(store, known)
    client = context.connection.client()
    root = CompositionRoot(context, store, client, client, ports=ports_to_nowhere)
    fill = DealsLoad(store, root.client, hands, context.account_clock, root.rules.timetable())
    fill.mark_start()
    worker = root.worker()
    fill.run()
    remember(store, known)
    replan = Replanner(store, context.account_clock)
    while not replan.run(root.rules.timetable()):
        """In portions."""
    _pass_over(store, hands.now())
    bring_enquiries(store, hands, config.calendar.country, known.get("enquiries", ()), days)
    there = connected(config)
    silent = frozenset(kind for kind, lane in OUTSIDE.items() if lane not in there)
    return Play(config.account.url, store, worker, hands, silent)


def _pass_over(store: AccountStore, now: datetime) -> None:
    """What was due before the rehearsal began has been done, or is nobody's business any more."""
    late = (store.owns(timers), timers.c.state == OPEN, timers.c.due_at < now.timestamp())
    with store.write() as connection:
        connection.execute(update(timers).where(*late).values(state=FIRED))
