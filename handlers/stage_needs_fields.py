"""A deal moves to a stage (or leaves one) with fields unfilled → it is put back, and the mover is told what is missing.

amoCRM can't refuse a move, so the bridge rolls it back: a task for whoever moved the deal lists exactly what is
missing. Does nothing if the fields are filled, the condition of ``when`` does not hold, the mover has a role that may
pass, or the deal has moved on already. Leaving a stage by losing the deal is let through.
Covers A12 (leaving «Новый клиент»), A40 («Встреча назначена» without «Дата первой встречи»), A72, A81 (lost without
«Причина отказа»), A95, A104; M8, S6, C2.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import StageEntered
from amo_bridge.rules import Deal, FieldName, Gate, Lack, RollBack, Skip, handler


class StageNeedsFields(Gate):
    fields: Annotated[tuple[FieldName, ...], Field(min_length=1)]


@handler(on=StageEntered, options=StageNeedsFields, gate=True, sends={"notices"})
def stage_needs_fields(event: StageEntered, deal: Deal, options: StageNeedsFields) -> Skip | RollBack:
    if passes := options.lets_pass(event, deal):
        return passes
    missing = [Lack("заполните", name) for name in options.fields if not deal.has(name)]
    return options.put_back(event, deal, missing) if missing else Skip("всё нужное заполнено")
