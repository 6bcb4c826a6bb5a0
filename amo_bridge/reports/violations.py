"""Violations by month: lines for a spreadsheet, and each person's sum."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from amo_bridge.engine.deal_view import deal_url
from amo_bridge.engine.violations import State, Total, Violation
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.csv_table import as_csv
from amo_bridge.text.typography import money

STATES: Mapping[State, str] = {"counts": "учтено", "forgiven": "прощено"}
COLUMNS = (
    "Номер", "Когда", "Кто", "Пункт", "Сделка", "Название", "Адрес", "Правило", "Почему", "Штраф", "Валюта", "Решение",
    "Кто решил и почему",
)  # fmt: skip
MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True)
class Month:
    """A calendar month. ``first``: its first day."""

    first: date

    @classmethod
    def of(cls, text: str) -> Month | None:
        """«2026-11»; None for anything else."""
        read = MONTH.fullmatch(text.strip())
        return cls(date(int(read[1]), int(read[2]), 1)) if read and 1970 <= int(read[1]) < 9999 else None

    @classmethod
    def containing(cls, day: date) -> Month:
        return cls(day.replace(day=1))

    @property
    def following(self) -> Month:
        return Month.containing(self.first + timedelta(days=31))

    @property
    def previous(self) -> Month:
        return Month.containing(self.first - timedelta(days=1))

    @property
    def days(self) -> list[date]:
        count = (self.following.first - self.first).days
        return [self.first + timedelta(days=number) for number in range(count)]

    def span(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Since when, and until when (not included), by the zone's clocks."""
        return datetime.combine(self.first, time(), zone), datetime.combine(self.following.first, time(), zone)

    def __str__(self) -> str:
        return f"{self.first:%Y-%m}"


@dataclass(frozen=True)
class Sum:
    """What one person's violations come to. ``owed``: currency → whole units, forgiven ones left out."""

    person: str
    many: int
    forgiven: int
    owed: Mapping[str, int]

    @property
    def money(self) -> str:
        """«10 000 ₽»; empty if nothing is owed."""
        return ", ".join(money(amount, currency) for currency, amount in self.owed.items())


def sums(totals: Sequence[Total]) -> list[Sum]:
    """Everybody's, by name."""
    return [
        _sum(person, [one for one in totals if one.person == person]) for person in sorted({v.person for v in totals})
    ]


def _sum(person: str, his: Sequence[Total]) -> Sum:
    owed = {money: sum(v.owed for v in his if v.currency == money) for money in sorted({v.currency for v in his})}
    forgiven = sum(one.many for one in his if one.state == "forgiven")
    return Sum(
        person, sum(one.many for one in his), forgiven, {money: amount for money, amount in owed.items() if amount}
    )


def sheet(found: Iterable[Violation], account_url: str, zone: ZoneInfo) -> bytes:
    """All of them as CSV for Excel; times are the zone's."""
    return as_csv(COLUMNS, [_cells(one, account_url, zone) for one in found])


def _cells(one: Violation, account_url: str, zone: ZoneInfo) -> list[object]:
    return [
        one.number, f"{one.at.astimezone(zone):%d.%m.%Y %H:%M}", one.person, one.clause,
        one.deal_id or "", one.deal_name, deal_url(account_url, one.deal_id) if one.deal_id else "",
        one.rule, one.why, one.penalty, one.currency if one.penalty is not None else "", STATES[one.state],
        "; ".join(f"{STATES[decided.state]}, {decided.who}: {decided.why}" for decided in one.decisions),
    ]  # fmt: skip
