"""Whatever may be done about a deal, as the config says it: what it comes to, in which order, and what is refused."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError
from support.builders import deal

from amo_bridge.dates.due import Due
from amo_bridge.rules.actions import (
    Action,
    AddNote,
    AddTags,
    Attachment,
    CreateTask,
    JoinAudience,
    LeaveAudience,
    MoveDeal,
    Notify,
    RecordViolation,
    SendLetter,
    SendSms,
    SetFields,
    StartAutoDial,
    StartSeries,
    StopAutoDial,
    StopSeries,
)
from amo_bridge.rules.options import ActionsSpec, EscalationSpec

TASK = {"text": "Позвонить: {Название}", "to": "manager", "due": "1 d"}
TODAY = Due.parse("end of day")


def done(**deeds: Any) -> list[Action]:
    return ActionsSpec.model_validate(deeds).for_deal(deal(), slot="day 3")


@pytest.mark.parametrize(
    ("deeds", "actions"),
    [
        (
            {"task": TASK},
            [CreateTask(deal_id=7, text="Позвонить: Ромашка", to="manager", due=Due.parse("1 d"), slot="day 3")],
        ),
        (
            {"notify": {"to": "head", "text": "{Название} ждёт", "urgent": True}},
            [Notify(deal_id=7, to=("head",), text="Ромашка ждёт", urgent=True)],
        ),
        (
            {"escalate": {"text": "Больше часа без ответа"}},
            [
                CreateTask(deal_id=7, text="Больше часа без ответа", to="head", due=TODAY, slot="day 3.escalate"),
                Notify(deal_id=7, to=("head",), text="Больше часа без ответа"),
            ],
        ),
        (
            {"letter": {"template": "ждём бриф", "thread": "бриф"}},
            [SendLetter(deal_id=7, template="ждём бриф", thread="бриф")],
        ),
        ({"letter": {"template": "a", "service": False}}, [SendLetter(deal_id=7, template="a", service=False)]),
        (
            {"letter": {"template": "a", "attach": ["Бриф.docx", {"deal_file": "Счёт"}, {"deal_file": ["Акт", "КП"]}]}},
            [
                SendLetter(
                    deal_id=7,
                    template="a",
                    attach=(
                        Attachment(file="Бриф.docx"),
                        Attachment(deal_file=("Счёт",)),
                        Attachment(deal_file=("Акт", "КП")),
                    ),
                )
            ],
        ),
        (
            {"letter": {"template": "a", "attach": "Бриф.docx"}},
            [SendLetter(deal_id=7, template="a", attach=(Attachment(file="Бриф.docx"),))],
        ),
        ({"sms": "{Название}, ждём бриф"}, [SendSms(deal_id=7, text="Ромашка, ждём бриф")]),
        (
            {"audiences": {"join": ["VK"], "leave": ["Google"]}},
            [JoinAudience(deal_id=7, audience="VK"), LeaveAudience(deal_id=7, audience="Google")],
        ),
        ({"auto_dial": "start"}, [StartAutoDial(deal_id=7)]),
        ({"auto_dial": "stop"}, [StopAutoDial(deal_id=7)]),
        ({"start_series": "прогрев"}, [StartSeries(deal_id=7, series="прогрев")]),
        ({"stop_series": "прогрев"}, [StopSeries(deal_id=7, series="прогрев")]),
        ({"violation": "M7"}, [RecordViolation(deal_id=7, person="manager", clause="M7")]),
        (
            {"violation": {"clause": "M7", "person": "pr", "penalty": 5000}},
            [RecordViolation(deal_id=7, person="pr", clause="M7", penalty=5000)],
        ),
        (
            {"set_fields": {"Статус": "ждём: {Название}", "Напоминаний": 2, "Готово": True}},
            [SetFields(deal_id=7, values={"Статус": "ждём: Ромашка", "Напоминаний": 2, "Готово": True})],
        ),
        ({"tags": ["ждёт"]}, [AddTags(deal_id=7, tags=("ждёт",))]),
        ({"note": "Напомнили"}, [AddNote(deal_id=7, text="Напомнили")]),
        ({"move_to": "Продажи / Получение брифа"}, [MoveDeal(deal_id=7, to="Продажи / Получение брифа")]),
    ],
)
def test_a_deed(deeds: dict[str, Any], actions: list[Action]) -> None:
    assert done(**deeds) == actions


def test_several_tasks_are_told_apart_and_asked_for_one_by_one() -> None:
    second = {**TASK, "text": "Написать"}
    other = {**TASK, "text": "Не этой сделке", "when": {"tag": "VIP"}}
    tasks = done(task=[TASK, other, second])
    assert [(task.text, task.slot) for task in tasks if isinstance(task, CreateTask)] == [
        ("Позвонить: Ромашка", "day 3"),
        ("Написать", "day 3.2"),
    ]


def test_the_move_is_the_last_of_all() -> None:
    kinds = [type(action) for action in done(move_to="Продажи / Бриф получен", task=TASK, tags=["a"], violation="M7")]
    assert kinds == [AddTags, CreateTask, RecordViolation, MoveDeal]


@pytest.mark.parametrize(
    ("deeds", "words"),
    [
        ({}, "нечего делать: нужно хотя бы одно из"),
        ({"task": []}, "at least 1 item"),
        ({"audiences": {}}, "нужны аудитории: join"),
        ({"letter": {"template": ""}}, "at least 1 character"),
        ({"auto_dial": "later"}, "'start' or 'stop'"),
        ({"violation": {"clause": "M7", "penalty": -1}}, "greater than or equal to 0"),
        ({"notify": {"to": [], "text": "a"}}, "at least 1 item"),
        ({"leter": {"template": "a"}}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(deeds: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ActionsSpec.model_validate(deeds)


def test_a_shape_may_add_its_own_keys_but_must_do_something() -> None:
    class Step(ActionsSpec):
        after: str

    assert Step.model_validate({"after": "3 d", "tags": ["a"]}).for_deal(deal()) == [AddTags(deal_id=7, tags=("a",))]
    with pytest.raises(ValidationError, match="нечего делать"):
        Step.model_validate({"after": "3 d"})


def test_an_escalation_may_go_to_somebody_else_and_be_urgent() -> None:
    spec = EscalationSpec.model_validate({"text": "{Название}", "to": "pr", "due": "1 h", "urgent": True})
    task, notice = spec.for_deal(deal())
    assert isinstance(task, CreateTask)
    assert (task.to, task.due, task.text) == ("pr", Due.parse("1 h"), "Ромашка")
    assert notice == Notify(deal_id=7, to=("pr",), text="Ромашка", urgent=True)


def test_a_place_alone_is_the_fields_own_value_and_an_empty_one_empties() -> None:
    deeds = ActionsSpec.model_validate(
        {"set_fields": {"Начало": "{Дата оплаты}", "Конец": "{Нет}", "Слова": "с {Дата оплаты}"}}
    )
    (said,) = deeds.for_deal(deal(fields={"Дата оплаты": date(2026, 11, 28)}))
    assert said == SetFields(deal_id=7, values={"Начало": date(2026, 11, 28), "Конец": None, "Слова": "с 28.11.2026"})
