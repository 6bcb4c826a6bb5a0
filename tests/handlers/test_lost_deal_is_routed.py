import pytest
from support.builders import deal, entered, field_changed

from amo_bridge.rules.actions import AddNote, CreateDeal, Skip
from handlers.lost_deal_is_routed import LostDealIsRouted, lost_deal_is_routed

LOST = "Продажи / Закрыто и не реализовано"


def options(**changed):
    facts = {
        "pipelines": ["Продажи"],
        "to_stage": "Работа с потерянными / Потерянные",
        "tag_by_reason": {"Дорого": "дорого"},
        "carry_fields": ["Клиент (бренд)", "Источник"],
        "link_field": "Связанная сделка",
    }
    return LostDealIsRouted.model_validate(facts | changed)


def lost(**changed):
    facts = {
        "loss_reason": "Дорого",
        "price": 90_000,
        "tags": ("vip",),
        "contact_ids": (11, 12),
        "main_contact_id": 11,
        "company_id": 5,
        "files": (),
        "fields": {"Клиент (бренд)": "Ромашка"},
    }
    return deal(LOST, **(facts | changed))


@pytest.mark.parametrize(
    "event", [entered(LOST), field_changed("Причина отказа", "Дорого")], ids=["потеряна", "причина названа потом"]
)
def test_a_new_deal_takes_the_client_over(event):
    said = lost_deal_is_routed(event, lost(), options())
    assert isinstance(said, CreateDeal)
    assert (said.name, said.to, said.responsible, said.price) == (
        "Ромашка",
        "Работа с потерянными / Потерянные",
        "manager",
        90_000,
    )
    assert said.tags == ("дорого", "vip")
    assert (said.contact_ids, said.company_id) == ((11, 12), 5)
    assert said.values == {"Клиент (бренд)": "Ромашка"}
    assert said.link_field == "Связанная сделка"
    (note,) = said.then
    assert isinstance(note, AddNote)
    assert "Дорого" in note.text
    assert "{new.url}" in note.text


@pytest.mark.parametrize(
    ("event", "now", "changed", "reason"),
    [
        pytest.param(entered(LOST), lost(loss_reason=None), {}, "нет причины", id="нет причины"),
        pytest.param(entered("Продажи / Новый клиент"), deal(), {}, "не потеряна", id="не потеряна"),
        pytest.param(
            entered("Реализация / Закрыто и не реализовано"),
            deal("Реализация / Закрыто и не реализовано", loss_reason="Дорого"),
            {},
            "не ведёт",
            id="другая воронка",
        ),
        pytest.param(field_changed("Бюджет", "5"), lost(), {}, "не причина", id="изменилось другое поле"),
        pytest.param(
            entered(LOST), lost(loss_reason="Неактуально"), {"other_reasons": False}, "пути нет", id="причина без пути"
        ),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(event, now, changed, reason):
    said = lost_deal_is_routed(event, now, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_a_reason_without_a_tag_of_its_own_is_the_tag():
    assert lost_deal_is_routed(entered(LOST), lost(loss_reason="Неактуально"), options()).tags == ("Неактуально", "vip")


def test_tags_and_budget_stay_behind_when_the_config_says_so():
    said = lost_deal_is_routed(entered(LOST), lost(), options(carry_tags=False, carry_budget=False))
    assert (said.tags, said.price) == (("дорого",), None)


THERE = "https://agency.amocrm.ru/leads/detail/99"


def test_lost_again_the_deal_that_is_there_is_shown():
    said = lost_deal_is_routed(entered(LOST), lost(own_deals=(THERE,)), options())
    assert isinstance(said, AddNote)
    assert said.text.endswith(THERE)


def test_another_reason_given_later_makes_no_second_deal():
    said = lost_deal_is_routed(field_changed("Причина отказа", "Дорого"), lost(own_deals=(THERE,)), options())
    assert isinstance(said, Skip)
    assert "уже ведёт" in said.reason
