"""A deal moves to a stage (or leaves one) with fields unfilled → it is put back, and the mover is told what is missing.

amoCRM can't refuse a move, so the bridge rolls it back: a task for whoever moved the deal lists exactly what is
missing. Does nothing if the fields are filled, the condition of ``when`` does not hold, the mover has a role that may
pass, or the deal has moved on already. Leaving a stage by losing the deal is let through.
Covers A12 (leaving «Новый клиент»), A40 («Встреча назначена» without «Дата первой встречи»), A72, A81 (lost without
«Причина отказа»), A95, A104; M8, S6, C2.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from amo_bridge.actions import RollBack, Skip
from amo_bridge.config.names import FieldName, PersonName, StageName
from amo_bridge.deal import Deal, stage_is_one_of
from amo_bridge.due import Due
from amo_bridge.events import StageEntered
from amo_bridge.options import Condition
from amo_bridge.rules import Options, handler


class StageNeedsFields(Options):
    entering: tuple[StageName, ...] = ()
    leaving: tuple[StageName, ...] = ()
    fields: Annotated[tuple[FieldName, ...], Field(min_length=1)]
    when: Condition | None = None
    may_pass: tuple[PersonName, ...] = ()
    tell: PersonName = PersonName("manager")
    due: Due = Due.parse("end of day")

    @model_validator(mode="after")
    def some_stage(self) -> Self:
        if not self.entering and not self.leaving:
            raise ValueError("нужны этапы: entering (на входе) или leaving (на выходе)")
        return self


@handler(on=StageEntered, options=StageNeedsFields, gate=True)
def stage_needs_fields(event: StageEntered, deal: Deal, options: StageNeedsFields) -> Skip | RollBack:
    if event.stage != deal.stage.key:
        return Skip("сделка уже ушла с этого этапа")
    leaves = not deal.stage.is_lost and stage_is_one_of(event.from_stage_name, options.leaving)
    if not leaves and not deal.is_on(options.entering):
        return Skip(f"переход на «{deal.stage.title}» это правило не проверяет")
    if options.when and not options.when.holds(deal):
        return Skip(f"не выполнено условие: {options.when}")
    if set(options.may_pass) & set(event.user_is):
        return Skip("этому человеку можно и так")
    missing = tuple(name for name in options.fields if not deal.has(name))
    if not missing:
        return Skip("всё нужное заполнено")
    return RollBack(
        deal_id=deal.id,
        to=event.from_stage,
        because=f"перехода на этап «{deal.stage.name}»",
        missing=missing,
        tell=event.user_id or options.tell,
        due=options.due,
    )
