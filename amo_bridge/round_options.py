"""What a step of any round may say in the config: deeds that are due again and again, for deals on some stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, TypeVar

from pydantic import Field, field_validator

from amo_bridge.config.names import StageName
from amo_bridge.dates.recurrence import Every
from amo_bridge.deal import Deal
from amo_bridge.events import StepDue
from amo_bridge.options import Condition
from amo_bridge.rules import Options
from amo_bridge.schedule import Step, Times
from amo_bridge.step_options import TimedDeeds, names_are_unique

S = TypeVar("S", bound="RoundStep")


class RoundStep(TimedDeeds):
    """``every``: when it comes again. A step counts from the beginning of its week, month or day (``touched``)."""

    every: Every

    @property
    def title(self) -> str:
        return self.name or str(self.every)


class Round(Options):
    """On which deals: those on ``stages`` that are what ``when`` asks for at that moment."""

    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    when: Condition | None = None

    @field_validator("steps", check_fields=False)
    @classmethod
    def each_step_has_its_name(cls, steps: Sequence[RoundStep]) -> Sequence[RoundStep]:
        names_are_unique(step.title for step in steps)
        return steps

    def planned(self, deal: Deal, steps: Iterable[RoundStep], times: Times) -> Iterator[Step]:
        """The next slot of each step, and what was missed lately; none from before the deal came, or while the rule was
        off."""
        since = deal.stage_since
        if since is None or not deal.is_on(self.stages):
            return
        for step in steps:
            for slot in step.every.around(times.now, times.calendar):
                if slot.moment >= since and times.on_again(slot.moment) is None:
                    yield step.step(slot.moment, slot.day.isoformat(), slot.since, times)

    def why_not(self, deal: Deal) -> str:
        """Why the round passes this deal by (Russian); empty if it does not."""
        if not deal.is_on(self.stages):
            return f"сделка ушла: она на этапе «{deal.stage.title}»"
        return f"не выполнено условие: {self.when}" if self.when and not self.when.holds(deal) else ""


def always(options: object) -> bool:
    """Of rounds: what was done comes again."""
    return True


def step_of(event: StepDue, steps: Iterable[S]) -> S | None:
    """The step that has fallen due; None if it has left the rule."""
    return next((step for step in steps if step.title == event.step), None)
