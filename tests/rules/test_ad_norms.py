"""Advertising figures against norms: the document's own norms, the first that fits, too little to judge by."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from amo_bridge.rules.ad_norms import AdsSection, CampaignTraits, judged, money, placement_of
from amo_bridge.rules.deal import AdDay

DAY = date(2026, 11, 27)
DOCUMENT = [
    {"metric": "CPC", "placement": "Stories", "most": 1.5},
    {"metric": "CPC", "placement": "Лента", "product": "Одежда", "most": 4},
    {"metric": "CPC", "placement": "Лента", "most": 7},
    {"metric": "CPM", "placement": "Stories", "most": 7},
    {"metric": "CPM", "placement": "Лента", "most": 14},
    {"metric": "CPL", "niche": "сложная", "most": 100},
    {"metric": "CPL", "most": 40},
]


def section(norms=DOCUMENT, **changed):
    return AdsSection.model_validate({"product_field": "Продукт", "niche_field": "Ниша", "norms": norms} | changed)


def figures(day=DAY, **changed):
    return AdDay(**({"day": day, "shows": 10_000, "clicks": 100, "cost": 10_000, "placement": "Лента"} | changed))


def states(*rows, own=None, **about):
    verdicts = judged(rows, DAY, own or section(), CampaignTraits(**about))
    return {f"{one.norm.metric} {one.norm.placement}".strip(): one.state for one in verdicts}


@pytest.mark.parametrize(
    ("row", "about", "wanted"),
    [
        (figures(placement="Stories", cost=15_000), {}, {"CPC Stories": "fine", "CPM Stories": "over"}),
        (figures(placement="Stories", cost=15_001), {}, {"CPC Stories": "over", "CPM Stories": "over"}),
        (figures(placement="Stories", cost=7_000), {}, {"CPC Stories": "fine", "CPM Stories": "fine"}),
        (figures(cost=40_000), {"product": "одежда"}, {"CPC Лента": "fine", "CPM Лента": "over"}),
        (figures(cost=40_001), {"product": "Одежда"}, {"CPC Лента": "over", "CPM Лента": "over"}),
        (figures(cost=70_000), {"product": "Мебель"}, {"CPC Лента": "fine", "CPM Лента": "over"}),
        (figures(cost=14_000), {}, {"CPC Лента": "fine", "CPM Лента": "fine"}),
    ],
)
def test_the_documents_norms(row, about, wanted):
    found = states(row, **about)
    found.pop("CPL", None)
    assert found == wanted


@pytest.mark.parametrize(
    ("leads", "cost", "niche", "wanted"),
    [
        (10, 40_000, "", "fine"),
        (10, 40_001, "", "over"),
        (10, 100_000, "Сложная", "fine"),
        (10, 100_001, "сложная", "over"),
        (0, 4_000, "", "fine"),
        (0, 4_001, "", "over"),
        (None, 90_000, "", "unknown"),
    ],
)
def test_a_lead(leads, cost, niche, wanted):
    assert states(figures(leads=leads, cost=cost), niche=niche)["CPL"] == wanted


def test_three_clicks_do_not_cry_wolf():
    assert states(figures(clicks=3, shows=90, cost=9_000, leads=0)) == {
        "CPC Лента": "few",
        "CPM Лента": "few",
        "CPL": "few",
    }


def test_a_day_that_is_too_small_is_counted_with_those_before():
    rows = [figures(DAY - timedelta(days=back), clicks=8, shows=200, cost=8_000, leads=2) for back in range(4)]
    verdicts = {one.norm.metric: one for one in judged(rows, DAY, section(), CampaignTraits())}
    assert (verdicts["CPC"].first, verdicts["CPC"].state) == (DAY - timedelta(days=2), "over")
    assert (verdicts["CPM"].first, verdicts["CPM"].state) == (DAY - timedelta(days=2), "over")
    assert verdicts["CPC"].figures.clicks == 24
    assert verdicts["CPC"].words == "CPC 10,00 ₽ за клик, норма до 7,00 ₽ (Лента)"


def test_other_currencies_have_norms_of_their_own():
    dollars = section([{"metric": "CPC", "most": 1}, {"metric": "CPC", "most": 0.02, "currency": "USD"}])
    rows = (figures(cost=300, currency="USD"), figures(cost=9_000))
    verdicts = judged(rows, DAY, dollars, CampaignTraits())
    assert [(one.currency, one.state, one.norm.most) for one in verdicts] == [
        ("USD", "over", Decimal("0.02")),
        ("RUB", "fine", Decimal(1)),
    ]


def test_a_norm_without_a_placement_is_for_what_no_other_norm_is_for():
    own = section([{"metric": "CPC", "placement": "Stories", "most": 1}, {"metric": "CPC", "most": 5}])
    rows = (figures(placement="Stories", cost=15_000), figures(), figures(placement="Reels"))
    assert states(*rows, own=own) == {"CPC Stories": "over", "CPC": "fine"}


BY_GOAL = [
    {"metric": "CPC", "goal": "Трафик", "most": 7},
    {"metric": "CPM", "goal": "Охват", "most": 14},
    {"metric": "CPL", "goal": "Генерация лидов", "most": 40},
]


@pytest.mark.parametrize(
    ("goal", "wanted"),
    [
        ("Трафик", {"CPC": "over"}),
        ("охват", {"CPM": "over"}),
        ("Генерация лидов", {"CPL": "over"}),
        ("Узнаваемость", {}),
        ("", {}),
    ],
)
def test_a_norm_for_a_goal_judges_no_campaign_of_another(goal, wanted):
    """A click is dear where shows are bought, and says nothing of it."""
    own = section(BY_GOAL, goal_field="Цель рекламы")
    assert states(figures(cost=90_000, leads=1), own=own, goal=goal) == wanted


@pytest.mark.parametrize(
    ("goal", "norms", "told"),
    [
        (" ", BY_GOAL, ["поле «Цель рекламы» пусто: нормы по цели (CPC, CPM, CPL) не сравниваются"]),
        ("Охват", BY_GOAL, []),
        ("", [{"metric": "CPC", "most": 7}], []),
    ],
    ids=["empty", "known", "no norm asks"],
)
def test_an_empty_goal_is_told_where_norms_ask_for_it(goal, norms, told):
    texts = {"Продукт": "Одежда", "Ниша": "", "Цель рекламы": goal}
    own = section(norms, goal_field="Цель рекламы")
    assert own.traits(texts.__getitem__) == (CampaignTraits("Одежда", "", goal.strip()), told)


@pytest.mark.parametrize("rows", [(), (figures(DAY - timedelta(days=1)),)], ids=["nothing", "another day"])
def test_without_figures_of_the_day_nothing_is_judged(rows):
    assert states(*rows) == {}


@pytest.mark.parametrize(
    ("norms", "words"),
    [
        ([{"metric": "CPC", "most": 1}, {"metric": "CPC", "most": 2, "currency": "RUB"}], "две нормы CPC"),
        (
            [{"metric": "CPC", "most": 1, "placement": "Сторис"}, {"metric": "CPC", "most": 2, "placement": "Stories"}],
            "две нормы",
        ),
    ],
)
def test_two_norms_for_the_same_are_refused(norms, words):
    with pytest.raises(ValidationError, match=words):
        section(norms)


@pytest.mark.parametrize("key", ["product", "niche", "goal"])
def test_a_norm_needs_the_field_that_it_looks_at(key):
    with pytest.raises(ValidationError, match=f"{key}_field"):
        AdsSection.model_validate({"norms": [{"metric": "CPL", "most": 9, key: "x"}]})


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("instagram_stories", "Stories"),
        ("Сторис", "Stories"),
        ("feed", "Лента"),
        ("лента  новостей", "Лента"),
        ("", ""),
        (" Reels ", "Reels"),
    ],
)
def test_placements_in_one_spelling(told, wanted):
    assert placement_of(told) == wanted


def test_money_as_people_write_it():
    assert money(Decimal("1234.505")) == "1\u00a0234,51"
