"""``python -m bench.enquiry_chaos``: enquiries of few people by six vendors, each sent twice, under kill -9 and faults.

A vendor repeats until the bridge has answered, as vendors do. In the end each person is one contact with one deal, and
what he said stands on it once. ``--calm``: no faults, each sent once: what they cost in requests.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import requests
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from amo_bridge.channels.telephony import zadarma_signature
from amo_bridge.config.loader import load
from amo_bridge.intake.repository import IntakeAddresses
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import enquiries, intake_requests
from bench.account import StoreView
from bench.chaos import FAULTS, SETTLE_SECONDS
from bench.databases import database_of
from bench.processes import KilledBridge, Sandbox, bridge_environment
from bench.storm import wait_quiet

RULES = Path(__file__).with_name("enquiries.toml")
SECRETS = {
    "AMO_BRIDGE_INTAKE_TILDA_KEY": "tilda-key",
    "AMO_BRIDGE_INTAKE_VK_SECRET": "vk-secret",
    "AMO_BRIDGE_INTAKE_VK_CONFIRMATION": "c0de",
    "AMO_BRIDGE_INTAKE_TELEGRAM_SECRET": "telegram-secret",
    "AMO_BRIDGE_INTAKE_ZADARMA_SECRET": "zadarma-secret",
}
ENQUIRIES, PEOPLE, KILLS = 300, 60, 12
CONNECTIONS = 8
UPTIME_SECONDS = (0.3, 6.0)
# How long all may take once the faults are over.
FINISH_TIMEOUT_SECONDS = 300.0
OURS, STARTED = "74950000001", "2026-11-29 11:00:00"
Request = tuple[bytes | Mapping[str, str], Mapping[str, str]]


@dataclass(frozen=True)
class Said:
    """One enquiry: who sends it by which vendor. ``words``: stand in no other one."""

    number: int
    person: int
    vendor: str

    @property
    def phone(self) -> str:
        return f"+7905{self.person:07d}"

    @property
    def words(self) -> str:
        return f"вопрос №{self.number:05d}!"

    @property
    def is_call(self) -> bool:
        """A call has no words: of it there is a task or a note, as the rule says."""
        return self.vendor == "zadarma"

    def request(self) -> Request:
        return BUILDERS[self.vendor](self)


def _json(document: Any, headers: Mapping[str, str] | None = None) -> Request:
    return json.dumps(document).encode(), {"Content-Type": "application/json", **(headers or {})}


def _tilda(said: Said) -> Request:
    fields = {"Name": f"Гость {said.person}", "Phone": said.phone, "Comments": said.words, "tranid": f"{said.number}:1"}
    return fields, {"X-Key": SECRETS["AMO_BRIDGE_INTAKE_TILDA_KEY"]}


def _mapped(said: Said) -> Request:
    """A form that numbers its enquiries: one without a number is known for a minute only."""
    return _json({"id": said.number, "name": f"Гость {said.person}", "phone": said.phone, "message": said.words})


def _jivo(said: Said) -> Request:
    visitor = {"name": f"Гость {said.person}", "phone": said.phone}
    number = str(said.number)
    return _json(
        {"event_name": "offline_message", "offline_message_id": number, "visitor": visitor, "message": said.words}
    )


def _vk(said: Said) -> Request:
    text = f"{said.words} {said.phone}"
    message = {"from_id": said.person + 1, "peer_id": said.person + 1, "id": said.number, "text": text}
    event = {"type": "message_new", "event_id": f"e{said.number}", "group_id": 1, "object": {"message": message}}
    return _json({**event, "secret": SECRETS["AMO_BRIDGE_INTAKE_VK_SECRET"]})


def _telegram(said: Said) -> Request:
    sender = {"id": said.person + 1, "is_bot": False, "first_name": f"Гость {said.person}"}
    message = {"message_id": said.number, "date": 1, "text": f"{said.words} {said.phone}", "from": sender}
    chat = {"id": said.person + 1, "type": "private"}
    secret = {"X-Telegram-Bot-Api-Secret-Token": SECRETS["AMO_BRIDGE_INTAKE_TELEGRAM_SECRET"]}
    return _json({"update_id": said.number, "message": {**message, "chat": chat}}, secret)


def _zadarma(said: Said) -> Request:
    """Not answered: nothing is added to the card later."""
    fields = {
        "event": "NOTIFY_END", "caller_id": said.phone, "called_did": OURS, "call_start": STARTED, "duration": "0",
        "pbx_call_id": f"in_{said.number}", "disposition": "no answer",
    }  # fmt: skip
    signed = f"{said.phone}{OURS}{STARTED}"
    return fields, {"Signature": zadarma_signature(SECRETS["AMO_BRIDGE_INTAKE_ZADARMA_SECRET"], signed)}


BUILDERS: Mapping[str, Callable[[Said], Request]] = {
    "tilda": _tilda,
    "mapped": _mapped,
    "jivo": _jivo,
    "vk": _vk,
    "telegram": _telegram,
    "zadarma": _zadarma,
}


@dataclass
class EnquiryOutcome:
    """What came of it, in words: what is missing, what is there twice, what the bridge left open."""

    enquiries: int
    people: int
    posts: int = 0
    kills: int = 0
    faults: int = 0
    refused: int = 0
    requests: int = 0
    seconds: float = 0.0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    left_open: dict[str, int] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.left_open)


class EnquiryChaos:
    """One run in a folder that stays. ``database``: empty for SQLite."""

    def __init__(self, folder: Path, *, seed: int, enquiries: int, people: int, kills: int, database: str = "") -> None:
        self._rng = random.Random(seed)
        self._seed = seed
        self._sandbox = Sandbox(folder)
        environment = bridge_environment(self._sandbox.url, folder, database, SETTLE_SECONDS)
        self._environment = {**environment, **SECRETS}
        self._bridge = KilledBridge(
            folder, self._environment, RULES, most=kills, uptime=UPTIME_SECONDS, chance=self._rng
        )
        self._paths: dict[str, str] = {}
        self._store = Store.at(database, folder / "data")
        vendors = list(BUILDERS)
        self._said = [Said(number, number % people, self._rng.choice(vendors)) for number in range(enquiries)]
        self.outcome = EnquiryOutcome(enquiries, people)

    def close(self) -> None:
        self._bridge.process.kill()
        self._sandbox.stop()
        self._store.close()

    def run(self) -> EnquiryOutcome:
        begun = time.monotonic()
        before = self._begin()
        for number, fault in enumerate(FAULTS):
            self._sandbox.control("POST", "faults", {**fault, "seed": self._seed * 100 + number})
        self._send()
        faults = self._sandbox.control("GET", "faults")["faults"]
        assert isinstance(faults, list)
        self.outcome.faults = sum(fault["struck"] for fault in faults)
        self._sandbox.control("DELETE", "faults")
        self.outcome.kills = self._bridge.kills
        self._bridge.restart()
        self.outcome.left_open = self._finish()
        self._compare(before)
        self.outcome.requests = self._sandbox.requests_made()
        self.outcome.seconds = time.monotonic() - begun
        return self.outcome

    def run_calm(self) -> EnquiryOutcome:
        """Each enquiry once, by several connections, to a bridge that has nothing else to do."""
        before = self._begin()
        wait_quiet(self._sandbox)
        self._sandbox.control("DELETE", "requests")
        begun = time.monotonic()
        with ThreadPoolExecutor(CONNECTIONS) as pool, requests.Session() as session:
            self.outcome.refused = list(pool.map(lambda said: self._post(session, said), self._said)).count(False)
        self.outcome.left_open = self._finish()
        self.outcome.requests = self._sandbox.requests_made()
        self.outcome.seconds = time.monotonic() - begun
        self._compare(before)
        return self.outcome

    def _begin(self) -> dict[str, set[object]]:
        """Wait until the bridge is ready; what there is before the first enquiry."""
        self._bridge.process.wait_ready()
        # Their secret is in the store, whose tables the bridge has made.
        addresses = IntakeAddresses(load(RULES, self._environment), self._environment)
        self._paths = {one.vendor.name: one.path for one in addresses.all()}
        return {kind: {row["id"] for row in self._sandbox.table(kind)} for kind in ("contacts", "leads")}

    # --- vendors ---

    def _send(self) -> None:
        """Each twice, in any order; the bridge is killed meanwhile, at times that have nothing to do with it."""
        posts = self._said * 2
        self._rng.shuffle(posts)
        self._bridge.plan_kill()
        with requests.Session() as session:
            for said in posts:
                while not self._post(session, said):
                    self._bridge.kill_if_due()
                    time.sleep(0.05)
                self._bridge.kill_if_due()
        while not self._bridge.is_spared:
            self._bridge.kill_if_due()
            time.sleep(0.05)

    def _post(self, session: requests.Session, said: Said) -> bool:
        """Has the vendor been thanked?"""
        body, headers = said.request()
        self.outcome.posts += 1
        try:
            url = f"{self._bridge.url}{self._paths[said.vendor]}"
            return session.post(url, data=body, headers=dict(headers), timeout=10).status_code == 200
        except requests.RequestException:
            return False

    # --- afterwards ---

    def _finish(self) -> dict[str, int]:
        deadline = time.monotonic() + FINISH_TIMEOUT_SECONDS
        while (left := self._open_work()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left

    def _open_work(self) -> dict[str, int]:
        own = {
            "requests": select(func.count()).select_from(intake_requests).where(intake_requests.c.state == "new"),
            "enquiries": select(func.count()).select_from(enquiries).where(enquiries.c.state.in_(("new", "sent"))),
            "refused": select(func.count()).select_from(enquiries).where(enquiries.c.state == "refused"),
        }
        with self._store.read() as connection:
            counts = {name: int(connection.execute(query).scalar_one()) for name, query in own.items()}
        return {**StoreView(self._store).open_work(), **{name: count for name, count in counts.items() if count}}

    def _compare(self, before: Mapping[str, set[object]]) -> None:
        """One contact and one deal a person; each enquiry once in the store, its words once in the account."""
        people = {said.person for said in self._said}
        for kind in ("contacts", "leads"):
            made = sum(row["id"] not in before[kind] for row in self._sandbox.table(kind))
            found = self.outcome.doubled if made > len(people) else self.outcome.lost
            if made != len(people):
                found.append(f"{kind}: {made} of {len(people)}")
        texts = Counter(self._words())
        for said in self._said:
            if said.is_call:
                continue
            count = texts[said.words]
            if count != 1:
                found = self.outcome.doubled if count else self.outcome.lost
                found.append(f"{said.words} by {said.vendor} of person {said.person}: {count} times")
        with self._store.read() as connection:
            kept = int(connection.execute(select(func.count()).select_from(enquiries)).scalar_one())
        if kept != len(self._said):
            found = self.outcome.doubled if kept > len(self._said) else self.outcome.lost
            found.append(f"enquiries in the store: {kept} of {len(self._said)}")

    def _words(self) -> Iterator[str]:
        """The words of each enquiry, as often as they stand in notes."""
        for note in self._sandbox.table("notes"):
            params = note["params"]
            text = str(params.get("text", "")) if isinstance(params, dict) else ""
            yield from (said.words for said in self._said if said.words in text for _ in range(text.count(said.words)))


def run_enquiry_chaos(
    folder: Path,
    *,
    seed: int,
    enquiries: int = ENQUIRIES,
    people: int = PEOPLE,
    kills: int = KILLS,
    database: str = "",
    calm: bool = False,
) -> EnquiryOutcome:
    """One run in a folder that stays. ``calm``: without kills and faults."""
    chaos = EnquiryChaos(folder, seed=seed, enquiries=enquiries, people=people, kills=kills, database=database)
    try:
        return chaos.run_calm() if calm else chaos.run()
    finally:
        chaos.close()


@click.command()
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same enquiries and faults.")
@click.option("--enquiries", default=ENQUIRIES, show_default=True, help="So many enquiries, each sent twice.")
@click.option("--people", default=PEOPLE, show_default=True, help="Of so many people.")
@click.option("--kills", default=KILLS, show_default=True, help="So many kill -9 of the bridge.")
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--calm", is_flag=True, help="No kills, no faults: what they cost in requests.")
def main(seed: int, enquiries: int, people: int, kills: int, database: str, calm: bool) -> None:
    """Send enquiries to a bridge that is killed again and again; exit 1 if one is lost or doubled."""
    console = Console(highlight=False, width=140)
    with tempfile.TemporaryDirectory(prefix="amo-bridge-enquiries-") as name, database_of(database) as url:
        outcome = run_enquiry_chaos(
            Path(name), seed=seed, enquiries=enquiries, people=people, kills=kills, database=url, calm=calm
        )
    table = Table("what", "how much", title=f"chaos of enquiries, {database}")
    table.add_row("enquiries, people", f"{outcome.enquiries}, {outcome.people}")
    table.add_row("posts of vendors", str(outcome.posts))
    table.add_row("kill -9, faults that struck", f"{outcome.kills}, {outcome.faults}")
    table.add_row("requests of the bridge", f"{outcome.requests}, {outcome.requests / outcome.enquiries:.2f} each")
    for label in ("lost", "doubled"):
        table.add_row(label, "; ".join(getattr(outcome, label)) or "0")
    table.add_row("left undone", str(outcome.left_open or 0))
    table.add_row("seconds", f"{outcome.seconds:.0f}")
    console.print(table)
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
