"""A rehearsal that a page asked for, played in the process of its own: what it writes down, and when it gives up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, RunningBridge

from amo_bridge.clock import SystemClock
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.intake.enquiries import EnquiryFilter, EnquiryRepository
from amo_bridge.intake.model import Enquiry
from amo_bridge.rehearsal import background
from amo_bridge.rehearsal.background import rehearse
from amo_bridge.runtime.rehearsal_jobs import Rehearsals
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore, Store

IVAN = "Иван Петров"
BRIEF = "Продажи / Получение брифа"
LADDER = "stage_ladder.brief_awaited"


@pytest.fixture
def deal(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> int:
    made = office.new_deal(IVAN, "Ромашка", BRIEF, office.new_contact(IVAN, "Анна"), 1000)
    bridge.settle(sandbox)
    return made


class Room:
    """The store of the running bridge, and a rehearsal that nobody but the test begins."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.store = Store.at(config.bridge.database, config.data_folder)
        key = known_key(self.store, config.account.url)
        assert key is not None
        self.key = key
        self.book = Rehearsals(AccountStore(self.store, key), SystemClock())

    def ask(self, days: int = 12, deal_id: int | None = None) -> int:
        number = self.book.ask(days, deal_id, "Анна")
        self.book.begin(number)
        return number

    def play(self, number: int) -> None:
        rehearse(self.config, AccountStore(self.store, self.key), number)


@pytest.fixture
def room(config: Config, deal: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    made = Room(config)
    yield made
    made.store.close()


def test_what_the_rules_would_do_is_written_down(
    room: Room, deal: int, sandbox: LocalCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "TOLD_EVERY", 0.0)
    number = room.ask()
    sandbox.forget_requests()
    room.play(number)
    told = room.book.get(number)
    assert (told.state, told.progress, told.trouble) == ("done", 1.0, "")
    assert told.doing.startswith("На копии ")
    steps = [one for one in room.book.actions(number) if (one["rule"], one["deal"]) == (LADDER, deal)]
    assert len(steps) == 4
    assert {one["deal_name"] for one in steps} == {"Ромашка"}
    assert not [one for one in sandbox.requests() if not one.startswith("GET ")], "the account is only read"


def test_enquiries_of_the_week_before_come_once_more(room: Room) -> None:
    repository = EnquiryRepository(AccountStore(room.store, room.key), SystemClock())
    yesterday = SystemClock().now().timestamp() - 86400
    with room.store.write() as connection:
        one = Enquiry(source="tilda", key="1", name="Зоя", phones=("+79161230009",), text="Сколько стоит?")
        repository.add(connection, one, request_id=None, received_at=yesterday, state="done")
    number = room.ask(days=7)
    room.play(number)
    (told,) = [one for one in room.book.actions(number) if str(one["rule"]).startswith("enquiry_becomes_deal")]
    assert (told["deal_name"], told["because"]) == ("Зоя, Тильда", "обращение (Тильда): Сколько стоит?")
    assert "новая сделка «Зоя, Тильда»" in told["does"][0]
    assert [row.state for row in repository.find(EnquiryFilter())] == ["done"], "the store of the bridge is untouched"


def test_one_deal_alone(room: Room, deal: int, sandbox: LocalCrm, office: CrmUser) -> None:
    other = office.new_deal(IVAN, "Север", BRIEF, office.new_contact(IVAN, "Борис"), 1000)
    number = room.ask(deal_id=other)
    room.play(number)
    assert {one["deal"] for one in room.book.actions(number)} <= {other}
    assert room.book.get(number).state == "done"


def test_a_deal_that_is_not_there(room: Room) -> None:
    number = room.ask(deal_id=999)
    room.play(number)
    assert (room.book.get(number).state, room.book.get(number).trouble) == ("failed", "сделки 999 в аккаунте нет")


def test_too_large_an_account(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "MOST_ROWS", -1)
    number = room.ask()
    room.play(number)
    assert "возьмите одну сделку" in room.book.get(number).trouble


def test_without_a_token(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AMO_BRIDGE_TOKEN")
    number = room.ask()
    room.play(number)
    assert "Нет токена amoCRM" in room.book.get(number).trouble


def test_nobody_wants_it_any_more(room: Room) -> None:
    number = room.ask()
    room.book.stop(number)
    room.play(number)
    assert (room.book.get(number).state, room.book.actions(number)) == ("stopped", [])


def test_the_process_ends_when_its_leader_is_gone(room: Room) -> None:
    """A closed stdin is what is left of a leader that was killed."""
    command = [sys.executable, "-m", background.__name__, str(room.config.path), str(room.ask())]
    told = {"AMO_BRIDGE_ACCOUNT_URL": room.config.account.url, "AMO_BRIDGE_DATA": str(room.config.data_folder)}
    done = subprocess.run(
        command, env=ENVIRONMENT | told, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False
    )  # fmt: skip
    assert done.returncode == 1
    assert room.book.all()[0].state == "running"
