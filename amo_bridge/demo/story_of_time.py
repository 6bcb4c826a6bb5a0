"""The second story: a brief that does not come, told by the clock (days 3 to 10), and a date that passes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from amo_bridge.demo.acts import Act, Scene, Story, expect, sees_stage, sees_task
from amo_bridge.demo.story import MANAGER

AWAITED = "Продажи / Получение брифа"
POSTPONED = "Продажи / Отложенные"
CALL = "Позвонить, напомнить про бриф или договориться о встрече"


def _awaited(scene: Scene) -> None:
    scene.contact = scene.office.new_contact(MANAGER, "Пётр Васильков")
    scene.deal = scene.office.new_deal(MANAGER, "Василёк", AWAITED, scene.contact, 40_000)


def _sees_waiting(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, AWAITED)


def _days(days: int) -> timedelta:
    # A minute more, so that what falls due on the day has fallen due.
    return timedelta(days=days, minutes=1)


def _three_days(scene: Scene) -> None:
    scene.office.let_pass(_days(3))


def _sunday(scene: Scene) -> None:
    scene.office.let_pass(_days(3))


def _monday(scene: Scene) -> None:
    scene.office.let_pass(_days(1))


def _ten_days(scene: Scene) -> None:
    scene.office.let_pass(_days(3))


def _sees_call(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, AWAITED)
    yield sees_task(scene, CALL, MANAGER)


def _postponed(scene: Scene) -> None:
    scene.office.move(MANAGER, scene.deal, POSTPONED)
    day = scene.office.now() + timedelta(days=14)
    scene.office.fill(MANAGER, scene.deal, "Дата получения брифа", int(day.timestamp()))


def _sees_brief_task(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, POSTPONED)
    yield sees_task(scene, "Получить бриф", MANAGER)


def _date_passes(scene: Scene) -> None:
    scene.office.let_pass(_days(15))


def _sees_back(scene: Scene) -> Iterator[str]:
    yield sees_stage(scene, AWAITED)
    yield expect(len(scene.office.tasks(scene.deal)) == 2, "прежние задачи на месте, новых нет")


LADDER = "A20–A23"
TIME = Story(
    "Время: бриф не присылают",
    (
        Act(f"{MANAGER} ждёт бриф от «Василька»", _awaited, _sees_waiting, 0),
        Act("3 дня: реклама", _three_days, _sees_waiting, 0, (LADDER,)),
        Act("6 дней, воскресенье: задача менеджеру", _sunday, _sees_call, 1, (LADDER,)),
        Act("Понедельник: письмо, которое ждало рабочего времени с субботы", _monday, _sees_call, 1, (LADDER,)),
        Act("10 дней: дозвон", _ten_days, _sees_call, 1, (LADDER,)),
        Act("Клиент просил подождать две недели: «Отложенные»", _postponed, _sees_brief_task, 2, ("A30", LADDER)),
        Act("Дата прошла, сделку никто не тронул", _date_passes, _sees_back, 2, ("A31",)),
    ),
)
