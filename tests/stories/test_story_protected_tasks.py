"""Closing documents are asked for by tasks that only the head may move or delete (A98)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from local_crm import TOKEN, LocalCrm
from running_bridge import RunningBridge

from amo_bridge.config.model import Config
from amo_bridge.demo.office import Office

TASK = "Получить закрывающие документы: Мария Ким"
DUE, LATER = 1_900_000_000, 1_900_086_400


class Project:
    """A deal on «Исполнение» with an open protected task, and people who want to be rid of it."""

    def __init__(self, crm: LocalCrm, office: Office, bridge: RunningBridge, deal: int) -> None:
        self.crm, self.office, self.bridge, self.deal = crm, office, bridge, deal
        head = bridge.config.roles["head"]
        self.head = next(user for name, user in office.users.items() if name == str(head))
        self.manager = next(user for user in office.users.values() if user != self.head)
        self.task = self.ask("POST", "tasks", self.manager, {"text": TASK, "complete_till": DUE, **self.card})
        crm.later()
        bridge.settle(crm)

    @property
    def card(self) -> dict[str, Any]:
        return {"entity_type": "leads", "entity_id": self.deal}

    def ask(self, method: str, path: str, user: int, body: dict[str, Any]) -> int:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Sandbox-Person": str(user)}
        answer = requests.request(method, f"{self.crm.url}/api/v4/{path}", json=[body], headers=headers, timeout=30)
        answer.raise_for_status()
        return int(answer.json()["_embedded"]["tasks"][0]["id"])

    def move(self, user: int) -> None:
        self.ask("PATCH", "tasks", user, {"id": self.task, "complete_till": LATER})
        self.settle()

    def move_twice(self, user: int) -> None:
        """Before the bridge hears of the first move."""
        self.crm.fault("hook_delay", seconds=30)
        for due in (LATER, LATER + 86_400):
            self.crm.later(1)
            self.ask("PATCH", "tasks", user, {"id": self.task, "complete_till": due})
        self.settle()

    def delete(self, user: int) -> None:
        self.crm.control("POST", "ui/delete_task", {"user_id": user, "task_id": self.task})
        self.settle()

    def settle(self) -> None:
        self.bridge.settle(self.crm)
        self.crm.later()

    def open_tasks(self) -> list[tuple[str, int]]:
        tasks = self.office.tasks(self.deal)
        return [(task["text"], task["complete_till"]) for task in tasks if not task["is_completed"]]


@pytest.fixture
def project(sandbox: LocalCrm, office: Office, start_bridge: Callable[..., RunningBridge], config: Config) -> Project:
    seeded = sandbox.control("POST", "seed", {"deals": 1, "stage": "Реализация / Исполнение"})
    # The bridge meets the account later: that the deal came onto the stage is no news.
    sandbox.later()
    return Project(sandbox, office, start_bridge(config).wait_ready(), seeded["first_id"])


def test_a_date_moved_by_somebody_else_goes_back(project: Project) -> None:
    for _ in range(2):
        project.move(project.manager)
        assert project.open_tasks() == [(TASK, DUE)]


def test_its_own_change_is_no_news_to_the_bridge(project: Project) -> None:
    project.move(project.manager)
    acted = [
        entry for entry in project.bridge.journal(project.deal) if (entry.clause, entry.verdict) == ("A98", "acts")
    ]
    assert len(acted) == 1


def test_a_date_moved_twice_at_once_goes_back_to_where_it_was(project: Project) -> None:
    project.move_twice(project.manager)
    assert project.open_tasks() == [(TASK, DUE)]


def test_what_the_head_chose_is_protected_from_then_on(project: Project) -> None:
    project.move(project.head)
    project.ask("PATCH", "tasks", project.manager, {"id": project.task, "complete_till": LATER + 3600})
    project.settle()
    assert project.open_tasks() == [(TASK, LATER)]


def test_a_task_deleted_by_somebody_else_is_set_again(project: Project) -> None:
    project.delete(project.manager)
    assert project.open_tasks() == [(TASK, DUE)]


def test_the_head_may(project: Project) -> None:
    project.move(project.head)
    assert project.open_tasks() == [(TASK, LATER)]
    project.delete(project.head)
    assert project.open_tasks() == []
