import pytest
from support.builders import deal, entered, stayed

from amo_bridge.rules.actions import AddNote, CreateDeal, Skip
from handlers.stage_opens_deal import StageOpensDeal, stage_opens_deal

NEED = "Реализация / Новая потребность"
SALE = "https://agency.amocrm.ru/leads/detail/99"


def options(**changed):
    facts = {
        "pipelines": ["Реализация"],
        "stages": [NEED],
        "to_stage": "Продажи / Новый клиент",
        "carry_fields": ["Потребность"],
        "link_field": "Связанная сделка",
    }
    return StageOpensDeal.model_validate(facts | changed)


def found(hours=0, **changed):
    facts = {
        "contact_ids": (11,),
        "fields": {"Потребность": "Ещё один курс"},
        "files": (),
        "stays": stayed((NEED, hours)),
    }
    return deal(NEED, **(facts | changed))


def test_a_deal_in_sales_goes_on_from_it():
    said = stage_opens_deal(entered(NEED), found(), options())
    assert isinstance(said, CreateDeal)
    assert (said.to, said.contact_ids, said.link_field) == ("Продажи / Новый клиент", (11,), "Связанная сделка")
    assert said.values == {"Потребность": "Ещё один курс"}


def test_coming_again_shows_the_deal_that_is_there_or_opens_another():
    now = found(own_deals=(SALE,))
    shown = stage_opens_deal(entered(NEED), now, options())
    assert isinstance(shown, AddNote)
    assert SALE in shown.text
    first, again = (stage_opens_deal(entered(NEED), found(hours), options(once=False)) for hours in (0, 500))
    assert first.slot != again.slot, "another need, another deal"
    assert stage_opens_deal(entered(NEED), found(), options(once=False)).slot == first.slot, "the same coming, none"


@pytest.mark.parametrize(
    ("event", "now", "changed", "reason"),
    [
        pytest.param(entered(NEED), deal("Реализация / Тайминг"), {}, "уже ушла", id="ушла"),
        pytest.param(entered("Реализация / Тайминг"), deal("Реализация / Тайминг"), {}, "не из", id="другой этап"),
        pytest.param(entered(NEED), found(), {"pipelines": ["Продажи"]}, "не из", id="другая воронка"),
        pytest.param(entered(NEED), found(), {"when": {"tag": "vip"}}, "не выполнено условие", id="условие"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(event, now, changed, reason):
    said = stage_opens_deal(event, now, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason
