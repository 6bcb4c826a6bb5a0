from datetime import timedelta

import pytest
from pydantic import ValidationError
from support.builders import IVAN, NOON, answered, deal, finished, task

from amo_bridge.rules.actions import AddNote, CreateTask, Notify, Skip, Withheld
from amo_bridge.rules.deal import AttachedFile, Call
from handlers.finished_task_needs_proof import FinishedTaskNeedsProof, finished_task_needs_proof

DOING = "Реализация / Исполнение"
ASK = "Узнать у клиента число обращений в день"
SET_AT = NOON - timedelta(hours=3)
DONE = finished(ASK, responsible_user_id=IVAN.id, task_type="Звонок")


def options(**changed):
    rule = {"tasks": [ASK], "stages": [DOING], "may": ["head"], "call": {"seconds": 30}, "pictures": True}
    return FinishedTaskNeedsProof.model_validate(rule | changed)


def on(*proofs, stage=DOING, own=()):
    return deal(
        stage,
        calls=tuple(one for one in proofs if isinstance(one, Call)),
        files=tuple(one for one in proofs if isinstance(one, AttachedFile)),
        finished_tasks=(task(text=ASK, is_completed=True, created_at=SET_AT),),
        own_tasks=own,
    )


def call(hours=-1, **changed):
    facts = {"id": 1, "direction": "out", "at": NOON + timedelta(hours=hours), "seconds": 95, "link": "https://pbx/1"}
    return Call(**(facts | changed))


def file(name="IMG_0042.PNG", hours=-1, **changed):
    return AttachedFile(name=name, at=None if hours is None else NOON + timedelta(hours=hours), **changed)


@pytest.mark.parametrize(
    "proofs",
    [
        pytest.param((), id="ничего"),
        pytest.param((call(link=None),), id="звонок без записи"),
        pytest.param((call(seconds=3),), id="не поговорили"),
        pytest.param((call(hours=-24),), id="запись прошлого разговора"),
        pytest.param((file(hours=-24),), id="старый снимок"),
        pytest.param((file("Анкета.docx"),), id="не картинка"),
    ],
)
def test_without_a_proof_the_task_is_set_again_and_it_is_said_what_is_missing(proofs):
    withheld = finished_task_needs_proof(DONE, on(*proofs), options())
    assert isinstance(withheld, Withheld)
    (again,) = withheld.actions
    assert isinstance(again, CreateTask)
    (why,) = again.then
    assert (again.text, again.to, again.task_type) == (ASK, IVAN.id, "Звонок")
    assert isinstance(why, AddNote)
    assert why.text.endswith("звонок с записью, разговор от 30 секунд; или снимок экрана")


@pytest.mark.parametrize(
    ("proofs", "changed"),
    [
        pytest.param((call(),), {}, id="запись разговора"),
        pytest.param((call(link=None),), {"call": {"recorded": False}}, id="запись не нужна"),
        pytest.param((file(),), {}, id="снимок экрана"),
        pytest.param((file(hours=None),), {}, id="файл без времени"),
        pytest.param((file("скан", other_name="skan.jpg"),), {}, id="картинка по второму имени"),
        pytest.param(
            (file("Переписка с клиентом.pdf"),),
            {"pictures": False, "file": {"name_starts_with": ["Переписка"]}},
            id="файл с именем",
        ),
    ],
)
def test_one_proof_that_came_after_the_task_was_set_is_enough(proofs, changed):
    assert finished_task_needs_proof(DONE, on(*proofs), options(**changed)) == Skip("подтверждение есть")


def test_what_was_done_for_the_first_task_counts_for_the_one_that_was_set_again():
    (first,) = finished_task_needs_proof(DONE, on(), options()).actions
    second = task(id=56, text=ASK, slot=first.slot, is_completed=True, created_at=NOON)
    late = finished(ASK, task_id=56, responsible_user_id=IVAN.id)
    assert finished_task_needs_proof(late, on(call(), own=(second,)), options()) == Skip("подтверждение есть")
    (third,) = finished_task_needs_proof(late, on(own=(second,)), options()).actions
    assert third.slot != first.slot


def test_the_same_completion_told_twice_sets_one_task():
    (again,) = finished_task_needs_proof(DONE, on(), options()).actions
    twice = finished_task_needs_proof(DONE, on(own=(task(id=56, text=ASK, slot=again.slot),)), options())
    assert twice == Withheld("задача уже поставлена снова")


def test_somebody_is_told_too():
    notify = {"notify": {"to": "head", "text": "{Название}: без записи"}}
    *_, told = finished_task_needs_proof(DONE, on(), options(without_proof=notify)).actions
    assert isinstance(told, Notify)


@pytest.mark.parametrize(
    ("event", "now", "reason"),
    [
        pytest.param(finished("Позвонить"), on(), "не требует", id="другая задача"),
        pytest.param(DONE, on(stage="Реализация / Тайминг"), "не нужно", id="другой этап"),
        pytest.param(finished(ASK, user_is=("Елена Орлова", "head")), on(), "можно", id="руководитель"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(event, now, reason):
    said = finished_task_needs_proof(event, now, options())
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_some_proof_must_be_named():
    with pytest.raises(ValidationError, match="чем подтвердить"):
        options(call=None, pictures=False)


ANSWER = answered("Продлевает", ASK, task_id=DONE.task_id, responsible_user_id=IVAN.id)


def test_an_answer_without_its_proof_does_not_count():
    said = finished_task_needs_proof(ANSWER, on(), options())
    assert said == Withheld("нет подтверждения — звонок с записью, разговор от 30 секунд; или снимок экрана")
    assert finished_task_needs_proof(ANSWER, on(call()), options()) == Skip("подтверждение есть")


def test_nor_does_it_when_the_proof_came_after_the_task_was_set_again():
    """The task that was set again is the one whose answer counts; otherwise both would."""
    (again,) = finished_task_needs_proof(DONE, on(), options()).actions
    now = on(call(), own=(task(id=56, text=ASK, slot=again.slot),))
    assert finished_task_needs_proof(ANSWER, now, options()) == Withheld("задача уже поставлена снова")
