"""A client's phone is abroad → the manager is told to write and not to call; the deal gets a tag.

Abroad is whatever is not ``home``: Kazakhstan's +77 too. Does nothing if one of the main contact's phones is at home,
he has none, or the deal has the tag already.
Covers W8.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import ResponsibleChanged, StageEntered
from amo_bridge.rules import (
    Action,
    AddTags,
    Deal,
    Notify,
    Options,
    PersonName,
    Skip,
    StageName,
    TagName,
    Text,
    all_abroad,
    handler,
)


class ForeignClientIsWrittenTo(Options):
    stages: tuple[StageName, ...] = ()
    home: Annotated[str, Field(pattern="^[A-Z]{2}$")] = "RU"
    tag: TagName = TagName("писать, не звонить")
    tell: PersonName = PersonName("manager")
    text: Text = Text("{Название}: телефон клиента не российский. Не звоните, напишите на почту или в мессенджер")


@handler(on=(StageEntered, ResponsibleChanged), options=ForeignClientIsWrittenTo, needs={"contacts"}, sends={"notices"})
def foreign_client_is_written_to(
    event: StageEntered | ResponsibleChanged, deal: Deal, options: ForeignClientIsWrittenTo
) -> Skip | list[Action]:
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» об этом не говорится")
    if isinstance(event, StageEntered) and deal.has_tag(options.tag):
        return Skip("уже сказано")
    phones = [phone for contact in deal.contacts if contact.is_main for phone in contact.phones]
    if not phones:
        return Skip("у клиента нет телефона, который можно узнать")
    if not all_abroad(phones, options.home):
        return Skip("у клиента есть номер своей страны")
    tagged: list[Action] = [] if deal.has_tag(options.tag) else [AddTags(deal_id=deal.id, tags=(options.tag,))]
    return [*tagged, Notify(deal_id=deal.id, to=(options.tell,), text=options.text.for_deal(deal))]
