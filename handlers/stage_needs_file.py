"""A deal moves to a stage (or leaves one) without a file → it is put back, and the mover is told which file.

``named``: the file's whole name, without the extension; ``name_starts_with``: how it begins; ``pictures``: any picture,
by its kind; ``or_fields``: one of these fields filled does as well. Names are compared without regard to case, «ё»,
quotes, signs and transliteration. Does nothing if the file is there, one of the fields is filled, the condition of
``when`` does not hold, the mover has a role that may pass, or the deal has moved on already. A lost deal may leave.
Covers A79 (won without a signed contract or a payment), A101 (leaving «Исполнение» without the report); M6, S5, C17.
"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from amo_bridge.events import StageEntered
from amo_bridge.rules import Deal, FieldName, Gate, Lack, RollBack, Skip, WantedFile, handler, is_picture


class StageNeedsFile(Gate, WantedFile):
    pictures: bool = False
    or_fields: tuple[FieldName, ...] = ()

    @model_validator(mode="after")
    def some_name(self) -> Self:
        if not self.pictures and self.named is None and not self.name_starts_with:
            raise ValueError("какой файл нужен: named, name_starts_with или pictures")
        return self

    def is_there(self, deal: Deal) -> bool:
        """Is it on the deal?"""
        if self.pictures and any(is_picture(name) for file in deal.files for name in (file.name, file.other_name)):
            return True
        return super().is_there(deal)

    def wanted(self, deal: Deal) -> str:
        """The file in words."""
        if not self.pictures:
            return super().wanted(deal)
        return f"{self.name_starts_with[0]} … (или любая картинка)" if self.name_starts_with else "любая картинка"


@handler(on=StageEntered, options=StageNeedsFile, gate=True, sends={"notices"})
def stage_needs_file(event: StageEntered, deal: Deal, options: StageNeedsFile) -> Skip | RollBack:
    if passes := options.lets_pass(event, deal):
        return passes
    # The fields first: they cost no request.
    if any(map(deal.has, options.or_fields)):
        return Skip("вместо файла заполнено поле")
    if options.is_there(deal):
        return Skip("нужный файл приложен")
    lacks = [Lack("приложите файл", options.wanted(deal))]
    return options.put_back(
        event, deal, [*lacks, *(Lack("или вместо него заполните", name) for name in options.or_fields)]
    )
