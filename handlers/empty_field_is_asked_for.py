"""A deal is on a stage with a field empty → a task asks for it; when the field is filled, the task is closed.

Asked when the deal comes to one of ``stages`` and when the field is emptied there; or, with ``after_task``, when a task
whose text begins so is finished there (with one of ``after_answer``, if given). Does nothing if the field is filled,
the task is open already, the deal is elsewhere, or the condition of ``when`` does not hold. A deal that leaves keeps
the task unless ``until`` says so.
Covers A32 («Дата получения брифа»), A52 («Бриф»), A61 («Дата принятия решения»), A78; C3.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import FieldChanged, StageEntered, TaskAnswered
from amo_bridge.rules import (
    Action,
    Conditional,
    CreateTask,
    Deal,
    Due,
    FieldName,
    FinishTask,
    PersonName,
    Skip,
    StageName,
    TaskTypeName,
    Until,
    any_begins_with,
    comment_after,
    handler,
    new_tasks_only,
    same_name,
    task_ends,
)

PLACE = "{field}"
News = StageEntered | FieldChanged | TaskAnswered


class EmptyFieldIsAskedFor(Conditional):
    fields: Annotated[tuple[FieldName, ...], Field(min_length=1)]
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    after_task: str | None = None
    after_answer: tuple[str, ...] = ()
    text: str = f"Заполнить поле «{PLACE}»"
    to: PersonName = PersonName("manager")
    due: Due = Due.parse("1 working day")
    type: TaskTypeName | None = None
    until: Until | None = None


@handler(on=(StageEntered, FieldChanged, TaskAnswered), options=EmptyFieldIsAskedFor, needs={"own_tasks"})
def empty_field_is_asked_for(event: News, deal: Deal, options: EmptyFieldIsAskedFor) -> Skip | list[Action]:
    concerned = options.fields
    if isinstance(event, FieldChanged):
        concerned = tuple(name for name in options.fields if same_name(name, event.field_name))
        if concerned and deal.has(concerned[0]):
            return _filled(concerned[0], deal)
    if why_not := _not_the_moment(event, concerned, options):
        return Skip(why_not)
    if not deal.is_on(options.stages):
        return Skip(f"этап «{deal.stage.title}» не из этого правила")
    if unmet := options.unmet(deal):
        return unmet
    empty = [name for name in concerned if not deal.has(name)]
    if not empty:
        return Skip("поля заполнены")
    questions = [_question(name, deal, options) for name in empty]
    return new_tasks_only(questions, deal) or Skip("поле пусто, и о нём уже спросили")


def _not_the_moment(event: News, concerned: tuple[FieldName, ...], options: EmptyFieldIsAskedFor) -> str:
    if isinstance(event, FieldChanged):
        if not concerned:
            return "изменилось не это поле"
        return "поле пусто, но спрашивают о нём после задачи" if options.after_task else ""
    if isinstance(event, StageEntered):
        return "правило ждёт не этапа, а закрытой задачи" if options.after_task else ""
    if not options.after_task or not any_begins_with(event.texts, (options.after_task,)):
        return f"задача «{event.text}» ничего не спрашивает"
    if options.after_answer and comment_after(event.result or "", options.after_answer) is None:
        return f"ответ «{event.result or ''}» ничего не спрашивает"
    return ""


def _question(name: FieldName, deal: Deal, options: EmptyFieldIsAskedFor) -> CreateTask:
    return CreateTask(
        deal_id=deal.id,
        text=options.text.replace(PLACE, name),
        to=options.to,
        due=options.due,
        task_type=options.type,
        slot=str(name),
        until=task_ends(options.until),
    )


def _filled(name: FieldName, deal: Deal) -> Skip | list[Action]:
    closed: list[Action] = [
        FinishTask(deal_id=deal.id, task_id=task.id, result=f"«{name}»: {deal.text(name)}")
        for task in deal.own_open_tasks(name)
    ]
    return closed or Skip("об этом поле не спрашивали")
