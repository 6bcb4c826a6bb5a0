"""A bridge that really runs, in this process: its worker thread and its web side on a free port."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests
from cryptography.fernet import Fernet
from sqlalchemy import func, select
from werkzeug.serving import WSGIRequestHandler, make_server

from amo_bridge.clock import Clock
from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.engine.journal import Entry, Journal
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.runtime.worker import (
    ADS_CHECK,
    DAILY_REPORTS,
    EVENING,
    RECONCILE,
    SERIES,
    SHIFT_STARTS,
    TIMERS,
    WEEKLY_LETTER,
)
from amo_bridge.storage.accounts import DEALS_FILLED, Cursors, known_key
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import OPEN_STATES, events, inbox, outbox, timers
from amo_bridge.web.app import create_app
from amo_bridge.web.auth.guard import TOKEN as METRICS_TOKEN
from bench.processes import free_port
from support.local_crm import TOKEN, LocalCrm

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
# The bridge keeps to amoCRM's 7 a second, which is tested by itself; everywhere else it would only be waiting.
UNHURRIED = 5000.0
# Of this process alone: amoCRM goes on sending to a port that another test may listen at by then.
SECRET = f"unguessable-{os.getpid()}"
ENVIRONMENT = {
    "AMO_BRIDGE_TOKEN": TOKEN,
    "AMO_BRIDGE_HOOK_SECRET": SECRET,
    "AMO_BRIDGE_KEY": Fernet.generate_key().decode(),
}
SETTLE = 0.02
# Long enough for a machine that has other things to do; only a test that fails waits so long.
PATIENCE = 90.0
# Looking costs what the bridge could use: four tests in five wait, and most of them for some hundredths of a second.
FIRST_PAUSE, PAUSE_GROWS, LONGEST_PAUSE = 0.005, 1.3, 0.05
# What a start may take on a busy machine, in seconds.
LONGEST_START = 20


def config_for(url: str, folder: Path, **environment: str) -> Config:
    """The shipped example, for an account at ``url``."""
    told = {"AMO_BRIDGE_ACCOUNT_URL": url, "AMO_BRIDGE_DATA": str(folder), **environment}
    config = load(EXAMPLE, told)
    return replace(config, account=config.account.model_copy(update={"requests_per_second": UNHURRIED}))


def wait_until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Poll until it holds, ever less often; a test that waits in vain says for what."""
    deadline, pause = time.monotonic() + patience, FIRST_PAUSE
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience} s in vain: {what}"
        time.sleep(pause)
        pause = min(pause * PAUSE_GROWS, LONGEST_PAUSE)


