"""``/webinars/bizon``: the reports that Bizon365 has told of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from flask import abort
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from pydantic import Field

from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, refusal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.services.webinars import LONGEST_TOKEN, BizonService, bizon_service, fetch_again, keep_token
from amo_bridge.webinars.bizon import State


class BizonReport(Shape):
    """``trouble``: why it is still waiting, or what should be known of it (Russian); ``due_at``: when it is asked for
    next; ``imports``: the numbers of the uploads that it has become."""

    webinar_id: str
    state: State
    heard_at: datetime
    attempts: int
    due_at: datetime
    trouble: str
    imports: list[int]


class BizonReports(Shape):
    """Those told of last, the newest first. ``has_token``: whether Bizon365 can be asked at all; ``address``: what is
    to be written into Bizon365's settings."""

    has_token: bool
    address: str
    reports: list[BizonReport]


class BizonWebinar(Shape):
    """As Bizon365 calls it."""

    webinar_id: Annotated[str, Field(min_length=1, max_length=500)]


class BizonToken(Shape):
    """Of Bizon365's API; an empty one is forgotten. It is never told again."""

    token: Annotated[str, Field(max_length=LONGEST_TOKEN, pattern=r"^[^\x00-\x1f\x7f]*$")]


@api.endpoint(Endpoint("bizon_bizon", "/webinars/bizon", "GET", Role.WEBINAR, _l("Отчёты Бизон365"), BizonReports))
def bizon() -> BizonReports:
    return _reports(_at_hand())


@api.endpoint(
    Endpoint(
        "bizon_again",
        "/webinars/bizon/again",
        "POST",
        Role.WEBINAR,
        _l("Забрать отчёт Бизон365 ещё раз"),
        BizonReports,
        takes=BizonWebinar,
    )
)
def again(told: BizonWebinar) -> BizonReports:
    at_hand = _at_hand()
    if not fetch_again(at_hand, told.webinar_id):
        abort(refusal(404, _("О таком отчёте Бизон365 мост не знает")))
    return _reports(at_hand)


@api.endpoint(
    Endpoint(
        "bizon_put_token",
        "/webinars/bizon/token",
        "PUT",
        Role.ADMIN,
        _l("Токен API Бизон365; пустой удаляется"),
        BizonReports,
        takes=BizonToken,
    )
)
def put_token(told: BizonToken) -> BizonReports:
    at_hand = _at_hand()
    keep_token(at_hand, told.token.strip())
    return _reports(at_hand)


def _at_hand() -> BizonService:
    at_hand = bizon_service()
    if at_hand is None:
        abort(refusal(404, _("В настройке нет раздела [webinar.bizon]")))
    return at_hand


def _reports(at_hand: BizonService) -> BizonReports:
    told = [
        BizonReport(
            webinar_id=one.webinar_id,
            state=one.state,
            heard_at=datetime.fromtimestamp(one.heard_at, UTC),
            attempts=one.attempts,
            due_at=datetime.fromtimestamp(one.due_at, UTC),
            trouble=one.trouble,
            imports=list(one.imports),
        )
        for one in at_hand.reports.all()
    ]
    return BizonReports(has_token=bool(at_hand.settings.token), address=at_hand.address, reports=told)
