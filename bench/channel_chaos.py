"""``python -m bench.channel_chaos``: letters, SMS, calls, audiences and documents under kill -9 and lost answers.

Vendors refuse, hang up before and after they have done it, tell states late, twice or never; the bridge is killed
between recording and sending. In the end each client has one letter, one SMS and one talk at the vendors, stands once
in the audience, and each file has one copy. What nobody can know (a letter whose answer was lost) is shown as such.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from aiosmtpd.controller import Controller
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from amo_bridge.config.loader import load
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.intake.repository import IntakeAddresses
from amo_bridge.standins.audiences import YandexAudienceStandIn
from amo_bridge.standins.onlinepbx import OnlinePbxStandIn
from amo_bridge.standins.s3 import S3StandIn
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.standins.sms import SmsRuStandIn
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import audience_members, dial_calls, dials, outbox, stored_files
from bench.account import StoreView
from bench.chaos import FAULTS, SETTLE_SECONDS
from bench.databases import database_of
from bench.processes import KilledBridge, Sandbox, bridge_environment, free_port

RULES = Path(__file__).with_name("channels.toml")
CLIENTS, KILLS = 110, 12
"""Yandex takes a hundred clients and more."""
DIALLED = 5
"""Every so many clients are called too."""
UPTIME_SECONDS = (1.0, 8.0)
STEP_SECONDS = 30.0
"""The clocks of amoCRM and of the vendors are moved on together, so much a turn of the loop."""
TURN_SECONDS = 0.4
LEAST_TURNS, MOST_TURNS = 16, 300
"""So long the faults strike: what is to go out falls due in the first turns, on a busy machine it goes out later."""
LEAST_UNHEARD = 3
"""Until so many letters were not answered the faults go on: each of them nobody can know."""
FINISH_TIMEOUT_SECONDS = 420.0
MOST_TOLD = 0.35
"""So many of all may be told as unknown: a bridge that sends nothing and knows nothing would lose nothing either."""
MONDAY = "2026-11-30T11:00"
MANAGERS = ("Иван Петров", "Мария Кузнецова")
NEW, CALLED = "Продажи / Новый клиент", "Продажи / Получение брифа"
CONSENT = "да"
VENDOR_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "lost_answer", "probability": 0.08},
    {"kind": "refuse_before", "probability": 0.05},
    {"kind": "broken", "probability": 0.04},
    {"kind": "limited", "probability": 0.04},
    {"kind": "hook_drop", "probability": 0.2},
    {"kind": "hook_duplicate", "probability": 0.3},
    {"kind": "hook_delay", "probability": 0.2, "seconds": 120},
)


@dataclass
class PostOffice:
    """A mail server that now and then says «later», or hangs up before or after it has taken a letter."""

    chance: random.Random
    is_calm: bool = False
    taken: list[str] = field(default_factory=list)
    struck: int = 0
    unheard: int = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        fate = 1.0 if self.is_calm else self.chance.random()
        self.struck += fate < 0.15
        self.unheard += 0.05 <= fate < 0.15
        if fate < 0.05:
            return "451 later"
        if fate < 0.10:
            server.transport.close()
            return "250 nobody hears this"
        self.taken += envelope.rcpt_tos
        if fate < 0.15:
            server.transport.close()
        return "250 OK"


@dataclass
class ChannelOutcome:
    """What came of it, in words. ``told``: channel → so many that the bridge itself shows as unknown."""

    clients: int
    kills: int = 0
    faults: int = 0
    seconds: float = 0.0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)
    left_open: dict[str, int] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.left_open)


@dataclass(frozen=True)
class Client:
    """``deal``: of amoCRM. ``is_dialled``: he is called too."""

    number: int
    deal: int
    is_dialled: bool

    @property
    def phone(self) -> str:
        return phone_of(self.number)

    @property
    def mail(self) -> str:
        return mail_of(self.number)


def phone_of(number: int) -> str:
    return f"7916{number:07d}"


def mail_of(number: int) -> str:
    return f"client{number}@client.example"


class ChannelChaos:
    """One run in a folder that stays. ``database``: empty for SQLite."""

    def __init__(self, folder: Path, seed: int, clients: int, kills: int, database: str, stack: ExitStack) -> None:
        self._chance = random.Random(seed)
        self._vendors = StandIns(seed=seed)
        url = stack.enter_context(serving(self._vendors))
        self._post = stack.enter_context(_post_office(random.Random(seed + 1)))
        self._sandbox = Sandbox(folder)
        stack.callback(self._sandbox.stop)
        self._config = folder / "config.toml"
        self._config.write_text(_rules(folder, url, self._post[1]), "utf-8")
        self._environment = {
            **bridge_environment(self._sandbox.url, folder, database, SETTLE_SECONDS),
            "AMO_BRIDGE_SMSRU_ID": self._sms.api_id,
            "AMO_BRIDGE_INTAKE_SMSRU_ID": self._sms.api_id,
            "AMO_BRIDGE_ONLINEPBX_KEY": self._exchange.auth_key,
            "AMO_BRIDGE_YANDEX_AUDIENCE_TOKEN": self._yandex.token,
            "AMO_BRIDGE_S3_SECRET": self._s3.secret,
        }
        self._office = CrmUser(self._sandbox.url)
        self._office.begin_at(MONDAY)
        self._bridge = KilledBridge(
            folder, self._environment, self._config, most=kills, uptime=UPTIME_SECONDS, chance=self._chance
        )
        stack.callback(lambda: self._bridge.process.kill())
        self._store = Store.at(database, folder / "data")
        stack.callback(self._store.close)
        self._count, self._clients = clients, list[Client]()
        self.outcome = ChannelOutcome(clients)
        self._seed = seed

    def run(self) -> ChannelOutcome:
        begun = time.monotonic()
        self._bridge.process.wait_ready()
        self._connect_webhooks()
        for number, fault in enumerate(FAULTS):
            self._sandbox.control("POST", "faults", {**fault, "seed": self._seed * 100 + number})
        for fault in VENDOR_FAULTS:
            self._vendors.faults.add(fault["kind"], count=None, **{k: v for k, v in fault.items() if k != "kind"})
        self._clients_come()
        turns = 0
        while not self._bridge.is_spared or turns < LEAST_TURNS or self._post[0].unheard < LEAST_UNHEARD:
            assert turns < MOST_TURNS, "no letter went out while the faults struck"
            self._turn()
            turns += 1
        self._calm_down()
        self.outcome.kills = self._bridge.kills
        self._bridge.restart()
        self.outcome.left_open = self._finish()
        self._compare()
        self.outcome.seconds = time.monotonic() - begun
        return self.outcome

    # --- what happens ---

    def _connect_webhooks(self) -> None:
        config = load(self._config, self._environment)
        for one in IntakeAddresses(config, self._environment).all():
            if one.vendor.name in ("smsru", "onlinepbx"):
                self._vendors[one.vendor.name].configure({"webhook_url": f"{self._bridge.url}{one.path}"})

    def _clients_come(self) -> None:
        """While the bridge is killed now and then."""
        self._bridge.plan_kill()
        for number in range(self._count):
            manager, is_dialled = MANAGERS[number % 2], number % DIALLED == 0
            contact = self._office.new_contact(
                manager, f"Клиент {number}", mail_of(number), f"+{phone_of(number)}", CONSENT
            )
            deal = self._office.new_deal(manager, f"Сделка {number}", CALLED if is_dialled else NEW, contact, 1000)
            self._office.attach(manager, deal, f"Договор {number}.pdf")
            self._clients.append(Client(number, deal, is_dialled))
            self._bridge.kill_if_due()

    def _turn(self) -> None:
        self._office.let_pass(timedelta(seconds=STEP_SECONDS))
        self._vendors.timeline.advance(STEP_SECONDS)
        time.sleep(TURN_SECONDS)
        self._bridge.kill_if_due()

    def _calm_down(self) -> None:
        faults = self._sandbox.control("GET", "faults")["faults"]
        assert isinstance(faults, list)
        struck = [*faults, *self._vendors.faults.shown()]
        self.outcome.faults = sum(fault["struck"] for fault in struck) + self._post[0].struck
        self._sandbox.control("DELETE", "faults")
        self._vendors.faults.clear()
        self._post[0].is_calm = True

    # --- afterwards ---

    def _finish(self) -> dict[str, int]:
        deadline = time.monotonic() + FINISH_TIMEOUT_SECONDS
        while (left := self._open_work()) and time.monotonic() < deadline:
            self._turn()
        return left

    def _open_work(self) -> dict[str, int]:
        """What goes on by itself: not what a person must decide about, nor a dial that waits for another day."""
        waits = dials.c.silent_until <= time.time()
        own = {
            "dials": select(func.count()).select_from(dials).where(dials.c.state.in_(("waiting", "calling")), waits),
            "calls": select(func.count()).select_from(dial_calls).where(
                dial_calls.c.state.in_(("asking", "placed", "doubt"))
            ),
            "audience": select(func.count()).select_from(audience_members).where(audience_members.c.state == "queued"),
            "files": select(func.count()).select_from(stored_files).where(stored_files.c.state == "putting"),
        }  # fmt: skip
        with self._store.read() as connection:
            counts = {name: int(connection.execute(query).scalar_one()) for name, query in own.items()}
        return {**StoreView(self._store).open_work(), **{name: count for name, count in counts.items() if count}}

    def _compare(self) -> None:
        unknown = self._unknown()
        self.outcome.told = {kind: len(deals) for kind, deals in unknown.items() if deals}
        letters = Counter(self._post[0].taken)
        messages = Counter(one.phone for one in self._sms.messages.values())
        talks = Counter(call.client for call in self._exchange.board.calls if call.talk)
        copies = Counter(int(key.split("/")[1].split()[0]) for key in self._s3.files())
        for one in self._clients:
            self._judge(one, "letter", letters[one.mail], one.deal in unknown["send_letter"])
            self._judge(one, "sms", messages[one.phone], one.deal in unknown["send_sms"])
            self._judge(one, "copy", copies[one.deal], one.deal in unknown["store_file"])
            if one.is_dialled:
                self._judge(one, "talk", talks[one.phone], one.deal in unknown["dial"])
        for kind, many in self.outcome.told.items():
            if many > MOST_TOLD * len(self._clients):
                self.outcome.lost.append(f"{kind}: {many} told as unknown, more than faults explain")
        members = [len(segment.lines) for segment in self._yandex.segments.values()]
        if members != [len(self._clients)]:
            found = self.outcome.doubled if sum(members) > len(self._clients) else self.outcome.lost
            found.append(f"audience: {members} of {len(self._clients)}")

    def _judge(self, client: Client, what: str, count: int, is_told: bool) -> None:
        if count > 1:
            self.outcome.doubled.append(f"{client.deal}: {what} {count} times")
        elif not count and not is_told:
            self.outcome.lost.append(f"{client.deal}: {what}")

    def _unknown(self) -> Mapping[str, set[int]]:
        """Kind → deals of what the bridge says it does not know."""
        found: dict[str, set[int]] = {"send_letter": set(), "send_sms": set(), "store_file": set(), "dial": set()}
        with self._store.read() as connection:
            for row in connection.execute(select(outbox.c.kind, outbox.c.deal_id).where(outbox.c.state == "unknown")):
                found.setdefault(row.kind, set()).add(row.deal_id)
            undecided = select(dials.c.deal_id).where(dials.c.state == "undecided")
            found["dial"] |= set(connection.execute(undecided).scalars())
        return found

    @property
    def _sms(self) -> SmsRuStandIn:
        made = self._vendors["smsru"]
        assert isinstance(made, SmsRuStandIn)
        return made

    @property
    def _exchange(self) -> OnlinePbxStandIn:
        made = self._vendors["onlinepbx"]
        assert isinstance(made, OnlinePbxStandIn)
        return made

    @property
    def _yandex(self) -> YandexAudienceStandIn:
        made = self._vendors["yandex_audience"]
        assert isinstance(made, YandexAudienceStandIn)
        return made

    @property
    def _s3(self) -> S3StandIn:
        made = self._vendors["s3"]
        assert isinstance(made, S3StandIn)
        return made


def _rules(folder: Path, vendors: str, mail_port: int) -> str:
    """The rules with the vendors' addresses, and the letter they send."""
    letters = folder / "letters"
    letters.mkdir(exist_ok=True)
    (letters / "приветствие.txt").write_text("Тема: Здравствуйте\n\nМы получили вашу заявку.\n", "utf-8")
    told = {"vendors": vendors, "mail_port": str(mail_port), "templates": str(letters)}
    text = RULES.read_text("utf-8")
    for name, value in told.items():
        text = text.replace(f"<{name}>", value)
    return text


