"""A project's way through «Реализация» over HTTP: its last task moves it on, the documents, the report, the end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge, wait_until

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import HEAD, PR

TIMING = "Реализация / Тайминг"
CONTENT = "Реализация / Подготовка контента"
APPROVING = "Реализация / Согласование контента"
DOING = "Реализация / Исполнение"
WON = "Реализация / Успешно реализовано"
LOST = "Реализация / Закрыто и не реализовано"
CLOSING = "Получить закрывающие документы: Екатерина Лисицына"
REPORT = "Подготовить и загрузить отчет по проекту"
WHEN = "Указать срок передачи отчета клиенту"
VIOLATION = "Невыполнение требований системы"
SERVICES = "Екатерина Лисицына:\n— Instagram: Размещение фото\n— YouTube: Обзор"
DAY = 86_400
MOSCOW = ZoneInfo("Europe/Moscow")


@pytest.fixture
def project(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> int:
    """A project on «Тайминг», its deadline far enough for nobody to be warned."""
    deal = office.new_deal(PR, "Ромашка", "Реализация / Тайминг", office.new_contact(PR, "Анна"), 1000)
    office.fill(PR, deal, "Дедлайн проекта", in_days(office, 30))
    office.fill(PR, deal, "Услуги", SERVICES)
    bridge.settle(sandbox)
    return deal


@pytest.fixture
def ending(project: int, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> int:
    """The project on «Исполнение», its deadline past, its services done, the closing documents still to come."""
    for _ in range(3):
        finish_all(bridge, sandbox, office, project)
    assert office.stage_of(project) == DOING
    sandbox.later()
    office.fill(PR, project, "Дедлайн проекта", in_days(office, -1))
    wait_until(lambda: CLOSING in still_open(office, project), "the clock asks for the closing documents (A97)")
    bridge.settle(sandbox)
    for text in still_open(office, project):
        if text != CLOSING:
            sandbox.later()
            office.finish(PR, project, text)
    bridge.settle(sandbox)
    assert still_open(office, project) == [CLOSING]
    return project


def in_days(office: CrmUser, days: int) -> int:
    return int(office.now().timestamp()) + days * DAY


def at_noon(office: CrmUser, days: int) -> int:
    """Noon in Moscow so many days from now."""
    day = (office.now() + timedelta(days=days)).astimezone(MOSCOW)
    return int(day.replace(hour=12, minute=0, second=0, microsecond=0).timestamp())


def still_open(office: CrmUser, deal: int) -> list[str]:
    return [task["text"] for task in office.tasks(deal) if not task["is_completed"]]


def finish_all(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal: int) -> None:
    for text in still_open(office, deal):
        sandbox.later()
        office.finish(PR, deal, text)
    bridge.settle(sandbox)


def new_task(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal: int, text: str) -> None:
    sandbox.later()
    office.new_task(PR, deal, text)
    bridge.settle(sandbox)


def finish(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal: int, text: str) -> None:
    sandbox.later()
    office.finish(PR, deal, text)
    bridge.settle(sandbox)


def test_every_stage_ends_when_its_last_task_is_finished(
    project: int, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    for stage, then in ((TIMING, CONTENT), (CONTENT, APPROVING), (APPROVING, DOING)):
        assert office.stage_of(project) == stage
        new_task(bridge, sandbox, office, project, "Позвонить блогеру")
        *others, last = still_open(office, project)
        assert len(others) >= 2, "the services' tasks, and a person's own"
        for text in others:
            finish(bridge, sandbox, office, project, text)
        assert office.stage_of(project) == stage, "one task is still open"
        finish(bridge, sandbox, office, project, last)
        assert office.stage_of(project) == then


def test_the_end_of_a_project(ending: int, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> None:
    assert not office.value(ending, "Закрывающие документы получены")
    finish(bridge, sandbox, office, ending, CLOSING)
    assert office.value(ending, "Закрывающие документы получены")
    assert sorted(still_open(office, ending)) == sorted([REPORT, WHEN])

    finish(bridge, sandbox, office, ending, WHEN)
    finish(bridge, sandbox, office, ending, REPORT)
    assert sorted(still_open(office, ending)) == sorted([REPORT, VIOLATION]), "there is no report yet"
    assert office.stage_of(ending) == DOING

    office.attach(PR, ending, "Отчёт по проекту «Ромашка».pdf")
    finish(bridge, sandbox, office, ending, REPORT)
    assert office.stage_of(ending) == WON, "the head's own task holds nobody up"


def test_at_the_deadline_of_a_project_with_nothing_open_the_report_is_asked_for_once(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    deal = office.new_deal(PR, "Ромашка", "Реализация / Исполнение", office.new_contact(PR, "Анна"), 1000)
    sandbox.later()
    deadline = at_noon(office, 2)
    office.fill(PR, deal, "Дедлайн проекта", deadline)
    bridge.settle(sandbox)
    finish_all(bridge, sandbox, office, deal)
    assert still_open(office, deal) == [], "it is to come"
    bridge.settle_at(sandbox, set=deadline)
    assert sorted(still_open(office, deal)) == sorted([REPORT, WHEN])
    finish(bridge, sandbox, office, deal, WHEN)
    another = at_noon(office, 2)
    office.fill(PR, deal, "Дедлайн проекта", another)
    bridge.settle_at(sandbox, set=another)
    finish(bridge, sandbox, office, deal, REPORT)
    assert sorted(still_open(office, deal)) == sorted([REPORT, VIOLATION]), "set again for want of a file, and no more"


def test_before_the_deadline_no_report_is_asked_for(
    ending: int, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    office.fill(PR, ending, "Дедлайн проекта", in_days(office, 10))
    finish(bridge, sandbox, office, ending, CLOSING)
    assert still_open(office, ending) == []
    assert office.stage_of(ending) == DOING


def test_without_a_deadline_the_bridge_does_not_get_into_fulfilment_either(
    project: int, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    office.empty(PR, project, "Дедлайн проекта")
    for _ in range(3):
        finish_all(bridge, sandbox, office, project)
    assert office.stage_of(project) == APPROVING
    tasks = still_open(office, project)
    assert len(tasks) == 1, tasks
    (told,) = tasks
    assert "«Дедлайн проекта»" in told


def test_a_lost_project_needs_a_reason_and_the_head_looks_into_it(
    project: int, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    sandbox.later()
    office.move(PR, project, LOST)
    bridge.settle(sandbox)
    assert office.stage_of(project) == TIMING
    sandbox.later()
    office.move(PR, project, LOST, loss_reason_id=office.reasons["Дорого"])
    bridge.settle(sandbox)
    assert office.stage_of(project) == LOST
    heads = [task["text"] for task in office.tasks(project) if task["who"] == HEAD]
    assert heads == ["Проект потерян («Дорого»): разобраться в ситуации"]


def test_the_last_task_finished_while_the_bridge_was_down_moves_the_project(
    start_bridge: Callable[..., RunningBridge], config: Config, sandbox: LocalCrm, office: CrmUser
) -> None:
    bridge = start_bridge(config).wait_ready()
    deal = office.new_deal(PR, "Ромашка", TIMING, office.new_contact(PR, "Анна"), 1000)
    office.fill(PR, deal, "Услуги", SERVICES)
    bridge.settle(sandbox)
    sandbox.fault("hook_drop")
    bridge.stop()
    for text in still_open(office, deal):
        sandbox.later()
        office.finish(PR, deal, text)
    start_bridge(config, port=bridge.port).wait_ready()
    wait_until(lambda: office.stage_of(deal) == CONTENT, "the project has moved on")


def test_tasks_finished_at_one_moment_move_the_deal_once(
    project: int, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    """The next stage's gate puts it back (A95); the other completion, told minutes late, does not move it again."""
    for _ in range(2):
        finish_all(bridge, sandbox, office, project)
    assert office.stage_of(project) == APPROVING
    sandbox.later()
    office.empty(PR, project, "Дедлайн проекта")
    bridge.settle(sandbox)
    first, *others = still_open(office, project)
    sandbox.later()
    lost = sandbox.fault("hook_drop", setting="*task*", count=1)
    office.finish(PR, project, first)
    bridge.settle(sandbox)
    assert sandbox.struck(lost) == 1
    sandbox.good_weather()
    for text in others:
        office.finish(PR, project, text)
    bridge.settle(sandbox)
    assert office.stage_of(project) == APPROVING, "moved, and put back"
    moves = [row for row in sandbox.bodies("PATCH", "/api/v4/leads") if "status_id" in str(row)]
    bridge.settle_at(sandbox, advance=400)
    late = "правило уже сделало это"
    wait_until(lambda: any(late in entry.reason for entry in bridge.journal(project)), "the completion is found")
    bridge.settle(sandbox)
    assert [row for row in sandbox.bodies("PATCH", "/api/v4/leads") if "status_id" in str(row)] == moves
