"""Whatever sets a task from ``TaskSpec`` sets it only if the deal is what the task's own ``when`` asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel
from support.builders import IVAN, NOON, answered, deal, entered, file_attached, finished, step_due, task

from amo_bridge.crm.account import User
from amo_bridge.events import CallLogged, CampaignLoaded, EnquiryReceived, ResponsibleChanged
from amo_bridge.rules.actions import Action, CreateTask, Skip
from amo_bridge.rules.deal import AdDay, Call, Campaign, Contact, Deal
from amo_bridge.rules.handler import Handler
from amo_bridge.rules.options import ActionsSpec, TaskSpec
from amo_bridge.rules.registry import shipped
from schedules.contacts_need_fields import STEP

STAGE, OTHER, LOST = "Продажи / Бриф получен", "Продажи / Отложенные", "Продажи / Закрыто и не реализовано"
OLGA = User(id=2, name="Ольга Волкова", email="", is_active=True, is_admin=False)
TASK = {"text": "Проверить", "to": "manager", "due": "1 d"}
TAGGED = TASK | {"when": {"tag": "vip"}}
HANDLERS = shipped("handlers") | shipped("schedules")


@dataclass(frozen=True)
class Case:
    """What makes the rule set the task of one of its options."""

    option: str
    event: Any
    options: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    many: bool = False

    @property
    def kind(self) -> str:
        return self.option.partition(".")[0]


CALL = {"at": NOON, "note_id": 1, "entity_type": "deal", "entity_id": 7, "direction": "out"}
MISSED = CallLogged(**CALL, seconds=0)
DEAR = AdDay(day=date(2026, 11, 22), shows=1000, clicks=100, cost=90_000)
LOADED = CampaignLoaded(
    at=NOON, deal_id=7, campaign="Ромашка", day="2026-11-22", loaded_on="2026-11-23", figures="0"
)  # fmt: skip
IN_VAIN = (Call(id=1, direction="out", at=NOON, seconds=0, status=6),)
MOVES = {"stages": [STAGE], "to_stage": OTHER, "lost_stage": LOST, "lost_reason": "Не дозвонились"}
ABROAD = MOVES | {"task": TASK, "foreign_stage": OTHER}
COMES = {"to_stage": STAGE, "responsible": ["Иван Петров"]}
ASKS = {"enquiry_id": 5, "source": "tilda", "name": "Анна"}
TO_COME = EnquiryReceived(at=NOON, deal_id=-5, standing="new", **ASKS)  # type: ignore[arg-type]
AGAIN = EnquiryReceived(at=NOON, deal_id=7, standing="open", **ASKS)  # type: ignore[arg-type]
RANG = EnquiryReceived(at=NOON, deal_id=7, standing="open", call="missed", **ASKS)  # type: ignore[arg-type]
HANDED = ResponsibleChanged(at=NOON, deal_id=7, old=IVAN.id, new=OLGA.id, user_id=IVAN.id, user_is=(IVAN.name,))
CASES = [
    Case("stage_creates_tasks.tasks", entered(STAGE), {"stages": [STAGE]}, many=True),
    Case("file_sets_tasks.tasks", file_attached("КП.pdf"), {"name_starts_with": ["КП"]}, many=True),
    Case("enquiry_becomes_deal.task", TO_COME, COMES),
    Case("enquiry_becomes_deal.again_task", AGAIN, COMES),
    Case("enquiry_becomes_deal.missed_task", RANG, COMES),
    Case("deal_is_handed_over.task", HANDED, {}, {"responsible": OLGA}),
    Case(
        "deal_is_handed_over.task", finished(user_id=IVAN.id), {},
        {"responsible": OLGA, "own_tasks": (task("checklist", is_completed=True),)},
    ),
    Case("missed_call_moves_deal.task", MISSED, MOVES, {"calls": IN_VAIN}),
    Case(
        "missed_call_moves_deal.foreign_task", MISSED, ABROAD,
        {"calls": IN_VAIN, "contacts": (Contact(id=5, is_main=True, phones=("+4915112345678",)),)},
    ),
    Case("talk_asks_for_note.task", CallLogged(**CALL, seconds=95)),
    Case("stage_needs_task.task", entered(STAGE), {"stages": [STAGE]}),
    Case(
        "task_answer_decides.ask_again", answered("ок"),
        {"task": "Согласовать КП", "answers": [{"words": ["Да"], "task": TASK}]},
    ),
    Case(
        "contacts_need_fields.task", step_due(STEP, "2026-11-23"),
        {"stages": [STAGE], "fields": ["Телефон"], "every": "рабочий день 10:30"},
    ),
    Case(
        "campaign_norms.over", LOADED, {"stages": [STAGE], "ads": {"norms": [{"metric": "CPC", "most": 1}]}},
        {"campaign": (Campaign(name="Ромашка", days=(DEAR,)),), "fields": {"Название рекламной кампании": "Ромашка"}},
    ),
]  # fmt: skip


def judged(case: Case, *tags: str) -> Any:
    handler: Handler = HANDLERS[case.kind]
    name = case.option.partition(".")[2]
    options = handler.options.model_validate(case.options | {name: [TAGGED] if case.many else TAGGED})
    nothing = dict.fromkeys(("own_tasks", "open_tasks", "finished_tasks", "calls", "contacts", "notes"), ())
    fields = (
        {"tags": tags, "id": case.event.deal_id or 7} if isinstance(case.event, EnquiryReceived) else {"tags": tags}
    )
    return handler.judge(case.event, deal(STAGE, **(nothing | fields | case.seen)), options)


def tasks_in(said: Any) -> Iterator[CreateTask]:
    for action in said if isinstance(said, Iterable) and not isinstance(said, Skip) else (said,):
        if isinstance(action, CreateTask):
            yield action
        if isinstance(action, Action):
            yield from tasks_in(action.then)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.option} {type(case.event).__name__}")
def test_the_task_is_set_only_if_its_own_condition_holds(case: Case) -> None:
    wanted = [one for one in tasks_in(judged(case, "vip")) if one.text.startswith("Проверить")]
    if case.event is not TO_COME:
        assert len(wanted) == 1
    assert [one for one in tasks_in(judged(case)) if one.text.startswith("Проверить")] == []


def test_the_task_of_a_deal_to_come_looks_at_the_deal_as_it_will_be() -> None:
    handler = HANDLERS["enquiry_becomes_deal"]
    coming: Deal = deal(STAGE, id=-5, own_tasks=())
    for tag, source, set_tasks in (("vip", "Тильда", 1), ("vip", "Звонок", 0), ("сайт", "Тильда", 0)):
        when = [{"tag": "vip"}, {"field": "Источник", "is": "Тильда"}]
        found = [
            len(list(tasks_in(handler.judge(TO_COME, coming, handler.options.model_validate(
                COMES | {"tags": [tag], "source_field": "Источник", "source_values": {"tilda": source},
                         "task": TASK | {"when": one}}
            )))))
            for one in when
        ]  # fmt: skip
        assert min(found) == set_tasks


def options_with_tasks(model: type[BaseModel]) -> Iterator[str]:
    """The options that are TaskSpec, alone, several or none."""
    for name, info in model.model_fields.items():
        if not issubclass(model, ActionsSpec) and "TaskSpec" in str(info.annotation):
            yield name


def test_every_kind_that_has_such_options_is_in_the_table() -> None:
    """``ActionsSpec`` sets its tasks in one place (test_options_waiting.py)."""
    there = {f"{name}.{option}" for name, one in HANDLERS.items() for option in options_with_tasks(one.options)}
    assert there == {case.option for case in CASES}
    assert TaskSpec.model_validate(TAGGED).wanted(deal(STAGE)) == []
