"""What a step of any ladder may say in the config: its name, what is done, on what condition, at what hours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from amo_bridge.actions import Action, CreateTask, Skip
from amo_bridge.deal import Deal, stage_is_one_of
from amo_bridge.events import StageEntered, StepDue
from amo_bridge.options import Condition, Deeds
from amo_bridge.schedule import Step, Times

LONGEST_NAME = 60
Hours = Literal["any", "working"]

# The deal has come where the ladder counts: nothing to do yet, and no reason why not either.
AWAITS_ITS_STEPS = "сделка пришла на этап этого правила; его шаги наступают по часам"


class TimedDeeds(Deeds):
    """A step: deeds, and when they are due (the ladder's own matter).

    ``name``: under which the bridge remembers that it was done; without it, its time in words. ``when``: the deal must
    be like this when the step falls due. ``hours``: "working" waits for working time; without it what reaches the
    client (letters, SMS, calls) waits, and what stays inside the company does not. ``touched``: true or false, whether
    anybody has been in touch since the count began (calls, letters, messages, finished tasks, moves by people).
    """

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)] | None = None
    when: Condition | None = None
    hours: Hours | None = None
    touched: bool | None = None

    @property
    def title(self) -> str:
        """Its name, or what stands for it."""
        raise NotImplementedError

    @property
    def reaches_the_client(self) -> bool:
        return bool(self.letter or self.sms or self.start_series or self.auto_dial == "start")

    def step(self, moment: datetime, anchor: str, since: datetime, times: Times) -> Step:
        """The step, planned for that moment, counted from ``since``."""
        waits = self.hours == "working" or (self.hours is None and self.reaches_the_client)
        due = times.in_working_time(moment) if waits else moment
        return Step(name=self.title, anchor=anchor, due=due, since=since)

    def actions(self, event: StepDue, deal: Deal, *, slot: str) -> Skip | list[Action]:
        """What is to be done now that it is due; a task that this step set before and that is still open is not set
        again. ``slot`` marks its tasks. The schedule needs ``own_tasks`` and ``touches``."""
        if self.when and not self.when.holds(deal):
            return Skip(f"не выполнено условие шага: {self.when}")
        if self.touched is not None and bool(deal.touches.since(event.since)) != self.touched:
            return Skip("с начала счёта с клиентом " + ("не работали" if self.touched else "работали"))
        still_open = {task.slot for task in deal.own_tasks if not task.is_completed}
        wanted = self.for_deal(deal, slot=slot)
        new = [action for action in wanted if not (isinstance(action, CreateTask) and action.slot in still_open)]
        if new:
            return new
        return Skip("задача этого шага ещё открыта" if wanted else "шаг этой сделки не касается")


def on_leaving(event: StageEntered, deal: Deal, stages: Iterable[str], deeds: Deeds | None) -> Skip | list[Action]:
    """What to do when a deal leaves the stages of a ladder: ``deeds``, if a step of it has fallen due. The schedule
    needs ``own_steps``."""
    stages = tuple(stages)
    if not stage_is_one_of(event.from_stage_name, stages):
        if deal.is_on(stages):
            return Skip(AWAITS_ITS_STEPS)
        return Skip("сделка пришла не с этапа этого правила")
    if deal.is_on(stages):
        return Skip("этап сменился, но счёт идёт и на нём")
    if deeds is None:
        return Skip("на уходе с этапа это правило ничего не делает")
    if not deal.own_steps:
        return Skip("ни один шаг ещё не наступал, отменять нечего")
    return deeds.for_deal(deal, slot="on_leave") or Skip("на уходе делать нечего")


def names_are_unique(names: Iterable[str]) -> None:
    """ValueError (Russian) for a name that two steps have, or one that is too long to remember."""
    counted = Counter(names)
    if doubled := [name for name, count in counted.items() if count > 1]:
        raise ValueError(f"два шага называются «{doubled[0]}»: дайте им разные name")
    if long := [name for name in counted if len(name) > LONGEST_NAME]:
        raise ValueError(f"имя шага «{long[0]}» длиннее {LONGEST_NAME} знаков: дайте ему name покороче")
