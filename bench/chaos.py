"""``make chaos``: people work at full speed, the network fails, the bridge is killed again and again.

Others edit what the bridge has just written, rename a stage, switch a manager off; in the middle the bridge's store is
put back from an older copy. In the end the account must hold exactly what the same acts give without faults.

``python -m bench.chaos --seed 1 --acts 1500 --kills 50 --database sqlite``
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console

from amo_bridge.errors import StoreUnavailable
from amo_bridge.storage.database import Store
from bench.account import Snapshot, StoreView, compare, is_answered
from bench.databases import database_of
from bench.office_life import Meddler, StoreCopy, rename_stage, switch_off
from bench.outcome import Outcome, show
from bench.people import Life, People
from bench.processes import (
    CHAOS_RULES,
    START_TIMEOUT_SECONDS,
    BridgeProcess,
    NotRunning,
    Sandbox,
    bridge_environment,
    free_port,
)

# How long the bridge waits before it looks for a write whose answer was lost; late writes land sooner than that.
SETTLE_SECONDS = 6.0
LANDS_AFTER_MS = 1500
# amoCRM repeats an unanswered webhook after five minutes; with RETRY_SPEED after a second.
RETRY_SPEED = 300
CONCURRENT_DEALS = 40
ACTS_PER_ROUND = 20
# How long people wait for all answers, and after how long for a start, whose look finds what no webhook reported; of a
# bridge that is ready: a busy machine takes longer to start one than an idle one to answer.
ANSWER_TIMEOUT_SECONDS, LOOK_SECONDS = 180.0, 20.0
MAX_UPTIME_SECONDS, MIN_UPTIME_SECONDS = 9.0, 0.2

FAULTS: tuple[dict[str, object], ...] = (
    {"kind": "lost_answer", "probability": 0.06, "path": "/api/*"},
    {"kind": "slow_write_lands_late", "probability": 0.04, "ms": LANDS_AFTER_MS, "path": "/api/*"},
    {"kind": "status", "status": 429, "probability": 0.02, "path": "/api/*"},
    {"kind": "status", "status": 500, "probability": 0.01, "path": "/api/*"},
    {"kind": "status", "status": 502, "probability": 0.02, "path": "/api/*"},
    {"kind": "status", "status": 503, "probability": 0.01, "path": "/api/*"},
    {"kind": "refuse_before", "probability": 0.02, "path": "/api/*"},
    {"kind": "slow", "probability": 0.03, "ms": 400, "path": "/api/*"},
    {"kind": "hook_drop", "probability": 0.1},
    {"kind": "hook_duplicate", "probability": 0.15},
    {"kind": "hook_reorder", "probability": 0.1, "seconds": 3},
    {"kind": "hook_delay", "probability": 0.05, "seconds": 4},
)


class Chaos:
    """One run. ``run`` plays it and returns what came of it."""

    def __init__(
        self, folder: Path, *, seed: int, acts: int, kills: int, database: str = "", deals: int = CONCURRENT_DEALS
    ) -> None:
        self._deals = deals
        self._rng = random.Random(seed)
        self._seed = seed
        self._acts = acts
        self._kills = kills
        self._folder = folder
        self._sandbox = Sandbox(folder)
        self._people = People(self._sandbox.url)
        self._environment = bridge_environment(self._sandbox.url, folder, database, SETTLE_SECONDS)
        self._port = free_port()
        self._bridge = self._started()
        self._store = Store.at(database, folder / "data")
        self._view = StoreView(self._store)
        self._meddler = Meddler(self._sandbox, self._people, random.Random(f"{seed}/meddler"))
        self._copy = StoreCopy(self._store, folder, self._environment)
        self._gone: set[str] = set()
        self._acted_since_copy: set[int] = set()
        self._happenings = [
            (0.2, self._take_copy),
            (0.35, self._rename_stage),
            (0.5, self._put_copy_back),
            (0.7, self._switch_manager_off),
        ]
        self._lives: list[Life] = []
        self._waiting: set[int] = set()
        self._happened: list[str] = []
        self._unanswered: list[str] = []
        self.acts_done = 0
        self.kills_done = 0

    def close(self) -> None:
        self._bridge.kill()
        self._sandbox.stop()
        self._store.close()

    def run(self, timeout: float = 240.0) -> Outcome:
        begun = time.monotonic()
        self._bridge.wait_ready()
        self._sandbox.control("POST", "hooks/settings", {"speed": RETRY_SPEED})
        self._set_faults()
        self._work()
        struck = self._clear_faults()
        self._bridge.kill()
        left_open = self._finish(timeout)
        snapshot = Snapshot.of(self._sandbox)
        return Outcome(
            verdict=compare(self._lives, snapshot, self._people),
            deals=len(self._lives),
            acts=self.acts_done,
            kills=self.kills_done,
            seconds=time.monotonic() - begun,
            hooks=self._hooks(),
            faults=struck,
            requests=self._sandbox.requests_made(),
            left_open=left_open,
            edits=self._meddler.edits,
            happened=self._happened,
            unanswered=self._unanswered,
            histories={life.deal: life.history for life in self._lives},
        )

    # --- the storm ---

    def _work(self) -> None:
        next_kill = time.monotonic() + self._rng.uniform(MIN_UPTIME_SECONDS, MAX_UPTIME_SECONDS)
        while self.acts_done < self._acts or self.kills_done < self._kills:
            if self.kills_done < self._kills and time.monotonic() >= next_kill:
                self._bridge.kill()
                self.kills_done += 1
                self._bridge = self._started()
                next_kill = time.monotonic() + self._rng.uniform(MIN_UPTIME_SECONDS, MAX_UPTIME_SECONDS)
            if not self._bridge.is_running:
                raise NotRunning(self._bridge.last_log_lines())
            self._collect_answered()
            self._let_happen()
            if not self._act():
                time.sleep(0.1)
        while self._happenings:
            self._let_happen(at_once=True)

    # --- what else happens ---

    def _let_happen(self, *, at_once: bool = False) -> None:
        """The next happening, if its share of the acts has been done."""
        if self._happenings and (at_once or self.acts_done >= self._happenings[0][0] * self._acts):
            _, happen = self._happenings.pop(0)
            what = happen.__name__.strip("_").replace("_", " ")
            self._wait_answered(what)
            happen()
            self._happened.append(what)

    def _wait_answered(self, before: str) -> None:
        """Until the bridge has done all that follows from what people did so far. Every start looks for what no webhook
        has reported, so it is killed now and then."""
        left = ANSWER_TIMEOUT_SECONDS
        while self._waiting and left > 0:
            self._bridge.wait_ready(START_TIMEOUT_SECONDS)
            ready_at = time.monotonic()
            while self._waiting and time.monotonic() - ready_at < LOOK_SECONDS:
                if not self._bridge.is_running:
                    raise NotRunning(self._bridge.last_log_lines())
                self._collect_answered()
                time.sleep(0.1)
            left -= time.monotonic() - ready_at
            if self._waiting:
                self._bridge.kill()
                self.kills_done += 1
                self._bridge = self._started()
        for number in sorted(self._waiting):
            # It goes no further, and the comparison at the end tells why.
            self._lives[number].retire()
            self._unanswered.append(f"{self._lives[number].deal}: {before}")
        self._waiting.clear()

    def _take_copy(self) -> None:
        self._copy.take()
        self._acted_since_copy.clear()

    def _put_copy_back(self) -> None:
        """What was done since the copy is in the account and not in the store: it must stay as it is."""
        self._bridge.kill()
        self._copy.put_back()
        # The database is another file now.
        self._store.close()
        self._store = self._copy.store = Store.at(self._environment["AMO_BRIDGE_DATABASE"], self._folder / "data")
        self._view = StoreView(self._store)
        for number in self._acted_since_copy:
            self._lives[number].retire()
        self._bridge = self._started()
        self._bridge.wait_ready()

    def _rename_stage(self) -> None:
        rename_stage(self._people)

    def _switch_manager_off(self) -> None:
        switch_off(self._sandbox, self._people, self._gone)

    # --- acts ---

    def _act(self) -> int:
        """Some acts of people on deals that need not wait; how many there were."""
        free = [life for life in self._lives if not life.is_over and life.number not in self._waiting]
        missing = self._deals - len(free) - len(self._waiting)
        free += [self._new_life() for _ in range(missing)]
        self._rng.shuffle(free)
        for life in free[:ACTS_PER_ROUND]:
            self._acted_since_copy.add(life.number)
            if life.step():
                self._waiting.add(life.number)
            self.acts_done += 1
        return len(free[:ACTS_PER_ROUND])

    def _new_life(self) -> Life:
        number = len(self._lives)
        life = Life(number, self._people, random.Random(f"{self._seed}/{number}"), self._gone)
        self._lives.append(life)
        return life

    def _collect_answered(self) -> None:
        """Which deals have been answered, so that people may go on with them."""
        if not self._waiting:
            return
        try:
            busy, mirrored = self._view.busy_deals(), self._view.stages()
        except StoreUnavailable:
            return
        snapshot = Snapshot.of(self._sandbox, notes=False)
        self._meddler.edit([self._lives[number] for number in sorted(self._waiting)], snapshot, self._gone)
        snapshot = Snapshot.of(self._sandbox, notes=False)
        for number in sorted(self._waiting):
            life = self._lives[number]
            if life.deal not in busy and is_answered(life, snapshot, self._people, mirrored):
                self._waiting.discard(number)

    # --- afterwards ---

    def _finish(self, timeout: float) -> dict[str, int]:
        """A last start, whose reconciliation finds what no webhook reported; then until nothing is left to do."""
        reconciled_at = self._view.reconciled_at()
        self._bridge = self._started()
        self._bridge.wait_ready(START_TIMEOUT_SECONDS)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            # The last writes may have caused more webhooks: so these are checked before and after.
            if self._view.reconciled_at() != reconciled_at and self._is_done() and self._is_done():
                break
            time.sleep(0.2)
        return self._view.open_work()

    def _is_done(self) -> bool:
        return not self._hooks_waiting() and not self._open_work()

    def _open_work(self) -> dict[str, int]:
        return {name: count for name, count in self._view.open_work().items() if not name.startswith("failed")}

    def _hooks_waiting(self) -> bool:
        self._sandbox.control("POST", "hooks/flush", {"timeout": 20})
        return bool(self._sandbox.control("GET", "hooks/waiting")["waiting"])

    def _hooks(self) -> dict[str, int]:
        outcomes = self._sandbox.control("POST", "hooks/flush", {"timeout": 1})["outcomes"]
        assert isinstance(outcomes, dict)
        return outcomes

    # --- faults ---

    def _set_faults(self) -> None:
        for number, fault in enumerate(FAULTS):
            self._sandbox.control("POST", "faults", {**fault, "seed": self._seed * 100 + number})

    def _clear_faults(self) -> dict[str, int]:
        struck: dict[str, int] = {}
        faults = self._sandbox.control("GET", "faults")["faults"]
        assert isinstance(faults, list)
        for fault in faults:
            name = f"{fault['kind']} {fault['status']}" if fault["kind"] == "status" else str(fault["kind"])
            struck[name] = fault["struck"]
        self._sandbox.control("DELETE", "faults")
        return struck

    def _started(self) -> BridgeProcess:
        return BridgeProcess(self._port, self._folder, self._environment, CHAOS_RULES)


def run_chaos(
    folder: Path, *, seed: int, acts: int, kills: int, database: str = "", deals: int = CONCURRENT_DEALS
) -> Outcome:
    """One run in a folder that stays; ``deals``: on how many people work at a time."""
    chaos = Chaos(folder, seed=seed, acts=acts, kills=kills, database=database, deals=deals)
    try:
        return chaos.run()
    finally:
        chaos.close()


@click.command()
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same people and faults.")
@click.option("--acts", default=1500, show_default=True, help="At least so many acts of people.")
@click.option("--kills", default=50, show_default=True, help="So many kill -9 of the bridge.")
@click.option("--deals", default=CONCURRENT_DEALS, show_default=True, help="On so many deals at a time.")
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="A folder for logs and database, which then stays.")
def main(seed: int, acts: int, kills: int, deals: int, database: str, keep: Path | None) -> None:
    """Kill the bridge again and again; exit 1 if the account is not what it should be."""
    console = Console(highlight=False, width=140)
    with tempfile.TemporaryDirectory(prefix="amo-bridge-chaos-") as name, database_of(database) as url:
        folder = keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        outcome = run_chaos(folder, seed=seed, acts=acts, kills=kills, database=url, deals=deals)
    show(outcome, console)
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
