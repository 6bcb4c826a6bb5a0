"""``python -m bench.pages``: processor time of every page and API door on the store of a busy account.

Fills a store with 100,000 deals and 1,000,000 lines of the journal, asks for everything that can be read, nine times
over, and prints the table of docs/bench.md: the least of them, as whatever else the machine does only adds to it.
``--deals`` and ``--lines`` make it smaller; ``--folder`` keeps the store for another run.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import click
import structlog
from cryptography.fernet import Fernet
from flask.testing import FlaskClient
from sqlalchemy import event, insert
from sqlalchemy.engine import Connection

from amo_bridge.config.loader import load
from amo_bridge.crm.account import Account
from amo_bridge.crm.account_cache import FORMAT
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.reports.kpi_days import DAYS_IN_A_ROW, KpiDays, Way
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.storage.secrets import small_state
from amo_bridge.storage.tables import accounts
from amo_bridge.web.app import create_app
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION
from bench.large_store import SECTIONS, LargeStore, Size, addresses
from bench.webinar import TOKEN, local_crm

EXAMPLE = Path(__file__).parent.parent / "config.example.toml"
URL = "http://127.0.0.1:9"
GOAL = 0.050
ROUNDS = 9


class Office:
    """The pages of a bridge that is not at work, on a large store in ``folder``."""

    def __init__(self, folder: Path, size: Size) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "config.toml"
        path.write_text(EXAMPLE.read_text("utf-8").replace("https://example.amocrm.ru", URL) + SECTIONS, "utf-8")
        key = folder / "key"
        if not key.exists():
            key.write_bytes(Fernet.generate_key())
        environment = {"AMO_BRIDGE_TOKEN": TOKEN, "AMO_BRIDGE_KEY": key.read_text("ascii")}
        self.bridge = AccountRuntime(load(path, {}), environment, URL)
        self.app = create_app(self.bridge)
        self.office = self.app.extensions[EXTENSION]
        if not self.office.account_at(None).is_known:
            self._fill(size, environment)
        self.statements: list[str] = []
        event.listen(self.office.store.engine, "before_cursor_execute", self._count)

    def _count(self, connection: Connection, cursor: object, statement: str, *_: object) -> None:
        self.statements.append(statement)

    def _fill(self, size: Size, environment: dict[str, str]) -> None:
        with local_crm(load_world()) as url:
            account = Account.read(CrmClient(url, LongLivedToken(TOKEN), LocalRateLimiter(10_000)))
        kept = {"format": FORMAT, "account": account.to_json()}
        small_state(self.bridge.config, environment).accounts.write(URL, kept)
        with self.office.store.write() as connection:
            connection.execute(insert(accounts).values(amo_id=1, amojo_id="bench", url=URL))
        here = self.office.account_at(None)
        rules = tuple(rule.name for rule in here.config.rules)
        large = LargeStore(here.account_store, account, rules, here.clock.now())
        large.fill(size, lambda words: click.echo(words, err=True))
        # As the worker does, round after round: the days of two months.
        talk_seconds = here.fit.config.kpi.talk_seconds
        way = Way.of(here.zone, talk_seconds, account)
        days = KpiDays(here.account_store, way)
        for _ in range(0, 62, DAYS_IN_A_ROW):
            days.keep_up(here.clock.now())

    def visitor(self) -> tuple[FlaskClient, dict[str, str]]:
        """An admin in a browser, and the header of his program."""
        user = self.office.users.add(f"bench {time.time()}", Role.ADMIN)
        client = self.app.test_client()
        with client.session_transaction() as session:
            session["_user_id"] = self.office.users.sit_down(user.id)
        return client, {"Authorization": f"Bearer {self.office.api_tokens.issue('bench', Role.ADMIN, 'bench')}"}


@dataclass
class Told:
    """What was measured of one address. ``spent``: processor seconds of each time."""

    spent: list[float] = field(default_factory=list)
    statements: int = 0
    kilobytes: int = 0


def ask(office: Office, client: FlaskClient, headers: dict[str, str], address: str, told: dict[str, Told]) -> None:
    office.statements.clear()
    begun = time.process_time()
    answer = client.get(address, headers=headers, buffered=True)
    spent = time.process_time() - begun
    if answer.status_code != 200:
        click.echo(f"{answer.status_code} {address}", err=True)
        return
    one = told.setdefault(address, Told())
    one.spent.append(spent)
    one.statements, one.kilobytes = len(office.statements), len(answer.data) // 1024


@click.command(help=__doc__)
@click.option("--deals", default=100_000)
@click.option("--lines", default=1_000_000)
@click.option("--folder", type=click.Path(path_type=Path))
@click.option("--only", default="", help="Only addresses that hold this.")
def main(deals: int, lines: int, folder: Path | None, only: str) -> None:
    structlog.configure(processors=[lambda *_: (_ for _ in ()).throw(structlog.DropEvent)])
    with tempfile.TemporaryDirectory() as temporary:
        office = Office(folder or Path(temporary), Size(deals, lines))
        client, program = office.visitor()
        told: dict[str, Told] = {}
        # Round by round: this machine may be slow for half a minute.
        for _ in range(ROUNDS):
            for _, address in addresses(office.app):
                if only in address:
                    ask(office, client, program if address.startswith("/api/v1") else {}, address, told)
        click.echo("| address | ms | median | the first time | statements | KB |\n|---|---|---|---|---|---|")
        for address, one in told.items():
            mark = " **slow**" if min(one.spent) > GOAL else ""
            click.echo(
                f"| `{address}` | {min(one.spent) * 1000:.0f}{mark} | {median(one.spent) * 1000:.0f} "
                f"| {one.spent[0] * 1000:.0f} | {one.statements} | {one.kilobytes} |"
            )
        office.bridge.stop()


if __name__ == "__main__":
    main()
