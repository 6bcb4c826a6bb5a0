"""What the tests of webinars share: the sample files, the school's account, people and plans with sensible values."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from amo_bridge.clock import SystemClock
from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.config.webinar import WebinarSection
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.records import ContactRecord
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.storage.accounts import CONTACTS_FILLED, Cursors, known_key
from amo_bridge.storage.database import AccountStore
from amo_bridge.webinars.attendees import Attendee
from amo_bridge.webinars.formats import read_export
from amo_bridge.webinars.formats.model import Export
from support.local_crm import TOKEN, LocalCrm
from support.running_bridge import UNHURRIED, RunningBridge

SAMPLES = Path(__file__).parents[1] / "samples" / "webinars"
SCHOOL = Path(__file__).parents[2] / "examples" / "webinar.toml"
ACCOUNT = Path(__file__).parents[2] / "amo_bridge" / "sandbox" / "school.json"
MOSCOW = ZoneInfo("Europe/Moscow")
DAY = date(2021, 9, 13)
ACTIVE, LONG, SHORT = (
    f"Вебинары / {name}"
    for name in ("Проявил активность на вебинаре", "Был на вебинаре более часа", "Был на вебинаре менее часа")
)
REPEAT = "Вебинары / Отправлен на повтор вебинара"


def sample(name: str, **how: Any) -> Export:
    """A sample file, read."""
    return read_export(name, (SAMPLES / name).read_bytes(), zone=MOSCOW, **how)


def options(**changed: Any) -> WebinarSection:
    """``[webinar]`` of the shipped example, with some of it changed."""
    section = load(SCHOOL, {}).webinar
    assert section is not None
    return WebinarSection.model_validate({**section.model_dump(), **changed})


def school_config(url: str, folder: Path, **environment: str) -> Config:
    """The shipped example of the school, for an account at ``url``."""
    told = {"AMO_BRIDGE_ACCOUNT_URL": url, "AMO_BRIDGE_DATA": str(folder), **environment}
    config = load(SCHOOL, told)
    return replace(config, account=config.account.model_copy(update={"requests_per_second": UNHURRIED}))


def attendee(name: str = "Анна", **changed: Any) -> Attendee:
    facts: dict[str, Any] = {
        "key": name,
        "name": name,
        "held_on": DAY,
        "minutes": 30.0,
        "mails": (f"{name.casefold()}@example.ru",),
    }
    return Attendee(**(facts | changed))


def fill_contacts(bridge: RunningBridge, sandbox: LocalCrm) -> None:
    """The index of contacts, read from the account once."""
    key = known_key(bridge._store, bridge.config.account.url)
    assert key is not None
    client = CrmClient(sandbox.url, LongLivedToken(TOKEN), LocalRateLimiter(UNHURRIED))
    rows = client.pages("/api/v4/contacts", {"with": "leads"}, "contacts")
    read = [MirroredContact.of(ContactRecord.from_api(row)) for row in rows]
    with bridge._store.write() as connection:
        ContactIndex(AccountStore(bridge._store, key)).put(connection, read, SystemClock().now())
        Cursors(AccountStore(bridge._store, key)).write(connection, CONTACTS_FILLED, 1.0)
