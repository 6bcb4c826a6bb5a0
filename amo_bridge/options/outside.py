"""What goes out past amoCRM: letters, notices, advertising, and who broke the rules."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from amo_bridge.actions import Action, CreateTask, JoinAudience, LeaveAudience, Notify, RecordViolation, SendLetter
from amo_bridge.config.names import CustomFieldName, PersonName, TemplateName, Text
from amo_bridge.dates.due import Due
from amo_bridge.deal import Deal
from amo_bridge.options.lists import OneOrMore
from amo_bridge.rules import Options

Named = Annotated[str, Field(min_length=1)]


class LetterSpec(Options):
    """A letter to the client: ``{ template = "ждём бриф" }``.

    ``service = false``: it is advertising. ``thread``: letters of one thread answer each other. ``no_address``: whose
    task it is to find out the address; empty: nobody's.
    """

    template: TemplateName
    service: bool = True
    thread: str = ""
    no_address: PersonName | None = PersonName("manager")

    def for_deal(self, deal: Deal) -> SendLetter:
        return SendLetter(
            deal_id=deal.id,
            template=self.template,
            service=self.service,
            thread=self.thread,
            no_address=self.no_address,
        )


class NoticeSpec(Options):
    """Tell people: ``{ to = ["head", "manager"], text = "Бриф не получен: {Название}" }``. ``urgent``: at night too."""

    to: OneOrMore[PersonName]
    text: Text
    urgent: bool = False

    def for_deal(self, deal: Deal) -> Notify:
        return Notify(deal_id=deal.id, to=self.to, text=self.text.for_deal(deal), urgent=self.urgent)


class EscalationSpec(Options):
    """A task for the head, and a notice: ``{ text = "Клиент ждёт больше часа" }``."""

    text: Text
    to: PersonName = PersonName("head")
    due: Due = Due.parse("end of day")
    urgent: bool = False

    def for_deal(self, deal: Deal, *, slot: str = "") -> list[Action]:
        text = self.text.for_deal(deal)
        return [
            CreateTask(deal_id=deal.id, text=text, to=self.to, due=self.due, slot=slot),
            Notify(deal_id=deal.id, to=(self.to,), text=text, urgent=self.urgent),
        ]


class FolderSpec(Options):
    """A folder of the document storage: ``{ name = "{Название}" }``. ``link_field``: the deal's field that holds its
    address."""

    name: Text = Text("{Название}")
    link_field: CustomFieldName | None = None


class AudienceSpec(Options):
    """Advertising that the client is to see: ``{ join = ["Ретаргетинг VK"] }``, or no more: ``leave``."""

    join: tuple[Named, ...] = ()
    leave: tuple[Named, ...] = ()

    @model_validator(mode="after")
    def some_audience(self) -> Self:
        if not self.join and not self.leave:
            raise ValueError("нужны аудитории: join (включить в них) или leave (исключить)")
        return self

    def for_deal(self, deal: Deal) -> list[Action]:
        return [
            *(JoinAudience(deal_id=deal.id, audience=name) for name in self.join),
            *(LeaveAudience(deal_id=deal.id, audience=name) for name in self.leave),
        ]


class ViolationSpec(Options):
    """Who broke which clause: ``"M7"``, or ``{ clause = "M7", person = "manager", penalty = 5000 }``. ``why``: what he
    did, for the ledger; without it the rule's own words."""

    clause: Named
    person: PersonName = PersonName("manager")
    penalty: Annotated[int, Field(ge=0)] | None = None
    why: Text | None = None

    def for_deal(self, deal: Deal) -> RecordViolation:
        why = self.why.for_deal(deal) if self.why else ""
        return RecordViolation(deal_id=deal.id, person=self.person, clause=self.clause, penalty=self.penalty, why=why)


def _as_clause(value: Any) -> Any:
    return {"clause": value} if isinstance(value, str) else value


Violation = Annotated[ViolationSpec, BeforeValidator(_as_clause)]
