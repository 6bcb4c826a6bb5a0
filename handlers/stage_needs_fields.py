"""A deal moves to a stage (or leaves one) with fields unfilled → it is put back, and the mover is told what is missing.

amoCRM can't refuse a move, so the bridge rolls it back: a task for whoever moved the deal lists exactly what is
missing. ``one_of``: a field that a person may only leave with one of these values; ``or_linked``: a field instead of
which the deal's company does, or a contact of that company other than the main one. Does nothing if the fields are
filled, the condition of ``when`` does not hold, the mover has a role that may pass, or the deal has moved on already.
Leaving a stage by losing the deal is let through.
Covers A12 (leaving «Новый клиент»), A40 («Встреча назначена» without «Дата первой встречи»), A72, A81 (lost without
«Причина отказа»), A95, A104; M8, W10, W14, S6, C2, C7, C18, C19.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from amo_bridge.events import StageEntered
from amo_bridge.rules import Deal, FieldName, Gate, Lack, OptionName, RollBack, Skip, handler, same_name

Linked = Literal["company", "company contacts"]
LINKED_AS = {"company": "прикрепите к сделке компанию", "company contacts": "прикрепите к сделке контакты компании"}
Choices = Annotated[tuple[OptionName, ...], Field(min_length=1)]


class StageNeedsFields(Gate):
    fields: tuple[FieldName, ...] = ()
    one_of: dict[FieldName, Choices] = Field(default_factory=dict)
    or_linked: dict[FieldName, Linked] = Field(default_factory=dict)

    @model_validator(mode="after")
    def something_needed(self) -> Self:
        if not self.fields and not self.one_of:
            raise ValueError("нужны поля: fields (заполнены) или one_of (с одним из значений)")
        if unknown := [name for name in self.or_linked if not any(same_name(name, one) for one in self.fields)]:
            raise ValueError(f"or_linked: поля «{unknown[0]}» нет в fields")
        for field, choices in self.one_of.items():
            for choice in choices:
                choice.field = field
        return self

    def lacks(self, event: StageEntered, deal: Deal) -> Iterator[Lack]:
        """What is missing, in words."""
        for name in self.fields:
            linked = next((kind for field, kind in self.or_linked.items() if same_name(field, name)), None)
            if deal.has(name) or (linked and _is_linked(linked, deal)):
                continue
            yield Lack(f"{LINKED_AS[linked]} или заполните" if linked else "заполните", name)
        # What a robot or the bridge has chosen is nobody's choice.
        for field, choices in self.one_of.items() if event.user_id else ():
            if deal.has(field) and not any(same_name(deal.text(field), choice) for choice in choices):
                named = ", ".join(f"«{choice}»" for choice in choices)
                yield Lack(f"выберите в поле «{field}» другое: не «{deal.text(field)}», а {named}")


def _is_linked(kind: Linked, deal: Deal) -> bool:
    if not deal.company_id or kind == "company":
        return bool(deal.company_id)
    return any(one.company_id == deal.company_id and not one.is_main for one in deal.contacts)


@handler(on=StageEntered, options=StageNeedsFields, gate=True, needs={"contacts"}, sends={"notices"})
def stage_needs_fields(event: StageEntered, deal: Deal, options: StageNeedsFields) -> Skip | RollBack:
    if passes := options.lets_pass(event, deal):
        return passes
    missing = [*options.lacks(event, deal)]
    return options.put_back(event, deal, missing) if missing else Skip("всё нужное заполнено")
