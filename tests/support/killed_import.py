"""An attendee import in a process that a test kills, on a local amoCRM with faults."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from amo_bridge.clock import SystemClock
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.mirror.contacts import ContactIndex
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.secrets import known_account
from amo_bridge.webinars.imports.drafts import DraftService, Upload
from amo_bridge.webinars.imports.service import ImportService
from support.bridge_process import BridgeProcess
from support.local_crm import TOKEN, LocalCrm, served
from support.running_bridge import wait_until
from support.webinar_samples import ACCOUNT, ACTIVE, LONG, SCHOOL, SHORT

KILLS, SEED = 3, 5
ATTENDEES, KNOWN = 600, 20
HEAD = "Марина Котова"
# Contacts and leads.
WRITES = "/api/v4/[cl]*"
ON_ITS_WAY_MS = 800
# So long the bridge waits before it looks for what may have got lost; late writes land sooner than that.
SETTLE, LANDS_AFTER_MS = 1.5, 600
PATIENCE = 90.0


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The school's amoCRM."""
    with served(load_world(ACCOUNT)) as crm:
        yield crm


def mail(number: int) -> str:
    return f"guest{number}@example.ru"


def minutes(number: int) -> int:
    return number % 120


def clicked(number: int) -> bool:
    return number % 10 == 0


def table() -> bytes:
    lines = ["Имя;Почта;Телефон;Минут;Кнопки;Дата"]
    for number in range(ATTENDEES):
        buttons = "Баннер" if clicked(number) else ""
        lines.append(f"Гость {number};{mail(number)};+7916{number:07d};{minutes(number)};{buttons};13.09.2021")
    return "\n".join(lines).encode()


def expected(number: int) -> dict[str, Any]:
    stage = ACTIVE if clicked(number) else LONG if minutes(number) > 60 else SHORT
    return {"stage": stage, "tags": ["Баннер"] if clicked(number) else [], "minutes": str(minutes(number))}


class Webinar:
    """One import, and the lives of the process that carries it out; ``cut_off``: how many ended in its middle."""

    def __init__(self, sandbox: LocalCrm, config: Config, folder: Path, seed: int) -> None:
        self._sandbox = sandbox
        self._config = config
        self._folder = folder
        self._rng = random.Random(seed)
        self._environment = {
            "AMO_BRIDGE_ACCOUNT_URL": sandbox.url,
            "AMO_BRIDGE_TOKEN": TOKEN,
            "AMO_BRIDGE_DATA": str(config.data_folder),
            "AMO_BRIDGE_KEY": Fernet.generate_key().decode(),
            "AMO_BRIDGE_SETTLE": str(SETTLE),
        }
        self.store = Store.at(config.bridge.database, config.data_folder)
        self.lives = 0
        self.cut_off = 0
        self.process = self._begin()

    def close(self) -> None:
        self.process.kill()
        self.store.close()

    def _begin(self) -> BridgeProcess:
        self.lives += 1
        log = self._folder / f"life {self.lives}.log"
        return BridgeProcess(log, self._environment, "--config", str(SCHOOL))

    def start(self, people: bytes) -> None:
        """The plan is made and begun, as a page does it beside the bridge."""
        self.process.wait_ready()
        key = known_key(self.store, self._config.account.url)
        account = known_account(self._config, self._environment)
        assert key is not None
        assert account is not None
        wait_until(lambda: ContactIndex(AccountStore(self.store, key)).is_filled, "all contacts are known")
        drafting = DraftService(AccountStore(self.store, key), self._config, account, SystemClock())
        self.book = drafting.book
        (self.number,) = drafting.draft([Upload("люди.csv", people)], "Дарья Зимина")
        self.control = ImportService(AccountStore(self.store, key), drafting, dry_run=False)
        self.control.start(self.number)

    @property
    def is_done(self) -> bool:
        return self.book.get(self.number).state == "done"

    def kill_somewhere(self) -> None:
        """While a write is on its way: amoCRM has done it, or is about to, and its answer has not come yet."""
        slow = self._sandbox.fault("slow", method="POST", path=WRITES, ms=ON_ITS_WAY_MS, count=1)
        wait_until(lambda: self._sandbox.struck(slow) or self.is_done, "it writes", PATIENCE)
        time.sleep(self._rng.uniform(0.0, 0.8 * ON_ITS_WAY_MS / 1000))
        self.process.kill()
        self.cut_off += not self.is_done

    def go_on(self) -> None:
        self.process = self._begin()


def bad_weather(sandbox: LocalCrm, seed: int) -> list[int]:
    """The numbers of the faults."""
    weather: tuple[dict[str, Any], ...] = (
        {"kind": "lost_answer", "path": "/api/v4/contacts", "count": 1},
        {"kind": "lost_answer", "path": "/api/v4/leads", "count": 1},
        {"kind": "slow_write_lands_late", "path": WRITES, "probability": 0.2, "ms": LANDS_AFTER_MS},
        {"kind": "status", "path": WRITES, "status": 502, "probability": 0.1},
    )
    return [sandbox.fault(**fault, method="POST", seed=seed * 100 + number) for number, fault in enumerate(weather)]


def in_amocrm(office: CrmUser) -> dict[str, dict[str, Any]]:
    """Deal's name → what is on it, and how many deals there are of that name."""
    rows = office._rows("/api/v4/leads?with=contacts", "leads")
    counts = Counter(row["name"] for row in rows)
    found = {}
    for row in rows:
        values = {one["field_name"]: str(one["values"][0]["value"]) for one in row["custom_fields_values"] or ()}
        found[row["name"]] = {
            "stage": office._stage_names[row["pipeline_id"], row["status_id"]],
            "tags": sorted(tag["name"] for tag in row["_embedded"]["tags"]),
            "minutes": values.get("Минут на вебинаре"),
            "contacts": [one["id"] for one in row["_embedded"]["contacts"]],
            "count": counts[row["name"]],
        }
    return found
