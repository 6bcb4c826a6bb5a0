"""C3: who of a client's contacts lacks what, in one task, until nothing is missing."""

from __future__ import annotations

from typing import Any

import pytest
from support.builders import deal, entered, stayed, step_due, task, times

from amo_bridge.rules.actions import ChangeTask, CreateTask, FinishTask, Skip
from amo_bridge.rules.deal import Contact
from amo_bridge.rules.handler import MARK
from schedules.contacts_need_fields import ASKED, STEP, ContactsNeedFields, contacts_need_fields

HERE, ELSEWHERE = "Продажи / Бриф получен", "Продажи / Отложенные"
CHECK = step_due(STEP, "2026-11-23")
plan = getattr(contacts_need_fields, MARK).steps


def options(**changed: Any) -> ContactsNeedFields:
    told = {
        "stages": [HERE],
        "fields": ["Телефон", "Должность"],
        "full_name": True,
        "every": "рабочий день 10:30",
        "task": {"text": "Дополнить контакты", "to": "manager", "due": "3 working days"},
    }
    return ContactsNeedFields.model_validate(told | changed)


def person(name: str = "Мария Ким", **fields: str) -> Contact:
    return Contact(id=len(name), name=name, fields=fields)


FULL = person(Телефон="+79165554433", Должность="Директор")


def judged(*people: Contact, event: Any = CHECK, on: str = HERE, own: Any = (), **changed: Any) -> Any:
    return contacts_need_fields(event, deal(on, contacts=people, own_tasks=own), options(**changed))


@pytest.mark.parametrize("event", [CHECK, entered(HERE)], ids=["the regular look", "the deal comes"])
@pytest.mark.parametrize(
    ("people", "words"),
    [
        ((person("Мария"),), "Мария: имя и фамилия, Телефон, Должность"),
        ((FULL, person("Пётр Лев", Телефон="1")), "Пётр Лев: Должность"),
        ((person(), person("Пётр", Телефон="1")), "Мария Ким: Телефон, Должность; Пётр: имя и фамилия, Должность"),
        ((), "в сделке нет контактов"),
    ],
)  # fmt: skip
def test_one_task_lists_who_lacks_what(event: Any, people: tuple[Contact, ...], words: str) -> None:
    (act,) = judged(*people, event=event)
    assert isinstance(act, CreateTask)
    assert (act.text, act.slot) == (f"Дополнить контакты. {words}", ASKED)


def test_a_name_of_one_word_may_do() -> None:
    assert judged(person("Мария", Телефон="1", Должность="2"), full_name=False) == Skip("у контактов всё заполнено")


def test_the_open_task_follows_what_is_filled() -> None:
    asked = task(ASKED, text="Дополнить контакты. Мария Ким: Телефон, Должность")
    (act,) = judged(person(Телефон="1"), own=(asked,))
    assert (type(act), act.text) == (ChangeTask, "Дополнить контакты. Мария Ким: Должность")
    assert judged(person(), own=(asked,)) == Skip("об этом уже спросили")
    (done,) = judged(FULL, own=(asked,))
    assert isinstance(done, FinishTask)


def test_finished_too_early_it_is_set_again() -> None:
    assert isinstance(judged(person(), own=(task(ASKED, is_completed=True),))[0], CreateTask)


@pytest.mark.parametrize(
    ("facts", "why"),
    [({"on": ELSEWHERE}, "сделка ушла"), ({"when": {"tag": "важный"}}, "условие")],
)
def test_it_does_nothing(facts: dict[str, Any], why: str) -> None:
    said = judged(person(), **facts)
    assert isinstance(said, Skip)
    assert why in said.reason


def test_a_text_that_amocrm_would_cut_is_cut_in_words() -> None:
    (act,) = judged(*(person(f"Человек {number} Длинный") for number in range(100)))
    assert len(act.text) <= 900
    assert act.text.endswith("…")


def test_it_is_looked_at_again_on_every_working_day() -> None:
    since = stayed((HERE, -20))
    found = [step.anchor for step in plan(deal(HERE, stays=since), options(), times())]
    assert found == ["2026-11-23", "2026-11-24"]
    assert getattr(contacts_need_fields, MARK).recurs(options())
    assert list(plan(deal(ELSEWHERE, stays=stayed((ELSEWHERE, -20))), options(), times())) == []
