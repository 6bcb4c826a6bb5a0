"""A webinar's journey: the team uploads an export, looks at the plan, has it carried out, and takes it back.

W1 (everybody becomes a contact and a deal, nobody twice), W2 (the three stages), W3 (a manager's deal stays his).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.local_crm import LocalCrm, served
from support.running_bridge import RunningBridge, wait_until
from support.webinar_samples import ACCOUNT, ACTIVE, LONG, REPEAT, SHORT, fill_contacts, school_config
from support.webinar_team import Team, deals, table

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.runtime.worker import NAMES
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.webinars.imports.report import results
from amo_bridge.webinars.imports.repository import NotNow

HEAD, NATALIA = "Марина Котова", "Наталья Белова"
REPORT = "bizon_report.xlsx"


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The school's amoCRM."""
    with served(load_world(ACCOUNT)) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path, request: pytest.FixtureRequest) -> Config:
    """With the callers' rules only where they are asked for."""
    config = school_config(sandbox.url, tmp_path / "data")
    return config if getattr(request, "param", "") == "with rules" else replace(config, rules=())


@pytest.fixture
def team(bridge: RunningBridge, sandbox: LocalCrm) -> Iterator[Team]:
    fill_contacts(bridge, sandbox)
    team = Team(bridge)
    yield team
    team.store.close()


def test_a_report_becomes_deals_on_the_three_stages(team: Team, office: CrmUser, bridge, sandbox) -> None:
    number = team.upload(REPORT)
    assert team.standing(number) == {
        "Анжелика": ("new", "create_person"),
        "Наталья Ёлкина": ("known", "create_deal"),
        "Игорь": ("known", "create_deal"),
        "Айгуль": ("new", "create_person"),
        "Олена": ("doubtful", "nothing"),
        "Гость": ("unmatched", "nothing"),
        '=HYPERLINK("http://x")': ("banned", "nothing"),
    }
    assert deals(office) == {}, "nothing is written by a preview"
    team.control.start(number)
    team.wait(number, "done")
    found = deals(office)
    assert {name: (deal["stage"], deal["tags"], deal["minutes"]) for name, deal in found.items()} == {
        "ang.test@example.ru, Анжелика": (ACTIVE, ["Баннер", "Служба заботы о клиентах"], "68"),
        "n.elkina@example.ru, Наталья Ёлкина": (LONG, [], "61"),
        "igor@example.ru, Игорь": (ACTIVE, ["Баннер", "рассрочка"], "110"),
        "aigul@example.kz, Айгуль": (SHORT, [], "60"),
    }
    bridge.settle(sandbox)
    assert {office.stage_of(deal["id"]) for deal in found.values()} == {ACTIVE, LONG, SHORT}


@pytest.mark.parametrize("config", ["with rules"], indirect=True)
def test_rules_see_an_imported_deal_enter_its_stage(team: Team, office: CrmUser, bridge, sandbox) -> None:
    team.load(REPORT)
    bridge.settle(sandbox)
    tags = {name: deal["tags"] for name, deal in deals(office).items()}
    assert tags["aigul@example.kz, Айгуль"] == ["писать, не звонить"]
    assert "писать, не звонить" not in tags["igor@example.ru, Игорь"]


def test_the_same_file_again_changes_nothing(team: Team, office: CrmUser, bridge, sandbox) -> None:
    first = team.load(REPORT)
    before = deals(office)
    again = team.upload(REPORT)
    assert [file["loaded_before"] for file in team.book.get(again).files] == [first]
    assert team.standing(again)["Анжелика"] == ("loaded", "nothing")
    sandbox.forget_requests()
    team.control.start(again)
    team.wait(again, "done")
    assert deals(office) == before
    assert not [path for path in sandbox.requests() if not path.startswith("GET")]


def test_a_manager_keeps_his_deal_except_from_the_repeat_stage(team: Team, office: CrmUser, bridge, sandbox) -> None:
    team.load("generic_cp1251.csv")
    found = deals(office)
    natalia, igor = found["n.elkina@example.ru, Наталья Ёлкина"]["id"], found["igor@example.ru, Игорь"]["id"]
    for deal, stage in ((natalia, "Вебинары / Думает (поговорили)"), (igor, REPEAT)):
        office.move(HEAD, deal, stage, responsible_user_id=office.users[NATALIA])
    sandbox.later()
    bridge.settle(sandbox)
    number = team.load("next_webinar.csv")
    assert {kept.row.person.name: kept.row.standing for kept in team.book.rows(number)} == {
        "Наталья": "owned", "Игорь": "owned", "Анжелика": "known",
    }  # fmt: skip
    assert office.stage_of(natalia) == "Вебинары / Думает (поговорили)"
    assert office.value(natalia, "Минут на вебинаре") == "5"
    assert office.stage_of(igor) == SHORT
    assert office.deal(igor)["responsible_user_id"] == office.users[NATALIA]
    anjelika = deals(office)["ang.test@example.ru, Анжелика"]
    assert (anjelika["stage"], anjelika["minutes"]) == (ACTIVE, "90"), "interest once shown is not forgotten"


