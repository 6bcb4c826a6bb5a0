from pathlib import Path

import pytest
from support.builders import deal, entered

from amo_bridge.rules.actions import AddTags, Skip
from amo_bridge.rules.registry import own

HANDLER = own("handlers", Path(__file__).parent / "handlers")["deal_gets_tag"]
BRIEF = "Продажи / Бриф получен"
OPTIONS = HANDLER.options.model_validate({"stages": [BRIEF], "tags": ["бриф есть"]})


def test_the_deal_gets_the_tag():
    said = HANDLER.judge(entered(BRIEF), deal(BRIEF), OPTIONS)
    assert said == AddTags(deal_id=7, tags=("бриф есть",))


@pytest.mark.parametrize(
    ("event", "now", "reason"),
    [
        pytest.param(entered(BRIEF), deal("Продажи / Отложенные"), "уже ушла", id="этап сменился"),
        pytest.param(entered("Продажи / Отложенные"), deal("Продажи / Отложенные"), "не из этого", id="другой этап"),
        pytest.param(entered(BRIEF), deal(BRIEF, tags=("Бриф есть",)), "уже стоят", id="тег уже стоит"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(event, now, reason):
    said = HANDLER.judge(event, now, OPTIONS)
    assert isinstance(said, Skip)
    assert reason in said.reason
