"""A deal enters a stage → a deal in another pipeline goes on from it; both point at each other.

The new deal has the old one's contacts and company, and what else the config carries over. ``once``: a deal that comes
to the stage again gets a note with the address of the deal that is there; without it every coming opens one.
Does nothing if the deal came onto another stage, is not of ``pipelines``, has left again, or is not what ``when`` asks
for.
Covers S7 (the care department finds a new need → a new deal in sales).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import StageEntered
from amo_bridge.rules import Action, CarryOver, Conditional, Deal, Skip, StageName, handler


class StageOpensDeal(Conditional, CarryOver):
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    once: bool = True


@handler(on=StageEntered, options=StageOpensDeal, needs={"own_deals"})
def stage_opens_deal(event: StageEntered, deal: Deal, options: StageOpensDeal) -> Skip | Action:
    if event.stage != deal.stage.key:
        return Skip("сделка уже ушла с этого этапа")
    if not deal.is_on(options.stages) or not options.takes(deal):
        return Skip(f"этап «{deal.stage.title}» не из этого правила")
    if unmet := options.unmet(deal):
        return unmet
    if options.once:
        return options.shown(deal) if deal.own_deals else options.new_deal(deal)
    came = deal.stage_since or event.at
    # Each coming to the stage is another need: its own mark, and never two deals for one.
    return options.new_deal(deal, slot=f"{came:%Y%m%dT%H%M%S}" if came else "")
