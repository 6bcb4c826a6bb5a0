"""A deal moves to a stage before it is paid in full → it is put back, and the mover is told how much is missing.

Paid in full: the number in ``paid_field`` is not less than the budget, and there is a budget. Does nothing if it is so,
the mover may pass, ``when`` asks for something else, or the deal has moved on already.
Covers W9 («Успешно реализовано» only with the full payment recorded).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import StageEntered
from amo_bridge.rules import (
    Condition,
    CustomFieldName,
    Deal,
    Due,
    Lack,
    Options,
    PersonName,
    RollBack,
    Skip,
    StageName,
    handler,
    skip_unless,
)


class StageNeedsFullPayment(Options):
    entering: Annotated[tuple[StageName, ...], Field(min_length=1)]
    paid_field: CustomFieldName
    when: Condition | None = None
    may_pass: tuple[PersonName, ...] = ()
    tell: PersonName = PersonName("manager")
    due: Due = Due.parse("end of day")


@handler(on=StageEntered, options=StageNeedsFullPayment, gate=True, sends={"notices"})
def stage_needs_full_payment(event: StageEntered, deal: Deal, options: StageNeedsFullPayment) -> Skip | RollBack:
    if event.stage != deal.stage.key:
        return Skip("сделка уже ушла с этого этапа")
    if not deal.is_on(options.entering):
        return Skip(f"переход на «{deal.stage.title}» это правило не проверяет")
    if unmet := skip_unless(options.when, deal):
        return unmet
    if set(options.may_pass) & set(event.user_is):
        return Skip("этому человеку можно и так")
    paid = _number(deal.text(options.paid_field))
    if deal.price and paid >= deal.price:
        return Skip("оплачено полностью")
    lack = (
        Lack(f"дождитесь полной оплаты и запишите её: сейчас {paid:g} из {deal.price}", options.paid_field)
        if deal.price
        else Lack("заполните", "Бюджет")
    )
    return RollBack(
        deal_id=deal.id,
        to=event.from_stage,
        because=f"перехода на этап «{deal.stage.name}»",
        missing=(lack,),
        tell=event.user_id or options.tell,
        due=options.due,
    )


def _number(text: str) -> float:
    """What is written in a field of numbers or of text; nothing that can be read as a number counts as 0."""
    try:
        return float(text.replace("\u00a0", "").replace(" ", "").replace(",", "."))
    except ValueError:
        return 0.0
