"""Which tasks of a rule wait until the deal is what their ``when`` asks for."""

from __future__ import annotations

from typing import Any

import pytest
from support.builders import deal

from amo_bridge.rules.actions import Waiting
from amo_bridge.rules.options import ActionsSpec, TaskSpec, waiting_tasks


def spec(**when: Any) -> TaskSpec:
    facts = {"text": "Позвонить", "to": "manager", "due": "1 d"}
    return TaskSpec.model_validate(facts | ({"when": when} if when else {}))


PREPAID, OTHERWISE = {"field": "Тип оплаты", "is": "Предоплата"}, {"field": "Тип оплаты", "is_not": "Предоплата"}
VIP = {"tag": "vip"}


@pytest.mark.parametrize(
    ("specs", "fields", "waits"),
    [
        pytest.param([spec()], {}, False, id="no condition"),
        pytest.param([spec(**PREPAID)], {}, True, id="the field is empty"),
        pytest.param([spec(**PREPAID)], {"Тип оплаты": "Предоплата"}, False, id="it holds"),
        pytest.param([spec(), spec(**PREPAID)], {}, True, id="one of two"),
        pytest.param([spec(**PREPAID), spec(**OTHERWISE)], {}, False, id="the alternative is set"),
        pytest.param([spec(**OTHERWISE), spec(**VIP)], {}, True, id="another question"),
    ],
)
def test_what_waits(specs: list[TaskSpec], fields: dict[str, str], waits: bool) -> None:
    found = waiting_tasks(specs, deal(fields=fields))
    assert bool(found) == waits
    assert all(isinstance(one, Waiting) for one in found)


def test_deeds_wait_for_their_tasks() -> None:
    tasks = [{"text": "Позвонить", "to": "manager", "due": "1 d", "when": PREPAID}]
    deeds = ActionsSpec.model_validate({"note": "Приложен договор", "task": tasks})
    assert [one.reason for one in deeds.waiting(deal())] == ["не выполнено условие задачи: «Тип оплаты» = «Предоплата»"]
