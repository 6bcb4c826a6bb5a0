"""Options of rules about enquiries: from where they come, and what is written of them on the card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from amo_bridge.events import EnquiryOnDeal, EnquiryReceived
from amo_bridge.rules.actions import Skip
from amo_bridge.rules.handler import Options
from amo_bridge.text.names import filled_list, normalise

SourceName = Literal[
    "html", "tilda", "elementor", "cf7", "mapped", "jivo", "vk", "vkads", "telegram", "max", "viber", "meta_leadgen",
    "messenger", "zadarma", "novofon", "onlinepbx", "mail", "smsc",
]  # fmt: skip
"""The sources of enquiries, as the sections of ``[intake]`` are called; Novofon is one in both its cabinets."""
PLACES = ("имя", "источник", "телефон", "почта", "слова")
"""What a text about an enquiry may have of it."""
DEAL_CLOSED = "сделка закрыта, пока обращение разбиралось"
"""Why a rule does nothing about the open deal of an enquiry: the enquiry is judged anew then."""
LONGEST_NAME = 250
# amoCRM cuts a longer note.
LONGEST_NOTE = 20_000
Mark = Annotated[str, AfterValidator(lambda name: name.strip().casefold())]


class FromSource(Options):
    """``sources``: of which sources; all, if empty.

    ``utm``: mark → its value («*» at the end stands for any rest); all of them must be so. ``calls``: of calls too, or
    of nothing but calls.
    """

    sources: tuple[SourceName, ...] = ()
    utm: Mapping[Mark, str] = Field(default_factory=dict)
    calls: Literal["too", "only", "no"] = "too"

    def unlike(self, event: EnquiryReceived | EnquiryOnDeal) -> Skip | None:
        """Why the enquiry is not one of these; None if it is."""
        if self.sources and event.source not in self.sources:
            return Skip(f"источник «{event.title or event.source}» — не из этого правила")
        if (self.calls == "no" and event.call) or (self.calls == "only" and not event.call):
            return Skip("звонки это правило не берёт" if event.call else "это правило — только о звонках")
        marks = dict(event.utm)
        for name, wanted in self.utm.items():
            if not _fits(marks.get(name, ""), wanted):
                return Skip(f"метка {name} — «{marks.get(name, '')}», правилу нужна «{wanted}»")
        return None


def _fits(value: str, wanted: str) -> bool:
    value, wanted = normalise(value), normalise(wanted)
    return value.startswith(wanted[:-1]) if wanted.endswith("*") else value == wanted


def _known_places(name: str) -> str:
    left = name
    for place in PLACES:
        left = left.replace("{" + place + "}", "")
    if "{" in left or "}" in left:
        told = ", ".join("{" + place + "}" for place in PLACES)
        raise ValueError(f"«{name}»: здесь можно подставить только {told}")
    return name


EnquiryText = Annotated[str, Field(min_length=1), AfterValidator(_known_places)]
"""A text with places of ``PLACES``."""


def filled(text: str, event: EnquiryReceived | EnquiryOnDeal) -> str:
    """The text about this enquiry; what is not known of the person falls out with the comma beside it."""
    told = {
        "имя": event.who,
        "источник": event.title or event.source,
        "телефон": event.phone or "",
        "почта": event.mail or "",
        "слова": event.text,
    }
    return filled_list(text, told)[:LONGEST_NOTE]


def deal_name_of(text: str, event: EnquiryReceived) -> str:
    """As ``filled``, as long as a deal's name may be."""
    return filled(text, event)[:LONGEST_NAME]


def notes_of(event: EnquiryReceived) -> Iterator[str]:
    """A note for each enquiry: the source, the words; with the first one who it is, and whence."""
    texts = event.texts or ("",)
    for number, text in enumerate(texts):
        head = f"Обращение: {event.title or event.source}, {event.who}"
        tail = list(_whence(event)) if number == 0 else []
        yield "\n".join(filter(None, [head, text, *tail]))[:LONGEST_NOTE]


def _whence(event: EnquiryReceived) -> Iterator[str]:
    addresses = ", ".join((*event.phones, *event.mails))
    if addresses:
        yield f"Связь: {addresses}"
    if event.profile:
        yield f"Профиль: {event.profile}"
    if event.page:
        yield f"Страница: {event.page}"
    if event.utm:
        yield f"Метки: {', '.join(f'{name}={value}' for name, value in event.utm)}"
    if event.link_param:
        yield f"Пришёл по ссылке с меткой {event.link_param}"
    if event.roistat_visit:
        yield f"Визит Roistat: {event.roistat_visit}"
    if event.earlier:
        yield "Уже обращался: " + "; ".join(f"«{name}» {address}" for _, name, address in event.earlier)
