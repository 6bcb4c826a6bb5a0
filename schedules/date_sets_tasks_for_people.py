"""A date of the deal arrives → a task for every blogger of its service lines and for its people of some kinds.

A deal that comes onto one of the stages after the date gets the tasks then. A changed date counts anew, and whoever has
had his task already does not get it again. Does nothing if the deal is on another stage, the date is another one by
now, or there is nobody to set a task for.
Covers A97 («Дедлайн проекта» → «Получить закрывающие документы» for every blogger, client and contractor).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from amo_bridge.events import StepDue
from amo_bridge.rules import (
    Action,
    BloggerTask,
    Conditional,
    DateFieldName,
    Deal,
    Due,
    Existing,
    FromSection,
    HourOfDay,
    ServicesSection,
    Skip,
    StageName,
    Step,
    Times,
    normalise,
    read_service_lines,
    same_name,
    schedule,
)

STEP = "дата наступила"


class DateSetsTasksForPeople(Conditional):
    services: Annotated[ServicesSection, FromSection("services")]
    field: DateFieldName
    at: HourOfDay = "10:00"
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    bloggers: bool = True
    kinds: tuple[str, ...] = ()
    task: BloggerTask
    existing: Existing = "skip"

    @model_validator(mode="after")
    def somebody(self) -> Self:
        if not self.bloggers and not self.kinds:
            raise ValueError("некому ставить задачи: нужны bloggers или kinds")
        if self.kinds and self.services.classification is None:
            raise ValueError("чтобы выбирать людей по виду (kinds), назовите в [services] поле classification")
        return self


def _steps(deal: Deal, options: DateSetsTasksForPeople, times: Times) -> Iterator[Step]:
    if not deal.is_on(options.stages):
        return
    date = times.after(times.since, Due.of_field(options.field, options.at), deal)
    came = deal.stays[0].since if deal.stays else None
    if date is not None and (moment := times.to_come(max(date, came or date), options.existing)):
        yield Step(name=STEP, anchor=deal.text(options.field), due=moment, since=date)


@schedule(options=DateSetsTasksForPeople, steps=_steps, needs={"own_tasks", "contacts"})
def date_sets_tasks_for_people(event: StepDue, deal: Deal, options: DateSetsTasksForPeople) -> Skip | list[Action]:
    if not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» это правило не действует")
    if event.anchor != deal.text(options.field):
        return Skip("дата уже другая")
    if unmet := options.unmet(deal):
        return unmet
    people = dict(_people(deal, options))
    if not people:
        return Skip("в сделке нет ни блогеров, ни людей нужного вида")
    had = {task.slot for task in deal.own_tasks}
    tasks = [options.task.for_blogger(deal, name, slot=slot) for slot, name in people.items() if slot not in had]
    return list[Action](tasks) or Skip("эти задачи уже ставились")


def _people(deal: Deal, options: DateSetsTasksForPeople) -> Iterator[tuple[str, str]]:
    """(slot, name) of everybody who gets a task; a blogger who is among the contacts too is one person."""
    named = set()
    if options.bloggers:
        for blogger in read_service_lines(deal.text(options.services.field), options.services.platforms).bloggers:
            named.add(_words(blogger.name))
            yield blogger.mark, blogger.name
    kind = options.services.classification
    for contact in deal.contacts if kind and options.kinds else ():
        own = contact.text(kind).split(", ") if kind else []
        fits = any(same_name(one, wanted) for one in own for wanted in options.kinds)
        if fits and _words(contact.name) not in named:
            yield f"contact{contact.id}", contact.name


def _words(name: str) -> tuple[str, ...]:
    return tuple(sorted(normalise(name).split()))
