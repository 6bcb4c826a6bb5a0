"""The webinar team at work on a running bridge, and what stands in amoCRM then."""

from __future__ import annotations

from typing import Any

from amo_bridge.crm.account import Account
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.secrets import small_state
from amo_bridge.webinars.imports.drafts import DraftService, Upload
from amo_bridge.webinars.imports.model import ImportRow
from amo_bridge.webinars.imports.service import ImportService
from support.running_bridge import ENVIRONMENT, RunningBridge, wait_until
from support.webinar_samples import SAMPLES

HEADER = "Имя;Почта;Телефон;Минут;Кнопки;Дата"


class Team:
    """The webinar team, working on the store of a running bridge as a page or a command does."""

    def __init__(self, running: RunningBridge) -> None:
        config = running.config
        self.store = Store.at(config.bridge.database, config.data_folder)
        key = known_key(self.store, config.account.url)
        assert key is not None
        self.key = key
        kept = small_state(config, ENVIRONMENT).accounts.read(config.account.url)
        self.drafting = DraftService(
            AccountStore(self.store, key), config, Account.from_json(kept["account"]), running.bridge.clock
        )  # fmt: skip
        self.book = self.drafting.book
        self.control = ImportService(AccountStore(self.store, key), self.drafting, dry_run=False)

    def upload(self, *files: str | Upload) -> int:
        uploads = [one if isinstance(one, Upload) else Upload(one, (SAMPLES / one).read_bytes()) for one in files]
        (number,) = self.drafting.draft(uploads, "Дарья Зимина")
        return number

    def standing(self, number: int) -> dict[str, tuple[str, str]]:
        return {kept.row.person.name: (kept.row.standing, kept.row.what) for kept in self.book.rows(number)}

    def person(self, number: int, name: str) -> ImportRow:
        """The row of somebody."""
        return next(kept for kept in self.book.rows(number) if kept.row.person.name == name)

    def wait(self, number: int, state: str) -> None:
        wait_until(lambda: self.book.get(number).state == state, f"import {number} is {state}")

    def load(self, *files: str | Upload) -> int:
        number = self.upload(*files)
        self.control.start(number)
        self.wait(number, "done")
        return number


def table(*people: str, header: str = HEADER) -> Upload:
    """A table of the usual columns, a line each."""
    return Upload("people.csv", "\n".join((header, *people)).encode())


def deals(office: CrmUser) -> dict[str, dict[str, Any]]:
    """All deals: name → stage and figures, as people see them."""
    return {
        row["name"]: {
            "id": row["id"],
            "stage": stage,
            "tags": sorted(tag["name"] for tag in row["_embedded"]["tags"]),
            "minutes": office.value(row["id"], "Минут на вебинаре"),
        }
        for stage in office.stages
        for row in office.deals_on(stage)
    }
