"""A task is finished with one of the awaited answers → what this answer asks for: tasks, a move.

The answer is read from the task's result, forgiving about case, «ё», spaces and punctuation; what follows it is a
comment and becomes a note. With ``under`` or ``at_least`` it is the one number that stands there. An answer that is
none of these sets the task again (``ask_again``), with the answers in its text. Does nothing if it is another task, the
deal has left the stages, or the condition of ``when`` does not hold.
Covers A61, A62, A63 («Согласовать КП» → «Согласовано» or «Не согласовано»); M6, M13, M14, M19.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from amo_bridge.events import TaskAnswered
from amo_bridge.rules import (
    Action,
    ActionsSpec,
    AddNote,
    Conditional,
    Deal,
    FinishTask,
    Skip,
    StageName,
    TaskSpec,
    Waiting,
    any_begins_with,
    comment_after,
    handler,
    only_number,
)

Decided = Skip | list[Action | Waiting]


class Answer(ActionsSpec):
    words: tuple[str, ...] = ()
    under: float | int | None = None
    at_least: float | int | None = None

    @model_validator(mode="after")
    def words_or_a_number(self) -> Self:
        if bool(self.words) + (self.under is not None) + (self.at_least is not None) != 1:
            raise ValueError("какой ответ: нужно одно из words (слова), under (число меньше) или at_least (не меньше)")
        return self

    def comment_in(self, result: str) -> str | None:
        """What stands behind this answer («» if nothing does); None if the result is another answer."""
        if self.words:
            return comment_after(result, self.words)
        number = only_number(result)
        if number is None:
            return None
        return "" if (number < self.under if self.under is not None else number >= (self.at_least or 0)) else None


class TaskAnswerDecides(Conditional):
    task: Annotated[str, Field(min_length=1)]
    stages: tuple[StageName, ...] = ()
    answers: Annotated[tuple[Answer, ...], Field(min_length=1)]
    ask_again: TaskSpec | None = None


@handler(on=TaskAnswered, options=TaskAnswerDecides, needs={"own_tasks"}, tasks_until="stage left")
def task_answer_decides(event: TaskAnswered, deal: Deal, options: TaskAnswerDecides) -> Decided:
    if not any_begins_with(event.texts, (options.task,)):
        return Skip(f"задача «{event.text}» не та, чьего ответа ждёт правило")
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"этап «{deal.stage.title}» этого ответа не ждёт")
    if unmet := options.unmet(deal):
        return unmet
    result = event.result or ""
    for answer in options.answers:
        comment = answer.comment_in(result)
        if comment is not None:
            deeds = answer.for_deal(deal, slot=f"{event.task_id}")
            told = [*_needless(answer, event, deal), *_comment(answer, comment, event)]
            return [*told, *deeds, *answer.waiting(deal)]
    return _asked_again(event, deal, options)


def _needless(answer: Answer, event: TaskAnswered, deal: Deal) -> list[Action]:
    """The task that asked again, when the result came after all."""
    told = answer.words[0] if answer.words else event.result
    return [
        FinishTask(deal_id=deal.id, task_id=task.id, result=f"Ответ получен: «{told}»")
        for task in deal.own_open_tasks(_again(event))
    ]


def _again(event: TaskAnswered) -> str:
    return f"{event.task_id}.again"


def _comment(answer: Answer, comment: str, event: TaskAnswered) -> list[Action]:
    if not comment:
        return []
    who = f"{event.user_is[0]}: " if event.user_is else ""
    text = f"{who}«{answer.words[0]}» по задаче «{event.text}». Комментарий: {comment}"
    return [AddNote(deal_id=event.deal_id, text=text)]


def _asked_again(event: TaskAnswered, deal: Deal, options: TaskAnswerDecides) -> Decided:
    told = f"ответ «{event.result}» не из ожидаемых" if event.result else "ответа в результате задачи нет"
    if options.ask_again is None:
        return Skip(told)
    return options.ask_again.unmet(deal) or [options.ask_again.for_deal(deal, slot=_again(event))]
