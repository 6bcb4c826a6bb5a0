"""Shapes of options: a letter to the client with what goes along, and series of letters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, Field, field_validator, model_validator

from amo_bridge.dates.due import Due
from amo_bridge.rules.actions import Attachment, SendLetter
from amo_bridge.rules.deal import Deal
from amo_bridge.rules.handler import Options
from amo_bridge.rules.option_types import (
    DocumentName,
    EnclosureName,
    Named,
    OneOrMore,
    PersonName,
    Strict,
    TemplateName,
    Text,
)
from amo_bridge.text.names import normalise


class AttachmentSpec(Options):
    """A file that goes along with a letter: ``"Бриф.docx"`` lies beside the templates; of the deal the newest one whose
    name begins so: ``{ deal_file = "Счёт" }``; a document is made from a template beside those of the letters:
    ``{ document = "счёт", named = "Счёт {Название}" }``."""

    file: EnclosureName | None = None
    deal_file: OneOrMore[Named] | None = None
    document: DocumentName | None = None
    named: Text | None = None

    @model_validator(mode="after")
    def one_of_them(self) -> Self:
        if sum(one is not None for one in (self.file, self.deal_file, self.document)) != 1:
            words = "deal_file (файл сделки, начало его имени) или document (шаблон документа)"
            raise ValueError(f"нужно одно: file (файл рядом с шаблонами), {words}")
        if self.named is not None and self.document is None:
            raise ValueError("named — имя документа, который делает мост: оно бывает только при document")
        return self

    def for_letter(self, deal: Deal) -> Attachment:
        return Attachment(
            file=self.file or "",
            deal_file=self.deal_file or (),
            document=self.document or "",
            named=self.named.for_deal(deal) if self.named else "",
        )


def _attachments(value: object) -> object:
    listed = value if isinstance(value, list | tuple) else [value]
    return [{"file": one} if isinstance(one, str) else one for one in listed]


Attachments = Annotated[tuple[AttachmentSpec, ...], BeforeValidator(_attachments)]
"""As people write them: one or several, a name alone or a table."""


class LetterSpec(Options):
    """A letter to the client: ``{ template = "ждём бриф" }``.

    ``service = false``: it is advertising. ``thread``: letters of one thread answer each other. ``no_address``: whose
    task it is to find out the address; empty: nobody's. ``attach``: files that go along.
    """

    template: TemplateName
    service: bool = True
    thread: str = ""
    no_address: PersonName | None = PersonName("manager")
    attach: Attachments = ()

    def for_deal(self, deal: Deal) -> SendLetter:
        return SendLetter(
            deal_id=deal.id,
            template=self.template,
            service=self.service,
            thread=self.thread,
            no_address=self.no_address,
            attach=tuple(one.for_letter(deal) for one in self.attach),
        )


class SeriesLetter(Strict):
    """One letter: ``{ after = "3 d 11:00", template = "прогрев/2" }``; ``after`` counts from the series' start.
    ``attach``: files that go along."""

    after: Due
    template: TemplateName
    attach: Attachments = ()

    @field_validator("after")
    @classmethod
    def counts_from_the_start(cls, after: Due) -> Due:
        if after.fields:
            raise ValueError("срок письма считается от начала серии, а не от поля сделки")
        return after


class SeriesSpec(Strict):
    """A series of letters, one after the other until the client answers: ``[series."прогрев"]``."""

    letters: Annotated[tuple[SeriesLetter, ...], Field(min_length=1)]


class AllSeries(BaseModel):
    """Every series of the config, by name."""

    named: Mapping[str, SeriesSpec] = Field(default_factory=dict)

    def of(self, name: str) -> SeriesSpec | None:
        """The series of this name, case, «ё» and quotes forgiven."""
        return next((spec for known, spec in self.named.items() if normalise(known) == normalise(name)), None)
