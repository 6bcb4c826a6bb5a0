"""What a regulation names finds its own in the account: the same word, the same meaning, a question, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.account_sample import ACCOUNT, pipeline, status

from amo_bridge.config.loader import load_text
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.start.matching import Finding, Matching

HEAD = '[account]\nurl = "https://example.amocrm.ru"\n[bridge]\n'
Users = list[dict[str, Any]]


def config_of(*blocks: str) -> Config:
    return load_text(Path("config.toml"), HEAD + "\n".join(blocks), {})


def account_of(
    stages: dict[str, list[str]] | None = None,
    fields: dict[str, str] | None = None,
    users: dict[str, bool] | None = None,
    reasons: list[str] | None = None,
    choices: dict[str, list[str]] | None = None,
) -> Account:
    """``stages``: pipeline → its own stages; ``fields``: deal's field → type; ``users``: name → is he there still."""
    pipelines = [
        pipeline(place * 100, name, place, [status(place * 1000 + n, one, 20 + n) for n, one in enumerate(own)])
        for place, (name, own) in enumerate((stages or {}).items(), 1)
    ]
    rows = [
        {
            "id": place,
            "name": name.rstrip("*"),
            "code": None,
            "type": kind,
            "enums": [{"id": n, "value": one} for n, one in enumerate((choices or {}).get(name, []), 1)],
        }
        for place, (name, kind) in enumerate((fields or {}).items(), 1)
    ]
    people = [
        {"id": place, "name": name, "email": f"{place}@x.ru", "rights": {"is_active": is_there}}
        for place, (name, is_there) in enumerate((users or {}).items(), 1)
    ]
    return Account.from_json(
        {
            "account": ACCOUNT,
            "pipelines": pipelines,
            "fields": {"leads": rows, "contacts": [], "companies": []},
            "users": people,
            "loss_reasons": [{"id": place, "name": name} for place, name in enumerate(reasons or [], 1)],
        }
    )


def task_on(stage: str, to: str = "manager") -> str:
    task = f'tasks = [{{ text = "Т", to = "{to}", due = "1 d" }}]'
    return f'[handlers.stage_creates_tasks.one]\nenabled = true\nstages = ["{stage}"]\n{task}'


def asks_for(field: str) -> str:
    return f'[handlers.stage_needs_fields.one]\nenabled = true\nentering = ["Продажи / Счёт"]\nfields = ["{field}"]'


def found(matching: Matching, key: str) -> Finding:
    return next(one for one in matching.findings() if one.need.key == key)


@pytest.mark.parametrize(
    ("asked", "there", "state", "told"),
    [
        ("Новый клиент", ["Новый клиент"], "exact", "Новый клиент"),
        ("Новый клиент", ["новый   «КЛИЕНТ»"], "exact", "новый   «КЛИЕНТ»"),
        ("Счёт выставлен", ["Счет выставлен"], "exact", "Счет выставлен"),
        ("Новый клиент", ["Первичный контакт", "Переговоры"], "meaning", "Первичный контакт"),
        ("Новый клиент", ["Новая заявка", "Первичный контакт"], "doubtful", None),
        ("Акт подписан", ["Подписан акт", "Переговоры"], "meaning", "Подписан акт"),
        ("Оплата (ждём)", ["Ждём оплата"], "meaning", "Ждём оплата"),
        ("Согласовано, не оплачено", ["Не согласовано, оплачено"], "doubtful", None),
        ("Бюджет > плана", ["Бюджет < плана"], "doubtful", None),
        ("Этап 1 из 2", ["Этап 2 из 1"], "doubtful", None),
        ("Согласование КП", ["Согласование сметы", "Отгрузка"], "doubtful", None),
        ("Тайминг", ["Отгрузка", "Переговоры"], "missing", None),
        ("Успешно реализовано", ["Отгрузка"], "exact", "Успешно реализовано"),
    ],
)
def test_a_stage(asked: str, there: list[str], state: str, told: str | None) -> None:
    matching = Matching(config_of(task_on(f"Продажи / {asked}")), account_of({"Продажи": there}))
    one = found(matching, f"этап Продажи / {asked}")
    assert (one.state, one.found) == (state, told and f"Продажи / {told}")


def test_won_and_lost_are_known_by_their_numbers_whatever_they_are_called() -> None:
    account = account_of({"Продажи": ["Новый клиент"]})
    source = dict(account.to_json())
    source["pipelines"][0]["_embedded"]["statuses"][0]["name"] = "Деньги пришли"
    matching = Matching(config_of(task_on("Продажи / Успешно реализовано")), Account.from_json(source))
    assert found(matching, "этап Продажи / Успешно реализовано").found == "Продажи / Деньги пришли"


