"""What the config says about service lines: the section ``[services]``, and tasks whose texts name a line."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from amo_bridge.actions import CreateTask
from amo_bridge.config.names import ContactFieldName, CustomFieldName, PersonName, TaskTypeName, Text
from amo_bridge.config.strict import Strict
from amo_bridge.dates.due import Due
from amo_bridge.deal import Deal
from amo_bridge.service_lines.lines import Service, ServiceLine
from amo_bridge.text.names import same_name

SomeText = Annotated[str, Field(min_length=1)]


class Platform(Strict):
    """A platform: who is responsible for it (None: the deal's manager), and the services that the page offers."""

    responsible: PersonName | None = None
    services: tuple[SomeText, ...] = ()


class ServicesSection(Strict):
    """``[services]``: which field holds the lines, how a blogger's contact is known, and the platforms."""

    field: CustomFieldName
    classification: ContactFieldName | None = None
    blogger: SomeText = "блогер"
    platforms: Annotated[dict[str, Platform], Field(min_length=1)]

    @field_validator("platforms")
    @classmethod
    def platforms_can_be_read_back(cls, platforms: dict[str, Platform]) -> dict[str, Platform]:
        for name, platform in platforms.items():
            for service in platform.services or ("услуга",):
                Service(name, service)
        return platforms

    def responsible_for(self, platform: str) -> PersonName:
        """Who is responsible for a platform; for one that the config does not know, the deal's manager."""
        known = (one.responsible for name, one in self.platforms.items() if same_name(name, platform))
        return next(known, None) or PersonName("manager")


class BloggerText(Text):
    """A text with «{ФИО}», the blogger's name."""

    LATER_PLACES: ClassVar[frozenset[str]] = frozenset({"ФИО"})


class LineText(Text):
    """A text with «{ФИО}», «{Площадка}», «{Услуга}»: the parts of a service line."""

    LATER_PLACES: ClassVar[frozenset[str]] = frozenset({"ФИО", "Площадка", "Услуга"})


class LineTask(Strict):
    """A task for every line. ``to``: None is the platform's responsible person."""

    text: LineText
    to: PersonName | None = None
    due: Due
    type: TaskTypeName | None = None

    def for_line(self, deal: Deal, line: ServiceLine, services: ServicesSection, *, slot: str) -> CreateTask:
        text = self.text.for_deal(deal)
        for place, value in (("ФИО", line.blogger), ("Площадка", line.platform), ("Услуга", line.service)):
            text = text.replace(f"{{{place}}}", value)
        to = self.to or services.responsible_for(line.platform)
        return CreateTask(deal_id=deal.id, text=text, to=to, due=self.due, task_type=self.type, slot=slot)


class BloggerTask(Strict):
    """A task for every blogger."""

    text: BloggerText
    to: PersonName
    due: Due
    type: TaskTypeName | None = None

    def for_blogger(self, deal: Deal, name: str, *, slot: str) -> CreateTask:
        text = self.text.for_deal(deal).replace("{ФИО}", name)
        return CreateTask(deal_id=deal.id, text=text, to=self.to, due=self.due, task_type=self.type, slot=slot)
