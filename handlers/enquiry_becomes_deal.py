"""Somebody wants something → a contact and a deal; of a client with an open deal a note and a task on that one.

``sources`` and ``utm`` say which enquiries: the first rule that wants one has it. Whoever has closed deals only gets a
new one with ``again_tag``, the old ones named in its note. ``responsible``: several share in turn or by load, whoever
is away is passed over; ``keep_manager``: a client who comes again stays with his manager. ``unsorted``: into amoCRM's
«Неразобранное» instead. Two contacts with one phone are nobody's guess: ``ask`` gets a task.
Does nothing for other sources and marks. A second task is not set while the first is open.
Covers A1, A2, A3, A4, A5, A6, A121 (the visit's number), A124 (clients' messages).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from amo_bridge.events import EnquiryReceived
from amo_bridge.rules import (
    DEAL_CLOSED,
    Action,
    AddNote,
    AddTags,
    CreateClientDeal,
    CreateTask,
    CustomFieldName,
    Deal,
    Due,
    EnquiryText,
    FromSource,
    OneOrMore,
    PersonName,
    Rota,
    SetFields,
    Skip,
    SourceName,
    StageName,
    TagName,
    TaskSpec,
    Text,
    deal_name_of,
    handler,
    new_tasks_only,
    notes_of,
)

AGAIN, MISSED, FIRST, DOUBT = "again", "missed", "first", "doubt"
HOUR = Due.parse("1 working hour")


class EnquiryBecomesDeal(FromSource):
    to_stage: StageName
    deal_name: EnquiryText = "{имя}, {источник}"
    responsible: OneOrMore[PersonName]
    share: Literal["in turn", "load"] = "in turn"
    keep_manager: bool = True
    tags: tuple[TagName, ...] = ()
    again_tag: TagName = TagName("уже обращался")
    source_field: CustomFieldName | None = None
    source_values: Mapping[SourceName, str] = Field(default_factory=dict)
    visit_field: CustomFieldName | None = None
    page_field: CustomFieldName | None = None
    utm_fields: Mapping[str, CustomFieldName] = Field(default_factory=dict)
    task: TaskSpec | None = None
    again_task: TaskSpec | None = TaskSpec(
        text=Text("Клиент обратился снова: прочитать примечание и ответить"), to=PersonName("manager"), due=HOUR
    )
    missed_task: TaskSpec | None = TaskSpec(
        text=Text("Перезвонить: клиент не дозвонился"), to=PersonName("manager"), due=HOUR
    )
    ask: PersonName = PersonName("head")
    unsorted: bool = False

    def values(self, event: EnquiryReceived) -> dict[str, str]:
        """Field → what the enquiry says for it."""
        marks = dict(event.utm)
        source = self.source_values.get(event.source, event.title or event.source)  # type: ignore[call-overload]
        told = {self.source_field: source, self.visit_field: event.roistat_visit}
        told |= {self.page_field: event.page}
        told |= {field: marks.get(name.casefold(), "") for name, field in self.utm_fields.items()}
        return {str(field): value for field, value in told.items() if field and value}


@handler(on=EnquiryReceived, options=EnquiryBecomesDeal, needs={"own_tasks"})
def enquiry_becomes_deal(event: EnquiryReceived, deal: Deal, options: EnquiryBecomesDeal) -> Skip | list[Action]:
    if unlike := options.unlike(event):
        return unlike
    if event.doubt:
        return [_question(event, deal, options)]
    notes = [AddNote(deal_id=deal.id, text=text) for text in notes_of(event)]
    if event.is_to_come:
        spec = options.missed_task if event.call == "missed" else options.task
        new = _new_deal(event, deal, options)
        # The task is about the deal as it will be.
        coming = deal.with_values(options.values(event), new.tags)
        return [new.followed_by(*notes, *(spec.wanted(coming, slot=FIRST) if spec else []))]
    if deal.stage.is_won or deal.stage.is_lost:
        return Skip(DEAL_CLOSED)
    return [*([] if event.call else notes), *_on_open_deal(event, deal, options)] or Skip("звонок: записан на карточке")


def _new_deal(event: EnquiryReceived, deal: Deal, options: EnquiryBecomesDeal) -> CreateClientDeal:
    rota = Rota(options.responsible, options.share, event.turn, event.load, event.place)
    again = (options.again_tag,) if event.earlier or event.contact_id else ()
    return CreateClientDeal(
        deal_id=deal.id,
        name=deal_name_of(options.deal_name, event),
        to=options.to_stage,
        responsible=event.knew if options.keep_manager and event.knew else rota,
        contact_id=event.contact_id,
        contact_name=event.who,
        phones=event.phones,
        mails=event.mails,
        tags=tuple(dict.fromkeys((*options.tags, *again))),
        values=options.values(event),
        form=(event.title or event.source) if options.unsorted else "",
        page=event.page,
        source=event.title or event.source,
    )


def _on_open_deal(event: EnquiryReceived, deal: Deal, options: EnquiryBecomesDeal) -> list[Action]:
    """What is known of it already is not written over."""
    new = {field: value for field, value in options.values(event).items() if not deal.has(field)}
    found: list[Action] = [SetFields(deal_id=deal.id, values=new)] if new else []
    if tags := tuple(tag for tag in options.tags if not deal.has_tag(tag)):
        found.append(AddTags(deal_id=deal.id, tags=tags))
    spec = options.missed_task if event.call == "missed" else None if event.call else options.again_task
    slot = MISSED if event.call else AGAIN
    return [*found, *new_tasks_only(spec.wanted(deal, slot=slot) if spec else [], deal)]


def _question(event: EnquiryReceived, deal: Deal, options: EnquiryBecomesDeal) -> CreateTask:
    words = [f"Чьё это обращение? {event.doubt}: {', '.join(event.candidates)}", *notes_of(event)]
    words.append("Объедините контакты и повторите: amo-bridge intake retry " + str(event.enquiry_id))
    return CreateTask(
        deal_id=deal.id, text="\n".join(words), to=options.ask, due=HOUR, on="nowhere", slot=DOUBT, until=("never",)
    )
