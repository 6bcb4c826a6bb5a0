"""``[webinar]``: how the agency sorts the people of a webinar, and what its account calls things."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from amo_bridge.rules.option_types import CustomFieldName, DateFieldName, LossReasonName, PersonName, StageName, Strict
from amo_bridge.text.names import filled_list, normalise

Interest = Literal["active", "long", "short"]
"""What a person showed at a webinar: clicked something, stayed long, or neither."""
Kind = Literal["active", "long", "short", "unknown"]
"""The same, or that nobody knows how long somebody without a click watched: a person decides."""


LONGEST_NAME = 250
PLACES = ("почта", "имя", "телефон", "дата")
"""What a deal's name may have of a person."""


class BizonSection(Strict):
    """``[webinar.bizon]``: Bizon365 tells that a report is ready, the bridge fetches it. ``import``: "ask" leaves a
    draft until a person begins it, "at once" begins it. ``tell``: who is told that there is one."""

    what_then: Annotated[Literal["ask", "at once"], Field(alias="import")] = "ask"
    tell: tuple[PersonName, ...] = ()
    api: Annotated[str, Field(pattern=r"^https?://\S+$")] = "https://online.bizon365.ru"


class WebinarSection(Strict):
    """``long_minutes``: whoever watched strictly more was there long. ``buttons``: tag → what the platforms call that
    button; a button that is not among them counts as activity too unless ``other_buttons`` is false.
    ``complete_contacts``: a known contact gets the mail and the phone that he lacks. ``staff``: mail domains and
    addresses of the agency's own people, who are no clients."""

    active_stage: StageName
    long_stage: StageName
    short_stage: StageName
    repeat_stage: StageName | None = None
    long_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    responsible: PersonName = PersonName("head")
    deal_name: str = "{почта}, {имя}"
    date_field: DateFieldName
    minutes_field: CustomFieldName
    buttons_field: CustomFieldName | None = None
    tags: tuple[str, ...] = ()
    buttons: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    other_buttons: bool = True
    complete_contacts: bool = True
    banned: Literal["skip", "import"] = "skip"
    zoom_dates: Literal["month first", "day first"] = "month first"
    staff: tuple[str, ...] = ()
    undo_reason: LossReasonName | None = None
    undo_tag: Annotated[str, Field(min_length=1)] = "загрузка отменена"
    bizon: BizonSection | None = None

    @field_validator("deal_name")
    @classmethod
    def known_places(cls, name: str) -> str:
        left = name
        for place in PLACES:
            left = left.replace("{" + place + "}", "")
        if "{" in left or "}" in left:
            told = ", ".join("{" + place + "}" for place in PLACES)
            raise ValueError(f"«{name}»: здесь можно подставить только {told}")
        if left == name:
            raise ValueError(f"«{name}»: без подстановок все сделки назывались бы одинаково")
        return name

    @model_validator(mode="after")
    def one_owner_for_each_button(self) -> Self:
        owner: dict[str, str] = {}
        for tag, names in self.buttons.items():
            for name in (tag, *names):
                if owner.setdefault(normalise(name), tag) != tag:
                    raise ValueError(f"кнопка «{name}» названа и у «{owner[normalise(name)]}», и у «{tag}»")
        return self

    @field_validator("staff")
    @classmethod
    def domains_or_addresses(cls, staff: tuple[str, ...]) -> tuple[str, ...]:
        for told in staff:
            if not re.fullmatch(r"(?:[^@\s]*@)?[^@\s]+\.[^@\s.]+", told):
                raise ValueError(f"«{told}»: нужен домен почты (school.ru) или адрес целиком")
        return staff

    def stage_of(self, interest: Interest) -> StageName:
        """Where such a person's deal belongs."""
        return {"active": self.active_stage, "long": self.long_stage, "short": self.short_stage}[interest]

    def name_of_deal(self, told: Mapping[str, str]) -> str:
        """The deal's name for a person; what is not known of him falls out with the comma beside it."""
        return filled_list(self.deal_name, {place: told.get(place, "") for place in PLACES})[:LONGEST_NAME]
