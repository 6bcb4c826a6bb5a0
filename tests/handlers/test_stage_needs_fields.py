from datetime import date

import pytest
from support.builders import deal, entered, stage

from amo_bridge.rules.actions import Lack, RollBack, Skip
from amo_bridge.rules.deal import Contact
from handlers.stage_needs_fields import StageNeedsFields, stage_needs_fields

BRIEF = "Продажи / Получение брифа"
MEETING = "Продажи / Встреча назначена"
LOST = "Продажи / Закрыто и не реализовано"
NEW = "Продажи / Новый клиент"


def options(**changed):
    return StageNeedsFields.model_validate({"entering": [MEETING], "fields": ["Дата первой встречи"]} | changed)


def test_the_deal_is_put_back_and_the_mover_is_told_what_is_missing():
    said = stage_needs_fields(entered(MEETING, BRIEF, user_id=42), deal(MEETING), options())
    assert isinstance(said, RollBack)
    assert said.to == stage(BRIEF).key
    assert said.missing == (Lack("заполните", "Дата первой встречи"),)
    assert said.tell == 42
    assert "Встреча назначена" in said.because


@pytest.mark.parametrize(
    ("event", "now", "changed", "reason"),
    [
        pytest.param(
            entered(MEETING, BRIEF),
            deal(MEETING, fields={"Дата первой встречи": date(2026, 12, 1)}),
            {},
            "заполнено",
            id="заполнено",
        ),
        pytest.param(entered(BRIEF), deal(BRIEF), {}, "не проверяет", id="другой этап"),
        pytest.param(entered(MEETING, BRIEF), deal(BRIEF), {}, "уже ушла", id="уже вернули"),
        pytest.param(
            entered(MEETING, BRIEF, user_is=("Елена Орлова", "head")),
            deal(MEETING),
            {"may_pass": ["head"]},
            "можно и так",
            id="руководителю можно",
        ),
        pytest.param(
            entered(MEETING, BRIEF),
            deal(MEETING),
            {"when": {"field": "Тип клиента", "is": "Рекламное агентство"}},
            "условие",
            id="условие не выполнено",
        ),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(event, now, changed, reason):
    said = stage_needs_fields(event, now, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_lost_without_a_reason_and_with_one():
    rule = options(entering=[LOST], fields=["Причина отказа"])
    assert isinstance(stage_needs_fields(entered(LOST, BRIEF), deal(LOST), rule), RollBack)
    assert isinstance(stage_needs_fields(entered(LOST, BRIEF), deal(LOST, loss_reason="Дорого"), rule), Skip)


def test_leaving_a_stage_asks_for_its_fields_but_losing_the_deal_is_let_through():
    rule = options(entering=[], leaving=[NEW], fields=["Клиент (бренд)", "Основной продукт"])
    now = deal(BRIEF, fields={"Клиент (бренд)": "Ромашка"})
    said = stage_needs_fields(entered(BRIEF, NEW), now, rule)
    assert isinstance(said, RollBack)
    assert said.missing == (Lack("заполните", "Основной продукт"),)
    assert isinstance(stage_needs_fields(entered(LOST, NEW), deal(LOST), rule), Skip)


def test_when_nobody_knows_where_the_deal_came_from_it_stays_and_the_manager_is_told():
    said = stage_needs_fields(entered(MEETING, None), deal(MEETING), options())
    assert isinstance(said, RollBack)
    assert said.to is None
    assert said.tell == "manager"


@pytest.mark.parametrize(("value", "filled"), [(False, False), ("", False), ((), False), (True, True), ("x", True)])
def test_what_counts_as_filled(value, filled):
    rule = options(fields=["Флаг"])
    said = stage_needs_fields(entered(MEETING, BRIEF), deal(MEETING, fields={"Флаг": value}), rule)
    assert isinstance(said, Skip) == filled


REASONS = {"Причина отказа": ["Дорого", "Нет времени"]}


@pytest.mark.parametrize(
    ("reason", "mover", "came_from", "passes"),
    [
        ("Дорого", 42, NEW, True),
        ("дорого", 42, NEW, True),
        ("Без причины", 42, NEW, False),
        ("Без причины", None, NEW, True),
        ("Без причины", 42, BRIEF, True),
        (None, 42, NEW, True),
    ],
    ids=["listed", "case", "another", "not a person", "from a stage that is let pass", "empty is another rule's"],
)
def test_only_some_values_may_be_chosen(reason, mover, came_from, passes):
    rule = options(entering=[LOST], fields=[], one_of=REASONS, not_from=[BRIEF])
    said = stage_needs_fields(entered(LOST, came_from, user_id=mover), deal(LOST, loss_reason=reason), rule)
    assert isinstance(said, Skip) == passes
    if not passes:
        assert said.needs == "выберите в поле «Причина отказа» другое: не «Без причины», а «Дорого», «Нет времени»"


@pytest.mark.parametrize(("moves_only", "passes"), [(True, True), (False, False)])
def test_a_deal_made_on_its_stage_may_be_let_pass(moves_only, passes):
    said = stage_needs_fields(entered(MEETING, None), deal(MEETING), options(moves_only=moves_only))
    assert isinstance(said, Skip) == passes
    assert isinstance(stage_needs_fields(entered(MEETING), deal(MEETING), options(moves_only=moves_only)), RollBack)


def test_a_rule_that_needs_nothing_is_refused():
    with pytest.raises(ValueError, match="нужны поля"):
        options(fields=[])


def test_a_rule_without_any_stage_is_refused():
    with pytest.raises(ValueError, match="entering"):
        StageNeedsFields.model_validate({"fields": ["Бюджет"]})


AGENCY = {
    "fields": ["Рекламное агентство", "Контактные лица РА"],
    "or_linked": {"Рекламное агентство": "company", "Контактные лица РА": "company contacts"},
}
CLIENT = Contact(id=1, name="Анна", is_main=True, company_id=5)
AGENT, STRANGER = Contact(id=2, name="Олег", company_id=5), Contact(id=3, name="Ия", company_id=6)


@pytest.mark.parametrize(
    ("known", "missing"),
    [
        ({"company_id": 5, "contacts": (CLIENT, AGENT)}, []),
        ({"company_id": 5, "contacts": (CLIENT, STRANGER)}, ["Контактные лица РА"]),
        ({"company_id": 5, "contacts": (CLIENT,)}, ["Контактные лица РА"]),
        ({"company_id": None, "contacts": (CLIENT, AGENT)}, ["Рекламное агентство", "Контактные лица РА"]),
        ({"contacts": (CLIENT,), "fields": {"Рекламное агентство": "Медиа", "Контактные лица РА": "Олег"}}, []),
        ({"company_id": 5, "contacts": (), "fields": {"Контактные лица РА": "Олег"}}, []),
    ],
)
def test_a_company_and_its_people_do_as_well_as_their_names(known, missing):
    said = stage_needs_fields(entered(MEETING, BRIEF), deal(MEETING, **known), options(**AGENCY))
    lacks = [lack.what for lack in said.missing] if isinstance(said, RollBack) else []
    assert lacks == missing


def test_what_may_be_linked_instead_is_told():
    said = stage_needs_fields(entered(MEETING, BRIEF), deal(MEETING, contacts=()), options(**AGENCY))
    assert "прикрепите к сделке компанию или заполните: «Рекламное агентство»" in said.needs


def test_what_may_be_linked_is_one_of_the_fields():
    with pytest.raises(ValueError, match="нет в fields"):
        options(or_linked={"Рекламное агентство": "company"})
