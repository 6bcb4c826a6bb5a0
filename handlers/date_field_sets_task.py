"""A date field is filled → a task due that day; the date changes → the open task moves with it.

Also acts when the deal comes to a stage of ``stages`` with the date filled already. Does nothing if the deal is on
another stage, or the open task has that date already. An emptied date closes the open task (``when_emptied = "keep"``
leaves it). A finished task is never reopened: a new date sets a new one. ``moves``: no task is set, but the
open ones whose texts begin so get the date, whoever set them.
Covers A30 («Дата получения брифа»), A50 («Дата дедлайна» → task to pr), A64, A73 (the four payment dates), A105
(«Срок передачи отчета» → the report's task).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from amo_bridge.events import FieldChanged, StageEntered
from amo_bridge.rules import (
    Action,
    ChangeTask,
    Conditional,
    DataNeed,
    DateFieldName,
    Deal,
    Due,
    FinishTask,
    PersonName,
    Skip,
    StageName,
    Task,
    TaskSpec,
    TaskTypeName,
    Text,
    Until,
    any_begins_with,
    handler,
    same_name,
)


class DateFieldSetsTask(Conditional):
    fields: Annotated[tuple[DateFieldName, ...], Field(min_length=1)]
    stages: tuple[StageName, ...] = ()
    text: Text | None = None
    to: PersonName | None = None
    type: TaskTypeName | None = None
    due_shift: str = ""
    until: Until | None = None
    when_emptied: Literal["close", "keep"] = "close"
    moves: tuple[str, ...] = ()

    @model_validator(mode="after")
    def a_task_or_those_to_move(self) -> Self:
        own = [self.text is not None, self.to is not None]
        if any(own) if self.moves else not all(own):
            raise ValueError("нужна либо своя задача (text и to), либо чужие, чей срок переносить (moves)")
        return self

    @field_validator("due_shift")
    @classmethod
    def some_shift(cls, shift: str) -> str:
        Due.of_field("дата", shift)
        return shift

    def needs(self) -> frozenset[DataNeed]:
        return super().needs() | ({"open_tasks"} if self.moves else {"own_tasks"})

    def due_on(self, field: str) -> Due:
        """When a task is due by this date."""
        return Due.of_field(field, self.due_shift)

    def task_for(self, field: str) -> TaskSpec:
        """The rule's own task for this date."""
        assert self.text is not None
        assert self.to is not None
        due = self.due_on(field)
        text = Text(f"{self.text} («{field}»)") if len(self.fields) > 1 else self.text
        return TaskSpec(text=text, to=self.to, due=due, type=self.type, until=self.until)


@handler(on=(FieldChanged, StageEntered), options=DateFieldSetsTask)
def date_field_sets_task(
    event: FieldChanged | StageEntered, deal: Deal, options: DateFieldSetsTask
) -> Skip | list[Action]:
    fields = _fields_concerned(event, options)
    if not fields:
        return Skip("изменилось не это поле" if isinstance(event, FieldChanged) else "правило не привязано к этапам")
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» дата не ставит задачу")
    if unmet := options.unmet(deal):
        return unmet
    if options.moves:
        moved = [action for field in fields for action in _move_others(field, deal, options)]
        return moved or Skip("дата не заполнена" if not any(map(deal.has, fields)) else "таких открытых задач нет")
    actions = [action for field in fields for action in _steer(field, deal, options)]
    return actions or Skip("задача с этой датой уже стоит" if any(map(deal.has, fields)) else "дата не заполнена")


def _fields_concerned(event: FieldChanged | StageEntered, options: DateFieldSetsTask) -> list[DateFieldName]:
    if isinstance(event, FieldChanged):
        return [field for field in options.fields if same_name(field, event.field_name)]
    return list(options.fields) if options.stages else []


def _steer(field: DateFieldName, deal: Deal, options: DateFieldSetsTask) -> list[Action]:
    """What makes the rule's open tasks for this field agree with the date."""
    still_open = deal.own_open_tasks(field)
    if not deal.has(field):
        return [] if options.when_emptied == "keep" else [_close(task, field, deal) for task in still_open]
    spec = options.task_for(field)
    if still_open:
        return [ChangeTask(deal_id=deal.id, task_id=task.id, due=spec.due) for task in still_open]
    return [spec.for_deal(deal, slot=field)]


def _move_others(field: DateFieldName, deal: Deal, options: DateFieldSetsTask) -> list[Action]:
    if not deal.has(field):
        return []
    return [
        ChangeTask(deal_id=deal.id, task_id=task.id, due=options.due_on(field))
        for task in deal.open_tasks
        if any_begins_with(task.texts, options.moves)
    ]


def _close(task: Task, field: DateFieldName, deal: Deal) -> FinishTask:
    return FinishTask(deal_id=deal.id, task_id=task.id, result=f"Поле «{field}» очищено, задача снята")
