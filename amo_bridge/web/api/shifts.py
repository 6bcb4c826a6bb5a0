"""``/shifts``: who has begun to work, and when; a program may say so for a person."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from flask import abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from amo_bridge.engine.shift_starts import ShiftStart, ShiftStarts
from amo_bridge.storage.database import notify
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, day, refusal, whole
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, current_account, token

MOST_DAYS = 31


class Shift(Shape):
    """One person's of one day. ``due``: when it begins; ``begun_at``: null until it has; ``begun_by``: who confirmed
    it, empty for what he did in amoCRM; ``is_late``: begun after ``due``."""

    number: int
    day: date
    user_id: int
    person: str
    due: datetime
    begun_at: datetime | None
    begun_by: str
    is_late: bool
    reminded_at: datetime | None
    escalated_at: datetime | None


class Shifts(Shape):
    """By day and name; of those who are asked (``[shift_start]``)."""

    shifts: list[Shift]


@api.endpoint(
    Endpoint(
        "shifts_list",
        "/shifts",
        "GET",
        Role.VIEWER,
        _l("Кто когда начал смену"),
        Shifts,
        query={"day": _l("последний день, 2026-11-25; без него — сегодня"), "days": _l("сколько дней, до 31; 1")},
        checks={"day": day, "days": whole(1, MOST_DAYS)},
    )
)
def shifts() -> Shifts:
    here = current_account()
    told = request.args.get("day", "").strip()
    last = date.fromisoformat(told) if told else _today(here)
    first = last - timedelta(days=int(request.args.get("days", "").strip() or 1) - 1)
    return Shifts(shifts=[_shape(one) for one in _kept(here).between(first, last)])


@api.endpoint(
    Endpoint(
        "shifts_begin",
        "/shifts/<int:number>/begin",
        "POST",
        Role.HEAD,
        _l("Отметить, что человек на смене"),
        Shift,
    )
)
def begin(number: int) -> Shift:
    here = current_account()
    kept, now = _kept(here), here.clock.now()
    one = kept.of(number)
    if one is None:
        abort(refusal(404, _("Такой смены нет")))
    if one.day != _today(here):
        abort(refusal(409, _("Эта смена уже прошла")))
    with here.store.write() as connection:
        said = kept.begin(connection, number, now, f"{one.person}, {token().name}")
        notify(connection, here.key)
    if said != "done":
        abort(refusal(409, _("Смена уже начата")))
    audit("shifts.begin", f"{one.person} на смене {one.day:%d.%m.%Y}: отмечено программой")
    return _shape(kept.of(number) or one)


def _kept(here: AccountView) -> ShiftStarts:
    return ShiftStarts(here.account_store, here.clock)


def _today(here: AccountView) -> date:
    return here.clock.now().astimezone(here.zone).date()


def _shape(one: ShiftStart) -> Shift:
    return Shift(
        number=one.number, day=one.day, user_id=one.user_id, person=one.person, due=one.due, begun_at=one.begun_at,
        begun_by=one.begun_by, is_late=one.is_late, reminded_at=one.reminded_at, escalated_at=one.escalated_at,
    )  # fmt: skip
