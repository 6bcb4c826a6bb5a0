"""A date comes near, arrives or passes → step by step something is done: a task, a letter, another stage.

The date stands in a field of the deal (or so long after it as was paid for: ``term``), of its main contact or of each
of its contacts (``of_contacts``). It counts on ``stages``; what was due before the deal came there is not done, unless
the step says ``on_arrival``. A changed date moves what is still to come, and moves or closes the open task that a step
set (``when_changed``); an emptied one cancels, and closes that task (``when_emptied``). With ``once_per_contact`` a
step is done on one of the contact's deals, the oldest that it is due on.
Does nothing if the date is another one by now, the deal is not where the date counts or not what ``when`` asks for, or
the task is still open.
Covers A31, A64, A65, A66, A73, A96, M12, M15, S4, C5, C6, C16.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from amo_bridge.events import ContactDateChanged, FieldChanged, StageEntered, StepDue
from amo_bridge.rules import (
    Action,
    ActionsSpec,
    Condition,
    Counted,
    Dates,
    DateStep,
    Deal,
    Skip,
    StageName,
    Stay,
    Step,
    Times,
    names_are_unique,
    on_leaving,
    schedule,
    skip_unless,
    stage_is_one_of,
)


class DateLadder(Dates):
    stages: tuple[StageName, ...] = ()
    when: Condition | None = None
    steps: Annotated[tuple[DateStep, ...], Field(min_length=1)]
    on_leave: ActionsSpec | None = None
    existing: Literal["from now", "catch up"] = "from now"

    @model_validator(mode="after")
    def steps_fit_together(self) -> Self:
        names_are_unique(step.title for step in self.steps)
        if self.once_per_contact and (self.dates or self.when or any(step.when for step in self.steps)):
            raise ValueError("once_per_contact — для дат контакта и без when: за все сделки контакта решает одна")
        return self

    def counts_on(self, stay: Stay) -> bool:
        """Does the date count while a deal is there? Without ``stages`` everywhere but on closed ones."""
        if self.stages:
            return stage_is_one_of(stay.stage.title, self.stages)
        return not stay.stage.is_won and not stay.stage.is_lost


def _steps(deal: Deal, options: DateLadder, times: Times) -> Iterator[Step]:
    here_since = _here_since(deal, options)
    if here_since is None:
        return
    for counted in options.around(deal, times.year):
        begins = times.day_begins(counted.value)
        for step in options.steps:
            moment = times.shifted(counted.value, step.shift)
            if moment < here_since:
                if not step.on_arrival or options.yearly:
                    continue
                moment = here_since
            if to_come := times.to_come(moment, options.existing):
                yield step.step(to_come, counted.anchor, begins, times)


@schedule(
    options=DateLadder,
    steps=_steps,
    on=(FieldChanged, ContactDateChanged, StageEntered),
    needs={"own_tasks", "own_steps", "own_acts", "contact_steps", "people_steps", "touches", "contacts"},
    recurs=lambda options: options.yearly,
)
def date_ladder(
    event: StepDue | FieldChanged | ContactDateChanged | StageEntered, deal: Deal, options: DateLadder
) -> Skip | list[Action]:
    if isinstance(event, FieldChanged):
        fields = options.concern(event.field_name)
        return options.moved(options.steps, fields, options.of_the_deal(deal), deal, None)
    if isinstance(event, ContactDateChanged):
        return _contact_changed(event, deal, options)
    if isinstance(event, StageEntered):
        return on_leaving(event, deal, options.stages, options.on_leave)
    if _here_since(deal, options) is None:
        return Skip(f"на этапе «{deal.stage.title}» эта дата не считается")
    counted = _still_counted(event, deal, options)
    if counted is None:
        return Skip("дата с тех пор изменилась или очищена")
    step = next((step for step in options.steps if step.title == event.step), None)
    if step is None:
        return Skip("такого шага в правиле больше нет")
    if unmet := skip_unless(options.when, deal):
        return unmet
    if options.is_same_end(event, deal, counted):
        return Skip("расход немного другой, а о конце этих денег уже сказано")
    if options.is_for_an_older_deal(event, deal):
        return Skip("у этого контакта есть сделка старше, шаг делается на ней")
    return step.actions_on(event, deal, counted, options.dates)


def _contact_changed(event: ContactDateChanged, deal: Deal, options: DateLadder) -> Skip | list[Action]:
    fields, card = options.concern_of_contact(event.field_name), None
    if options.of_contacts == "every":
        card = event.contact_id
    elif fields and any(one.id == event.contact_id and not one.is_main for one in deal.contacts):
        return Skip("это не главный контакт сделки")
    return options.moved(options.steps, fields, options.of_the_contact(deal), deal, card)


def _still_counted(event: StepDue, deal: Deal, options: DateLadder) -> Counted | None:
    return next((one for one in options.around(deal, event.since.year) if one.anchor == event.anchor), None)


def _here_since(deal: Deal, options: DateLadder) -> datetime | None:
    """Since when the deal has been where the date counts, without a break; None if it is not there."""
    since = None
    for stay in deal.stays:
        if not options.counts_on(stay):
            break
        since = stay.since
    return since
