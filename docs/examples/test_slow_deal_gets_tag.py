from datetime import timedelta
from pathlib import Path

import pytest
from support.builders import NOON, deal, stayed, step_due, times

from amo_bridge.rules.actions import AddTags, Skip
from amo_bridge.rules.registry import own

SCHEDULE = own("schedules", Path(__file__).parent / "schedules")["slow_deal_gets_tag"]
OFFER = "Продажи / Согласование КП"
OPTIONS = SCHEDULE.options.model_validate({"stages": [OFFER], "days": 14, "tag": "застряла"})
CAME = NOON.isoformat()


def on_offer(since=0, **changed):
    return deal(OFFER, stays=stayed((OFFER, since)), **changed)


def test_it_is_due_two_weeks_after_the_deal_came():
    (step,) = SCHEDULE.steps(on_offer(), OPTIONS, times())
    assert (step.due, step.anchor) == (NOON + timedelta(days=14), CAME)


def test_on_another_stage_nothing_is_due():
    assert list(SCHEDULE.steps(deal("Продажи / Отложенные"), OPTIONS, times())) == []


def test_the_deal_gets_the_tag():
    said = SCHEDULE.judge(step_due("долго стоит", CAME), on_offer(), OPTIONS)
    assert said == AddTags(deal_id=7, tags=("застряла",))


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        pytest.param(on_offer(since=48), "сменила этап", id="ушла и вернулась"),
        pytest.param(on_offer(tags=("Застряла",)), "уже стоит", id="тег уже стоит"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(now, reason):
    said = SCHEDULE.judge(step_due("долго стоит", CAME), now, OPTIONS)
    assert isinstance(said, Skip)
    assert reason in said.reason
