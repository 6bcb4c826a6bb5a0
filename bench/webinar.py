"""A webinar's attendees into an account with many contacts: what the import itself asks amoCRM.

Of the attendees 60 % are new, 20 % are contacts without an open deal, 20 % have an open deal with a manager. The index
of contacts is filled, as a running bridge keeps it; the local amoCRM holds those of them that are spoken of.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import requests
from sqlalchemy import event
from sqlalchemy.engine import Engine

from amo_bridge.clock import SystemClock
from amo_bridge.config.loader import load
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient, batches
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.records import DealRecord
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.sandbox import delivery
from amo_bridge.sandbox.account_file import SCHOOL
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.sandbox.middleware import KeepAliveServer
from amo_bridge.sandbox.server import create_app
from amo_bridge.sandbox.world import World
from amo_bridge.storage.accounts import CONTACTS_FILLED, Cursors, key_of
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.webinars.imports.drafts import DraftService, Upload
from amo_bridge.webinars.imports.executor import ImportExecutor
from amo_bridge.webinars.imports.service import ImportService

EXAMPLE = Path(__file__).parent.parent / "examples" / "webinar.toml"
TOKEN = "sandbox-token"
BATCH_SIZE, INDEX_BATCH_SIZE = 250, 5000
# A client that asks and writes for each person one by one: find the person, make the contact, make the deal.
NAIVE_REQUESTS = 3
# Ids of contacts that are only in the index: no request is made about them.
ELSEWHERE = 900_000_000


@dataclass(frozen=True)
class Imported:
    """``failed``: rows that were not carried out; ``doubled``: people who got a second contact; ``statements``: of the
    store; ``cpu``: seconds of processor of the bridge's own thread, from the reading of the file to the end."""

    attendees: int
    contacts: int
    requests: int
    seconds: float
    failed: int
    doubled: int
    statements: int
    cpu: float

    @property
    def naive(self) -> int:
        return self.attendees * NAIVE_REQUESTS


def import_attendees(
    folder: Path, attendees: int, contacts: int, progress: Callable[[str], None], *, lack_phones: bool = False
) -> Imported:
    """Fill an account, upload a table of so many people, carry the import out.

    ``lack_phones``: none of the known contacts has the phone that is in the table.
    """
    with local_crm(load_world(SCHOOL)) as url:
        client = CrmClient(url, LongLivedToken(TOKEN), LocalRateLimiter(10_000))
        account = Account.read(client)
        config = load(EXAMPLE, {"AMO_BRIDGE_ACCOUNT_URL": url, "AMO_BRIDGE_DATA": str(folder)})
        store = Store.in_folder(folder)
        store.prepare()
        key = key_of(store, account, url)
        progress("filling the account and the index of contacts")
        _fill(AccountStore(store, key), client, account, attendees, contacts, lack_phones=lack_phones)
        drafting = DraftService(AccountStore(store, key), replace(config, rules=()), account, SystemClock())
        cpu = time.thread_time()
        (number,) = drafting.draft([Upload("people.csv", _table(attendees))], "bench")
        requests.delete(f"{url}/sandbox/requests", timeout=60)
        statements: list[str] = []

        def count(_: object, __: object, statement: str, *___: object) -> None:
            statements.append(statement)

        event.listen(Engine, "before_cursor_execute", count)
        begun = datetime.now(UTC)
        ImportService(AccountStore(store, key), drafting, dry_run=False).start(number)
        rule_engine = RuleEngine.of(replace(config, rules=()), account, SystemClock())
        importer = ImportExecutor(AccountStore(store, key), client, lambda: rule_engine, SystemClock(), SystemClock())
        while importer.step():
            counts = drafting.book.counts(number)
            progress(f"{counts.settled:,} of {counts.all:,} attendees")
        seconds = (datetime.now(UTC) - begun).total_seconds()
        cpu = time.thread_time() - cpu
        event.remove(Engine, "before_cursor_execute", count)
        sent = int(requests.get(f"{url}/sandbox/requests/count", timeout=60).json()["total"])
        state = drafting.book.counts(number).state
        made = len(list(client.pages("/api/v4/contacts", {}, "contacts")))
        store.close()
    known = attendees - _new(attendees)
    doubled = made - 4 - known - _new(attendees)
    failed = attendees - state.get("done", 0)
    return Imported(attendees, contacts, sent, seconds, failed, doubled, len(statements), cpu)


