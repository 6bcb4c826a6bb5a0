"""An enquiry lies on a deal → people are told of it, and the client gets an answer by mail or SMS.

``sources`` and ``utm`` say of which enquiries; ``which``: of new deals, of those on an open one, of both.
Does nothing for other enquiries.
Covers W12 (who answers for the sender is told of his letter), M4 (of an answer as well).
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from amo_bridge.events import EnquiryOnDeal
from amo_bridge.rules import (
    Action,
    Deal,
    EnquiryText,
    FromSource,
    LetterSpec,
    Notify,
    OneOrMore,
    PersonName,
    Skip,
    SmsOption,
    filled,
    handler,
)


class EnquiryIsTold(FromSource):
    to: OneOrMore[PersonName] | None = (PersonName("manager"),)
    text: EnquiryText = "Обращение ({источник}), {имя}: {слова}"
    urgent: bool = False
    which: Literal["new", "again", "both"] = "both"
    letter: LetterSpec | None = None
    sms: SmsOption | None = None

    @model_validator(mode="after")
    def something_to_do(self) -> Self:
        if not self.to and not self.letter and not self.sms:
            raise ValueError("нечего делать: нужно to (кому сказать), letter или sms (что ответить клиенту)")
        return self


@handler(on=EnquiryOnDeal, options=EnquiryIsTold, sends={"notices"})
def enquiry_is_told(event: EnquiryOnDeal, deal: Deal, options: EnquiryIsTold) -> Skip | list[Action]:
    if unlike := options.unlike(event):
        return unlike
    if options.which != "both" and event.is_new != (options.which == "new"):
        return Skip("это правило — только о новых" if options.which == "new" else "это правило — только о повторных")
    told: list[Action] = []
    if options.to:
        text = filled(options.text, event)
        told.append(Notify(deal_id=deal.id, to=options.to, text=text, urgent=options.urgent))
    if options.letter:
        told.append(options.letter.for_deal(deal))
    if options.sms:
        told.append(options.sms.for_deal(deal))
    return told
