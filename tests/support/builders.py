"""Deals, tasks and events for table tests: everything has a sensible value, a test says only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from amo_bridge.crm.account import Stage, User
from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.events import FieldChanged, FileAttached, StageEntered, StepDue, TaskAnswered, TaskFinished
from amo_bridge.rules.deal import Deal, Stay, Task
from amo_bridge.rules.handler import Times

NOON = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
IVAN = User(id=101, name="Иван Петров", email="petrov@agency.example", is_active=True, is_admin=False)

_PIPELINES = {"Продажи": 1, "Реализация": 2, "Работа с потерянными": 3, "Вебинары": 4}
_KINDS = {"Успешно реализовано": (142, "won"), "Закрыто и не реализовано": (143, "lost")}


def stage(title: str) -> Stage:
    """«Воронка / Этап» with made-up ids: the same title always has the same ones."""
    pipeline, _, name = title.partition(" / ")
    status_id, kind = _KINDS.get(name, (1000 + sum(map(ord, name)), "open"))
    return Stage(
        pipeline_id=_PIPELINES[pipeline], status_id=status_id, pipeline=pipeline, name=name, sort=10, kind=kind
    )  # fmt: skip


def deal(on: str = "Продажи / Новый клиент", **changed: Any) -> Deal:
    facts: dict[str, Any] = {
        "id": 7,
        "name": "Ромашка",
        "url": "https://agency.amocrm.ru/leads/detail/7",
        "stage": stage(on),
        "responsible": IVAN,
    }
    return Deal(**(facts | changed))


def entered(to: str, came_from: str | None = "Продажи / Новый клиент", **changed: Any) -> StageEntered:
    facts: dict[str, Any] = {
        "at": NOON,
        "deal_id": 7,
        "stage": stage(to).key,
        "stage_name": to,
        "from_stage": stage(came_from).key if came_from else None,
        "from_stage_name": came_from or "",
        "is_new": came_from is None,
    }
    return StageEntered(**(facts | changed))


def field_changed(name: str, new: str | None = "31.12.2026", old: str | None = None) -> FieldChanged:
    return FieldChanged(at=NOON, deal_id=7, field_name=name, old=old, new=new)


def file_attached(name: str, note_id: int = 1) -> FileAttached:
    return FileAttached(at=NOON, note_id=note_id, entity_type="deal", entity_id=7, note_type=5, file_name=name)


def finished(text: str = "Связаться и взять в работу", **changed: Any) -> TaskFinished:
    return TaskFinished(**({"at": NOON, "deal_id": 7, "task_id": 55, "text": text} | changed))


def answered(result: str | None, text: str = "Согласовать КП", **changed: Any) -> TaskAnswered:
    return TaskAnswered(**({"at": NOON, "deal_id": 7, "task_id": 55, "text": text, "result": result} | changed))


def task(slot: str = "0", **changed: Any) -> Task:
    facts: dict[str, Any] = {
        "id": 55,
        "text": "Связаться и взять в работу",
        "is_completed": False,
        "due": NOON,
        "responsible_user_id": IVAN.id,
        "slot": slot,
    }
    return Task(**(facts | changed))


def stayed(*way: tuple[str, float]) -> tuple[Stay, ...]:
    """The deal's way, the present stage first: («Воронка / Этап», since so many hours after noon)."""
    return tuple(Stay(stage(title), NOON + timedelta(hours=hours)) for title, hours in way)


def step_due(step: str, anchor: str, rule: str = "rule.one") -> StepDue:
    return StepDue(at=NOON, rule=rule, deal_id=7, step=step, anchor=anchor, since=NOON)


def times(since: float = -10_000, now: float = 0) -> Times:
    """Moscow, Monday to Friday 10:00 to 19:00; the rule was switched on ``since`` hours after noon."""
    calendar = CalendarOptions().calendar("Europe/Moscow")
    return Times(calendar, NOON + timedelta(hours=since), NOON + timedelta(hours=now))
