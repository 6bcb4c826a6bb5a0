"""``/channels``, ``/dials``: channels and their vendors; auto-dials listed, stopped and decided."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from flask import abort
from flask_babel import lazy_gettext as _l

from amo_bridge.channels.dial_log import Dial, DialCall
from amo_bridge.channels.vendor_states import VendorStates
from amo_bridge.channels.vendors import vendor_of
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, refusal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.services import channels as service


class Channel(Shape):
    """``vendor``: the section of the config that serves it; null if none does. ``error``: the last one. ``advice``:
    what to do about it. ``waiting``: what is not sent yet."""

    channel: str
    label: str
    vendor: str | None
    since: datetime | None
    sent_at: datetime | None
    waiting: int
    error: str
    error_at: datetime | None
    advice: str
    balance: float | None


class Channels(Shape):
    """Every channel, connected or not."""

    channels: list[Channel]


class DialCallState(Shape):
    """``state``: placed, doubt, talked, manager, client, wrong, refused, unsent, unknown."""

    id: int
    asked_at: datetime
    user_id: int
    state: str
    seconds: int
    words: str


class DialState(Shape):
    """``state``: waiting, calling, undecided, ended. ``why``: it waits, or has ended."""

    id: int
    deal_id: int
    state: str
    next_at: datetime
    why: str
    calls: list[DialCallState]


class Dials(Shape):
    """Those that run, the next call first. ``is_stopped``: a person has stopped all."""

    is_stopped: bool
    dials: list[DialState]


class DialSwitch(Shape):
    """Whether nobody is to be called at all."""

    is_stopped: bool


class CallDecision(Shape):
    """What became of a call of which the exchange tells nothing."""

    state: Literal["talked", "client", "manager"]


@api.endpoint(
    Endpoint("channels_channels", "/channels", "GET", Role.VIEWER, _l("Каналы и что из них не выходит"), Channels)
)
def channels() -> Channels:
    here = current_account()
    found = VendorStates(here.account_store, here.clock).read(vendor_of(here.config))
    names = [name for name in Channel.model_fields if name not in ("channel", "vendor")]
    return Channels(
        channels=[
            Channel(channel=one.name, vendor=one.vendor or None, **{name: getattr(one, name) for name in names})
            for one in found
        ]
    )


@api.endpoint(Endpoint("dials_dials", "/dials", "GET", Role.VIEWER, _l("Кому звонит автодозвон"), Dials))
def dials() -> Dials:
    return _dials(current_account())


@api.endpoint(
    Endpoint(
        "dials_switch",
        "/dials/switch",
        "PUT",
        Role.HEAD,
        _l("Остановить весь дозвон или продолжить"),
        Dials,
        takes=DialSwitch,
    )
)
def switch(told: DialSwitch) -> Dials:
    service.switch_all(current_account(), is_stopped=told.is_stopped)
    return _dials(current_account())


@api.endpoint(
    Endpoint("dials_stop", "/dials/<int:dial_id>/stop", "POST", Role.HEAD, _l("Остановить дозвон по сделке"), Dials)
)
def stop(dial_id: int) -> Dials:
    try:
        service.stop(current_account(), dial_id)
    except LookupError:
        abort(404)
    return _dials(current_account())


@api.endpoint(
    Endpoint(
        "dials_decide", "/dials/calls/<int:call_id>", "POST", Role.HEAD, _l("Сказать, чем кончился звонок"), Dials,
        takes=CallDecision,
    )
)  # fmt: skip
def decide(call_id: int, told: CallDecision) -> Dials:
    try:
        is_new = service.decide(current_account(), call_id, told.state)
    except LookupError:
        abort(404)
    if not is_new:
        abort(refusal(409, "об этом звонке уже известно"))
    return _dials(current_account())


def _dials(here: AccountView) -> Dials:
    log = service.log_of(here)
    running = log.running()
    calls = log.calls_of(dial.id for dial in running)
    return Dials(is_stopped=log.is_stopped, dials=[_dial(dial, calls.get(dial.id, [])) for dial in running])


def _dial(dial: Dial, calls: list[DialCall]) -> DialState:
    names = ("id", "deal_id", "state", "next_at", "why")
    told = [DialCallState(**{name: getattr(call, name) for name in DialCallState.model_fields}) for call in calls]
    return DialState(**{name: getattr(dial, name) for name in names}, calls=told)
