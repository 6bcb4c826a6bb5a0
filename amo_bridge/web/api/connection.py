"""``/connection``, ``/requests``: the connection with amoCRM, connecting anew, the last requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from flask import abort, request
from flask_babel import lazy_gettext as _l

from amo_bridge.crm.account import Account
from amo_bridge.engine.metrics import MOST_KEPT
from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, one_of, refusal, whole
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages.requests import requests_of
from amo_bridge.web.services import connection as connection_service
from amo_bridge.web.services.connection import ConnectionView
from amo_bridge.web.stored_sentences import stored


class ConnectedAccount(Shape):
    """What is known of amoCRM's account. ``can_filter``: its plan lets lists be filtered; without that the bridge
    reads them in the order of their changes."""

    id: int
    name: str
    timezone: str
    pipelines: int
    stages: int
    fields: int
    people: int
    can_filter: bool


class Connection(Shape):
    """``by``: a long-lived token or OAuth. ``trouble``: what holds requests up; ``warning``: that the access ends soon
    (both Russian). ``ends_at``: null if that is not known; ``hook_checked_age``: seconds, null: not yet. ``known``:
    null before the bridge has met the account."""

    account: str
    is_ready: bool
    by: Literal["token", "oauth"]
    ends_at: datetime | None
    warning: str
    trouble: str
    hook_checked_age: float | None
    known: ConnectedAccount | None


class ConnectionBegun(Shape):
    """``page``: amoCRM's own, for an administrator of the account to open within 20 minutes; it leads back to
    ``redirect_uri``, which the integration must name exactly so."""

    page: str
    redirect_uri: str


@api.endpoint(
    Endpoint("connection_connection", "/connection", "GET", Role.VIEWER, _l("Подключение к amoCRM"), Connection)
)
def connection() -> Connection:
    connection = ConnectionView.of(current_account())
    return Connection(
        account=connection.here.config.account.url,
        is_ready=connection.here.bridge.is_ready,
        by="token" if connection.is_long_lived else "oauth",
        ends_at=None if connection.ends_at is None else datetime.fromtimestamp(connection.ends_at, UTC),
        warning=stored(connection.warning),
        trouble=stored(connection.trouble),
        hook_checked_age=connection.health.hook_seen_age if connection.health else None,
        known=_known(connection.known) if connection.known else None,
    )


@api.endpoint(
    Endpoint(
        "connection_begin",
        "/connection/begin",
        "POST",
        Role.ADMIN,
        _l("Подключить заново: адрес страницы amoCRM"),
        ConnectionBegun,
    )
)
def begin() -> ConnectionBegun:
    here = current_account()
    try:
        page = connection_service.begin(here)
    except (BridgeError, ConfigError) as error:
        abort(refusal(409, str(error)))
    return ConnectionBegun(page=page, redirect_uri=ConnectionView.of(here).redirect_uri)


def _known(told: Account) -> ConnectedAccount:
    return ConnectedAccount(
        id=told.id,
        name=told.name,
        timezone=told.timezone,
        pipelines=len(told.pipelines),
        stages=len(told.stages),
        fields=len(told.all_fields),
        people=len(told.users),
        can_filter=told.is_api_filter_enabled,
    )


# The last requests to amoCRM.


class SentRequest(Shape):
    """``path``: with the names of its parameters, without their values. ``status``: null: there was no answer.
    ``why``: for what it was sent (Russian), empty if that is not known."""

    at: datetime
    method: str
    path: str
    status: int | None
    milliseconds: int
    why: str


class SentRequests(Shape):
    """Newest first. The last thousand are kept."""

    requests: list[SentRequest]


@api.endpoint(
    Endpoint(
        "requests_requests",
        "/requests",
        "GET",
        Role.ADMIN,
        _l("Последние запросы к amoCRM"),
        SentRequests,
        query={
            "failed": _l("1: только неудачные"),
            "text": _l("часть адреса или причины"),
            "most": _l("сколько, до 1000; 100"),
        },
        checks={"failed": one_of(("0", "1")), "most": whole(1, MOST_KEPT)},
    )
)
def sent_requests() -> SentRequests:
    told = request.args
    rows = requests_of(
        current_account(),
        told.get("most", 100, type=int),
        only_failed=told.get("failed") == "1",
        text=told.get("text", "").strip(),
    )
    found = [
        SentRequest(
            at=datetime.fromtimestamp(one.at, UTC), method=one.method, path=one.path, status=one.status,
            milliseconds=one.milliseconds, why=one.why,
        )
        for one in rows
    ]  # fmt: skip
    return SentRequests(requests=found)
