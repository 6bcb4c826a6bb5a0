"""W4: a manager makes a client his own, if nobody else has him."""

from __future__ import annotations

from typing import Any

import pytest
from support.builders import IVAN, NOON, deal, stage, task

from amo_bridge.crm.account import User
from amo_bridge.events import ResponsibleChanged
from amo_bridge.rules.actions import AddTags, AssignDeal, CreateTask, Notify, Skip
from amo_bridge.rules.deal import OtherDeal
from handlers.manager_takes_deal import ManagerTakesDeal, manager_takes_deal

HEAD = User(id=1, name="Марина Котова", email="", is_active=True, is_admin=True)
OLGA = User(id=2, name="Ольга Волкова", email="", is_active=True, is_admin=False)
LOST, STAGE = "Вебинары / Закрыто и не реализовано", "Вебинары / Был на вебинаре более часа"


def options(**changed: Any) -> ManagerTakesDeal:
    told = {"free": ["head"], "closed": [LOST], "may_assign": ["head"], "tags": {"Ольга Волкова": "Оля"}}
    return ManagerTakesDeal.model_validate(told | changed)


def taken(by: User = OLGA, old: User = HEAD, mover: User | None = None, **changed: Any) -> ResponsibleChanged:
    who = mover or by
    roles = ("head",) if who is HEAD else ("manager",)
    facts: dict[str, Any] = {
        "at": NOON, "deal_id": 7, "old": old.id, "new": by.id, "user_id": who.id, "user_is": (who.name, *roles),
        "old_is": (old.name, *(("head",) if old is HEAD else ())),
        "new_is": (by.name, "manager", *(("head",) if by is HEAD else ())),
    }  # fmt: skip
    return ResponsibleChanged(**(facts | changed))


def judged(event: ResponsibleChanged, on: str = STAGE, tasks: tuple[Any, ...] = (), **changed: Any) -> Any:
    facts = {
        "responsible": OLGA,
        "open_tasks": tasks,
        "contact_tasks": (),
        "person_deals": (),
        "person_tasks": (),
    } | changed
    return manager_takes_deal(event, deal(on, **facts), options())


def test_nobody_s_client_is_taken_and_gets_the_tag() -> None:
    assert judged(taken()) == [AddTags(deal_id=7, tags=("Оля",))]


def test_without_a_named_tag_the_first_name_is_the_tag() -> None:
    assert judged(taken(by=IVAN), responsible=IVAN) == [AddTags(deal_id=7, tags=("Иван",))]


def test_a_lost_client_of_somebody_else_s_may_be_taken() -> None:
    assert judged(taken(old=IVAN), on=LOST) == [AddTags(deal_id=7, tags=("Оля",))]


@pytest.mark.parametrize(
    ("event", "tasks", "why"),
    [
        (taken(old=IVAN), (), "за клиента отвечает Иван Петров"),
        (taken(), (task(text="Позвонить"),), "открыта задача другого менеджера: «Позвонить»"),
        (taken(by=OLGA, old=HEAD, mover=IVAN), (), "передать клиента может"),
    ],
)
def test_a_client_who_may_not_be_taken_is_given_back_and_it_is_told(
    event: ResponsibleChanged, tasks: tuple[Any, ...], why: str
) -> None:
    """He is told once it is done, and not if amoCRM refuses it."""
    (back,) = judged(event, tasks=tasks)
    told, notice = back.then
    assert back == AssignDeal(deal_id=7, to=event.old, then=(told, notice))
    assert isinstance(told, CreateTask)
    assert told.to == event.user_id
    assert why in told.text
    assert isinstance(notice, Notify)


@pytest.mark.parametrize(
    "event",
    [
        taken(old=IVAN, mover=HEAD),
        taken(old=IVAN, mover=IVAN),
        taken(old=IVAN, user_id=None, user_is=()),
    ],
    ids=["the head assigns", "its own manager hands it over", "not a person"],
)
def test_who_may_hand_a_client_over(event: ResponsibleChanged) -> None:
    assert judged(event, tasks=(task(),)) == [AddTags(deal_id=7, tags=("Оля",))]


