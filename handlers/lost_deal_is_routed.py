"""A deal is lost with a reason → a deal in another pipeline takes the client over, once.

The new deal carries the reason as a tag, the client's contacts and company, the fields of ``carry_fields``; both deals
point at each other. Acts when the deal is lost, or when the reason is filled on a lost deal. A deal that is won back
and lost again gets a note with the address of the deal that is there. Does nothing if the deal is not lost, or the
reason is missing or has no way of its own.
Covers A82 (lost in «Продажи» → «Работа с потерянными», tagged by reason).
"""

from __future__ import annotations

from pydantic import Field

from amo_bridge.events import FieldChanged, StageEntered
from amo_bridge.rules import Action, CarryOver, Deal, LossReasonName, Skip, TagName, TextWithNewDeal, handler, same_name


class LostDealIsRouted(CarryOver):
    opened_when = "lost"
    tag_by_reason: dict[LossReasonName, TagName] = Field(default_factory=dict)
    other_reasons: bool = True
    note: TextWithNewDeal = TextWithNewDeal(
        "Сделка потеряна («{Причина отказа}»). Работа с клиентом продолжается здесь: {new.url}"
    )


@handler(on=(StageEntered, FieldChanged), options=LostDealIsRouted, needs={"own_deals"})
def lost_deal_is_routed(event: StageEntered | FieldChanged, deal: Deal, options: LostDealIsRouted) -> Skip | Action:
    if isinstance(event, FieldChanged) and not same_name(event.field_name, "Причина отказа"):
        return Skip("изменилась не причина отказа")
    if not deal.stage.is_lost:
        return Skip("сделка не потеряна")
    if not options.takes(deal):
        return Skip(f"потерянные из воронки «{deal.stage.pipeline}» это правило не ведёт")
    if not deal.loss_reason:
        return Skip("нет причины отказа")
    reason_tag = _tag(deal.loss_reason, options)
    if reason_tag is None:
        return Skip(f"для причины «{deal.loss_reason}» пути нет")
    if not deal.own_deals:
        return options.new_deal(deal, reason_tag)
    if isinstance(event, FieldChanged):
        return Skip("клиента уже ведёт другая сделка")
    return options.shown(deal)


def _tag(reason: str, options: LostDealIsRouted) -> str | None:
    for known, tag in options.tag_by_reason.items():
        if same_name(known, reason):
            return tag
    return reason if options.other_reasons else None
