"""Norms of advertising: what a click, a thousand shows, a lead of a campaign may cost (M9).

Money is whole hundredths of its currency, so that sums are exact. Prices are counted from sums, never from a service's
own averages: CPC = cost / clicks, CPM = 1000 · cost / shows, CPL = cost / leads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.deal import AdDay
from amo_bridge.rules.option_types import CustomFieldName, PersonName, StageName, Strict
from amo_bridge.text.names import normalise

Metric = Literal["CPC", "CPM", "CPL"]
METRICS: tuple[Metric, ...] = ("CPC", "CPM", "CPL")
PER: Mapping[Metric, str] = {"CPC": "клик", "CPM": "1000 показов", "CPL": "лид"}
AdColumn = Literal["day", "campaign", "placement", "shows", "clicks", "cost", "leads", "currency"]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Amount = Annotated[Decimal, Field(gt=0, le=1_000_000)]
Title = Annotated[str, Field(min_length=1, max_length=200)]
STORIES, FEED = "Stories", "Лента"
_PLACEMENTS: Mapping[str, str] = {
    **dict.fromkeys(("stories", "story", "instagram stories", "facebook stories", "истории", "сторис"), STORIES),
    **dict.fromkeys(("feed", "instagram feed", "facebook feed", "лента", "лента новостей", "новостная лента"), FEED),
}
NUMBER = re.compile(r"\d{1,9}(?:[.,]\d{1,9})?", re.ASCII)
MAYBE_THOUSANDS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
ROUBLES = ("рублей", "рубля", "руб.", "руб", "р.", "р")
SIGNS = {"RUB": "₽", "USD": "$", "EUR": "€", "KZT": "₸", "BYN": "Br", "UAH": "₴"}


def placement_of(text: str) -> str:
    """A placement in the words of the norms: «Stories», «Лента»; any other as it is written; empty if unknown."""
    known = _PLACEMENTS.get(normalise(text.replace("_", " ")))
    return known or " ".join(text.split())


@dataclass(frozen=True)
class CampaignTraits:
    """What a deal says of its campaign, to choose the norms by; empty where it says nothing."""

    product: str = ""
    niche: str = ""
    goal: str = ""


class AdNorm(Strict):
    """One norm: ``most`` is the highest price of a click, of a thousand shows, of a lead.

    ``placement``, ``product``, ``niche``, ``goal``, ``currency``: only there; empty is anywhere, ``currency`` the
    section's own.
    """

    word: ClassVar[str] = "норма"

    metric: Metric
    most: Amount
    placement: str = ""
    product: str = ""
    niche: str = ""
    goal: str = ""
    currency: Currency | None = None

    def fits(self, traits: CampaignTraits, currency: str, usual: str) -> bool:
        """Is it for a campaign like this?"""
        pairs = ((self.product, traits.product), (self.niche, traits.niche), (self.goal, traits.goal))
        is_for_it = all(not wanted or normalise(wanted) == normalise(told) for wanted, told in pairs)
        return is_for_it and (self.currency or usual) == currency


class PlannedPrice(AdNorm):
    """What the deal's own media plan promises: it goes before the norms of its metric (C11)."""

    word: ClassVar[str] = "медиаплан"


