"""The approval of an offer over HTTP: every answer, several rounds, answers that come late or not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge, wait_until

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import HEAD, MANAGER, OFFER, PR

APPROVING = "Продажи / Согласование КП"
BRIEF = "Продажи / Бриф получен"
APPROVE = "Согласовать КП"
SEND = "Отправить КП клиенту и согласовать"
REDO = "Переделать КП"
DESCRIBE = "Описать правки в комментарии к сделке"
DATE = "Заполнить поле «Дата принятия решения»"
SECTION = "Заполнить раздел «Бриф»"
"""A52: asked beside, and none of the approval's business."""


@pytest.fixture
def deal(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> int:
    """A deal whose offer waits for the head's answer."""
    deal = office.new_deal(MANAGER, "Ромашка", BRIEF, office.new_contact(MANAGER, "Анна"), 1000)
    bridge.settle(sandbox)
    attach(bridge, sandbox, office, deal, OFFER)
    assert still_open(office, deal) == [(APPROVE, HEAD)]
    return deal


def attach(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal: int, name: str) -> None:
    sandbox.later()
    office.attach(PR, deal, name)
    bridge.settle(sandbox)


def answer(
    bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser, deal: int, result: str, *, from_list: bool = True
) -> None:
    """The head finishes the open task of approval: from the list of tasks that is two hooks, from the card one."""
    sandbox.later()
    (task,) = [task for task in office.tasks(deal) if task["text"].startswith(APPROVE) and not task["is_completed"]]
    if from_list:
        body = {"user_id": office.users[HEAD], "task_id": task["id"], "text": result}
        sandbox.control("POST", "ui/complete_task", body)
    else:
        office.finish(HEAD, deal, task["text"], result)
    bridge.settle(sandbox)


def still_open(office: CrmUser, deal: int) -> list[tuple[str, str]]:
    return [
        (task["text"], task["who"])
        for task in office.tasks(deal)
        if not task["is_completed"] and task["text"] != SECTION
    ]


@pytest.mark.parametrize("from_list", [True, False], ids=["from the list of tasks", "from the card"])
@pytest.mark.parametrize("result", ["Согласовано", "согласовано.", "  СОГЛАСОВАНО, отправляйте "])
def test_approved(
    from_list: bool, result: str, deal: int, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    answer(bridge, sandbox, office, deal, result, from_list=from_list)
    assert still_open(office, deal) == [(DATE, MANAGER), (SEND, MANAGER)]


def test_the_date_that_was_asked_for_closes_its_task(
    deal: int, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    answer(bridge, sandbox, office, deal, "Согласовано")
    sandbox.later()
    office.fill(MANAGER, deal, "Дата принятия решения", 1_800_000_000)
    bridge.settle(sandbox)
    assert (DATE, MANAGER) not in still_open(office, deal)


def test_refused_made_again_and_refused_again_and_approved(
    deal: int, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    for number, comment in enumerate(("дорого", "поменять блогера"), start=2):
        answer(bridge, sandbox, office, deal, f"Не согласовано: {comment}")
        assert still_open(office, deal) == [(REDO, PR), (DESCRIBE, HEAD)]
        assert any(comment in note for note in office.notes(deal))
        for person, text in ((PR, REDO), (HEAD, DESCRIBE)):
            sandbox.later()
            office.finish(person, deal, text)
        attach(bridge, sandbox, office, deal, f"Коммерческое предложение {number}.pdf")
        assert still_open(office, deal) == [(APPROVE, HEAD)]
    answer(bridge, sandbox, office, deal, "Согласовано")
    assert still_open(office, deal) == [(DATE, MANAGER), (SEND, MANAGER)]
    assert office.stage_of(deal) == APPROVING


@pytest.mark.parametrize("result", ["", "Посмотрю завтра"])
def test_any_other_answer_is_asked_for_again_with_the_two_allowed(
    result: str, deal: int, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    answer(bridge, sandbox, office, deal, result)
    ((text, who),) = still_open(office, deal)
    assert who == HEAD
    assert text.startswith(APPROVE)
    assert "«Согласовано»" in text
    assert "«Не согласовано»" in text
    answer(bridge, sandbox, office, deal, "Не согласовано")
    assert still_open(office, deal) == [(REDO, PR), (DESCRIBE, HEAD)]


def test_the_same_file_once_more_while_the_answer_is_awaited_asks_nobody(
    deal: int, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    attach(bridge, sandbox, office, deal, OFFER)
    assert still_open(office, deal) == [(APPROVE, HEAD)]


def test_an_answer_given_while_the_bridge_was_down_counts(
    start_bridge: Callable[..., RunningBridge], config: Config, sandbox: LocalCrm, office: CrmUser
) -> None:
    bridge = start_bridge(config).wait_ready()
    deal = office.new_deal(MANAGER, "Ромашка", APPROVING, office.new_contact(MANAGER, "Анна"), 1000)
    bridge.settle(sandbox)
    sandbox.fault("hook_drop")
    bridge.stop()
    sandbox.later()
    office.finish(HEAD, deal, APPROVE, "Не согласовано")
    bridge = start_bridge(config, port=bridge.port).wait_ready()
    wait_until(lambda: still_open(office, deal), "the answer was found")
    bridge.settle(sandbox)
    assert still_open(office, deal) == [(REDO, PR), (DESCRIBE, HEAD)]
