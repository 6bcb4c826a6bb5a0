"""A deal enters a stage → it gets tags.

Does nothing if the deal has left the stage again, came onto another one, or has the tags already.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import StageEntered
from amo_bridge.rules import AddTags, Deal, Options, Skip, StageName, handler


class DealGetsTag(Options):
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    tags: Annotated[tuple[str, ...], Field(min_length=1)]


@handler(on=StageEntered, options=DealGetsTag)
def deal_gets_tag(event: StageEntered, deal: Deal, options: DealGetsTag) -> Skip | AddTags:
    if event.stage != deal.stage.key:
        return Skip("сделка уже ушла с этого этапа")
    if not deal.is_on(options.stages):
        return Skip(f"этап «{deal.stage.title}» не из этого правила")
    new = tuple(tag for tag in options.tags if not deal.has_tag(tag))
    return AddTags(deal_id=deal.id, tags=new) if new else Skip("теги уже стоят")
