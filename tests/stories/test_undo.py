"""What a rule did is taken back by a person: in amoCRM it is as before, nothing follows from it, people's own stays."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from support.api_client import Program
from support.local_crm import LocalCrm
from support.pages import Visit, words_of
from support.running_bridge import RunningBridge

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import CLIENT, MANAGER
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION

NEW = "Продажи / Новый клиент"
MEETING = "Продажи / Встреча назначена"
BRIEF = "Продажи / Бриф получен"
OFFER = "Продажи / Согласование КП"
TASKS, OFFERED = "stage_creates_tasks.new_client", "file_moves_deal.offer"
CALL = "Связаться и взять в работу"


class Day:
    """A deal, and an administrator who takes things back."""

    def __init__(self, bridge: RunningBridge, crm: LocalCrm, office: CrmUser) -> None:
        self.bridge, self.crm, self.office = bridge, crm, office
        self.admin = Program(bridge, Role.ADMIN)
        self.deal = office.new_deal(MANAGER, "Ромашка", NEW, office.new_contact(MANAGER, "Ольга"), 1000)
        self.settle()

    def settle(self) -> None:
        self.bridge.settle(self.crm)
        self.crm.later()

    def step(self, rule: str) -> str:
        """The address of the newest step at which the rule acted."""
        steps = self.admin.get(f"/deals/{self.deal}")["steps"]
        event = next(
            step["event_id"]
            for step in steps
            if any(one["rule"] == rule and one["verdict"] == "acts" for one in step["said"])
        )
        return f"/deals/{self.deal}/steps/{event}/undo"

    def preview(self, rule: str) -> list[tuple[str, bool]]:
        things = self.admin.get(f"{self.step(rule)}?rule={rule}")["things"]
        return [(one["will_be"], one["is_possible"]) for one in things]

    def undo(self, rule: str) -> Any:
        answer = self.admin.ask("POST", self.step(rule), {"rule": rule})
        self.settle()
        return answer

    def tasks(self) -> dict[str, tuple[bool, str]]:
        """Text → is it finished, and with what result."""
        return {
            task["text"]: (bool(task["is_completed"]), str((task.get("result") or {}).get("text", "")))
            for task in self.office.tasks(self.deal)
        }


@pytest.fixture
def day(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> Day:
    return Day(bridge, sandbox, office)


def test_a_task_is_closed_and_nothing_follows(day: Day) -> None:
    assert day.preview(TASKS) == [(f"задача „{CALL}“ закрыта", True)]
    assert day.tasks() == {CALL: (False, "")}, "nothing is changed by asking"
    assert day.undo(TASKS).status_code == 200
    assert day.tasks() == {CALL: (True, "Отменено")}
    entries = day.admin.get(f"/deals/{day.deal}/journal")["entries"]
    (told,) = [one for one in entries if one["verdict"] == "undone"]
    assert "закрыта" in told["reason"]
    assert entries[-1] == told, "no rule has answered"
    decisions = day.admin.get("/overview/decisions?text=Ромашка")["decisions"]
    assert [one["verdict"] for one in decisions] == ["undone", "acts"]
    # Whichever tells of a new deal first.
    assert (decisions[0]["source"], decisions[1]["source"] in ("webhook", "reconciliation")) == ("api", True)
    again = day.undo(TASKS)
    assert (again.status_code, "уже отменено" in again.text) == (409, True)


def test_a_task_that_is_finished_is_the_persons(day: Day) -> None:
    day.office.finish(MANAGER, day.deal, CALL, "взял")
    day.settle()
    assert day.preview(TASKS) == [("задача уже закрыта", False)]
    assert day.undo(TASKS).status_code == 409
    assert day.tasks()[CALL] == (True, "взял")


def offered(day: Day) -> None:
    """The offer has moved the deal on."""
    for name, value in CLIENT.items():
        day.office.fill(MANAGER, day.deal, name, value)
    day.office.fill(MANAGER, day.deal, "Дата первой встречи", int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()))
    day.office.move(MANAGER, day.deal, BRIEF)
    day.settle()
    day.office.attach(MANAGER, day.deal, "Коммерческое предложение Ромашка.pdf")
    day.settle()
    assert day.office.stage_of(day.deal) == OFFER


def test_a_deal_goes_back_and_entering_is_no_event(day: Day) -> None:
    offered(day)
    before = day.tasks()
    assert (f"этап → «{BRIEF}»", True) in day.preview(OFFERED)
    day.undo(OFFERED)
    assert day.office.stage_of(day.deal) == BRIEF
    assert day.tasks().keys() == before.keys(), "the stage's rules set nothing anew"
    assert day.tasks()["Согласовать КП"] == (True, f"Сделка ушла с этапа «{OFFER.split(' / ')[1]}»")


def test_a_deal_that_people_moved_on_stays(day: Day) -> None:
    offered(day)
    day.office.move(MANAGER, day.deal, "Продажи / Отложенные")
    day.settle()
    assert ("этап: сделка уже на другом", False) in day.preview(OFFERED)
    assert day.undo(OFFERED).status_code == 409
    assert day.office.stage_of(day.deal) == "Продажи / Отложенные"


def test_a_roll_back_is_forgiven(day: Day) -> None:
    """The gate stays: the next one who comes without the date is put back again."""
    for name, value in CLIENT.items():
        day.office.fill(MANAGER, day.deal, name, value)
    day.settle()
    day.office.move(MANAGER, day.deal, MEETING)
    day.settle()
    assert day.office.stage_of(day.deal) == NEW
    rule = next(
        one["rule"]
        for step in day.admin.get(f"/deals/{day.deal}")["steps"]
        for one in step["said"]
        if one["verdict"] == "acts" and "Дата первой встречи" in one["reason"] + str(one["effects"])
    )
    day.undo(rule)
    assert day.office.stage_of(day.deal) == MEETING
    assert all(done for text, (done, _) in day.tasks().items() if text.startswith("Сделк"))


def test_a_field_is_as_it_was_unless_somebody_has_changed_it(day: Day) -> None:
    for name, value in CLIENT.items():
        day.office.fill(MANAGER, day.deal, name, value)
    day.office.move(MANAGER, day.deal, "Продажи / Получение брифа")
    day.settle()
    day.office.finish(MANAGER, day.deal, "Отправить клиенту бриф для заполнения")
    day.settle()
    assert day.office.value(day.deal, "Бриф отправлен") is True
    rule = next(
        one["rule"]
        for step in day.admin.get(f"/deals/{day.deal}")["steps"]
        for one in step["said"]
        if one["verdict"] == "acts" and "Бриф отправлен" in str(one["effects"])
    )
    assert any("поле «Бриф отправлен»: как было" in words for words, _ in day.preview(rule))
    day.undo(rule)
    assert not day.office.value(day.deal, "Бриф отправлен")


def test_who_may_not_and_what_is_unknown(day: Day) -> None:
    path = day.step(TASKS)
    assert Program(day.bridge, Role.VIEWER).ask("POST", path, {"rule": TASKS}).status_code == 403
    assert Program(day.bridge, Role.VIEWER).ask("GET", f"{path}?rule={TASKS}").status_code == 403
    answer = day.admin.ask("POST", path, {"rule": "no_such.rule"})
    assert (answer.status_code, "ничего не сделало" in answer.text) == (409, True)
    assert day.admin.ask("POST", f"/deals/{day.deal}/steps/999999/undo", {"rule": TASKS}).status_code == 409
    assert day.tasks() == {CALL: (False, "")}


def test_on_the_page_it_is_shown_before_it_is_done(day: Day) -> None:
    users = day.bridge.app.extensions[EXTENSION].users
    visit = Visit(day.bridge.app.test_client())
    visit.become(users.sit_down(users.add("Анна", Role.ADMIN).id))
    (path,) = {unescape(one) for one in re.findall(r'href="([^"]*/undo[^"]*)"', visit.get("/done").text)}
    assert path in unescape(visit.get(f"/deals/{day.deal}").text)
    words = words_of(visit.get(path))
    assert f"задача „{CALL}“ закрыта вернётся" in words
    assert day.tasks() == {CALL: (False, "")}
    answer = visit.post(path.partition("?")[0], {"rule": TASKS}, page=path)
    assert answer.status_code == 302
    day.settle()
    assert day.tasks()[CALL] == (True, "Отменено")
    assert "отменено" in words_of(visit.get("/done"))
    assert "уже отменено останется" in words_of(visit.get(path))
    assert "Вернуть здесь нечего" in words_of(visit.get(path))
    assert "ничего не сделало" in words_of(visit.get(path.replace(TASKS, "no.such")))
