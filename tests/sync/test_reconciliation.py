"""The look for missed changes: cheap where nothing happened; page by page where much did, with hooks in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from sqlalchemy import func, insert, select
from support.fakes import ACCOUNT, agency, client_of
from support.local_crm import TOKEN, LocalCrm

from amo_bridge.clock import FixedClock
from amo_bridge.crm import events_api
from amo_bridge.crm.reads import deals_by_ids
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.engine.event_queue import decode_new
from amo_bridge.errors import CrmUncertain
from amo_bridge.mirror import contacts
from amo_bridge.mirror.contacts import ContactIndex, ContactRefresher
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.runtime.worker import RECONCILE, Worker
from amo_bridge.storage.accounts import HOOK_SEEN, RECONCILED_AT, RECONCILED_UNTIL, Cursors
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events, found, inbox
from amo_bridge.sync import reconciliation
from amo_bridge.sync.reconciliation import Reconciler
from amo_bridge.sync.subscription import Watchdog

NEW, MEETING, OFFER = "Продажи / Новый клиент", "Продажи / Встреча назначена", "Продажи / Согласование КП"
LISTS = {"GET /api/v4/events", "GET /api/v4/leads", "GET /api/v4/contacts"}
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)
# Whoever reads the whole of each list at once.
IN_ONE_GO = ACCOUNT + 1


@dataclass
class Account:
    """An account in which much happens that no hook tells of. ``again`` counts how often a look went on."""

    crm: LocalCrm
    office: CrmUser
    store: Store
    client: Any
    person: str
    again: int = 0

    def reconciler(self, key: int = ACCOUNT) -> Reconciler:
        """As a new process makes it."""
        clock = FixedClock(self.office.now())
        contacts = ContactRefresher(AccountStore(self.store, key), self.client, clock)
        made = Reconciler(AccountStore(self.store, key), self.client, clock, clock, contacts, self.ask_again)
        made.begin()
        return made

    def ask_again(self) -> None:
        self.again += 1

    def look(self, reconciler: Reconciler) -> list[int | None]:
        """Run until the look is over; what each run told."""
        told = [reconciler.run()]
        while told[-1] is None:
            told.append(reconciler.run())
        return told

    def much_happens(self, deals: int = 3) -> list[int]:
        made = []
        for number in range(deals):
            self.crm.later()
            contact = self.office.new_contact(self.person, f"Клиент {number}")
            made.append(self.office.new_deal(self.person, f"Ромашка {number}", NEW, contact, number))
        for stage in (MEETING, OFFER):
            for deal in made:
                self.crm.later()
                self.office.move(self.person, deal, stage)
                self.note(deal, stage)
        self.crm.later()
        return made

    def note(self, deal: int, text: str) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Sandbox-Person": str(self.office.users[self.person])}
        note = [{"note_type": "common", "params": {"text": text}}]
        requests.post(f"{self.crm.url}/api/v4/leads/{deal}/notes", json=note, headers=headers, timeout=30)

    def told(self, key: int = ACCOUNT) -> list[tuple[str, int, str | None, str]]:
        """The events that were handed on, in their order: kind, deal, moment, key."""
        with self.store.read() as connection:
            rows = connection.execute(select(events).where(events.c.account == key).order_by(events.c.id)).all()
        return [(json.loads(row.body)["type"], row.deal_id, json.loads(row.body).get("at"), row.key) for row in rows]

    def made_on(self) -> set[int | None]:
        """The stages on which deals were made, by what was handed on."""
        with self.store.read() as connection:
            bodies = connection.execute(select(events.c.body).where(events.c.account == ACCOUNT)).scalars().all()
        return {told["status_id"] for told in map(json.loads, bodies) if told["type"] == "DealAdded"}

    def lists_read(self) -> int:
        return sum(count for path, count in self.crm.requests().items() if path in LISTS)


@pytest.fixture
def account(sandbox: LocalCrm, office: CrmUser, store: Store) -> Account:
    there = Account(sandbox, office, store, client_of(sandbox.url), next(iter(office.users)))
    for key in (ACCOUNT, IN_ONE_GO):
        there.reconciler(key)
    sandbox.later()
    return there


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "PAGE", 2)
    monkeypatch.setattr(reconciliation, "PAGE", 2)
    monkeypatch.setattr(events_api, "PAGE_SIZE", 2)
    monkeypatch.setattr(contacts, "PAGE", 2)
    monkeypatch.setattr(reconciliation, "BATCH_SIZE", 4)


@pytest.fixture
def at_once(account: Account) -> Callable[[], list[Any]]:
    """What a look tells that reads each list in one go."""

    def read() -> list[Any]:
        account.look(account.reconciler(IN_ONE_GO))
        return account.told(IN_ONE_GO)

    return read


def test_where_nothing_happened_it_costs_three_requests(account: Account) -> None:
    account.crm.forget_requests()
    assert account.look(account.reconciler()) == [0]
    assert account.crm.requests() == dict.fromkeys(LISTS, 1)


def test_many_pages_tell_the_same_in_the_same_order(
    account: Account, at_once: Callable[[], list[Any]], request: pytest.FixtureRequest
) -> None:
    deals = account.much_happens()
    whole = at_once()
    request.getfixturevalue("small_pages")
    looking = account.reconciler()
    handed_on = account.look(looking)
    assert account.told() == whole
    assert [moment for _, _, moment, _ in whole] == sorted(moment for _, _, moment, _ in whole)
    assert {deal for _, deal, _, _ in whole} == set(deals)
    assert (handed_on[:-1], handed_on[-1]) == ([None] * account.again, len(whole))
    assert (
        ContactIndex(AccountStore(account.store, ACCOUNT)).count()
        == ContactIndex(AccountStore(account.store, IN_ONE_GO)).count()
        > len(deals)
    )
    # Nobody has judged them, so the mirror is empty and deals ring again; all else is known by its key.
    account.look(looking)
    assert {kind for kind, *_ in account.told()[len(whole) :]} <= {"DealUpdated"}


def test_one_page_is_read_at_a_time_and_nothing_is_told_before_the_last(account: Account, small_pages: None) -> None:
    account.much_happens()
    looking = account.reconciler()
    while True:
        account.crm.forget_requests()
        is_over = looking.run() is not None
        read = account.crm.requests()
        if "GET /api/v4/contacts" in read:
            break
        assert (is_over, account.told()) == (False, [])
        assert read["GET /api/v4/events"] == 1 if "GET /api/v4/leads" not in read else read["GET /api/v4/leads"] == 1
    assert account.again > 8


@pytest.mark.parametrize("runs", [1, 4, 8, 12, 15])
def test_a_restart_goes_on_where_it_broke_off(
    account: Account, at_once: Callable[[], list[Any]], request: pytest.FixtureRequest, runs: int
) -> None:
    account.much_happens()
    whole = at_once()
    request.getfixturevalue("small_pages")
    before_kill = account.reconciler()
    account.crm.forget_requests()
    assert [before_kill.run() for _ in range(runs)] == [None] * runs
    read_before = account.lists_read()
    after_kill = account.reconciler()
    while Cursors(AccountStore(account.store, ACCOUNT)).read("look_list") is not None:
        assert after_kill.run() is None
    # A page of a list is read twice, and no more.
    assert account.lists_read() - read_before <= _pages(whole) - read_before + 1
    assert account.told() == whole
    assert account.made_on() == {agency().stage(NEW).status_id}, "they were moved since"
    # Whatever happened while nobody looked is looked for at once.
    account.note(whole[0][1], "пока никто не смотрел")
    account.crm.later()
    account.look(after_kill)
    assert "NoteAdded" in [kind for kind, *_ in account.told()[len(whole) :]]


def _pages(told: list[Any]) -> int:
    """Pages of two rows that a look at ``much_happens`` reads."""
    deals = sum(kind == "DealAdded" and key.startswith("deal") for kind, _, _, key in told)
    return len(told) + deals


def test_what_happens_during_a_long_look_is_found_by_the_next(account: Account, small_pages: None) -> None:
    deals = account.much_happens()
    looking = account.reconciler()
    assert [looking.run() for _ in range(3)] == [None] * 3
    account.note(deals[0], "между страницами")
    account.office.move(account.person, deals[1], MEETING)
    while looking.run() is None:
        """The look goes on."""
    # Much later something else happens: the look was not as far as that.
    account.crm.later(3600)
    account.note(deals[2], "потом")
    account.crm.later()
    account.look(account.reconciler())
    told = account.told()
    assert len(told) == len({key for *_, key in told})
    assert sum(kind == "NoteAdded" for kind, *_ in told) == 2 * len(deals) + 2
    assert sum(kind == "DealMoved" for kind, *_ in told) == 2 * len(deals) + 1


def test_amocrm_silent_in_the_middle_costs_the_page_and_not_the_look(
    account: Account, small_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    deals = account.much_happens()
    looking = account.reconciler()
    assert [looking.run() for _ in range(3)] == [None] * 3
    with monkeypatch.context() as silent:
        silent.setattr(account.client, "page", _raises)
        with pytest.raises(CrmUncertain):
            looking.run()
    account.note(deals[0], "пока amoCRM молчала")
    account.crm.later()
    account.look(looking)
    told = account.told()
    assert len(told) == len({key for *_, key in told})
    assert sum(kind == "NoteAdded" for kind, *_ in told) == 2 * len(deals) + 1


def _raises(*told: Any) -> Any:
    raise CrmUncertain("no answer")


def test_the_last_busy_minute_of_a_quiet_account_is_not_read_for_ever(account: Account, small_pages: None) -> None:
    account.much_happens()
    account.look(account.reconciler())
    account.crm.later(3600)
    account.look(account.reconciler())
    account.crm.forget_requests()
    assert account.look(account.reconciler()) == [0]
    assert account.lists_read() == 3


class Part:
    """Stands for the planner and the sender, who have nothing to do."""

    found_unknown_name = False

    def process(self) -> int:
        return 0

    def send(self) -> int:
        return 0

    def recover(self) -> int:
        return 0


def test_the_worker_goes_on_with_its_hooks_after_each_page(account: Account, small_pages: None) -> None:
    deals = account.much_happens()
    looking, part = account.reconciler(), Part()
    worker = Worker(AccountStore(account.store, ACCOUNT), part, part, lambda: None, {RECONCILE: looking.run})  # type: ignore[arg-type]
    account.ask_again = lambda: worker.request_job(RECONCILE)  # type: ignore[method-assign]
    looking._again = account.ask_again
    worker.request_job(RECONCILE)
    rounds = 0
    while worker.is_asked:
        rounds += 1
        with account.store.write() as connection:
            body = urlencode(
                {"leads[update][0][id]": deals[0], "leads[update][0][last_modified]": 1_700_000_000 + rounds}
            )
            row = {"account": ACCOUNT, "received_at": 1.0, "body": body.encode(), "state": "new"}
            connection.execute(insert(inbox), [row])
        account.crm.forget_requests()
        worker.once()
        assert decode_new(AccountStore(account.store, ACCOUNT)) == 0
        assert account.lists_read() <= len(LISTS)
    assert rounds > 8
    with account.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(found)).scalar_one() == 0
    assert sum(kind == "DealUpdated" for kind, *_ in account.told()) == rounds


def test_the_hook_is_seen_to_when_the_look_is_over(account: Account, small_pages: None) -> None:
    account.much_happens()
    cursors = Cursors(AccountStore(account.store, ACCOUNT))
    dog = Watchdog(
        AccountStore(account.store, ACCOUNT),
        account.client,
        FixedClock(account.office.now()),
        account.reconciler(),
        "https://bridge.example/hooks",
        lambda text, about: None,
    )
    dog.run()
    assert (account.again, cursors.read(HOOK_SEEN), cursors.read(RECONCILED_AT)) == (1, None, None)
    until = cursors.read(RECONCILED_UNTIL)
    while cursors.read(HOOK_SEEN) is None:
        assert cursors.read(RECONCILED_UNTIL) == until
        dog.run()
    assert cursors.read(RECONCILED_AT) is not None


@pytest.mark.parametrize(
    ("known", "kinds"),
    [
        pytest.param({}, [], id="as it is"),
        pytest.param({"contact_ids": (), "main_contact_id": None}, ["DealUpdated"], id="without its contact"),
        pytest.param({"loss_reason_id": 1}, ["DealUpdated"], id="another reason of the loss"),
        pytest.param({"updated_at": FUTURE, "contact_ids": ()}, [], id="newer than the list"),
    ],
)
def test_what_no_event_tells_is_compared_within_the_second_of_the_last_read(
    account: Account, known: dict[str, Any], kinds: list[str]
) -> None:
    contact = account.office.new_contact(account.person, "Анна")
    deal = account.office.new_deal(account.person, "Ромашка", NEW, contact, 100)
    record = deals_by_ids(account.client, [deal], filter_enabled=True)[deal]
    with account.store.write() as connection:
        copy = MirroredDeal(replace(record, **known), record.updated_at)
        Mirror(AccountStore(account.store, ACCOUNT)).put(connection, [copy], account.office.now())
    account.look(account.reconciler())
    assert [(kind, number) for kind, number, _, _ in account.told()] == [(kind, deal) for kind in kinds]
