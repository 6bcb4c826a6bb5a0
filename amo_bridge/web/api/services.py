"""``/deals/…/services``: bloggers, platforms, services of one deal, read and saved."""

from __future__ import annotations

from typing import Annotated

from flask import abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from pydantic import Field

from amo_bridge.rules.service_lines import MOST_SERVICES, read
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, refusal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.services.service_lines import (
    LETTERS,
    MOST_BLOGGERS,
    Group,
    ServiceForm,
    ServiceLinesService,
    mark_of,
)


class BloggerService(Shape):
    """What is done where."""

    platform: Annotated[str, Field(min_length=1)]
    service: Annotated[str, Field(min_length=1)]


class BloggerInDeal(Shape):
    """A blogger and his services. ``contact_id``: his contact in amoCRM, where it is known."""

    name: Annotated[str, Field(min_length=1)]
    contact_id: Annotated[int, Field(ge=0)] | None = None
    services: Annotated[list[BloggerService], Field(max_length=MOST_SERVICES)]


class ServiceSaving(Shape):
    """What became of what was saved last. ``state``: none, under_way, done, failed; ``error``: amoCRM's own words."""

    state: str
    error: str


class DealServices(Shape):
    """What the deal's field says, or will say in a moment. ``unread``: its lines that nobody can make out, kept word
    for word. ``mark``: of this text, to be sent with what is to be saved. ``platforms``: what is offered on each."""

    deal_id: int
    mark: str
    bloggers: list[BloggerInDeal]
    unread: list[str]
    saving: ServiceSaving
    platforms: dict[str, list[str]]


class ServicesToSave(Shape):
    """All of the deal's services; what is not named is gone. ``mark``: of the text that they were made from.
    ``unread``: null leaves those lines as they are."""

    mark: str
    bloggers: Annotated[list[BloggerInDeal], Field(max_length=MOST_BLOGGERS)]
    unread: list[str] | None = None


class KnownBlogger(Shape):
    """A contact of a blogger's."""

    contact_id: int
    name: str
    phones: list[str]


class KnownBloggers(Shape):
    """Those whose surname begins so."""

    bloggers: list[KnownBlogger]


@api.endpoint(
    Endpoint(
        "services_services", "/deals/<int:deal_id>/services", "GET", Role.WEBINAR, _l("Услуги сделки"), DealServices
    )
)
def services(deal_id: int) -> DealServices:
    return _services(ServiceLinesService.at(current_account(), deal_id))


@api.endpoint(
    Endpoint(
        "services_save",
        "/deals/<int:deal_id>/services",
        "PUT",
        Role.WEBINAR,
        _l("Сохранить услуги сделки"),
        DealServices,
        takes=ServicesToSave,
    )
)
def save(deal_id: int, told: ServicesToSave) -> DealServices:
    lines = ServiceLinesService.at(current_account(), deal_id)
    form = _form(lines, told)
    outcome = lines.take(form)
    if outcome == "wrong":
        abort(refusal(422, "; ".join(form.problems)))
    if outcome == "meanwhile":
        words = _("Не сохранено: пока вы правили, услуги в сделке изменил кто-то другой. Сейчас в ней:")
        abort(refusal(409, f"{words} {lines.text or '—'}"))
    if outcome == "dry":
        abort(refusal(409, _("Не сохранено: мост работает вхолостую (dry_run) и в amoCRM ничего не меняет")))
    return _services(lines)


@api.endpoint(
    Endpoint(
        "services_saving",
        "/deals/<int:deal_id>/services/saving",
        "GET",
        Role.WEBINAR,
        _l("Что стало с последним сохранением"),
        ServiceSaving,
    )
)  # fmt: skip
def saving(deal_id: int) -> ServiceSaving:
    return _saving(ServiceLinesService.at(current_account(), deal_id))


@api.endpoint(
    Endpoint(
        "services_bloggers",
        "/deals/<int:deal_id>/services/bloggers",
        "GET",
        Role.WEBINAR,
        _l("Блогеры, чья фамилия так начинается"),
        KnownBloggers,
        query={"letters": _l("не меньше %(n)s букв", n=LETTERS)},
    )
)
def bloggers(deal_id: int) -> KnownBloggers:
    found = ServiceLinesService.at(current_account(), deal_id).people(request.args.get("letters", ""))
    return KnownBloggers(
        bloggers=[KnownBlogger(contact_id=one.id, name=one.name, phones=list(one.phones)) for one in found]
    )


def _form(lines: ServiceLinesService, told: ServicesToSave) -> ServiceForm:
    groups = [
        Group.of(one.name, one.contact_id, ((line.platform, line.service) for line in one.services))
        for one in told.bloggers
    ]
    if told.unread is not None:
        return ServiceForm(groups, "\n".join(told.unread), told.mark)
    return ServiceForm(groups, ServiceForm.of_text(lines.text, lines.services.platforms).unread, told.mark)


def _services(lines: ServiceLinesService) -> DealServices:
    text = lines.text
    found = read(text, lines.services.platforms)
    known = [
        BloggerInDeal(
            name=one.name,
            contact_id=one.contact_id,
            services=[BloggerService(platform=line.platform, service=line.service) for line in one.services],
        )
        for one in found.bloggers
    ]
    return DealServices(
        deal_id=lines.record.id,
        mark=mark_of(text),
        bloggers=known,
        unread=[one.text for one in found.unread],
        saving=_saving(lines),
        platforms={name: list(platform.services) for name, platform in lines.services.platforms.items()},
    )


def _saving(lines: ServiceLinesService) -> ServiceSaving:
    last = lines.last_saving
    if last is None:
        return ServiceSaving(state="none", error="")
    return ServiceSaving(state="under_way" if last.is_under_way else last.state, error=last.error)
