"""How times, ages and counts are written on pages: in the account's zone and the reader's language."""

from __future__ import annotations

from datetime import UTC, date, datetime

from flask import Flask
from flask_babel import format_date as babel_date
from flask_babel import format_decimal, ngettext
from flask_babel import gettext as _

from amo_bridge.web.here import account
from amo_bridge.web.office import ChoiceNeeded, NoSuchAccount
from amo_bridge.web.step_words import step_in_words

MINUTE, HOUR, DAY = 60, 3600, 86400


def install(app: Flask) -> None:
    app.jinja_env.filters.update(
        moment=moment,
        clock=clock,
        day=day,
        weekday=weekday,
        month=month,
        month_name=month_name,
        age=age,
        number=number,
        step=step_in_words,
    )


def moment(at: datetime | float | None) -> str:
    """«25.11.2026, 14:05» in the account's zone; a dash for nothing."""
    return "—" if at is None else local(at).strftime("%d.%m.%Y, %H:%M")


def clock(at: datetime | float) -> str:
    """«14:05:09» in the account's zone."""
    return local(at).strftime("%H:%M:%S")


def day(at: date | datetime | float) -> str:
    """«25 ноября 2026 г., среда»."""
    when = at if isinstance(at, date) and not isinstance(at, datetime) else local(at).date()
    return str(babel_date(when, "full"))


def weekday(at: date) -> str:
    """«ср»."""
    return str(babel_date(at, "EEEEEE"))


def month_name(at: date) -> str:
    """«нояб.»."""
    return str(babel_date(at, "LLL"))


def month(first: date) -> str:
    """«ноябрь 2026»."""
    return str(babel_date(first, "LLLL yyyy"))


def age(seconds: float | None) -> str:
    """«3 мин назад»; how long ago, as exactly as a person wants to know it. Never broken over two lines."""
    return _age(seconds).replace(" ", "\N{NO-BREAK SPACE}")


def _age(seconds: float | None) -> str:
    if seconds is None:
        return str(_("ещё не было"))
    if seconds < MINUTE:
        return str(_("только что"))
    if seconds < HOUR:
        return str(_("%(n)s мин назад", n=int(seconds // MINUTE)))
    if seconds < DAY:
        return str(_("%(n)s ч назад", n=int(seconds // HOUR)))
    days = int(seconds // DAY)
    return str(ngettext("%(num)s день назад", "%(num)s дней назад", days))


def number(value: float) -> str:
    """«12 345»."""
    return str(format_decimal(value))


def local(at: datetime | float) -> datetime:
    """In the account's zone; in UTC where no account is meant."""
    when = datetime.fromtimestamp(at, UTC) if isinstance(at, int | float) else at
    try:
        return when.astimezone(account().zone)
    except (ChoiceNeeded, NoSuchAccount):
        return when.astimezone(UTC)