@pytest.mark.parametrize("mover", [HEAD, OLGA], ids=["the head takes him back", "his manager gives him back"])
def test_a_client_who_is_nobody_s_again_gets_no_tag(mover: User) -> None:
    event = taken(by=HEAD, old=OLGA, mover=mover)
    assert judged(event, tasks=(task(),), responsible=HEAD) == Skip("клиента вернули в общие")


def test_nobody_but_the_head_makes_a_colleague_s_client_nobody_s() -> None:
    (back,) = judged(taken(by=HEAD, old=OLGA, mover=IVAN), responsible=HEAD)
    assert (type(back), back.to) == (AssignDeal, OLGA.id)


def test_whoever_is_asked_for_nobody_s_clients_takes_one_back_without_being_the_head() -> None:
    told = options(may_assign=[])
    event = taken(by=HEAD, old=OLGA)
    given = deal(STAGE, responsible=HEAD, open_tasks=(), contact_tasks=(), person_deals=(), person_tasks=())
    assert manager_takes_deal(event, given, told) == Skip("клиента вернули в общие")


def test_a_task_of_the_one_who_takes_it_is_no_obstacle() -> None:
    assert judged(taken(), tasks=(task(responsible_user_id=OLGA.id),)) == [AddTags(deal_id=7, tags=("Оля",))]


@pytest.mark.parametrize(
    ("event", "changed", "why"),
    [
        (taken(), {"responsible": IVAN}, "ответственный уже другой"),
        (taken(), {"tags": ("Оля",)}, "тег «Оля» уже стоит"),
    ],
)
def test_nothing_to_do(event: ResponsibleChanged, changed: dict[str, Any], why: str) -> None:
    assert judged(event, **changed) == Skip(why)


def other(who: User, on: str = STAGE) -> OtherDeal:
    roles = (who.name, *(("head",) if who is HEAD else ()))
    return OtherDeal(
        id=8, name="Анна, второй вебинар", url="", stage=stage(on), created_at=NOON, responsible_user_id=who.id,
        responsible_is=roles,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"contact_tasks": (task(text="Позвонить"),)}, "на карточке клиента открыта задача другого менеджера"),
        ({"person_deals": (other(IVAN),)}, "её ведёт Иван Петров: «Анна, второй вебинар»"),
        ({"person_deals": (other(HEAD), other(IVAN))}, "её ведёт Иван Петров"),
        ({"person_deals": (other(IVAN, LOST),), "person_tasks": (task(text="Вернуть деньги"),)}, "«Вернуть деньги»"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("old", "on"), [(HEAD, STAGE), (IVAN, LOST)], ids=["nobody's client", "a lost client"])
def test_a_client_with_whom_another_manager_works_is_given_back(
    old: User, on: str, changed: dict[str, Any], why: str
) -> None:
    (back,) = judged(taken(old=old), on=on, **changed)
    assert (type(back), back.to) == (AssignDeal, old.id)
    assert why in back.then[0].text


@pytest.mark.parametrize(
    "changed",
    [
        {"contact_tasks": (task(responsible_user_id=OLGA.id),)},
        {"contact_tasks": (task(responsible_user_id=HEAD.id),)},
        {"person_deals": (other(OLGA),)},
        {"person_deals": (other(HEAD),)},
        {"person_deals": (other(IVAN, LOST),)},
        {"person_tasks": (task(responsible_user_id=OLGA.id), task(responsible_user_id=HEAD.id))},
    ],
    ids=["her own task", "nobody's task", "her own deal", "nobody's deal", "a closed deal", "tasks elsewhere"],
)
def test_what_is_no_other_manager_s_work(changed: dict[str, Any]) -> None:
    assert judged(taken(), **changed) == [AddTags(deal_id=7, tags=("Оля",))]
