import pytest
from support.builders import deal, entered

from amo_bridge.rules.actions import AddNote, CreateDeal, Skip
from amo_bridge.rules.deal import AttachedFile
from handlers.won_deal_goes_on import WonDealGoesOn, won_deal_goes_on

WON = "Продажи / Успешно реализовано"
PROJECT = "https://agency.amocrm.ru/leads/detail/99"


def options(**changed):
    facts = {
        "pipelines": ["Продажи"],
        "to_stage": "Реализация / Тайминг",
        "responsible": "pr",
        "carry_fields": ["Услуги", "Тип оплаты", "Бриф"],
        "carry_as": {"Ответственный": "Менеджер по продажам"},
        "link_field": "Связанная сделка",
    }
    return WonDealGoesOn.model_validate(facts | changed)


def won(**changed):
    facts = {
        "price": 90_000,
        "tags": ("vip",),
        "contact_ids": (11, 12),
        "main_contact_id": 11,
        "company_id": 5,
        "files": (AttachedFile(name="Договор.pdf", uuid="u1"), AttachedFile(name="ссылка без файла")),
        "fields": {"Услуги": "Бузова:\n— VK: Пост", "Тип оплаты": "Предоплата"},
    }
    return deal(WON, **(facts | changed))


def test_a_project_takes_the_work_over():
    said = won_deal_goes_on(entered(WON), won(), options())
    assert isinstance(said, CreateDeal)
    assert (said.name, said.to, said.responsible, said.price) == ("Ромашка", "Реализация / Тайминг", "pr", 90_000)
    assert (said.contact_ids, said.company_id, said.tags) == ((11, 12), 5, ("vip",))
    assert said.values == {
        "Услуги": "Бузова:\n— VK: Пост",
        "Тип оплаты": "Предоплата",
        "Менеджер по продажам": "Иван Петров",
    }
    assert said.link_field == "Связанная сделка"
    assert said.file_uuids == ("u1",)
    assert "{new.url}" in said.then[0].text


def test_files_and_budget_stay_behind_when_the_config_says_so():
    said = won_deal_goes_on(entered(WON), won(), options(carry_files=False, carry_budget=False))
    assert (said.file_uuids, said.price) == ((), None)


@pytest.mark.parametrize(
    ("event", "now", "changed", "reason"),
    [
        pytest.param(entered("Продажи / Новый клиент"), deal(), {}, "не выиграна", id="не выиграна"),
        pytest.param(
            entered("Реализация / Успешно реализовано"),
            deal("Реализация / Успешно реализовано"),
            {},
            "не ведёт",
            id="другая воронка",
        ),
        pytest.param(entered(WON), deal("Продажи / Новый клиент"), {}, "уже ушла", id="уже вернули"),
        pytest.param(entered(WON), won(), {"when": {"tag": "проект"}}, "не выполнено условие", id="условие"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(event, now, changed, reason):
    said = won_deal_goes_on(event, now, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_won_again_the_project_that_is_there_is_shown():
    said = won_deal_goes_on(entered(WON), won(own_deals=(PROJECT,)), options())
    assert isinstance(said, AddNote)
    assert said.text.endswith(PROJECT)