def test_stages_are_looked_for_in_their_pipeline_once_that_is_known() -> None:
    account = account_of({"Опт": ["Новый клиент"], "Розница": ["Новый клиент", "Чек"]})
    matching = Matching(config_of(task_on("Продажи / Новый клиент")), account)
    asked = matching.open_round()
    assert [(one.need.key, one.is_asked, len(one.candidates)) for one in asked] == [("воронка Продажи", True, 2)]
    assert found(matching, "этап Продажи / Новый клиент").found is None
    matching.answer(asked[0], "Розница")
    assert found(matching, "этап Продажи / Новый клиент").found == "Розница / Новый клиент"
    assert matching.open_round() == []


@pytest.mark.parametrize(
    ("asked", "there", "state", "told"),
    [
        ("Оплата получена", {"Оплата получена": "checkbox"}, "exact", "Оплата получена"),
        ("Бюджет", {"Прочее": "text"}, None, None),
        ("Тип оплаты", {"Вид оплаты": "select", "Форма": "text"}, "meaning", "Вид оплаты"),
        ("Реквизиты клиента", {"Реквизиты для оплаты": "textarea"}, "doubtful", None),
        ("Ссылка на бриф", {"Тайминг": "text"}, "missing", None),
        ("Оплата получена", {"Оплата получена": "text", "Оплата получена*": "text"}, "doubtful", None),
    ],
)
def test_a_field(asked: str, there: dict[str, str], state: str | None, told: str | None) -> None:
    matching = Matching(config_of(asks_for(asked)), account_of({"Продажи": ["Счёт"]}, there))
    if state is None:
        assert f"поле {asked}" not in {need.key for need in matching.needs}, "amoCRM's own needs no match"
        return
    one = found(matching, f"поле {asked}")
    assert (one.state, one.found) == (state, told)


def test_a_field_of_another_type_is_no_candidate() -> None:
    rule = (
        '[handlers.date_field_sets_task.one]\nenabled = true\nfields = ["Дата дедлайна"]\n'
        'stages = ["Продажи / Счёт"]\ntext = "Т"\nto = "manager"'
    )
    there = {"Дата дедлайна": "text", "Дедлайн": "date"}
    one = found(Matching(config_of(rule), account_of({"Продажи": ["Счёт"]}, there)), "поле Дата дедлайна")
    assert (one.state, one.found) == ("meaning", "Дедлайн")


@pytest.mark.parametrize(
    ("users", "state", "is_asked"),
    [
        ({"Елена Орлова": True}, "exact", False),
        ({"Мария": True, "Пётр": True}, "missing", True),
        ({"Мария": True, "Пётр": False}, "meaning", False),
        ({"Елена Орлова": False, "Мария": True, "Пётр": True}, "missing", True),
    ],
    ids=["by name", "asked in a list", "only one is there", "who has left is nobody"],
)
def test_a_person(users: dict[str, bool], state: str, is_asked: bool) -> None:
    rule = task_on("Продажи / Счёт", to="Елена Орлова")
    one = found(Matching(config_of(rule), account_of({"Продажи": ["Счёт"]}, users=users)), "сотрудник Елена Орлова")
    assert (one.state, one.is_asked) == (state, is_asked)


def test_a_choice_is_looked_for_in_the_field_that_was_found() -> None:
    rule = task_on("Продажи / Счёт") + '\nwhen = { field = "Тип оплаты", is = "Предоплата" }'
    there = {"Вид оплаты": "select"}
    choices = {"Вид оплаты": ["100% предоплата", "Отсрочка"]}
    matching = Matching(config_of(rule), account_of({"Продажи": ["Счёт"]}, there, choices=choices))
    assert [one.need.key for one in matching.open_round()] == ["поле Тип оплаты"]
    matching.answer(matching.open_round()[0], "Вид оплаты")
    assert found(matching, "вариант Тип оплаты / Предоплата").found == "100% предоплата"


def test_there_is_none_is_an_answer_and_what_is_not_on_the_list_is_not() -> None:
    matching = Matching(config_of(task_on("Продажи / Новый клиент")), account_of({"Опт": [], "Розница": []}))
    (asked,) = matching.open_round()
    with pytest.raises(ValueError, match="нет в списке"):
        matching.answer(asked, "Закупки")
    matching.answer(asked, None)
    assert matching.open_round() == []
    assert found(matching, "воронка Продажи").found is None


def test_what_two_names_could_mean_is_proposed_to_neither() -> None:
    rules = asks_for("Тема запроса"), asks_for("Запрос клиента").replace(".one]", ".two]")
    matching = Matching(config_of(*rules), account_of({"Продажи": ["Счёт"]}, {"Запрос": "textarea"}))
    assert {(one.need.key, one.state, one.found) for one in matching.open_round()} == {
        ("поле Тема запроса", "doubtful", None),
        ("поле Запрос клиента", "doubtful", None),
    }
