"""Closing documents are asked for by tasks that only the head may move or delete (A98)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from support.local_crm import TOKEN, LocalCrm
from support.running_bridge import RunningBridge, wait_until

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.runtime.worker import RECONCILE
from amo_bridge.storage.accounts import RECONCILED_AT, Cursors, known_key
from amo_bridge.storage.database import AccountStore

TASK = "Получить закрывающие документы: Мария Ким"
DUE, LATER = 1_900_000_000, 1_900_086_400


class Project:
    """A deal on «Исполнение» with an open protected task, and people who want to be rid of it."""

    def __init__(self, crm: LocalCrm, office: CrmUser, bridge: RunningBridge, deal: int) -> None:
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

    def look(self) -> None:
        """The bridge looks for what no hook has told of."""
        key = known_key(self.bridge._store, self.bridge.config.account.url)
        assert key is not None
        looked = Cursors(AccountStore(self.bridge._store, key))
        before = looked.read(RECONCILED_AT)
        worker = self.bridge.bridge._worker
        assert worker is not None
        worker.request_job(RECONCILE)
        wait_until(lambda: looked.read(RECONCILED_AT) != before, "the bridge has looked")
        self.bridge.settle(self.crm)

    def acted(self) -> int:
        """How often the rule has put something right."""
        entries = self.bridge.journal(self.deal)
        return sum((entry.clause, entry.verdict) == ("A98", "acts") for entry in entries)

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
def project(sandbox: LocalCrm, office: CrmUser, start_bridge: Callable[..., RunningBridge], config: Config) -> Project:
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
    assert project.acted() == 1


def test_a_date_moved_twice_at_once_goes_back_to_where_it_was(project: Project) -> None:
    project.move_twice(project.manager)
    assert project.open_tasks() == [(TASK, DUE)]


def test_all_within_one_second_is_put_back_and_stays_so(project: Project) -> None:
    """amoCRM dates by whole seconds: two moves, the bridge's correction and all words about them then have one time.
    They come as hooks in any order, once more, and in the list of events."""
    project.crm.control("POST", "clock", {"freeze": True})
    for due in (LATER, LATER + 86_400):
        project.ask("PATCH", "tasks", project.manager, {"id": project.task, "complete_till": due})
        project.bridge.settle(project.crm)
    assert project.open_tasks() == [(TASK, DUE)]
    acted = project.acted()
    words = project.crm.hook_bodies("update_task")
    for body in (*words, *words[::-1]):
        assert project.bridge.hook(body).status_code == 204
        project.bridge.settle(project.crm)
    for _ in range(2):
        project.look()
        assert project.open_tasks() == [(TASK, DUE)]
    assert project.acted() == acted


def test_what_the_list_tells_of_one_second_is_put_back_and_stays_so(
    project: Project, start_bridge: Callable[..., RunningBridge], config: Config
) -> None:
    """No hook comes: the list of events tells of two moves and, with the next look, of the bridge's correction too. A
    bridge that has been started anew reads all of it once more."""
    project.crm.control("POST", "clock", {"freeze": True})
    project.crm.fault("hook_drop")
    for due in (LATER, LATER + 86_400):
        project.ask("PATCH", "tasks", project.manager, {"id": project.task, "complete_till": due})
    for _ in range(2):
        project.look()
        assert project.open_tasks() == [(TASK, DUE)]
        project.bridge.stop()
        project.bridge = start_bridge(config).wait_ready()
    assert project.open_tasks() == [(TASK, DUE)]
    project.ask("PATCH", "tasks", project.head, {"id": project.task, "complete_till": LATER + 3600})
    for _ in range(2):
        project.look()
        assert project.open_tasks() == [(TASK, LATER + 3600)], "the head may, in this very second too"


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
