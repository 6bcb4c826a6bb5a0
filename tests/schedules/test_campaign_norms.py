"""Advertising dearer than the norm → one task with the figures; nobody looked by noon → the head."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from support.builders import NOON, deal, stayed, step_due, task, times

from amo_bridge.events import CampaignLoaded
from amo_bridge.rules.actions import CreateTask, Notify, Skip
from amo_bridge.rules.ad_norms import AdsSection
from amo_bridge.rules.deal import AdDay, Campaign, Touches
from amo_bridge.rules.handler import MARK
from schedules.campaign_norms import CampaignNorms, campaign_norms

RUNS = "Реализация / Реклама идёт"
FIELD = "Название рекламной кампании"
DAY = date(2026, 11, 22)
plan = getattr(campaign_norms, MARK).steps
ADS = AdsSection.model_validate({"niche_field": "Ниша", "norms": [
    {"metric": "CPC", "placement": "Stories", "most": 1.5}, {"metric": "CPL", "niche": "Сложная", "most": 100},
    {"metric": "CPL", "most": 40},
]})  # fmt: skip


def options(**changed: Any) -> CampaignNorms:
    told = {
        "stages": [RUNS],
        "over": {"text": "Изменить кампанию", "to": "manager", "due": "4 working hours"},
        "unchecked": {"name": "не проверено", "every": "рабочий день 12:00", "escalate": {"text": "Не проверено"}},
        "ads": ADS,
    }
    return CampaignNorms.model_validate(told | changed)


def figures(day: date = DAY, **changed: Any) -> AdDay:
    return AdDay(**({"day": day, "shows": 10_000, "clicks": 100, "cost": 21_000, "placement": "Stories"} | changed))


def here(*days: AdDay, on: str = RUNS, tasks: tuple[Any, ...] = (), fields: Any = None, **of_campaign: Any) -> Any:
    campaign = Campaign(name="Ромашка", days=days, **of_campaign)
    told = {FIELD: "Ромашка"} if fields is None else fields
    return deal(
        on, fields=told, campaign=(campaign,), own_tasks=tasks, touches=Touches(), stays=stayed((on, -24 * 30))
    )  # fmt: skip


def loaded(day: date = DAY, today: date = DAY + timedelta(days=1)) -> CampaignLoaded:
    return CampaignLoaded(
        at=NOON, deal_id=7, campaign="Ромашка", day=day.isoformat(), loaded_on=today.isoformat(), figures="0"
    )


def judged(now: Any, event: Any = None, **changed: Any) -> Any:
    return campaign_norms(event or loaded(), now, options(**changed))


BY_GOAL = AdsSection.model_validate({
    "goal_field": "Цель рекламы", "norms": [{"metric": "CPC", "goal": "Трафик", "most": 1.5}],
})  # fmt: skip


@pytest.mark.parametrize(
    ("goal", "told"),
    [
        ("Охват", "нет ни цифр, ни норм, которые сюда подходят"),
        ("", "поле «Цель рекламы» пусто: нормы по цели (CPC) не сравниваются"),
    ],
)
def test_a_click_is_judged_where_clicks_are_bought(goal: str, told: str) -> None:
    assert told in judged(here(figures(), fields={FIELD: "Ромашка", "Цель рекламы": goal}), ads=BY_GOAL).reason
    assert len(judged(here(figures(), fields={FIELD: "Ромашка", "Цель рекламы": "трафик"}), ads=BY_GOAL)) == 1


def test_over_the_norm_the_manager_has_a_task_with_the_figures() -> None:
    (made,) = judged(here(figures(leads=10)))
    assert isinstance(made, CreateTask)
    assert made.text == ("Изменить кампанию. «Ромашка», 22.11: CPC 2,10 ₽ за клик, норма до 1,50 ₽ (Stories)")
    assert (str(made.to), made.slot) == ("manager", "норма@2026-11-22")


def test_a_hard_niche_may_cost_more() -> None:
    dear = figures(leads=3, placement="Лента")
    assert len(judged(here(dear))) == 1
    assert "в норме" in judged(here(dear, fields={FIELD: "Ромашка", "Ниша": "сложная"})).reason


PLANNED = ADS.model_copy(update={"plan": {"CPC": "CPC по медиаплану", "CPL": "CPL по медиаплану"}})


@pytest.mark.parametrize(
    ("cpc", "cpl", "words"),
    [
        ("1,9", "", ["CPC 2,10 ₽ за клик, медиаплан до 1,90 ₽"]),
        ("2.5", "", None),
        ("", "", ["CPC 2,10 ₽ за клик, норма до 1,50 ₽ (Stories)"]),
        ("2,5", "20 ₽", ["CPL 21,00 ₽ за лид, медиаплан до 20,00 ₽"]),
        ("1 900,50 руб.", "", None),
        ("около 2", "", ["норма до 1,50 ₽ (Stories)", "«CPC по медиаплану»: «около 2» — не цена"]),
        ("1900 р.", "", None),
        ("-1", "", ["норма до 1,50 ₽ (Stories)", "«CPC по медиаплану»: «-1» — не цена"]),
        ("25 $", "", ["норма до 1,50 ₽ (Stories)", "«CPC по медиаплану»: «25 $» — не цена в RUB"]),
        ("1.900", "", ["норма до 1,50 ₽ (Stories)", "«CPC по медиаплану»: «1.900» — не цена"]),
        ("1.900,50", "", ["норма до 1,50 ₽ (Stories)", "«CPC по медиаплану»: «1.900,50» — не цена"]),
    ],
)
def test_the_deals_own_media_plan_goes_before_the_norms(cpc: str, cpl: str, words: list[str] | None) -> None:
    fields = {FIELD: "Ромашка", "CPC по медиаплану": cpc, "CPL по медиаплану": cpl}
    done = judged(here(figures(leads=10), fields=fields), ads=PLANNED)
    if words is None:
        assert "все показатели в норме" in done.reason
    else:
        (made,) = done
        assert all(word in made.text for word in words), made.text
        assert ("норма" in made.text) == ("норма" in " ".join(words))


def test_a_media_plan_is_in_the_sections_currency() -> None:
    fields = {FIELD: "Ромашка", "CPC по медиаплану": "1"}
    (made,) = judged(here(figures(currency="RUB"), figures(currency="USD", cost=100), fields=fields), ads=PLANNED)
    assert "USD" not in made.text
    assert "$" not in made.text


SLOT = "норма@2026-11-22"


@pytest.mark.parametrize(
    ("now", "event", "words"),
    [
        (here(figures(cost=15_000, leads=100)), None, "все показатели в норме"),
        (here(figures(clicks=3)), None, "мало данных: CPC, CPL"),
        (here(), None, "ни цифр, ни норм"),
        (here(figures(), on="Реализация / Пауза"), None, "сделка ушла"),
        (here(figures(), fields={}), None, f"поле «{FIELD}» пусто"),
        (here(figures(), other_deals=(8, 9)), None, "названа ещё в сделках: 8, 9"),
        (here(figures()), loaded(today=DAY + timedelta(days=5)), "статистика старая"),
        (here(figures(), tasks=(task(SLOT),)), None, "уже была"),
        (here(figures(), tasks=(task(SLOT, is_completed=True),)), None, "уже была"),
        (here(figures(), tasks=(task("норма@2026-11-20"),)), None, "ещё открыта"),
    ],
)
def test_nothing_is_set(now: Any, event: Any, words: str) -> None:
    verdict = judged(now, event)
    assert isinstance(verdict, Skip)
    assert words in verdict.reason


def test_the_next_day_has_its_own_task_when_the_last_one_is_finished() -> None:
    now = here(figures(), tasks=(task("норма@2026-11-21", is_completed=True),))
    assert [one.slot for one in judged(now)] == [SLOT]


def noon(day: date = DAY + timedelta(days=1)) -> Any:
    return step_due("не проверено", day.isoformat())


def test_nobody_has_looked_by_noon() -> None:
    made, told = judged(here(), noon())
    assert (made.text, str(made.to)) == ("Не проверено", "head")
    assert isinstance(told, Notify)


@pytest.mark.parametrize(
    "now",
    [here(figures(cost=0)), here(checked=frozenset([DAY])), here(figures(), other_deals=(8,))],
    ids=["there are figures", "somebody pressed", "figures of a campaign of two deals"],
)
def test_who_has_looked_is_not_told_of(now: Any) -> None:
    assert "проверена" in judged(now, noon()).reason


def test_figures_of_another_day_are_no_look() -> None:
    assert isinstance(judged(here(figures(DAY - timedelta(days=1))), noon()), list)


def test_not_again_while_the_heads_task_is_open() -> None:
    assert "ещё открыта" in judged(here(tasks=(task("не проверено.escalate"),)), noon()).reason


def test_a_campaign_that_began_today_had_no_yesterday() -> None:
    young = deal(
        RUNS, fields={FIELD: "Ромашка"}, campaign=(Campaign(name="Ромашка"),), own_tasks=(), touches=Touches(),
        stays=stayed((RUNS, -1)),
    )  # fmt: skip
    assert "ещё не шла" in judged(young, noon()).reason


def test_a_rule_without_that_step_does_nothing_at_noon() -> None:
    assert "больше нет" in judged(here(), noon(), unchecked=None).reason


@pytest.mark.parametrize(
    ("now", "changed", "wanted"),
    [
        (here(), {}, ["2026-11-20", "2026-11-23", "2026-11-24"]),
        (here(fields={}), {}, []),
        (here(), {"unchecked": None}, []),
        (here(on="Реализация / Пауза"), {}, []),
    ],
)
def test_the_look_of_every_working_day_is_planned(now: Any, changed: Any, wanted: list[str]) -> None:
    assert [step.anchor for step in plan(now, options(**changed), times())] == wanted
