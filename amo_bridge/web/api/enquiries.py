"""``/enquiries``: who asked, by which channel, with what result; retries; vendors' addresses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from flask import abort, request
from flask_babel import lazy_gettext as _l
from pydantic import Field

from amo_bridge.errors import ConfigError
from amo_bridge.intake.enquiries import EnquiryFilter
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Error, Number, Shape, day, one_of, refusal, whole
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.services import enquiries as service

MOST, USUAL = 1000, 100


class Enquiry(Shape):
    """``kind``: enquiry or call. ``state``: new, sent (at work), waits, done, asked (a person was), skipped, dry or
    refused. ``outcome``, ``error``: Russian. ``retryable``: may it be tried again? For the role viewer phones and
    addresses are masked."""

    id: int
    kind: str
    source: str
    title: str
    received_at: datetime
    name: str | None
    phones: list[str]
    emails: list[str]
    text: str
    utm: dict[str, str]
    state: str
    outcome: str
    error: str
    attempts: int
    retryable: bool
    contact_id: int | None
    deal_id: int | None


class Enquiries(Shape):
    """The newest first. ``total``: how many there are of these."""

    total: int
    enquiries: list[Enquiry]


class EnquiryNumbers(Shape):
    """Ids of enquiries."""

    ids: Annotated[list[Number], Field(min_length=1, max_length=1000)]


class RetriedEnquiries(Shape):
    """Those that are judged once more, and why others are not (Russian)."""

    enquiries: list[Enquiry]
    errors: list[str]


class EnquiryAddress(Shape):
    """``vendor``: as in ``[intake]``; ``name``: which of ``[intake.mapped.…]``. ``missing``: variables of secrets that
    are not set; ``is_open``: is it taken? ``last_at``, ``last_state``: of the last request: read, new, broken."""

    vendor: str
    name: str
    title: str
    url: str
    paste: str
    missing: list[str]
    is_open: bool
    last_at: datetime | None
    last_state: str


class EnquiryAddresses(Shape):
    """Of the vendors that are switched on. Their ends are secret."""

    addresses: list[EnquiryAddress]


@api.endpoint(
    Endpoint(
        "enquiries_enquiries",
        "/enquiries",
        "GET",
        Role.VIEWER,
        _l("Обращения: откуда, кто, что с ними стало"),
        Enquiries,
        query={
            "source": _l("сервис: tilda, vk, zadarma …"),
            "state": _l("исход: new, sent, waits, done, asked, skipped, dry, refused"),
            "day": _l("день обращения"),
            "text": _l("телефон, почта, профиль, часть имени или слов"),
            "deal": _l("номер сделки"),
            "most": _l("сколько, до 1000; 100"),
            "passed": _l("сколько новых пропустить; 0"),
        },
        checks={
            "state": one_of(service.STATES),
            "day": day,
            "deal": whole(1),
            "most": whole(1, MOST),
            "passed": whole(0, 10**9),
        },
    )
)
def enquiries() -> Enquiries:
    here, told = current_account(), request.args
    since, until = service.span_of(here, told.get("day", "").strip())
    wanted = EnquiryFilter(
        source=told.get("source", "").strip(),
        state=told.get("state", "").strip(),
        words=told.get("text", ""),
        deal_id=told.get("deal", type=int),
        since=since,
        until=until,
    )
    repository = service.repository_of(here)
    rows = repository.find(wanted, told.get("most", USUAL, type=int), told.get("passed", 0, type=int))
    return Enquiries(total=repository.count(wanted), enquiries=[_enquiry(service.view_of(row)) for row in rows])


@api.endpoint(
    Endpoint(
        "enquiries_retry",
        "/enquiries/retry",
        "POST",
        Role.HEAD,
        _l("Разобрать обращения ещё раз"),
        RetriedEnquiries,
        takes=EnquiryNumbers,
    )
)
def retry(told: EnquiryNumbers) -> RetriedEnquiries:
    done, errors = service.retry(current_account(), told.ids)
    if not done:
        abort(refusal(409, "; ".join(errors)))
    return RetriedEnquiries(enquiries=[_enquiry(service.view_of(row)) for row in done], errors=errors)


@api.endpoint(
    Endpoint(
        "enquiries_addresses",
        "/enquiries/addresses",
        "GET",
        Role.ADMIN,
        _l("Адреса, куда сервисы присылают обращения"),
        EnquiryAddresses,
        says_no={"409": Error},
    )
)
def addresses() -> EnquiryAddresses:
    here = current_account()
    try:
        found = service.addresses_of_account(here, here.config.bridge.public_url or request.host_url)
    except ConfigError as error:
        abort(refusal(409, "; ".join(error.problems)))
    return EnquiryAddresses(addresses=[_address(one) for one in found])


def _enquiry(view: service.EnquiryView) -> Enquiry:
    return Enquiry(**view.facts, title=view.title, retryable=view.is_retryable)


def _address(view: service.AddressView) -> EnquiryAddress:
    return EnquiryAddress(
        vendor=view.address.vendor.name,
        name=view.address.name,
        title=view.title,
        url=view.url,
        paste=view.paste,
        missing=list(view.missing),
        is_open=view.is_open,
        last_at=datetime.fromtimestamp(view.last.at, UTC) if view.last else None,
        last_state=view.last.state if view.last else "",
    )
