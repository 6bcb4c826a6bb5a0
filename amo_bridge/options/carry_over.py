"""A deal that goes on as another one: what is carried over, once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.actions import Action, AddNote, CreateDeal
from amo_bridge.config.names import (
    CustomFieldName,
    FieldName,
    PersonName,
    PipelineName,
    StageName,
    TagName,
    Text,
    TextWithNewDeal,
)
from amo_bridge.deal import Deal
from amo_bridge.rules import Options
from amo_bridge.text.names import same_name


class CarryOver(Options):
    """Deals of ``pipelines`` go on as a new deal on ``to_stage``; both point at each other by ``link_field``.

    Contacts, with the main one, and the company always go along. ``carry_fields`` keep their names, ``carry_as`` are
    told under another one. ``note`` is left on the old deal, ``again`` when it ends a second time: the deal that is
    there is shown then, and no other one is made. A handler that uses it asks for ``needs={"own_deals", "files"}``.
    """

    pipelines: Annotated[tuple[PipelineName, ...], Field(min_length=1)]
    to_stage: StageName
    name: Text = Text("{Название}")
    responsible: PersonName = PersonName("manager")
    tags: tuple[TagName, ...] = ()
    carry_fields: tuple[CustomFieldName, ...] = ()
    carry_as: dict[FieldName, CustomFieldName] = Field(default_factory=dict)
    carry_tags: bool = True
    carry_budget: bool = True
    carry_files: bool = True
    link_field: CustomFieldName | None = None
    note: TextWithNewDeal = TextWithNewDeal("Работа с клиентом продолжается здесь: {new.url}")
    again: TextWithNewDeal = TextWithNewDeal("Продолжение этой сделки уже есть, второе не создано: {new.url}")

    def takes(self, deal: Deal) -> bool:
        """Is the deal of a pipeline that this rule is about?"""
        return any(same_name(deal.stage.pipeline, name) for name in self.pipelines)

    def new_deal(self, deal: Deal, *more_tags: str, slot: str = "") -> CreateDeal:
        """The deal that goes on where this one ended; one for each ``slot``."""
        own_tags = deal.tags if self.carry_tags else ()
        told = {name: name for name in self.carry_fields} | self.carry_as
        return CreateDeal(
            deal_id=deal.id,
            name=self.name.for_deal(deal),
            to=self.to_stage,
            responsible=self.responsible,
            price=deal.price if self.carry_budget else None,
            tags=tuple(dict.fromkeys((*more_tags, *self.tags, *own_tags))),
            contact_ids=deal.contact_ids,
            company_id=deal.company_id,
            values={new: deal.value(old) for old, new in told.items() if deal.has(old)},
            link_field=self.link_field,
            file_uuids=tuple(file.uuid for file in deal.files if file.uuid) if self.carry_files else (),
            slot=slot,
            then=(AddNote(deal_id=deal.id, text=self.note.for_deal(deal)),),
        )

    def shown(self, deal: Deal) -> Action:
        """A note with the address of the deal that was made before."""
        text = self.again.for_deal(deal).replace("{new.url}", deal.own_deals[-1])
        return AddNote(deal_id=deal.id, text=text)