def test_the_deal_of_a_manager_who_left_goes_to_whoever_works_for_her(
    team: Team, office: CrmUser, bridge, sandbox
) -> None:
    """W3: an active attendee stays with nobody who is gone; the stage stays, the figures are updated."""
    team.load("generic_cp1251.csv")
    natalia = deals(office)["n.elkina@example.ru, Наталья Ёлкина"]["id"]
    office.move(HEAD, natalia, "Вебинары / Думает (поговорили)", responsible_user_id=office.users[NATALIA])
    sandbox.later()
    bridge.settle(sandbox)
    users = office.users
    sandbox.control("POST", "ui/deactivate_user", {"user_id": users[HEAD], "target_id": users[NATALIA]})
    sandbox.forget_requests()
    bridge.bridge.request_job(NAMES)
    wait_until(lambda: "GET /api/v4/users" in sandbox.requests(), "the bridge reads who works here")
    bridge.settle(sandbox)
    number = team.load("next_webinar.csv")
    assert {kept.row.person.name: (kept.state, kept.note) for kept in team.book.rows(number)}["Наталья"][0] == "done"
    assert office.stage_of(natalia) == "Вебинары / Думает (поговорили)"
    assert office.value(natalia, "Минут на вебинаре") == "5"
    assert office.deal(natalia)["responsible_user_id"] == users[HEAD]


def test_an_import_is_taken_back_except_what_people_have_changed(team: Team, office: CrmUser, bridge, sandbox) -> None:
    team.load("generic_cp1251.csv")
    number = team.load("next_webinar.csv")
    first = deals(office)
    anjelika = first["ang.test@example.ru, Анжелика"]["id"]
    igor = first["igor@example.ru, Игорь"]["id"]
    office.fill(HEAD, igor, "Минут на вебинаре", "77")
    bridge.settle(sandbox)
    team.control.undo(number)
    team.wait(number, "undone")
    assert office.value(anjelika, "Минут на вебинаре") == "68"
    assert office.value(igor, "Минут на вебинаре") == "77"
    notes = {kept.row.person.name: kept.note for kept in team.book.rows(number)}
    assert notes == {"Анжелика": "", "Наталья": "", "Игорь": "поле «Минут на вебинаре» изменили после загрузки"}


def test_an_undo_says_of_whom_nothing_was_written(team: Team, office: CrmUser, bridge, sandbox) -> None:
    """Somebody has typed in what the file says: the import found his deal as it should be."""
    team.load(table("Анна;anna@example.ru;;30;;13.09.2021"))
    anna = deals(office)["anna@example.ru, Анна"]["id"]
    number = team.upload(table("Анна;anna@example.ru;;40;;13.09.2021", "Борис;boris@example.ru;;90;;13.09.2021"))
    office.fill(HEAD, anna, "Минут на вебинаре", "40")
    bridge.settle(sandbox)
    team.control.start(number)
    team.wait(number, "done")
    team.control.undo(number)
    team.wait(number, "undone")
    assert (team.person(number, "Анна").became, team.person(number, "Борис").became) == (
        "возвращать нечего", "отменено",
    )  # fmt: skip
    assert results(team.book.rows(number)).in_words() == "Отменено: 1, возвращать нечего: 1."
    assert office.value(anna, "Минут на вебинаре") == "40"


def test_a_file_of_whom_nothing_was_written_or_all_was_taken_back_is_not_said_to_be_loaded(
    team: Team, office: CrmUser, bridge
) -> None:
    unknown = table("Олена;;;30;;13.09.2021")
    team.load(unknown)
    assert [file["loaded_before"] for file in team.book.get(team.upload(unknown)).files] == [None]
    number = team.load(REPORT)
    assert [file["loaded_before"] for file in team.book.get(team.upload(REPORT)).files] == [number]
    team.control.undo(number)
    team.wait(number, "undone")
    assert [file["loaded_before"] for file in team.book.get(team.upload(REPORT)).files] == [None]


