"""Cost of an installation per account, idle and under a little load: figures for docs/thousand-accounts.md.

``python -m bench.accounts --accounts 1 --accounts 10 --accounts 40``: each size is a local amoCRM per account, one
``amo-bridge serve --configs`` for all of them, on a PostgreSQL of this machine.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
import requests
from cryptography.fernet import Fernet
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, text

from amo_bridge.sandbox import delivery
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.sandbox.middleware import KeepAliveServer
from amo_bridge.sandbox.server import create_app
from bench.databases import database_of
from bench.machine import watched
from bench.processes import REGULATION, TOKEN, Process, free_port

ACCOUNT_URL = "http://127.0.0.1:1"
TIMEOUT_SECONDS = 600.0
HOOK = b"leads%5Bupdate%5D%5B0%5D%5Bid%5D=30000001"
TRANSACTIONS_QUERY = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
CONNECTIONS_QUERY = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)


@dataclass(frozen=True)
class Cost:
    """Of the bridge's process while nothing happens. ``answers``: seconds for a hook each, one after the other."""

    accounts: int
    ready_after: float
    memory: float
    cpu: float
    transactions: float
    connections: int
    answers: list[float]


@contextmanager
def crm() -> Iterator[str]:
    """A local amoCRM in this process; its address."""
    app = create_app(load_world())
    server = KeepAliveServer("127.0.0.1", 0, app)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        delivery.of(app).sender.close()
        server.shutdown()
        server.cut_connections()
        server.server_close()


def measure(accounts: int, folder: Path, seconds: float) -> Cost:
    """Start an installation of so many accounts, leave it idle for so long, then send each a hook."""
    with ExitStack() as stack, database_of("postgresql") as database:
        urls = [stack.enter_context(crm()) for _ in range(accounts)]
        environment = _configured(folder, urls, database)
        port = free_port()
        begun = time.perf_counter()
        bridge = Process(["serve", "--configs", str(folder), "--port", str(port)], folder / "log.txt", environment)
        stack.callback(bridge.stop)
        _wait_ready(bridge, f"http://127.0.0.1:{port}/health")
        ready_after = time.perf_counter() - begun
        # The first reconciliations are over then.
        time.sleep(5)
        before, at = _query(database, TRANSACTIONS_QUERY), time.perf_counter()
        with watched(bridge.pid) as cost:
            time.sleep(seconds)
        transactions = (_query(database, TRANSACTIONS_QUERY) - before) / (time.perf_counter() - at)
        connections = _query(database, CONNECTIONS_QUERY)
        answers = [_timed(f"http://127.0.0.1:{port}/hooks/amocrm/secret-{number}") for number in range(accounts)]
    return Cost(accounts, ready_after, cost.peak, cost.cpu / cost.wall * 100, transactions, connections, answers)


def _configured(folder: Path, urls: Sequence[str], database: str) -> dict[str, str]:
    folder.mkdir(parents=True)
    environment = {
        "AMO_BRIDGE_KEY": Fernet.generate_key().decode(),
        "AMO_BRIDGE_DATA": str(folder / "data"),
        "AMO_BRIDGE_DATABASE": database,
    }
    for number, url in enumerate(urls):
        config = REGULATION.read_text("utf-8").replace(ACCOUNT_URL, url)
        (folder / f"a{number}.toml").write_text(config, "utf-8")
        environment[f"AMO_BRIDGE_TOKEN__A{number}"] = TOKEN
        environment[f"AMO_BRIDGE_HOOK_SECRET__A{number}"] = f"secret-{number}"
    return environment


def _wait_ready(bridge: Process, health: str) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline and bridge.is_running:
        try:
            if requests.get(health, timeout=30).json()["status"] == "ready":
                return
        except requests.RequestException:
            # It does not listen yet.
            pass
        time.sleep(0.2)
    raise TimeoutError(bridge.last_log_lines())


def _query(database: str, query: str) -> int:
    engine = create_engine(database, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            return int(connection.execute(text(query)).scalar_one())
    finally:
        engine.dispose()


def _timed(address: str) -> float:
    begun = time.perf_counter()
    requests.post(address, data=HOOK, timeout=30).raise_for_status()
    return time.perf_counter() - begun


def show(costs: Sequence[Cost], console: Console) -> None:
    table = Table("accounts", "ready after, s", "memory, MB", "CPU, %", "transactions/s", "connections", "hook p50, ms")
    for cost in costs:
        table.add_row(
            str(cost.accounts),
            f"{cost.ready_after:.1f}",
            f"{cost.memory:.0f}",
            f"{cost.cpu:.1f}",
            f"{cost.transactions:.0f}",
            str(cost.connections),
            f"{median(cost.answers) * 1000:.0f}",
        )
    console.print(table)


@click.command()
@click.option("--accounts", "sizes", type=int, multiple=True, default=(1, 10, 40), show_default=True)
@click.option("--seconds", default=30.0, show_default=True, help="So long each installation is left idle.")
def main(sizes: tuple[int, ...], seconds: float) -> None:
    """Print what each size costs."""
    console, folder = Console(highlight=False, width=120), Path(tempfile.mkdtemp(prefix="amo-bridge-accounts-"))
    costs = []
    for size in sizes:
        console.print(f"{size} accounts ...")
        costs.append(measure(size, folder / str(size), seconds))
    show(costs, console)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