def _new(attendees: int) -> int:
    return attendees * 3 // 5


def _table(attendees: int) -> bytes:
    """Minutes differ, every tenth has clicked the banner."""
    lines = ["Имя;Почта;Телефон;Минут;Кнопки;Дата"]
    for number in range(attendees):
        clicked = "Баннер" if number % 10 == 0 else ""
        lines.append(f"Гость {number};{_mail(number)};{_phone(number)};{number % 120};{clicked};13.09.2021")
    return "\n".join(lines).encode()


def _mail(number: int) -> str:
    return f"guest{number}@example.ru"


def _phone(number: int) -> str:
    return f"+7916{number:07d}"


def _fill(
    store: AccountStore, client: CrmClient, account: Account, attendees: int, contacts: int, *, lack_phones: bool
) -> None:
    """The last of the attendees are known; every second of them has an open deal with a manager."""
    known = range(_new(attendees), attendees)
    ids = [made for batch in batches(known, BATCH_SIZE) for made in _make_contacts(client, account, batch)]
    deals = _make_deals(client, account, ids[::2])
    indexed = [
        MirroredContact(
            id=made,
            name="x",
            mails=(_mail(number),),
            phones=() if lack_phones else (_phone(number),),
            deal_ids=deals.get(made, ()),
        )
        for number, made in zip(known, ids, strict=True)
    ]
    others = (
        MirroredContact(id=ELSEWHERE + number, name="x", mails=(f"other{number}@example.ru",))
        for number in range(contacts - len(indexed))
    )
    now = datetime.now(UTC)
    index, mirror = ContactIndex(store), Mirror(store)
    for batch in batches([*indexed, *others], INDEX_BATCH_SIZE):
        with store.write() as connection:
            index.put(connection, batch, now)
    rows = client.pages("/api/v4/leads", {"with": "contacts"}, "leads")
    with store.write() as connection:
        mirror.put(connection, [MirroredDeal(DealRecord.from_api(row), now) for row in rows], now)
        Cursors(store).write(connection, CONTACTS_FILLED, 1.0)


def _make_contacts(client: CrmClient, account: Account, numbers: Sequence[int]) -> list[int]:
    field = account.field("EMAIL", "contacts").id
    bodies = [
        {"name": f"Гость {number}", "custom_fields_values": [{"field_id": field, "values": [{"value": _mail(number)}]}]}
        for number in numbers
    ]
    return [row["id"] for row in client.post("/api/v4/contacts", bodies)["_embedded"]["contacts"]]


def _make_deals(client: CrmClient, account: Account, contacts: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """contact id → its open deal."""
    stage, manager = account.stage("Вебинары / Думает (поговорили)"), account.user("Наталья Белова").id
    found: dict[int, tuple[int, ...]] = {}
    for batch in batches(contacts, BATCH_SIZE):
        common = {
            "name": "x", "pipeline_id": stage.pipeline_id, "status_id": stage.status_id, "responsible_user_id": manager,
        }  # fmt: skip
        bodies = [{**common, "_embedded": {"contacts": [{"id": contact}]}} for contact in batch]
        made = client.post("/api/v4/leads", bodies)["_embedded"]["leads"]
        found |= {contact: (row["id"],) for contact, row in zip(batch, made, strict=True)}
    return found


@contextmanager
def local_crm(world: World) -> Iterator[str]:
    """A local amoCRM in this process, without its limit of requests; its address."""
    app = create_app(world)
    server = KeepAliveServer("127.0.0.1", 0, app)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://127.0.0.1:{server.port}"
    requests.post(f"{url}/sandbox/limits", json={"enabled": False}, timeout=60)
    try:
        yield url
    finally:
        delivery.of(app).sender.close()
        server.shutdown()
        server.cut_connections()
        server.server_close()