class RunningBridge:
    """``bridge`` is running, or starting; ``url`` is its web side."""

    def __init__(
        self,
        config: Config,
        environment: Mapping[str, str] = ENVIRONMENT,
        *,
        port: int = 0,
        settle: float = SETTLE,
        clock: Clock | None = None,
    ) -> None:
        # One that nobody gets while this bridge is down and before it is started again.
        self.port = port = port or free_port()
        listener = socket.create_server(("127.0.0.1", port))
        self.config = config
        self.url = f"http://127.0.0.1:{port}"
        self.bridge = AccountRuntime(config, environment, self.url, settle=settle, clock=clock)
        self.app = create_app(self.bridge, token=environment.get(METRICS_TOKEN, ""))
        self._web = make_server(
            "127.0.0.1",
            port,
            self.app,
            threaded=True,
            request_handler=Silent,
            fd=listener.fileno(),
        )
        listener.close()
        self._thread = threading.Thread(target=self._web.serve_forever, args=(0.02,), name="web", daemon=True)
        self._thread.start()
        self.bridge.start()
        self._store = Store.at(config.bridge.database, config.data_folder)

    def wait_ready(self) -> RunningBridge:
        """Wait until it works: leading, its hook subscribed, its mirror filled."""
        wait_until(lambda: self.is_at_work() or self.bridge.problems, "the bridge is ready")
        assert not self.bridge.problems, self.bridge.problems
        self._catch_up()
        return self

    def _catch_up(self) -> None:
        """Where amoCRM's clock stands still, move it past the start: the bridge has counted on since it read it, and
        what came before its rules were in force would be *existing* for them."""
        clock = f"{self.config.account.url}/sandbox/clock"
        if requests.get(clock, timeout=30).json()["frozen"]:
            requests.post(clock, json={"advance": LONGEST_START}, timeout=30)

    def is_at_work(self) -> bool:
        """Does it lead, its mirror filled?"""
        if not (self.bridge.is_ready and self.bridge.is_leading):
            return False
        key = known_key(self._store, self.config.account.url)
        return key is not None and Cursors(AccountStore(self._store, key)).read(DEALS_FILLED) is not None

    def stop(self) -> None:
        """Stop it as a shutdown does. Stopping twice is no harm."""
        if self.bridge.state == "stopped":
            return
        self._web.shutdown()
        self._thread.join()
        self._web.server_close()
        self.bridge.stop()
        self._store.close()

    def hook(self, body: bytes = b"", secret: str = SECRET) -> requests.Response:
        """Post a hook as amoCRM does."""
        return requests.post(f"{self.url}/hooks/amocrm/{secret}", data=body, timeout=30)

    def health(self) -> requests.Response:
        return requests.get(f"{self.url}/health", timeout=30)

    def open_work(self) -> dict[str, int]:
        """How much is not done yet, by table."""
        queries = {
            "inbox": select(func.count()).select_from(inbox).where(inbox.c.state == "new"),
            "events": select(func.count()).select_from(events).where(events.c.state == "open"),
            "outbox": select(func.count()).select_from(outbox).where(outbox.c.state.in_(OPEN_STATES)),
        }
        with self._store.read() as connection:
            counts = {name: connection.execute(query).scalar_one() for name, query in queries.items()}
        return {name: count for name, count in counts.items() if count}

    def settle(self, crm: LocalCrm) -> None:
        """Wait until amoCRM has told everything and the bridge has done everything about it."""

        def settled() -> bool:
            if self.open_work() or not crm.hooks_delivered() or self.open_work():
                return False
            # What the bridge did last may have rung once more.
            return crm.hooks_delivered() and not self.open_work()

        wait_until(settled, "the bridge has nothing left to do")

    def look_at_the_clock(self) -> None:
        """amoCRM's clock was moved: the bridge hears it, and does what is due by it."""
        for job in (RECONCILE, TIMERS, SERIES, EVENING, WEEKLY_LETTER, DAILY_REPORTS, SHIFT_STARTS, ADS_CHECK):
            self.bridge.request_job(job)

    def settle_at(self, crm: LocalCrm, **clock: Any) -> None:
        """amoCRM's clock is moved (``advance=86400``), the bridge looks at it, and all that follows is done."""
        self.settle(crm)
        crm.control("POST", "clock", clock)
        self.look_at_the_clock()
        wait_until(lambda: not self.due_timers(crm), "what is due has become events")
        self.settle(crm)

    def due_timers(self, crm: LocalCrm) -> int:
        """How many steps are due by amoCRM's clock and have not fired."""
        now = crm.control("GET", "clock")["now"]
        query = select(func.count()).select_from(timers).where(timers.c.state == "open", timers.c.due_at <= now)
        with self._store.read() as connection:
            return connection.execute(query).scalar_one()

    def steps(self, deal: int, rule: str) -> int:
        """How many steps of this rule are set for the deal, done or not."""
        query = select(func.count()).select_from(timers).where(timers.c.deal_id == deal, timers.c.rule == rule)
        with self._store.read() as connection:
            return connection.execute(query).scalar_one()

    def journal(self, deal: int) -> list[Entry]:
        key = known_key(self._store, self.config.account.url)
        assert key is not None
        return Journal(AccountStore(self._store, key)).of_deal(deal)


class Silent(WSGIRequestHandler):
    """A web server that says nothing."""

    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing: a test run prints nothing."""