class AdsSection(Strict):
    """``[ads]``: advertising campaigns of deals, and the norms of their prices.

    ``campaign_field``: the deal's field with the campaign's name. ``product_field``, ``niche_field``, ``goal_field``:
    fields by which norms differ. ``currency``: of files and norms that name none. ``least_shows``, ``least_clicks``:
    below them a price says nothing; then up to ``days`` days are counted together. ``norms``: of several that fit the
    first counts. ``plan``: fields of the deal with the prices of its media plan, in ``currency``; where one is filled,
    it counts instead of the norms of its metric.
    ``check_by``: o'clock on working days, until when yesterday of every campaign is to be looked at; then ``check_to``
    hears once which were not. ``check_stages``: of deals on these stages alone; empty: of all open ones.
    ``ask``: the services whose API is asked every morning. ``columns``: titles in exports that nobody knows.
    """

    campaign_field: CustomFieldName = CustomFieldName("Название рекламной кампании")
    product_field: CustomFieldName | None = None
    niche_field: CustomFieldName | None = None
    goal_field: CustomFieldName | None = None
    currency: Currency = "RUB"
    least_shows: Annotated[int, Field(ge=1)] = 500
    least_clicks: Annotated[int, Field(ge=1)] = 20
    days: Annotated[int, Field(ge=1, le=14)] = 3
    norms: tuple[AdNorm, ...] = ()
    plan: Mapping[Metric, CustomFieldName] = Field(default_factory=dict)
    check_by: time | None = None
    check_to: PersonName = PersonName("head")
    check_stages: tuple[StageName, ...] = ()
    ask: tuple[Literal["yandex", "vk"], ...] = ()
    columns: Mapping[AdColumn, Title] = Field(default_factory=dict)

    @model_validator(mode="after")
    def norms_differ(self) -> Self:
        seen = set()
        for norm in self.norms:
            words = (norm.product, norm.niche, norm.goal)
            whole = (norm.metric, placement_of(norm.placement), *map(normalise, words), norm.currency or self.currency)
            if whole in seen:
                raise ValueError(f"две нормы {norm.metric} для одного и того же: оставьте одну")
            seen.add(whole)
            if norm.product and self.product_field is None:
                raise ValueError("у нормы есть product, а product_field (поле сделки с продуктом) не задано")
            if norm.niche and self.niche_field is None:
                raise ValueError("у нормы есть niche, а niche_field (поле сделки с нишей) не задано")
            if norm.goal and self.goal_field is None:
                raise ValueError("у нормы есть goal, а goal_field (поле сделки с целью рекламы) не задано")
        return self

    def traits(self, text: Callable[[str], str]) -> tuple[CampaignTraits, list[str]]:
        """Of a deal whose fields ``text`` tells; and which norms can't be chosen by it (Russian)."""
        fields = (self.product_field, self.niche_field, self.goal_field)
        product, niche, goal = (text(name).strip() if name else "" for name in fields)
        problems = []
        if not goal and (by_goal := dict.fromkeys(norm.metric for norm in self.norms if norm.goal)):
            problems = [f"поле «{self.goal_field}» пусто: нормы по цели ({', '.join(by_goal)}) не сравниваются"]
        return CampaignTraits(product, niche, goal), problems


@dataclass(frozen=True)
class Sum:
    """Several days and placements together. ``leads``: None if one of them does not know."""

    shows: int
    clicks: int
    cost: int
    leads: int | None

    @classmethod
    def of(cls, rows: Iterable[AdDay]) -> Self:
        told = list(rows)
        leads = [row.leads for row in told if row.leads is not None]
        return cls(
            sum(row.shows for row in told),
            sum(row.clicks for row in told),
            sum(row.cost for row in told),
            sum(leads) if told and len(leads) == len(told) else None,
        )

    def price(self, metric: Metric) -> Decimal | None:
        """In whole units of the currency; None where there is nothing to divide by."""
        count = {"CPC": self.clicks, "CPM": self.shows, "CPL": self.leads}[metric]
        return Decimal(self.cost * (1000 if metric == "CPM" else 1)) / 100 / count if count else None


