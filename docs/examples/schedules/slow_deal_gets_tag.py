"""A deal has stood on a stage for so many days → it gets a tag.

Does nothing if the deal has left the stage meanwhile, or has the tag already.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from amo_bridge.events import StepDue
from amo_bridge.rules import AddTags, Deal, Options, Skip, StageName, Step, Times, schedule


class SlowDealGetsTag(Options):
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    days: Annotated[int, Field(gt=0)]
    tag: str


def _steps(deal: Deal, options: SlowDealGetsTag, times: Times) -> Iterator[Step]:
    if not deal.is_on(options.stages) or deal.stage_since is None:
        return
    came = deal.stage_since
    if moment := times.to_come(came + timedelta(days=options.days), "catch up"):
        yield Step(name="долго стоит", anchor=came.isoformat(), due=moment, since=came)


@schedule(options=SlowDealGetsTag, steps=_steps)
def slow_deal_gets_tag(event: StepDue, deal: Deal, options: SlowDealGetsTag) -> Skip | AddTags:
    if deal.stage_since is None or event.anchor != deal.stage_since.isoformat():
        return Skip("сделка с тех пор сменила этап")
    if deal.has_tag(options.tag):
        return Skip("тег уже стоит")
    return AddTags(deal_id=deal.id, tags=(options.tag,))
