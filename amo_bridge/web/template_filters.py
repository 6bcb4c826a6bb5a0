"""Days as a calendar shows them: whole weeks, Monday first, and how much there is on each day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from babel.numbers import format_decimal
from flask import Flask
from flask_babel import format_date as babel_date
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from amo_bridge.dates.duration import describe_step as written_out
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.typography import money
from amo_bridge.web.accounts import ChoiceNeeded, NoSuchAccount
from amo_bridge.web.context import current_account
from amo_bridge.web.middleware import page_language
from amo_bridge.web.services.failures import explained


@dataclass(frozen=True)
class Cell:
    """One day. ``many``: how much there is; ``is_asked``: within the days that were asked for."""

    day: date
    many: int
    is_asked: bool


def weeks(counts: Mapping[date, int], first: date, last: date) -> list[list[Cell]]:
    """From the week of ``first`` to the week of ``last``; earlier or later days with something are shown as well."""
    begin, end = min([first, *counts]), max([last, *counts])
    day, grid = begin - timedelta(days=begin.weekday()), []
    while day <= end:
        week = [day + timedelta(days=n) for n in range(7)]
        grid.append([Cell(one, counts.get(one, 0), first <= one <= last) for one in week])
        day += timedelta(days=7)
    return grid


# amoCRM's refusals explained in the reader's language, where its words tell what is wrong.


def install_explanations(app: Flask) -> None:
    app.jinja_env.filters.update(explained=explained)


# A step's name on a page: its spans of time in the reader's language.


def step_in_words(name: str) -> str:
    """Every span of time in it written out; whatever else a person has called it stays."""
    return written_out(name, lambda one, many, count: str(ngettext(one, many, count)))


# The journal's verdicts and the states of effects, as pages say them: a kind of chip and a word.

VERDICTS = {
    "acts": ("good", _l("сделано")),
    "would_act": ("warning", _l("вхолостую")),
    "skipped": ("quiet", _l("не подошло")),
    "awaits": ("quiet", _l("ждёт срока")),
    "failed": ("bad", _l("сбой")),
    "held": ("bad", _l("остановлено")),
    "retried": ("warning", _l("возвращено")),
    "dropped": ("quiet", _l("снято")),
    "undone": ("quiet", _l("отменено")),
    "at_work": ("warning", _l("в работе")),
    "refused": ("bad", _l("отказ")),
    "unsent": ("bad", _l("не отправлено")),
    "unknown": ("warning", _l("неизвестно")),
    "partly": ("warning", _l("частично")),
}
STATES = {
    "done": ("good", _l("готово")),
    "ready": ("warning", _l("ждёт отправки")),
    "waiting": ("warning", _l("ждёт другого")),
    "sending": ("warning", _l("отправляется")),
    "doubt": ("warning", _l("проверяется")),
    "failed": ("bad", _l("отказ")),
    "unsent": ("bad", _l("не отправлено")),
    "unknown": ("warning", _l("неизвестно")),
    "dry": ("quiet", _l("вхолостую")),
    "dropped": ("quiet", _l("снято")),
}


def install_labels(app: Flask) -> None:
    app.jinja_env.globals.update(
        verdict_of=lambda verdict: VERDICTS.get(verdict, ("quiet", verdict)),
        state_of=lambda state: STATES.get(state, ("quiet", state)),
    )


# How times, ages and counts are written on pages: in the account's zone and the reader's language.

MINUTE, HOUR, DAY = 60, 3600, 86400


def install_filters(app: Flask) -> None:
    app.jinja_env.filters.update(
        moment=moment,
        clock=clock,
        exact_moment=exact_moment,
        day=day,
        weekday=weekday,
        month=month,
        month_name=month_name,
        age=age,
        number=number,
        money=sum_of_money,
        step=step_in_words,
    )


def moment(at: datetime | float | None) -> str:
    """«25.11.2026, 14:05» in the account's zone; a dash for nothing."""
    return "—" if at is None else local(at).strftime("%d.%m.%Y, %H:%M")


def exact_moment(at: datetime | float) -> str:
    """«25.11.2026, 14:05:09»: of events of which several come in a minute."""
    return local(at).strftime("%d.%m.%Y, %H:%M:%S")


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
    return _number(value, page_language())


@lru_cache(maxsize=4096)
def _number(value: float, locale: str) -> str:
    return str(format_decimal(value, locale=locale))


def sum_of_money(amount: int, currency: str) -> str:
    """«5 000 ₽», by the customs of the reader's language."""
    return money(amount, currency, page_language())


def local(at: datetime | float) -> datetime:
    """In the account's zone; in UTC where no account is meant."""
    when = datetime.fromtimestamp(at, UTC) if isinstance(at, int | float) else at
    try:
        return when.astimezone(current_account().zone)
    except (ChoiceNeeded, NoSuchAccount):
        return when.astimezone(UTC)