State = Literal["over", "fine", "few", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """One metric of a campaign against its norm. ``first``, ``last``: the days that were counted together."""

    norm: AdNorm
    state: State
    figures: Sum
    first: date
    last: date
    currency: str

    @property
    def price(self) -> Decimal | None:
        return self.figures.price(self.norm.metric)

    @property
    def words(self) -> str:
        """«CPC 2,10 ₽ за клик, норма до 1,50 ₽ (Stories)», in Russian."""
        metric, sign = self.norm.metric, SIGNS.get(self.currency, self.currency)
        norm = f"{self.norm.word} до {money(self.norm.most)} {sign}"
        where = f" ({self.norm.placement})" if self.norm.placement else ""
        if self.price is not None:
            return f"{metric} {money(self.price)} {sign} за {PER[metric]}, {norm}{where}"
        if self.state == "unknown":
            return f"{metric}: лиды в статистике не посчитаны, {norm}{where}"
        spent = money(Decimal(self.figures.cost) / 100)
        return f"{metric}: ни одного, потрачено {spent} {sign}, {norm} за {PER[metric]}{where}"


def money(amount: Decimal) -> str:
    """«1 234,50»: two places, halves upwards, as people write it."""
    told = f"{amount.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"
    return told.replace(",", "\u00a0").replace(".", ",")


def planned_prices(section: AdsSection, text: Callable[[str], str]) -> tuple[list[PlannedPrice], list[str]]:
    """The media plan of a deal, whose fields ``text`` tells; and what of it can't be read (Russian)."""
    prices, problems = [], []
    for metric, name in section.plan.items():
        if not (told := text(name).strip()):
            continue
        try:
            prices.append(PlannedPrice.model_validate({"metric": metric, "most": _amount(told, section.currency)}))
        except ValueError:
            problems.append(f"«{name}»: «{told}» — не цена в {section.currency}, медиаплан не сравнивается")
    return prices, problems


def _amount(text: str, currency: str) -> Decimal:
    """«1 234,50 ₽»; raises ValueError, also for another currency, and for «1.234»: is it a thousand or one?"""
    bare = "".join(sign for sign in text if not sign.isspace()).casefold()
    words = (SIGNS.get(currency, currency), currency, *(ROUBLES if currency == "RUB" else ()))
    bare = bare.removesuffix(next((word for word in map(str.casefold, words) if bare.endswith(word)), ""))
    if not NUMBER.fullmatch(bare) or MAYBE_THOUSANDS.fullmatch(bare):
        raise ValueError(text)
    return Decimal(bare.replace(",", "."))


def judged(
    days: Sequence[AdDay],
    day: date,
    section: AdsSection,
    traits: CampaignTraits,
    plan: Sequence[PlannedPrice] = (),
) -> list[Verdict]:
    """The campaign's prices of this day against the norms that fit; empty where there are no figures or no norm.

    A norm with a placement is for its rows alone, one without for all rows that no other norm of its metric is for.
    """
    found = []
    for currency in dict.fromkeys(row.currency for row in days if row.day == day):
        own = [row for row in days if row.currency == currency]
        fitting: list[AdNorm] = [norm for norm in plan if currency == section.currency]
        planned = {norm.metric for norm in fitting}
        fitting += [
            norm
            for norm in section.norms
            if norm.metric not in planned and norm.fits(traits, currency, section.currency)
        ]
        for metric in METRICS:
            found += _of_metric(metric, [norm for norm in fitting if norm.metric == metric], own, day, section)
    return found


def _of_metric(
    metric: Metric, norms: Sequence[AdNorm], rows: Sequence[AdDay], day: date, section: AdsSection
) -> list[Verdict]:
    placed: dict[str, AdNorm] = {}
    for norm in (one for one in norms if one.placement):
        placed.setdefault(placement_of(norm.placement), norm)
    anywhere = next((norm for norm in norms if not norm.placement), None)
    groups: dict[str, tuple[AdNorm, list[AdDay]]] = {}
    for row in rows:
        if (found := placed.get(row.placement, anywhere)) is not None:
            groups.setdefault(row.placement if row.placement in placed else "", (found, []))[1].append(row)
    return [_verdict(norm, own, day, section) for norm, own in groups.values() if any(row.day == day for row in own)]


def _verdict(norm: AdNorm, rows: Sequence[AdDay], day: date, section: AdsSection) -> Verdict:
    for count in range(1, section.days + 1):
        first = day - timedelta(days=count - 1)
        figures = Sum.of(row for row in rows if first <= row.day <= day)
        state = _state(norm, figures, section)
        if state != "few":
            break
    return Verdict(norm, state, figures, first, day, rows[0].currency)


def _state(norm: AdNorm, figures: Sum, section: AdsSection) -> State:
    most = norm.most * 100
    if norm.metric == "CPM":
        if figures.shows < section.least_shows:
            return "few"
        return "over" if figures.cost * 1000 > most * figures.shows else "fine"
    if norm.metric == "CPL" and figures.leads is None:
        return "unknown"
    if figures.clicks < section.least_clicks:
        return "few"
    if norm.metric == "CPC":
        return "over" if figures.cost > most * figures.clicks else "fine"
    # Without a single lead it is too dear as soon as more is spent than one may cost.
    return "over" if figures.cost > most * max(figures.leads or 0, 1) else "fine"
