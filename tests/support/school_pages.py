"""The school's pages with nobody at work behind them: what a person has begun stays as he left it."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

from amo_bridge.clock import SystemClock
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.storage.accounts import CONTACTS_FILLED, Cursors
from amo_bridge.storage.database import AccountStore
from amo_bridge.webinars.imports.repository import ImportRepository
from support.local_crm import TOKEN, served
from support.pages import NOWHERE, Pages, Visit
from support.running_bridge import UNHURRIED
from support.webinar_samples import ACCOUNT, SAMPLES, school_config

NATALIA, IGOR, OLENA, SECOND_CARD = range(40000001, 40000005)
CONTACTS = (
    MirroredContact(id=NATALIA, name="Наталья Ёлкина", mails=("n.elkina@example.ru",), phones=("+79167654321",)),
    MirroredContact(id=IGOR, name="Игорь Петрович", phones=("+79031112233",)),
    MirroredContact(id=OLENA, name="Олена", phones=("+380501234567",), mails=("o.koval@example.com",)),
    MirroredContact(id=SECOND_CARD, phones=("+380501234567",)),
)


@cache
def school() -> Account:
    """The school's account, read once for all tests."""
    with served(load_world(ACCOUNT)) as crm:
        return Account.read(CrmClient(crm.url, LongLivedToken(TOKEN), LocalRateLimiter(UNHURRIED)))


def school_pages(folder: Path) -> Pages:
    """They know the account and its contacts."""
    pages = Pages.of(school_config(NOWHERE, folder))
    pages.meet_account()
    pages.know_account(school())
    store, key = pages.office.store, pages.account.key
    with store.write() as connection:
        ContactIndex(AccountStore(store, key)).put(connection, CONTACTS, SystemClock().now())
        Cursors(AccountStore(store, key)).write(connection, CONTACTS_FILLED, 1.0)
    return pages


def book_of(pages: Pages) -> ImportRepository:
    return ImportRepository(AccountStore(pages.office.store, pages.account.key), SystemClock())


def drafted(visit: Visit, content: bytes | None = None, name: str = "people.csv") -> None:
    """A draft of these people; of the sample table's, if nothing is told."""
    content = content or (SAMPLES / "generic_cp1251.csv").read_bytes()
    assert visit.post("/webinars", {"files": (io.BytesIO(content), name)}).status_code == 302
