"""An export of an advertising cabinet (CSV, XLSX) → figures by campaign and day.

A file is taken whole or not at all: half of a day's figures would make a wrong price. What can't be read is told with
its sheet, row and column. Files are read in a process of their own, as exports of webinars are, for the same reasons.

No document of VK Ads, Yandex Direct or Meta that this is built on shows its export: the titles of columns below are
assumed. What they don't fit is named in ``[ads.columns]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pydantic import TypeAdapter

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.ad_statistics import CampaignDay
from amo_bridge.rules.ad_norms import AdColumn, AdsSection, placement_of
from amo_bridge.rules.deal import AdDay
from amo_bridge.text.names import normalise
from amo_bridge.webinars.formats import cells, guards
from amo_bridge.webinars.formats.cells import Cell
from amo_bridge.webinars.formats.model import ExportError
from amo_bridge.webinars.formats.reading_process import read_in_child, serve, tables_in
from amo_bridge.webinars.formats.tables import Table

Service = Literal["vk", "yandex", "meta", "file"]
SERVICES: Mapping[Service, str] = {
    "vk": "VK Реклама",
    "yandex": "Яндекс Директ",
    "meta": "Meta",
    "file": "другой сервис",
}

_COMMON: Mapping[AdColumn, str] = {
    "day": "День; Дата; Date; Day; Число",
    "campaign": "Кампания; Название кампании; Рекламная кампания; Название рекламной кампании; Campaign; Campaign name",
    "placement": "Площадка; Место размещения; Размещение; Плейсмент; Placement",
    "shows": "Показы; Показов; Impressions; Shows",
    "clicks": "Клики; Кликов; Clicks; Переходы",
    "cost": "Расход; Расходы; Потрачено; Затраты; Сумма; Стоимость; Cost; Spent; Spend",
    "leads": "Лиды; Заявки; Конверсии; Leads; Conversions; Результат; Результаты; Results",
    "currency": "Валюта; Currency",
}
_OWN: Mapping[Service, Mapping[AdColumn, str]] = {
    "vk": {"campaign": "Название; Кампания (название)", "cost": "Потрачено всего; Списано", "leads": "Лид-формы; Цели"},
    "yandex": {
        "campaign": "Название Кампании; CampaignName",
        "placement": "Тип площадки; Название площадки; AdNetworkType",
        "cost": "Расход всего",
    },
    "meta": {
        "day": "Начало отчетности; Reporting starts; Дата начала отчета",
        "placement": "Позиция платформы; Platform position",
        "clicks": "Клики по ссылке; Link clicks; Клики (все); Clicks (all)",
        "cost": "Сумма затрат; Потраченная сумма; Amount spent",
    },
    "file": {},
}
_LAST_DAY = "Окончание отчетности; Reporting ends; Дата окончания отчета"
WORDS: Mapping[AdColumn, str] = {
    "day": "день", "campaign": "кампания", "placement": "место размещения", "shows": "показы", "clicks": "клики",
    "cost": "расход", "leads": "лиды", "currency": "валюта",
}  # fmt: skip
COUNTS: tuple[AdColumn, ...] = ("shows", "clicks", "leads")
NEEDED: tuple[AdColumn, ...] = ("campaign", "shows", "clicks", "cost")
WANTED = "нужна выгрузка статистики: книга Excel или CSV"
MOST_ROWS = 100_000
MOST_MISTAKES = 10
HEADER_WITHIN = 40
EARLIEST = date(2010, 1, 1)
_TOTAL = re.compile(r"(?:итого|всего|total|grand total)[\s:.]*(?:\(.*\)|\d[\d\s.,]*)?")
_TOTAL_BEGINS = re.compile(r"(?:итого|всего|total|grand total|результаты из|results from)\b")
_CURRENCIES: Mapping[str, str] = {
    "₽": "RUB", "руб": "RUB", "руб.": "RUB", "р.": "RUB", "rub": "RUB", "rur": "RUB", "$": "USD", "usd": "USD",
    "€": "EUR", "eur": "EUR", "₸": "KZT", "тг": "KZT", "тенге": "KZT", "kzt": "KZT", "byn": "BYN", "₴": "UAH",
    "грн": "UAH", "грн.": "UAH", "uah": "UAH",
}  # fmt: skip
_IN_TITLE = re.compile(r"^(?P<title>.+?)(?:\s*[(,\s]\s*(?P<unit>[^()\s,]{1,10})\s*\)?)?$")
_AMOUNT = re.compile(r"(?P<before>[^\d\s.,-]{1,3})?\s*(?P<number>-?\d[\d .,]*)\s*(?P<after>[^\d\s]{1,6})?")
_WHOLE = re.compile(r"\d+|\d{1,3}(?:[ ,.]\d{3})+")
_DECIMAL = re.compile(r"(?:\d+|\d{1,3}(?: \d{3})+)(?:[.,]\d+)?")
_ENGLISH, _GERMAN = re.compile(r"\d{1,3}(?:,\d{3})+\.\d+|\d{1,3}(?:,\d{3}){2,}"), re.compile(r"\d{1,3}(?:\.\d{3})+,\d+")
_EITHER = re.compile(r"\d{1,3},\d{3}")
_DOTTED = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+")
_START = "from amo_bridge.advertising.exports import main; main()"


@dataclass(frozen=True)
class AdExport:
    """A file, read. ``totals``: how many rows of sums were passed by."""

    rows: tuple[CampaignDay, ...]
    totals: int


_ANSWER = TypeAdapter(AdExport)


def read_ad_export(
    name: str, content: bytes, service: Service, section: AdsSection, *, today: date, day: date | None = None
) -> AdExport:
    """What the file says. ``day``: of files without a column of days. Raises ExportError, with all that is wrong."""
    guards.check_size(name, content)
    request = {
        "name": name, "service": service, "currency": section.currency, "columns": dict(section.columns),
        "today": today.isoformat(), "day": day.isoformat() if day else None,
    }  # fmt: skip
    return read_in_child(name, request, content, _ANSWER, start=_START)


def main() -> None:
    """The process that reads."""
    serve(_ANSWER, _read)


def _read(request: Mapping[str, Any], content: bytes) -> AdExport:
    name = request["name"]
    guards.check_bytes(name, content, WANTED)
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        raise ExportError(f"{name}: это JSON, а не таблица; {WANTED}")
    return _Reader(request).read(tables_in(name, content, MOST_ROWS))


@dataclass(frozen=True)
class _Header:
    """``columns``: what each is, by its place. ``currency``: that the title of the costs names; empty if none."""

    row: int
    columns: Mapping[AdColumn, int]
    titles: Mapping[AdColumn, str]
    last_day: int | None
    currency: str


class _Reader:
    def __init__(self, request: Mapping[str, Any]) -> None:
        self._name: str = request["name"]
        self._service: Service = request["service"]
        self._currency: str = request["currency"]
        self._today = date.fromisoformat(request["today"])
        self._day = date.fromisoformat(request["day"]) if request["day"] else None
        self._known = _known_titles(self._service, request["columns"])
        self._mistakes: list[str] = []
        self._order: cells.Order | None = None
        """How dates with slashes are written in this file, where some of them can be read in one way only."""
        self._has_dotted_counts = False
        """«1.000» shows: a dot parts thousands in this file, so «1.234» may be no one and a quarter."""

    def read(self, tables: Sequence[Table]) -> AdExport:
        found = [(table, header) for table in tables if not table.is_hidden and (header := self._header(table))]
        if not found:
            raise ExportError(self._no_header(tables))
        if len(found) > 1:
            sheets = ", ".join(f"«{table.sheet}»" for table, _ in found)
            raise ExportError(
                f"{self._name}: статистика есть на листах {sheets}; оставьте один, чтобы не посчитать дважды"
            )
        (table, header), totals, rows = found[0], 0, []
        if "day" not in header.columns and self._day is None:
            raise ExportError(
                f"{table.place(header.row)}: столбца с днём нет; укажите день на странице или выгрузите по дням"
            )
        if (place := header.columns.get("day")) is not None:
            below = [row for _, row in table.from_row(header.row + 1)]
            self._order = cells.order_in(row[place] for row in below if place < len(row))
        counts = [header.columns[column] for column in COUNTS if column in header.columns]
        for _, row in table.from_row(header.row + 1):
            told = [cells.text(row[place]) for place in counts if place < len(row) and isinstance(row[place], str)]
            self._has_dotted_counts |= any(_DOTTED.fullmatch(text) for text in told)
        for number, row in table.from_row(header.row + 1):
            if _is_total(header, row):
                totals += 1
            elif (one := self._row(table, header, number, row)) is not None:
                rows.append(one)
        if self._mistakes:
            more = len(self._mistakes) - MOST_MISTAKES
            told = [*self._mistakes[:MOST_MISTAKES], *([f"и ещё строк с ошибками: {more}"] if more > 0 else [])]
            raise ExportError("; ".join(told))
        if not rows:
            raise ExportError(f"{table.where}: строк с кампаниями нет")
        return AdExport(tuple(rows), totals)

    def _header(self, table: Table) -> _Header | None:
        for number, row in table.from_row(0):
            if number > HEADER_WITHIN:
                return None
            header = self._header_of(number, [cells.text(cell) for cell in row])
            if all(column in header.columns for column in NEEDED):
                return header
        return None

    def _header_of(self, number: int, row: Sequence[str]) -> _Header:
        """What the titles of a row are; of two for the same column the one that stands first among the known."""
        columns: dict[AdColumn, int] = {}
        ranks: dict[AdColumn, int] = {}
        last_day = None
        for place, text in enumerate(row):
            title = _title_of(text)[0]
            if title in _LAST_DAYS:
                last_day = place
            if (known := self._known.get(title)) is not None:
                column, rank = known
                if rank < ranks.get(column, len(self._known)):
                    columns[column], ranks[column] = place, rank
        currency = _title_of(row[columns["cost"]])[1] if "cost" in columns else ""
        titles = {column: row[place] for column, place in columns.items()}
        return _Header(number, columns, titles, last_day, currency)

    def _no_header(self, tables: Sequence[Table]) -> str:
        best: tuple[int, str, list[str]] = (0, "", [])
        for table in tables:
            for number, row in table.from_row(0):
                if number > HEADER_WITHIN:
                    break
                known = self._header_of(number, [cells.text(cell) for cell in row]).columns
                if len(known) > best[0]:
                    best = (len(known), table.place(number), [WORDS[one] for one in NEEDED if one not in known])
        if not best[0]:
            wanted = ", ".join(WORDS[one] for one in NEEDED)
            return f"{self._name}: заголовков статистики не нашлось: нужны столбцы {wanted}"
        lacks = ", ".join(best[2])
        return f"{best[1]}: нет столбцов: {lacks}; если они названы иначе, впишите названия в [ads.columns]"

    def _row(self, table: Table, header: _Header, number: int, row: Sequence[Cell]) -> CampaignDay | None:
        def cell(column: AdColumn) -> Cell:
            place = header.columns.get(column)
            return row[place] if place is not None and place < len(row) else None

        before, where = len(self._mistakes), table.place(number)

        def wrong(column: AdColumn, words: str) -> None:
            self._mistakes.append(f"{where}, столбец «{header.titles.get(column, WORDS[column])}»: {words}")

        campaign = cells.text(cell("campaign"))
        if not campaign:
            wrong("campaign", "пусто")
        day = self._day_of(header, row, wrong)
        counts = {}
        for column in COUNTS:
            told = cell(column)
            counts[column] = whole_number(told)
            if counts[column] is None:
                wrong(column, f"«{cells.text(told)[:40]}» — не целое число")
        cost, sign = amount(cell("cost"), dots_are_thousands=self._has_dotted_counts)
        if cost is None:
            wrong("cost", f"«{cells.text(cell('cost'))[:40]}» — {sign or 'не сумма'}")
        written = cells.text(cell("currency"))
        currency = _currency(written) if written else sign or header.currency or self._currency
        if cost is not None and not currency:
            wrong("currency", f"валюта «{written[:20]}» незнакома: нужна такая, как RUB")
        if len(self._mistakes) > before or day is None or cost is None:
            return None
        figures = AdDay(
            day=day,
            shows=counts["shows"] or 0,
            clicks=counts["clicks"] or 0,
            cost=cost,
            leads=counts["leads"] if "leads" in header.columns else None,
            placement=placement_of(cells.text(cell("placement")))[:80],
            currency=currency,
            service=self._service,
        )
        return CampaignDay(campaign, figures)

    def _day_of(self, header: _Header, row: Sequence[Cell], wrong: Any) -> date | None:
        place = header.columns.get("day")
        if place is None:
            return self._day
        told = row[place] if place < len(row) else None
        if cells.is_slashed(told) and self._order is None:
            wrong("day", f"«{cells.text(told)[:40]}»: день или месяц впереди? выгрузите даты как 31.12.2026")
            return None
        moment = cells.moment(told, order=self._order or "day first")
        if moment is None:
            wrong("day", f"«{cells.text(told)[:40]}» — не дата")
            return None
        day = moment.date()
        if header.last_day is not None and header.last_day < len(row):
            last = cells.moment(row[header.last_day], order=self._order or "day first")
            if last is not None and last.date() != day:
                wrong("day", f"строка за несколько дней, по {last:%d.%m.%Y}: выгрузите с разбивкой по дням")
                return None
        if not EARLIEST <= day <= self._today:
            wrong("day", f"{day:%d.%m.%Y} — такого дня в статистике быть не может")
            return None
        return day


def _known_titles(service: Service, named: Mapping[AdColumn, str]) -> dict[str, tuple[AdColumn, int]]:
    """Title → column and rank: the config's names first, then the service's, then those that all may have."""
    found: dict[str, tuple[AdColumn, int]] = {_title_of(title)[0]: (column, 0) for column, title in named.items()}
    for preset in (_OWN[service], _COMMON):
        for column, titles in preset.items():
            if column not in named:
                for title in titles.split(";"):
                    found.setdefault(normalise(title), (column, len(found)))
    return found


def _title_of(text: str) -> tuple[str, str]:
    """A title as it is compared, and the currency that it names: «Расход (руб.)» → «расход», RUB."""
    plain = " ".join(text.split())
    found = _IN_TITLE.match(plain)
    if found and found["unit"] and (currency := _currency(found["unit"])):
        return normalise(found["title"]), currency
    return normalise(plain), ""


_LAST_DAYS = frozenset(normalise(title) for title in _LAST_DAY.split(";"))


def _currency(text: str) -> str:
    told = text.strip().casefold()
    return _CURRENCIES.get(told) or (told.upper() if re.fullmatch(r"[a-z]{3}", told) else "")


def _is_total(header: _Header, row: Sequence[Cell]) -> bool:
    """A row of sums: it says so, or it has figures and neither a campaign nor a day. «Всего за 990» with a day of its
    own is a campaign."""
    places = [header.columns[column] for column in ("campaign", "day") if column in header.columns]
    told = [cells.text(row[place]).casefold() for place in places if place < len(row)]
    if not any(told):
        return True
    lacks_day = "day" in header.columns and not all(told)
    return any((_TOTAL_BEGINS.match if lacks_day else _TOTAL.fullmatch)(text) for text in told)


def whole_number(cell: Cell) -> int | None:
    """A count; 0 for an empty cell or a dash, None for what is no count."""
    if cells.is_nothing(cell):
        return 0
    if isinstance(cell, bool):
        return None
    if isinstance(cell, int | float):
        return int(cell) if cell >= 0 and float(cell).is_integer() else None
    told = cells.text(cell)
    return int(re.sub(r"[ ,.]", "", told)) if _WHOLE.fullmatch(told) else None


def amount(cell: Cell, *, dots_are_thousands: bool = False) -> tuple[int | None, str]:
    """A sum in hundredths and its currency, if the cell names one; None and why, for what is no sum.
    ``dots_are_thousands``: they are in other columns of the file."""
    if cells.is_nothing(cell):
        return 0, ""
    if isinstance(cell, bool):
        return None, ""
    if isinstance(cell, int | float):
        return (round(Decimal(str(cell)) * 100), "") if cell >= 0 else (None, "расход меньше нуля")
    told = cells.text(cell)
    found = _AMOUNT.fullmatch(told)
    if found is None:
        return None, ""
    sign = found["before"] or found["after"] or ""
    currency = _currency(sign) if sign else ""
    if sign and not currency:
        return None, f"незнакомая валюта «{sign}»"
    number = found["number"].strip()
    if number.startswith("-"):
        return None, "расход меньше нуля"
    if _EITHER.fullmatch(number) or (dots_are_thousands and _DOTTED.fullmatch(number)):
        return None, "тысячи это или доли, не понять: сохраните файл с обычными числами"
    plain = _plain_number(number)
    return (None, "") if plain is None else (round(Decimal(plain) * 100), currency)


def _plain_number(number: str) -> str | None:
    if _ENGLISH.fullmatch(number):
        return number.replace(",", "")
    if _GERMAN.fullmatch(number):
        return number.replace(".", "").replace(",", ".")
    return number.replace(" ", "").replace(",", ".") if _DECIMAL.fullmatch(number) else None


def total_of(rows: Sequence[CampaignDay]) -> Iterator[tuple[str, int]]:
    """Currency → what was spent, in hundredths, for people to compare with the cabinet."""
    for currency in dict.fromkeys(row.figures.currency for row in rows):
        yield currency, sum(row.figures.cost for row in rows if row.figures.currency == currency)
