"""A deal is lost with a reason → a deal in another pipeline takes the client over, once.

The new deal carries the reason as a tag, the client's contacts and company, the fields of ``carry_fields``; both deals
point at each other. Acts when the deal is lost, or when the reason is filled on a lost deal. Does nothing if the deal
is not lost, the reason is missing or has no way of its own, or the deal was routed before, even if it was won back
since.
Covers A82 (lost in «Продажи» → «Работа с потерянными», tagged by reason).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.actions import AddNote, CreateDeal, Skip
from amo_bridge.config.names import (
    CustomFieldName,
    LossReasonName,
    PersonName,
    PipelineName,
    StageName,
    TagName,
    Text,
    TextWithNewDeal,
)
from amo_bridge.deal import Deal
from amo_bridge.events import FieldChanged, StageEntered
from amo_bridge.names import same_name
from amo_bridge.rules import Options, handler


class LostDealIsRouted(Options):
    pipelines: Annotated[tuple[PipelineName, ...], Field(min_length=1)]
    to_stage: StageName
    name: Text = Text("{Название}")
    responsible: PersonName = PersonName("manager")
    tags: tuple[TagName, ...] = ()
    tag_by_reason: dict[LossReasonName, TagName] = Field(default_factory=dict)
    other_reasons: bool = True
    carry_fields: tuple[CustomFieldName, ...] = ()
    carry_tags: bool = True
    carry_budget: bool = True
    link_field: CustomFieldName | None = None
    note: TextWithNewDeal = TextWithNewDeal(
        "Сделка потеряна («{Причина отказа}»). Работа с клиентом продолжается здесь: {new.url}"
    )


@handler(on=(StageEntered, FieldChanged), options=LostDealIsRouted)
def lost_deal_is_routed(event: StageEntered | FieldChanged, deal: Deal, options: LostDealIsRouted) -> Skip | CreateDeal:
    if isinstance(event, FieldChanged) and not same_name(event.field_name, "Причина отказа"):
        return Skip("изменилась не причина отказа")
    if not deal.stage.is_lost:
        return Skip("сделка не потеряна")
    if not any(same_name(deal.stage.pipeline, name) for name in options.pipelines):
        return Skip(f"потерянные из воронки «{deal.stage.pipeline}» это правило не ведёт")
    if not deal.loss_reason:
        return Skip("нет причины отказа")
    reason_tag = _tag(deal.loss_reason, options)
    if reason_tag is None:
        return Skip(f"для причины «{deal.loss_reason}» пути нет")
    return CreateDeal(
        deal_id=deal.id,
        name=options.name.for_deal(deal),
        to=options.to_stage,
        responsible=options.responsible,
        price=deal.price if options.carry_budget else None,
        tags=_together(reason_tag, *options.tags, *(deal.tags if options.carry_tags else ())),
        contact_ids=deal.contact_ids,
        company_id=deal.company_id,
        values={name: deal.value(name) for name in options.carry_fields if deal.has(name)},
        link_field=options.link_field,
        then=(AddNote(deal_id=deal.id, text=options.note.for_deal(deal)),),
    )


def _tag(reason: str, options: LostDealIsRouted) -> str | None:
    for known, tag in options.tag_by_reason.items():
        if same_name(known, reason):
            return tag
    return reason if options.other_reasons else None


def _together(*tags: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))
