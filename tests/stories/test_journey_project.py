"""«Реализация» from its first stage to its last by the shipped example alone, with every branch (A90–A106)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from support.local_crm import TOKEN, LocalCrm
from support.running_bridge import RunningBridge

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import HEAD, MANAGER

OLGA, DMITRY = "Ольга Волкова", "Дмитрий Титов"
APPROVED = "Продажи / Утвержденный проект"
SOLD = "Продажи / Успешно реализовано"
TIMING = "Реализация / Тайминг"
CONTENT = "Реализация / Подготовка контента"
CHECKING = "Реализация / Согласование контента"
DOING = "Реализация / Исполнение"
WON = "Реализация / Успешно реализовано"
LOST = "Реализация / Закрыто и не реализовано"
SERVICES = "Лисицына Екатерина:\n— Instagram: Размещение фото\n— ВКонтакте: Пост"
LINES = {
    "Лисицына Екатерина, Instagram, Размещение фото": DMITRY,
    "Лисицына Екатерина, ВКонтакте, Пост": OLGA,
}
PAPERS = "Согласовать и подписать документы: Лисицына Екатерина"
LATE = "Близится дата сдачи, проект отстает от сроков"
CLOSING = ["Получить закрывающие документы: Лисицына Екатерина", "Получить закрывающие документы: Олег Зайцев"]
REPORT = "Подготовить и загрузить отчет по проекту"
WHEN = "Указать срок передачи отчета клиенту"
VIOLATION = "Невыполнение требований системы"
# A Monday noon in Moscow.
MONDAY = "2026-03-16T12:00"


def march(day: int) -> int:
    """Midnight of that day in Moscow, as amoCRM keeps a date."""
    return int(datetime(2026, 3, day, tzinfo=UTC).timestamp()) - 3 * 3600


@dataclass
class Project:
    """A project in «Реализация», and what its people do with it; everything that follows is done before they go on."""

    bridge: RunningBridge
    crm: LocalCrm
    office: CrmUser
    deal: int = 0

    def api(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = requests.request(method, f"{self.crm.url}/api/v4/{path}", json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def sell(self, services: str = SERVICES, contractor: bool = True) -> None:
        """The sale is won; the project is the deal that comes of it."""
        office = self.office
        sale = office.new_deal(MANAGER, "Ромашка", APPROVED, office.new_contact(MANAGER, "Анна Соколова"), 90_000)
        office.fill(MANAGER, sale, "PR-менеджер", OLGA)
        if services:
            office.fill(MANAGER, sale, "Услуги", services)
        if contractor:
            (person,) = self.api("GET", "contacts?query=Зайцев")["_embedded"]["contacts"]
            link = [{"to_entity_id": person["id"], "to_entity_type": "contacts"}]
            self.api("POST", f"leads/{sale}/link", link)
        self.settle()
        office.move(HEAD, sale, SOLD)
        self.settle()
        (new,) = office.deals_on(TIMING)
        self.deal = new["id"]

    def settle(self) -> None:
        self.bridge.settle(self.crm)
        self.crm.later()

    def on(self, day: int, hour: str = "12:00") -> None:
        self.bridge.settle_at(self.crm, set=f"2026-03-{day}T{hour}")

    @property
    def stage(self) -> str:
        return self.office.stage_of(self.deal)

    def open_tasks(self) -> dict[str, str]:
        """Text → whose."""
        return {task["text"]: task["who"] for task in self.office.tasks(self.deal) if not task["is_completed"]}

    def due(self, text: str) -> str:
        """When the open task is due, by the clocks of Moscow."""
        (task,) = [one for one in self.office.tasks(self.deal) if one["text"] == text and not one["is_completed"]]
        return f"{datetime.fromtimestamp(task['complete_till'], ZoneInfo('Europe/Moscow')):%d.%m %H:%M}"

    def times(self, text: str) -> int:
        return len([task for task in self.office.tasks(self.deal) if task["text"] == text])

    def move(self, person: str, stage: str, **more: Any) -> None:
        self.office.move(person, self.deal, stage, **more)
        self.settle()

    def finish(self, *texts: str) -> None:
        for text in texts:
            self.office.finish(OLGA, self.deal, text)
            self.settle()

    def fill(self, field: str, value: Any) -> None:
        self.office.fill(OLGA, self.deal, field, value)
        self.settle()

    def explained(self) -> str:
        """The explanation of a roll-back that is open; it is read and finished."""
        (text,) = [one for one in self.open_tasks() if one.startswith("Сделка ")]
        self.finish(text)
        return text


@pytest.fixture
def project(sandbox: LocalCrm, office: CrmUser, config: Config, start_bridge: Callable[..., RunningBridge]) -> Project:
    sandbox.control("POST", "clock", {"set": MONDAY, "freeze": True})
    return Project(start_bridge(config).wait_ready(), sandbox, office)


def lines(beginning: str) -> dict[str, str]:
    return {f"{beginning}: {line}": who for line, who in LINES.items()}


def to_fulfilment(project: Project, deadline: int) -> None:
    """The three stages before, their tasks finished one after the other."""
    project.fill("Дедлайн проекта", march(deadline))
    for _ in range(3):
        project.finish(*project.open_tasks())
    assert project.stage == DOING


def test_from_the_first_stage_to_the_last(project: Project) -> None:
    project.sell()
    assert project.open_tasks() == {**lines("Согласовать тайминг"), PAPERS: OLGA}

    # A92: with open tasks nobody but the head goes on, and one explanation names them.
    project.move(OLGA, CONTENT)
    assert project.stage == TIMING
    assert f"«{PAPERS}»" in project.explained()

    # A91, A93: the last task brings the next stage.
    project.finish(*list(project.open_tasks())[:-1])
    assert project.stage == TIMING
    project.finish(*project.open_tasks())
    assert project.stage == CONTENT
    assert project.open_tasks() == lines("Подготовить контент")

    # A96: five days before the deadline.
    project.fill("Дедлайн проекта", march(25))
    assert LATE not in project.open_tasks()
    project.on(20)
    assert project.open_tasks()[LATE] == HEAD

    # The head's task holds nobody up (A91), and without a deadline there is no fulfilment (A95).
    project.finish(*lines("Подготовить контент"))
    assert project.stage == CHECKING
    project.office.empty(OLGA, project.deal, "Дедлайн проекта")
    project.settle()
    project.finish(*lines("Согласовать контент"))
    assert project.stage == CHECKING
    project.fill("Дедлайн проекта", march(25))
    # The explanation is read and finished: now nothing is open or missing.
    assert "«Дедлайн проекта»" in project.explained()
    assert project.stage == DOING
    assert lines("Исполнить").items() <= project.open_tasks().items()

    # A97: at the deadline everybody is asked for papers; A98: nobody goes on without them, their dates stay.
    project.on(25)
    assert set(CLOSING) <= set(project.open_tasks())
    assert REPORT not in project.open_tasks()
    project.move(OLGA, WON)
    assert project.stage == DOING
    told = project.explained()
    assert "«Получить закрывающие документы" in told
    assert "«Отчет по проекту" in told, "one roll-back for both gates"
    papers = next(task for task in project.office.tasks(project.deal) if task["text"] == CLOSING[0])
    project.office.change_task(OLGA, papers["id"], complete_till=papers["complete_till"] + 86_400)
    project.settle()
    kept = next(task for task in project.office.tasks(project.deal) if task["text"] == CLOSING[0])
    assert kept["complete_till"] == papers["complete_till"]
    # By another name they are the same tasks: they hold the deal, and get their names back.
    asked = [task["id"] for task in project.office.tasks(project.deal) if task["text"] in CLOSING]
    for task in asked:
        project.office.change_task(OLGA, task, text="Прочее")
    project.move(OLGA, WON)
    assert project.stage == DOING
    assert "закройте задачи" in project.explained()
    for task in asked:
        project.office.change_task(OLGA, task, text="Разное")
    project.settle()
    assert set(CLOSING) <= set(project.open_tasks())

    # A99, A100: the last of them ticks the box, the last task of all brings the report.
    project.finish(*lines("Исполнить"), CLOSING[0])
    assert not project.office.value(project.deal, "Закрывающие документы получены")
    project.finish(CLOSING[1])
    assert project.office.value(project.deal, "Закрывающие документы получены")
    assert {REPORT, WHEN} <= set(project.open_tasks())

    # A101: finished without the file, with a file of another name, and at last as it should be.
    project.finish(WHEN, REPORT)
    assert {REPORT: OLGA, VIOLATION: HEAD}.items() <= project.open_tasks().items()
    project.office.attach(OLGA, project.deal, "Отчет по проекту «Лютик».pdf")
    project.finish(REPORT)
    assert (project.stage, REPORT in project.open_tasks()) == (DOING, True)
    assert project.times(WHEN) == 1

    # A102, A103.
    project.office.attach(OLGA, project.deal, "Отчет по проекту «Ромашка».pdf")
    project.finish(REPORT)
    assert project.stage == WON
    rows = project.crm.control("GET", "state?kind=tasks")["tables"]["tasks"].values()
    on_contact = [(row["text"], row["responsible_user_id"]) for row in rows if row["entity_type"] == "contacts"]
    assert on_contact == [("Спланировать дальнейшую работу по клиенту", project.office.users[MANAGER])]


def test_at_the_deadline_with_nothing_open_and_nobody_to_ask_the_report_is_asked_for(project: Project) -> None:
    project.sell(services="", contractor=False)
    project.fill("Дедлайн проекта", march(25))
    project.move(HEAD, DOING)
    project.finish(*project.open_tasks())
    project.on(25, "10:01")
    assert REPORT not in project.open_tasks()
    project.on(25, "10:16")
    assert project.open_tasks() == {REPORT: OLGA, WHEN: OLGA}
    # Whatever is finished later, and however the deadline moves: once.
    project.fill("Дедлайн проекта", march(27))
    project.finish(WHEN, REPORT)
    project.on(28)
    assert (project.times(REPORT), project.times(WHEN)) == (2, 1), "the report is asked for again: there is no file"


def test_papers_come_before_the_report_though_the_rest_was_done_in_time(project: Project) -> None:
    project.sell()
    to_fulfilment(project, 25)
    project.finish(*project.open_tasks())
    project.on(25)
    assert sorted(project.open_tasks()) == CLOSING
    project.finish(*CLOSING)
    assert set(project.open_tasks()) == {REPORT, WHEN}
    project.on(27)
    assert (project.times(REPORT), project.times(WHEN)) == (1, 1)


def test_a_project_that_comes_after_its_deadline_is_asked_for_papers_first(project: Project) -> None:
    project.sell(services="")
    project.fill("Дедлайн проекта", march(17))
    project.on(18)
    project.finish(*(text for text, who in project.open_tasks().items() if who != HEAD))
    project.move(HEAD, DOING)
    project.on(18, "12:30")
    assert CLOSING[1] in project.open_tasks()
    assert REPORT not in project.open_tasks()


def test_what_is_to_be_fulfilled_holds_a_project_and_what_is_only_called_so_does_not(project: Project) -> None:
    project.sell(contractor=False)
    to_fulfilment(project, 25)
    own = "Исполнить: что-нибудь ещё"
    project.office.new_task(OLGA, project.deal, own)
    project.office.attach(OLGA, project.deal, "Отчет по проекту «Ромашка».pdf")
    first, second = lines("Исполнить")
    task = next(task for task in project.office.tasks(project.deal) if task["text"] == first)
    project.office.change_task(OLGA, task["id"], text="Прочее")
    project.settle()
    project.move(OLGA, WON)
    assert project.stage == DOING
    told = project.explained()
    assert "«Прочее»" in told
    assert second in told
    assert own not in told
    project.finish("Прочее", second)
    project.move(OLGA, WON)
    assert project.stage == WON


def test_the_report_is_due_when_the_client_is_to_have_it(project: Project) -> None:
    project.sell(services="", contractor=False)
    project.fill("Дедлайн проекта", march(25))
    project.move(HEAD, DOING)
    project.finish(*project.open_tasks())
    project.on(25)
    project.fill("Срок передачи отчета", march(27))
    project.finish(WHEN)
    assert project.due(REPORT) == "27.03 23:59"
    project.fill("Срок передачи отчета", march(31))
    assert project.due(REPORT) == "31.03 23:59"
    project.on(31)
    assert VIOLATION not in project.open_tasks(), "the day is not over"
    project.on(31, "18:01")
    assert project.open_tasks()[VIOLATION] == HEAD
    project.office.attach(OLGA, project.deal, "Отчет по проекту «Ромашка».pdf")
    project.settle()
    assert VIOLATION not in project.open_tasks()
    assert project.times(VIOLATION) == 1


def test_a_report_that_is_there_in_time_is_no_matter_for_the_head(project: Project) -> None:
    project.sell(services="", contractor=False)
    project.fill("Срок передачи отчета", march(30))
    project.fill("Дедлайн проекта", march(25))
    project.move(HEAD, DOING)
    project.finish(*project.open_tasks())
    project.on(25)
    assert project.due(REPORT) == "30.03 23:59", "it was known before"
    project.office.attach(OLGA, project.deal, "Отчет по проекту «Ромашка».pdf")
    project.on(31)
    assert VIOLATION not in project.open_tasks()


def test_a_lost_project_needs_its_reason_and_the_head(project: Project) -> None:
    project.sell()
    project.move(OLGA, LOST)
    assert project.stage == TIMING
    assert "Причина отказа" in project.explained()
    project.move(OLGA, LOST, loss_reason_id=project.office.reasons["Дорого"])
    assert project.stage == LOST
    assert project.open_tasks()["Проект потерян («Дорого»): разобраться в ситуации"] == HEAD
