import pytest
from support.builders import NOON, deal, entered

from amo_bridge.rules.actions import RollBack, Skip
from amo_bridge.rules.deal import Call
from handlers.stage_needs_call import StageNeedsCall, stage_needs_call

BRIEF = "Продажи / Получение брифа"


def options(**changed):
    return StageNeedsCall.model_validate({"entering": [BRIEF]} | changed)


def call(**changed):
    return Call(**({"id": 1, "direction": "out", "at": NOON, "seconds": 95, "link": "https://pbx.example/1"} | changed))


@pytest.mark.parametrize(
    "calls",
    [
        (),
        (call(seconds=5),),
        (call(link=None),),
        (call(seconds=29), call(link=None)),
        (call(seconds=45, status=6),),
        (call(seconds=None),),
    ],
)
def test_without_a_recorded_talk_the_deal_is_put_back(calls):
    said = stage_needs_call(entered(BRIEF), deal(BRIEF, calls=calls), options())
    assert isinstance(said, RollBack)
    assert said.needs == "нужен звонок с записью, разговор от 30 секунд"


@pytest.mark.parametrize(
    ("calls", "changed"),
    [
        pytest.param((call(),), {}, id="есть"),
        pytest.param((call(seconds=1), call(direction="in", on="contact")), {}, id="входящий у контакта"),
        pytest.param((call(link=None),), {"recorded": False}, id="запись не нужна"),
        pytest.param((call(seconds=0, status=6),), {"seconds": 0}, id="длина не важна"),
        pytest.param((call(seconds=None, status=4),), {}, id="разговор состоялся, длина неизвестна"),
    ],
)
def test_with_a_talk_it_passes(calls, changed):
    assert stage_needs_call(entered(BRIEF), deal(BRIEF, calls=calls), options(**changed)) == Skip("нужный звонок есть")


def test_another_stage_is_not_looked_at():
    said = stage_needs_call(entered("Продажи / Отложенные"), deal("Продажи / Отложенные"), options())
    assert isinstance(said, Skip)
    assert "не проверяет" in said.reason
