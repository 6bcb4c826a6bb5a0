"""A file with the right name is attached → the deal moves to the next stage.

Names are compared without regard to case, «ё», quotes and spaces; transliterated names count too. With ``pictures`` any
picture is the right file, by its kind. Does nothing if the name does not match, the deal is not on a stage that waits
for this file, or the rule has moved it since that file came.
Covers A51 («Коммерческое предложение …» → «Согласование КП»), M4, S5.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from amo_bridge.events import FileAttached
from amo_bridge.rules import Conditional, Deal, MoveDeal, Skip, StageName, handler, is_picture, starts_with


class FileMovesDeal(Conditional):
    name_starts_with: tuple[str, ...] = ()
    pictures: bool = False
    from_stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    to_stage: StageName

    @model_validator(mode="after")
    def some_file(self) -> Self:
        if not self.name_starts_with and not self.pictures:
            raise ValueError("какой файл двигает сделку: нужно хотя бы одно из name_starts_with, pictures")
        return self

    def fits(self, name: str) -> bool:
        """Is it such a file?"""
        return (self.pictures and is_picture(name)) or any(
            starts_with(name, wanted) for wanted in self.name_starts_with
        )


@handler(on=FileAttached, options=FileMovesDeal, needs={"own_acts"})
def file_moves_deal(event: FileAttached, deal: Deal, options: FileMovesDeal) -> Skip | MoveDeal:
    if not options.fits(event.file_name):
        return Skip(f"файл «{event.file_name}» назван не так, как ждёт правило")
    if deal.is_on([options.to_stage]):
        return Skip("сделка уже на нужном этапе")
    if not deal.is_on(options.from_stages):
        return Skip(f"этап «{deal.stage.title}» не ждёт этот файл")
    if unmet := options.unmet(deal):
        return unmet
    if deal.was_acted_on_since(event.at):
        return Skip("правило уже двигало сделку после того, как этот файл приложили")
    return MoveDeal(deal_id=deal.id, to=options.to_stage)