@contextmanager
def _post_office(chance: random.Random) -> Iterator[tuple[PostOffice, int]]:
    """A mail server, and its port."""
    office, port = PostOffice(chance), free_port()
    controller = Controller(office, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield office, port
    finally:
        controller.stop()


def run_channel_chaos(
    folder: Path, *, seed: int, clients: int = CLIENTS, kills: int = KILLS, database: str = ""
) -> ChannelOutcome:
    """One run in a folder that stays."""
    with ExitStack() as stack:
        return ChannelChaos(folder, seed, clients, kills, database, stack).run()


@click.command()
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same faults.")
@click.option("--clients", default=CLIENTS, show_default=True, help="So many, each with a letter, an SMS and a file.")
@click.option("--kills", default=KILLS, show_default=True, help="So many kill -9 of the bridge.")
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
def main(seed: int, clients: int, kills: int, database: str) -> None:
    """Have a bridge write and call while it is killed again and again; exit 1 if anything is doubled or lost."""
    console = Console(highlight=False, width=140)
    with tempfile.TemporaryDirectory(prefix="amo-bridge-channels-") as name, database_of(database) as url:
        outcome = run_channel_chaos(Path(name), seed=seed, clients=clients, kills=kills, database=url)
    table = Table("what", "how much", title=f"chaos of channels, {database}")
    table.add_row("clients", str(outcome.clients))
    table.add_row("kill -9, faults that struck", f"{outcome.kills}, {outcome.faults}")
    for label in ("lost", "doubled"):
        table.add_row(label, "; ".join(getattr(outcome, label)) or "0")
    table.add_row("told as unknown", str(outcome.told or 0))
    table.add_row("left undone", str(outcome.left_open or 0))
    table.add_row("seconds", f"{outcome.seconds:.0f}")
    console.print(table)
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