def test_deals_that_an_import_made_are_closed_by_its_undo(team: Team, office: CrmUser, bridge, sandbox) -> None:
    number = team.load(REPORT)
    taken = deals(office)["aigul@example.kz, Айгуль"]["id"]
    office.move(NATALIA, taken, "Вебинары / Перенос звонка")
    bridge.settle(sandbox)
    team.control.undo(number)
    team.wait(number, "undone")
    found = deals(office)
    assert found["aigul@example.kz, Айгуль"]["stage"] == "Вебинары / Перенос звонка"
    closed = found["ang.test@example.ru, Анжелика"]
    assert closed["stage"] == "Вебинары / Закрыто и не реализовано"
    assert "загрузка отменена" in closed["tags"]
    assert office.deal(closed["id"])["_embedded"]["loss_reason"][0]["name"] == "Тестовое задание"
    notes = {kept.row.person.name: kept.note for kept in team.book.rows(number) if kept.deal_id}
    assert notes["Айгуль"] == "сделку уже перевели на «Перенос звонка»"
    bridge.settle(sandbox)
    told = [entry.reason for entry in bridge.journal(closed["id"]) if entry.what.startswith("загрузка вебинара")]
    assert told == [
        "создана: новый контакт и новая сделка; нажал: Баннер, Служба заботы о клиентах",
        "загрузка отменена",
    ]


@pytest.mark.parametrize("path", ["/api/v4/contacts", "/api/v4/leads"])
def test_a_lost_answer_makes_nobody_twice(path: str, team: Team, office: CrmUser, bridge, sandbox) -> None:
    fault = sandbox.fault("lost_answer", method="POST", path=path, count=1)
    team.load(REPORT)
    assert sandbox.struck(fault) == 1
    names = [row["name"] for stage in office.stages for row in office.deals_on(stage)]
    assert len(names) == len(set(names)) == 4
    people = [row["name"] for row in office._rows("/api/v4/contacts", "contacts")]
    assert people.count("Анжелика") == people.count("Айгуль") == 1


def test_an_import_that_was_cut_off_goes_on_and_makes_nobody_twice(
    team: Team, office: CrmUser, bridge: RunningBridge, config: Config, sandbox: LocalCrm, start_bridge
) -> None:
    """The answer to the first write is lost, and the bridge dies before it could look."""
    fault = sandbox.fault("lost_answer", method="POST", path="/api/v4/contacts", count=1)
    number = team.upload(REPORT)
    team.control.start(number)
    wait_until(lambda: sandbox.struck(fault) == 1, "the answer is lost")
    bridge.stop()
    start_bridge(config).wait_ready()
    team.wait(number, "done")
    people = [row["name"] for row in office._rows("/api/v4/contacts", "contacts")]
    assert people.count("Анжелика") == people.count("Айгуль") == 1
    assert len(deals(office)) == 4


def test_what_is_on_its_way_when_the_bridge_is_killed_is_looked_for(team: Team, office: CrmUser, bridge) -> None:
    """kill -9 between the request and writing down its answer: the store says «sending», amoCRM has the people."""
    number = team.load(REPORT)
    rows = [kept for kept in team.book.rows(number) if kept.made_contact]
    assert len(rows) == 2
    bridge.stop()
    with team.store.write() as connection:
        team.book.mark(connection, [kept.id for kept in rows], state="sending", deal_id=None, note="")
        team.book.become_in(connection, number, ["done"], "running", finished_at=None)
    before = deals(office)
    again = RunningBridge(bridge.config, settle=0.02)
    try:
        again.wait_ready()
        team.wait(number, "done")
    finally:
        again.stop()
    assert deals(office) == before
    assert {kept.deal_id for kept in team.book.rows(number) if kept.made_contact} <= {
        deal["id"] for deal in before.values()
    }  # fmt: skip


def test_a_paused_import_waits_and_goes_on(team: Team, office: CrmUser, bridge) -> None:
    number = team.upload(REPORT)
    bridge.stop()
    team.control.start(number)
    team.control.pause(number)
    again = RunningBridge(bridge.config, settle=0.02)
    try:
        again.wait_ready()
        assert deals(office) == {}
        team.control.resume(number)
        team.wait(number, "done")
    finally:
        again.stop()
    assert len(deals(office)) == 4


def test_two_imports_of_the_same_people_are_not_under_way_at_once(team: Team, office: CrmUser, bridge) -> None:
    """The plan of the second is made before the first has made its contacts: they would be made twice."""
    first = team.upload(table("Вера;vera@example.ru;;61;;13.09.2021"))
    second = team.upload(table("Вера;vera@example.ru;;70;;20.09.2021"))
    bridge.stop()
    team.control.start(first)
    team.control.pause(first)
    with pytest.raises(NotNow, match=f"ещё загружает загрузка № {first}"):
        team.control.start(second)
    assert team.book.get(second).state == "draft", "it can be begun later"
    again = RunningBridge(bridge.config, settle=0.02)
    try:
        again.wait_ready()
        team.control.resume(first)
        team.wait(first, "done")
        team.control.start(second, as_shown=False)
        team.wait(second, "done")
    finally:
        again.stop()
    assert team.person(second, "Вера").contact_id == team.person(first, "Вера").contact_id
    assert len(deals(office)) == 1
