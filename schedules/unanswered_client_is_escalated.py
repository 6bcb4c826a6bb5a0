"""A client's letter or message is not answered in time → a task, then the head is told.

Steps (``after``) are counted from the first thing that waits for an answer: a letter, a message, an SMS, a call in
vain. Whoever writes to the client or talks with him ends the count; the next message begins a new one. ``kinds``: the
ways that count, all if empty: the first of these is counted from. Only open deals of ``pipelines``, all if empty.
Does nothing if somebody has answered, the deal is closed or is not what ``when`` asks for, or the step's task is open.
Covers M20 (one working hour, then three), C20 (by the end of the working day).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from amo_bridge.events import StepDue
from amo_bridge.rules import (
    Action,
    Condition,
    Deal,
    Due,
    Existing,
    Options,
    PipelineName,
    Skip,
    Step,
    TimedActions,
    Times,
    Touch,
    Touches,
    names_are_unique,
    same_name,
    schedule,
    skip_unless,
)


class AnswerStep(TimedActions):
    """``after``: how long the client has waited by then."""

    after: Due

    @property
    def title(self) -> str:
        return self.name or str(self.after)


class UnansweredClientIsEscalated(Options):
    pipelines: tuple[PipelineName, ...] = ()
    kinds: tuple[Literal["mail", "chat", "sms", "call"], ...] = ()
    when: Condition | None = None
    steps: Annotated[tuple[AnswerStep, ...], Field(min_length=1)]
    existing: Existing = "skip"

    @model_validator(mode="after")
    def each_step_has_its_name(self) -> Self:
        names_are_unique(step.title for step in self.steps)
        return self

    def why_not(self, deal: Deal) -> Skip | None:
        """Why nobody has to answer about this deal; None if somebody has."""
        if deal.stage.is_won or deal.stage.is_lost:
            return Skip("сделка закрыта")
        if self.pipelines and not any(same_name(deal.stage.pipeline, name) for name in self.pipelines):
            return Skip(f"воронка «{deal.stage.pipeline}» — не из этого правила")
        return skip_unless(self.when, deal)

    def first(self, unanswered: Touches) -> Touch | None:
        """What the steps are counted from: the first of the rule's kinds."""
        return next((touch for touch in unanswered if not self.kinds or touch.kind in self.kinds), None)


def _steps(deal: Deal, options: UnansweredClientIsEscalated, times: Times) -> Iterator[Step]:
    first = options.first(deal.unanswered)
    if first is None or options.why_not(deal):
        return
    start = times.begin(first.at, options.existing)
    for step in options.steps if start else ():
        if start and (moment := times.after(start, step.after, deal)):
            yield step.step(moment, _anchor(first), first.at, times)


@schedule(options=UnansweredClientIsEscalated, steps=_steps, needs={"own_tasks", "touches"}, from_messages=True)
def unanswered_client_is_escalated(
    event: StepDue, deal: Deal, options: UnansweredClientIsEscalated
) -> Skip | list[Action]:
    if why_not := options.why_not(deal):
        return why_not
    step = next((step for step in options.steps if step.title == event.step), None)
    if step is None:
        return Skip("такого шага в правиле больше нет")
    unanswered = deal.touches.unanswered()
    first = options.first(unanswered)
    if unanswered and first is None:
        return Skip("клиент обратился не тем способом, о котором правило")
    if first is None or _anchor(first) != event.anchor:
        return Skip("клиенту уже ответили")
    return step.actions(event, deal, slot=step.title)


def _anchor(first: Touch) -> str:
    return f"waits@{int(first.at.timestamp())}"
