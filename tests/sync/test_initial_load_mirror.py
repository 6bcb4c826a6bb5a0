"""The first reading of tasks, contacts and touches: in pages, in the background, and on from where it broke off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import requests
from support.fakes import ACCOUNT, client_of
from support.local_crm import TOKEN, LocalCrm
from support.task_mirror import TaskMirror

from amo_bridge.clock import FixedClock
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.errors import CrmForbidden, CrmUncertain
from amo_bridge.mirror.contacts import ContactRefresher
from amo_bridge.mirror.tasks import TaskRows
from amo_bridge.mirror.touches import TouchLog
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.sync import initial_load
from amo_bridge.sync.initial_load import STEPS_IN_A_ROW, MirrorLoad

NEW, MEETING = "Продажи / Новый клиент", "Продажи / Встреча назначена"


@dataclass
class Account:
    """A filled account, and a reading of it. ``again`` counts how often the next portion was asked for."""

    crm: LocalCrm
    office: CrmUser
    store: Store
    client: Any
    again: int = 0

    def reading(self, kept_fields: tuple[int, ...] = ()) -> MirrorLoad:
        clock = FixedClock(self.office.now())
        contacts = ContactRefresher(AccountStore(self.store, ACCOUNT), self.client, clock, kept_fields=kept_fields)

        def again() -> None:
            self.again += 1

        return MirrorLoad(AccountStore(self.store, ACCOUNT), self.client, clock, contacts, again)

    def read_all(self, reading: MirrorLoad) -> int:
        rounds = 0
        while not reading.is_done:
            reading.run()
            rounds += 1
        return rounds

    def post(self, path: str, body: Any, method: str = "POST") -> int:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Sandbox-Person": str(next(iter(self.office.users.values())))}
        answer = requests.request(method, f"{self.crm.url}/api/v4/{path}", json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        (rows,) = answer.json()["_embedded"].values()
        return int(rows[0]["id"])

    def task(self, number: int, **more: Any) -> int:
        return self.post("tasks", [{"text": f"Задача {number}", "complete_till": 1_800_000_000 + number, **more}])


@pytest.fixture
def account(sandbox: LocalCrm, office: CrmUser, store: Store, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setattr(initial_load, "PAGE_SIZE", 3)
    there = Account(sandbox, office, store, client_of(sandbox.url))
    person = next(iter(office.users))
    for number in range(7):
        contact = office.new_contact(person, f"Клиент {number}")
        there.task(number, is_completed=number == 6)
    office.new_deal(person, "Ромашка", NEW, contact, 1)
    sandbox.later()
    return there


def test_everything_is_read_once_in_portions(account: Account) -> None:
    reading = account.reading()
    reading.mark_start()
    account.crm.forget_requests()
    rounds = account.read_all(reading)
    assert TaskMirror(AccountStore(account.store, ACCOUNT)).count_open() == 6
    index = account.reading()._contacts.index
    contacts = len(sandbox_contacts(account))
    assert (index.count(), index.is_filled) == (contacts, True)
    assert len(index.by_surname("Клиент")) == 7
    assert index.by_surname("6")[0].deal_ids != ()
    pages = contacts // 3 + 1
    steps = {"GET /api/v4/tasks": 3, "GET /api/v4/contacts": pages, "GET /api/v4/events": 1}
    assert account.crm.requests() == steps
    assert rounds == sum(steps.values()) // STEPS_IN_A_ROW + 1
    account.crm.forget_requests()
    account.reading().run()
    assert account.crm.requests() == {}


def test_it_goes_on_where_it_broke_off(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = account.reading()
    reading.mark_start()
    whole = account.client.get

    def breaks(path: str, params: Any = None) -> Any:
        if params.get("page") == 2:
            raise CrmUncertain("no answer")
        return whole(path, params)

    monkeypatch.setattr(account.client, "get", breaks)
    with pytest.raises(CrmUncertain):
        reading.run()
    monkeypatch.setattr(account.client, "get", whole)
    account.crm.forget_requests()
    after_kill = account.reading()
    after_kill.mark_start()
    account.read_all(after_kill)
    assert account.crm.requests()["GET /api/v4/tasks"] == 2
    assert TaskMirror(AccountStore(account.store, ACCOUNT)).count_open() == 6


def test_what_changed_since_the_meeting_is_left_to_its_hooks(account: Account) -> None:
    reading = account.reading()
    reading.mark_start()
    account.crm.later()
    late = account.task(99)
    account.read_all(reading)
    assert TaskMirror(AccountStore(account.store, ACCOUNT)).get([late]) == {}


def test_what_is_known_already_stays(account: Account) -> None:
    account.read_all(_met(account.reading()))
    mirror = TaskMirror(AccountStore(account.store, ACCOUNT))
    first = mirror.open_tasks()[0]
    with account.store.write() as connection:
        TaskRows(ACCOUNT).put(connection, [_renamed(first)])
    account.reading()._tasks.begin_anew()
    account.read_all(account.reading())
    assert mirror.get([first.id])[first.id].text == "Новее"


def test_contacts_are_read_anew_when_other_fields_are_to_be_kept(account: Account) -> None:
    field = next(iter(_contact_fields(account)))
    account.read_all(_met(account.reading()))
    again = account.reading((field,))
    again.mark_start()
    assert not again.is_done
    assert not again._contacts.index.is_filled
    account.crm.forget_requests()
    account.read_all(again)
    assert account.crm.requests() == {"GET /api/v4/contacts": len(sandbox_contacts(account)) // 3 + 1}
    same = account.reading((field,))
    same.mark_start()
    assert same.is_done


def test_a_list_that_we_may_not_see_hinders_no_other(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = _met(account.reading())
    whole = account.client.get

    def forbids(path: str, params: Any = None) -> Any:
        if path == "/api/v4/tasks":
            raise CrmForbidden("no right", status=403)
        return whole(path, params)

    monkeypatch.setattr(account.client, "get", forbids)
    for _ in range(9):
        reading.run()
    assert reading._contacts.index.is_filled
    assert not reading.is_done


def test_touches_of_the_last_weeks_are_there_from_the_first_day(account: Account) -> None:
    person = next(iter(account.office.users))
    deal = account.office.new_deal(person, "Лютик", NEW, account.office.new_contact(person, "Олег"), 1)
    call = {"phone": "+79161234567", "duration": 95, "source": "АТС", "uniq": "u1"}
    account.post(f"leads/{deal}/notes", [{"note_type": "call_out", "params": call}])
    account.office.move(person, deal, MEETING)
    account.crm.later()
    reading = account.reading()
    account.read_all(_met(reading))
    touches = TouchLog(AccountStore(account.store, ACCOUNT)).on([("deal", deal)])[("deal", deal)]
    assert [(one.kind, one.direction, one.user_id, one.seconds) for one in touches] == [
        ("call", "out", account.office.users[person], 95),
        ("move", "", account.office.users[person], 0),
    ]


def sandbox_contacts(account: Account) -> dict[int, Any]:
    return account.crm.world.table("contacts")


def _met(reading: MirrorLoad) -> MirrorLoad:
    reading.mark_start()
    return reading


def _renamed(copy: Any) -> Any:
    return replace(copy, text="Новее")


def _contact_fields(account: Account) -> Iterator[int]:
    rows = account.client.get("/api/v4/contacts/custom_fields")["_embedded"]["custom_fields"]
    yield from (row["id"] for row in rows if row["code"] is None)
