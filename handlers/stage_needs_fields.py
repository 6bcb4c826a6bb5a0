"""A deal moves to a stage (or leaves one) with fields unfilled → it is put back, and the mover is told what is missing.

amoCRM can't refuse a move, so the bridge rolls it back: a task for whoever moved the deal lists exactly what is
missing. ``one_of``: a field that a person may only leave with one of these values. Does nothing if the fields are
filled, the condition of ``when`` does not hold, the mover has a role that may pass, or the deal has moved on already.
Leaving a stage by losing the deal is let through.
Covers A12 (leaving «Новый клиент»), A40 («Встреча назначена» without «Дата первой встречи»), A72, A81 (lost without
«Причина отказа»), A95, A104; M8, W10, W14, S6, C2, C7, C18, C19.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from amo_bridge.events import StageEntered
from amo_bridge.rules import Deal, FieldName, Gate, Lack, OptionName, RollBack, Skip, handler, same_name

Choices = Annotated[tuple[OptionName, ...], Field(min_length=1)]


class StageNeedsFields(Gate):
    fields: tuple[FieldName, ...] = ()
    one_of: dict[FieldName, Choices] = Field(default_factory=dict)

    @model_validator(mode="after")
    def something_needed(self) -> Self:
        if not self.fields and not self.one_of:
            raise ValueError("нужны поля: fields (заполнены) или one_of (с одним из значений)")
        for field, choices in self.one_of.items():
            for choice in choices:
                choice.field = field
        return self

    def lacks(self, event: StageEntered, deal: Deal) -> Iterator[Lack]:
        """What is missing, in words."""
        yield from (Lack("заполните", name) for name in self.fields if not deal.has(name))
        # What a robot or the bridge has chosen is nobody's choice.
        for field, choices in self.one_of.items() if event.user_id else ():
            if deal.has(field) and not any(same_name(deal.text(field), choice) for choice in choices):
                named = ", ".join(f"«{choice}»" for choice in choices)
                yield Lack(f"выберите в поле «{field}» другое: не «{deal.text(field)}», а {named}")


@handler(on=StageEntered, options=StageNeedsFields, gate=True, sends={"notices"})
def stage_needs_fields(event: StageEntered, deal: Deal, options: StageNeedsFields) -> Skip | RollBack:
    if passes := options.lets_pass(event, deal):
        return passes
    missing = [*options.lacks(event, deal)]
    return options.put_back(event, deal, missing) if missing else Skip("всё нужное заполнено")
