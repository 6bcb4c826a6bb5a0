"""A deal's contacts lack something → one task that lists who lacks what, until nothing is missing.

Looked at when the deal comes to one of ``stages`` and whenever ``every`` says. ``full_name``: a name of one word is not
enough. What is filled meanwhile leaves the task's text; when nothing is missing the task is closed, and a task that was
finished too early is set again. A deal without any contact lacks one. Does nothing if the deal is on another stage or
is not what ``when`` asks for.
Covers C3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from amo_bridge.events import StageEntered, StepDue
from amo_bridge.rules import (
    Action,
    ChangeTask,
    Contact,
    ContactFieldName,
    CreateTask,
    Deal,
    FinishTask,
    Recurrence,
    Round,
    Skip,
    Step,
    TaskSpec,
    Times,
    always,
    schedule,
)

STEP, ASKED = "проверка", "asked"
LONGEST_TEXT = 900


class ContactsNeedFields(Round):
    fields: Annotated[tuple[ContactFieldName, ...], Field(min_length=1)]
    full_name: bool = False
    every: Recurrence
    task: TaskSpec

    def lacks(self, contact: Contact) -> list[str]:
        """What is missing on this card."""
        short = ["имя и фамилия"] if self.full_name and len(contact.name.split()) < 2 else []
        return short + [str(name) for name in self.fields if not contact.has(name)]


def _steps(deal: Deal, options: ContactsNeedFields, times: Times) -> Iterator[Step]:
    for slot in options.slots(options.every, deal, times):
        yield Step(name=STEP, anchor=slot.day.isoformat(), due=slot.moment, since=slot.since)


@schedule(
    options=ContactsNeedFields,
    steps=_steps,
    on=(StageEntered,),
    needs={"own_tasks", "contacts"},
    recurs=always,
    tasks_until="stage left",
)
def contacts_need_fields(event: StepDue | StageEntered, deal: Deal, options: ContactsNeedFields) -> Skip | list[Action]:
    if why_not := options.why_not(deal):
        return Skip(why_not)
    still_open = deal.own_open_tasks(ASKED)
    words = _in_words(deal, options)
    if not words:
        done: list[Action] = [
            FinishTask(deal_id=deal.id, task_id=task.id, result="Всё заполнено") for task in still_open
        ]
        return done or Skip("у контактов всё заполнено")
    asked = _task(words, deal, options)
    if not still_open:
        return options.task.unmet(deal) or [asked]
    changed: list[Action] = [
        ChangeTask(deal_id=deal.id, task_id=task.id, text=asked.text) for task in still_open if task.text != asked.text
    ]
    return changed or Skip("об этом уже спросили")


def _in_words(deal: Deal, options: ContactsNeedFields) -> str:
    """«Мария: Email, День рождения; Пётр Иванов: Должность»; empty if nothing is missing."""
    if not deal.contacts:
        return "в сделке нет контактов"
    lacking = ((contact, options.lacks(contact)) for contact in deal.contacts)
    return "; ".join(f"{contact.name or contact.id}: {', '.join(lacks)}" for contact, lacks in lacking if lacks)


def _task(words: str, deal: Deal, options: ContactsNeedFields) -> CreateTask:
    task = options.task.for_deal(deal, slot=ASKED)
    text = f"{task.text}. {words}"
    return task.saying(text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…")
