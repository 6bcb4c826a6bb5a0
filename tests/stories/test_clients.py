"""The client department's weeks and months, over HTTP: touches, meetings, and a bridge that was down meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from support.local_crm import TOKEN, LocalCrm
from support.running_bridge import RunningBridge, wait_until
from support.shipped_examples import example, stopped_at

from amo_bridge.clock import SystemClock
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.engine.violations import Violations
from amo_bridge.sandbox.account_file import CLIENTS
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore, Store

ANTON, OLGA = "Антон Зуев", "Ольга Крылова"
RUNNING = "Клиенты / Запущен"
IN_WORK = "Клиенты / В работе"
CALL = "Связаться с клиентом: на этой неделе ещё не общались"
MEETING = "Провести встречу с клиентом"
HOUR, DAY = 3600, 86_400
MOSCOW = ZoneInfo("Europe/Moscow")
# A Monday noon in Moscow.
MONDAY = "2026-03-16T12:00"

Start = Callable[..., RunningBridge]


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The client department's amoCRM."""
    with stopped_at(MONDAY, CLIENTS) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    """The shipped example, for the sandbox."""
    return example("client_department", sandbox, tmp_path)


@pytest.fixture
def client(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> int:
    """A client whose campaign runs since Monday noon."""
    made = office.new_deal(ANTON, "Ромашка", RUNNING, office.new_contact(ANTON, "Мария"), 1000)
    bridge.settle_at(sandbox, advance=60)
    return made


def texts(office: CrmUser, deal: int, *, still_open: bool = True) -> list[str]:
    return [task["text"] for task in office.tasks(deal) if not (still_open and task["is_completed"])]


def told(bridge: RunningBridge, deal: int, clause: str, verdict: str) -> list[str]:
    return [entry.reason for entry in bridge.journal(deal) if (entry.clause, entry.verdict) == (clause, verdict)]


def ledger(bridge: RunningBridge) -> list[tuple[str, str, str]]:
    store = Store.at(bridge.config.bridge.database, bridge.config.data_folder)
    key = known_key(store, bridge.config.account.url)
    assert key is not None
    found = [(one.person, one.clause, one.why) for one in Violations(AccountStore(store, key), SystemClock()).between()]
    store.close()
    return found


def test_nobody_was_in_touch_by_wednesday_a_task_by_friday_the_head_and_the_ledger(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, client: int
) -> None:
    bridge.settle_at(sandbox, advance=2 * DAY - HOUR)
    assert CALL not in texts(office, client), "Wednesday, 11 o'clock"
    bridge.settle_at(sandbox, advance=HOUR)
    assert texts(office, client).count(CALL) == 1
    bridge.settle_at(sandbox, advance=2 * DAY + 4 * HOUR)
    escalated = [text for text in texts(office, client) if text.startswith("С клиентом на этой неделе")]
    assert escalated == ["С клиентом на этой неделе общались меньше двух раз: Ромашка"]
    assert ledger(bridge) == [(ANTON, "C9", "за неделю меньше двух касаний")]


def test_two_calls_are_enough_for_this_week_and_not_for_the_next(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, client: int
) -> None:
    for _ in range(2):
        office.call(ANTON, client, seconds=60)
        bridge.settle_at(sandbox, advance=HOUR)
    bridge.settle_at(sandbox, set="2026-03-18T12:00")
    bridge.settle_at(sandbox, set="2026-03-20T16:00")
    assert sorted(told(bridge, client, "C9", "skipped")) == [
        f"касаний достаточно: 2, нужно {wanted}" for wanted in (1, 2)
    ]
    assert CALL not in texts(office, client)
    bridge.settle_at(sandbox, set="2026-03-25T12:00")
    assert texts(office, client).count(CALL) == 1
    assert ledger(bridge) == []


def test_a_meeting_every_month_unless_the_last_one_is_still_to_be_held(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, client: int
) -> None:
    def meetings(*, still_open: bool) -> int:
        return texts(office, client, still_open=still_open).count(MEETING)

    bridge.settle_at(sandbox, set="2026-04-01T10:00")
    assert meetings(still_open=True) == 1
    # The first of May is a holiday, and so are the days after it.
    bridge.settle_at(sandbox, set="2026-05-04T10:00")
    assert meetings(still_open=False) == 1, "the first one is still open"
    office.finish(ANTON, client, MEETING)
    bridge.settle_at(sandbox, set="2026-06-01T10:00")
    assert (meetings(still_open=True), meetings(still_open=False)) == (1, 2)


def test_a_bridge_that_was_down_does_it_late_once_or_says_that_it_is_too_late(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, client: int, config: Config, start_bridge: Start
) -> None:
    bridge.stop()
    sandbox.control("POST", "clock", {"set": "2026-03-19T09:00"})
    office.fill(ANTON, client, "Название компании", "Ромашка")
    bridge = start_bridge(config).wait_ready()
    bridge.settle_at(sandbox, advance=60)
    assert texts(office, client).count(CALL) == 1, "Wednesday's, on Thursday morning"
    bridge.stop()
    sandbox.control("POST", "clock", {"set": "2026-03-23T12:00"})
    office.fill(ANTON, client, "Название компании", "Ромашка и сыновья")
    bridge = start_bridge(config).wait_ready()
    bridge.settle_at(sandbox, advance=60)
    assert ledger(bridge) == [], "Friday's, on Monday"
    assert any("слишком поздно" in reason for reason in told(bridge, client, "C9", "skipped"))
    assert texts(office, client).count(CALL) == 1


def test_a_new_client_gets_an_optimisation_task_when_there_was_only_one_this_month(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, client: int
) -> None:
    office.fill(ANTON, client, "Дата передачи", int(office.now().timestamp()))
    office.new_task(ANTON, client, "Оптимизация ставок")
    bridge.settle_at(sandbox, set="2026-03-20T10:00")
    assert [text for text in texts(office, client) if text.startswith("Оптимизация")] == [
        "Оптимизация ставок",
        "Оптимизация: задач за месяц меньше двух, поставить",
    ]
    bridge.settle_at(sandbox, set="2026-04-20T10:00")
    assert len([text for text in texts(office, client) if text.startswith("Оптимизация")]) == 2, "it is still open"


def test_a_client_is_not_taken_over_before_he_has_paid(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = office.new_deal(ANTON, "Лютик", "Клиенты / Передача из продаж", office.new_contact(ANTON, "Пётр"), 1)
    bridge.settle(sandbox)
    sandbox.later()
    office.move(ANTON, deal, IN_WORK)
    bridge.settle(sandbox)
    assert office.stage_of(deal) == "Клиенты / Передача из продаж"
    assert any("Оплата получена" in text for text in texts(office, deal))


def test_whoever_puts_a_deadline_off_says_why_once(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, client: int
) -> None:
    asked = "Напишите в примечании, почему перенесён срок: «Сверить медиаплан»"
    task = office.new_task(ANTON, client, "Сверить медиаплан")
    bridge.settle(sandbox)
    for days in (2, 3):
        sandbox.later()
        office.change_task(ANTON, task, complete_till=int(office.now().timestamp()) + days * DAY)
        bridge.settle(sandbox)
    assert texts(office, client).count(asked) == 1
    sandbox.later()
    office.write_note(ANTON, client, "Клиент прислал новые цены, жду план")
    bridge.settle(sandbox)
    assert asked not in texts(office, client)
    sandbox.later()
    office.change_task(ANTON, task, complete_till=int(office.now().timestamp()) + 4 * DAY)
    bridge.settle(sandbox)
    assert texts(office, client, still_open=False).count(asked) == 1, "what he wrote just now explains this one too"


def test_the_contacts_birthday_comes_every_year_and_may_be_corrected(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    def congratulations() -> list[int]:
        rows = ask(sandbox, "GET", f"tasks?filter[entity_type]=contacts&filter[entity_id][]={maria}")
        return [row["id"] for row in rows["_embedded"]["tasks"] if row["text"] == "Поздравить с днём рождения"]

    maria = office.new_contact(ANTON, "Мария")
    office.new_deal(ANTON, "Ромашка", RUNNING, maria, 1000)
    born_on(sandbox, maria, "1990-03-20")
    bridge.settle(sandbox)
    sandbox.later()
    born_on(sandbox, maria, "1990-03-25")
    bridge.settle(sandbox)
    bridge.settle_at(sandbox, set="2026-03-20T12:00")
    assert congratulations() == [], "it was corrected"
    bridge.settle_at(sandbox, set="2026-03-25T12:00")
    (first,) = congratulations()
    ask(sandbox, "PATCH", "tasks", [{"id": first, "is_completed": True}])
    bridge.settle_at(sandbox, set="2027-03-25T12:00")
    assert len(congratulations()) == 2


def greetings(sandbox: LocalCrm, contact: int) -> list[tuple[bool, str]]:
    """(is it finished, its due day in Moscow) of each task to congratulate."""
    rows = ask(sandbox, "GET", f"tasks?filter[entity_type]=contacts&filter[entity_id][]={contact}&order[id]=asc")
    return [
        (row["is_completed"], datetime.fromtimestamp(row["complete_till"], MOSCOW).date().isoformat())
        for row in rows["_embedded"]["tasks"]
        if row["text"] == "Поздравить с днём рождения"
    ]


@pytest.fixture
def anna(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> int:
    """A contact with two running deals, born on the 20th of March."""
    contact = office.new_contact(ANTON, "Анна")
    for name in ("Ромашка", "Лютик"):
        office.new_deal(ANTON, name, RUNNING, contact, 1000)
    bridge.settle_at(sandbox, advance=60)
    born_on(sandbox, contact, "1990-03-20")
    bridge.settle_at(sandbox, advance=60)
    return contact


def test_a_client_with_two_deals_is_congratulated_once_and_his_task_follows_the_date(
    bridge: RunningBridge, sandbox: LocalCrm, anna: int
) -> None:
    bridge.settle_at(sandbox, set="2026-03-20T10:00")
    assert greetings(sandbox, anna) == [(False, "2026-03-20")]
    sandbox.later()
    born_on(sandbox, anna, "1990-03-25")
    bridge.settle(sandbox)
    assert greetings(sandbox, anna) == [(False, "2026-03-25")]
    sandbox.later()
    born_on(sandbox, anna, None)
    bridge.settle(sandbox)
    assert greetings(sandbox, anna) == [(True, "2026-03-25")]
    bridge.settle_at(sandbox, set="2026-03-25T12:00")
    assert len(greetings(sandbox, anna)) == 1


def test_a_birthday_corrected_while_the_bridge_was_down_moves_the_task_all_the_same(
    bridge: RunningBridge, sandbox: LocalCrm, anna: int, config: Config, start_bridge: Start
) -> None:
    bridge.settle_at(sandbox, set="2026-03-20T10:00")
    bridge.stop()
    sandbox.later()
    born_on(sandbox, anna, "1990-03-24")
    start_bridge(config).wait_ready()
    wait_until(lambda: greetings(sandbox, anna) == [(False, "2026-03-24")], "the task follows what no hook told of")


def ask(sandbox: LocalCrm, method: str, path: str, body: object = None) -> Any:
    answer = requests.request(
        method, f"{sandbox.url}/api/v4/{path}", json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30
    )
    answer.raise_for_status()
    return answer.json() if answer.content else {"_embedded": {"tasks": []}}


def born_on(sandbox: LocalCrm, contact: int, day: str | None) -> None:
    """Filled (None: emptied) by a person in the contact's card; midnight in Moscow."""
    fields = ask(sandbox, "GET", "contacts/custom_fields")["_embedded"]["custom_fields"]
    (number,) = [field["id"] for field in fields if field["name"] == "День рождения"]
    moment = day and int(datetime.fromisoformat(f"{day}T00:00+03:00").timestamp())
    values = [{"field_id": number, "values": moment and [{"value": moment}]}]
    ask(sandbox, "PATCH", "contacts", [{"id": contact, "custom_fields_values": values}])
