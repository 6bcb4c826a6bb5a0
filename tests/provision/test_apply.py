"""``amo-bridge provision`` over HTTP: an empty account becomes one that the shipped example can work in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.local_crm import TOKEN, LocalCrm
from support.provision_accounts import EXAMPLE, bare_account, crm_with

from amo_bridge.cli import main
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.runtime import connection
from amo_bridge.sandbox.account_file import AGENCY, CLIENTS, REMOTE_SALES, SCHOOL, SMM, read

Run = Callable[..., Result]
UNHURRIED = 5000.0


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LocalRateLimiter", lambda rate, **more: LocalRateLimiter(UNHURRIED, **more))


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[LocalCrm]:
    with crm_with(bare_account(), tmp_path) as crm:
        yield crm


def run(crm: LocalCrm, folder: Path, *arguments: str, told: str = "", config: Path = EXAMPLE) -> Result:
    environment = {
        "AMO_BRIDGE_ACCOUNT_URL": crm.url,
        "AMO_BRIDGE_TOKEN": TOKEN,
        "AMO_BRIDGE_DATA": str(folder / "data"),
        "AMO_BRIDGE_CONFIG": str(config),
    }
    return CliRunner().invoke(main, list(arguments), env=environment, input=told, catch_exceptions=False)


def writes(crm: LocalCrm) -> int:
    return sum(count for what, count in crm.requests().items() if not what.startswith("GET"))


def account(crm: LocalCrm) -> Account:
    return Account.read(CrmClient(crm.url, LongLivedToken(TOKEN), LocalRateLimiter(UNHURRIED)))


def open_stages(made: Account, pipeline: str) -> list[str]:
    """From left to right."""
    return [stage.name for stage in made.stages if stage.pipeline == pipeline and stage.kind == "open"]


def test_an_empty_account_gets_all_that_the_example_names(bare: LocalCrm, tmp_path: Path) -> None:
    before = run(bare, tmp_path, "check")
    assert before.exit_code == 2

    told = run(bare, tmp_path, "provision", "--yes")
    assert told.exit_code == 0, told.output
    assert "воронка «Продажи»: Новый клиент, Получение брифа, Отложенные" in told.output.replace("\n", " ")
    assert "Аккаунт знает все имена из настройки" in told.output
    assert run(bare, tmp_path, "check").exit_code == 0

    made = account(bare)
    assert open_stages(made, "Реализация") == ["Тайминг", "Подготовка контента", "Согласование контента", "Исполнение"]
    assert made.field("Дата первой встречи").type == "date_time"
    assert [one.value for one in made.field("Тип клиента").enums] == ["Прямой клиент", "Рекламное агентство"]
    assert made.field("Классификация", "contacts").type == "multiselect"
    assert made.pipeline("Воронка"), "what was there stays"


@pytest.mark.parametrize(
    ("example", "of"),
    [
        ("config.example.toml", AGENCY),
        ("examples/smm.toml", SMM),
        ("examples/remote_sales.toml", REMOTE_SALES),
        ("examples/webinar.toml", SCHOOL),
        ("examples/client_department.toml", CLIENTS),
    ],
)
def test_every_example_gets_the_account_that_it_is_tried_on(tmp_path: Path, example: str, of: Path) -> None:
    config = EXAMPLE.parent / example
    model = read(of)
    with crm_with(bare_account(of), tmp_path) as crm:
        assert run(crm, tmp_path, "check", config=config).exit_code == 2
        told = run(crm, tmp_path, "provision", "--yes", config=config)
        assert told.exit_code == 0, told.output
        assert "порядок этапов не указан" not in told.output.replace("\n", " ")
        checked = run(crm, tmp_path, "check", config=config)
        assert checked.exit_code == 0, checked.output
        made = account(crm)
    for entity in ("leads", "contacts"):
        types = {one.name: one.type for one in made.fields(entity)}
        wanted = {one.name: one.type for one in model.custom_fields[entity]}
        assert {name: types.get(name) for name in wanted} == wanted
    for pipeline in model.pipelines:
        assert open_stages(made, pipeline.name) == [stage.name for stage in pipeline.stages]


RULES_ALONE = """
[account]
url = "https://agency.amocrm.ru"
[bridge]
[calendar]
country = "RU"
hours = { mon = "10:00-19:00" }
[handlers.stage_needs_fields.x]
enabled = true
entering = ["Клиенты / Запуск", "Клиенты / Новый клиент"]
fields = ["Дата запуска", "Бриф"]
[handlers.date_field_sets_task.x]
enabled = true
fields = ["Дата запуска"]
text = "Запустить"
to = "manager"
"""


def test_without_the_section_a_field_is_what_the_strictest_rule_needs(tmp_path: Path) -> None:
    """The gate, which takes any field, names the date first. Nobody told the stages' order: that is said beforehand."""
    config = tmp_path / "rules.toml"
    config.write_text(RULES_ALONE, "utf-8")
    with crm_with(bare_account(), tmp_path) as crm:
        asked = run(crm, tmp_path, "provision", config=config, told="да\n")
        assert asked.exit_code == 0, asked.output
        assert run(crm, tmp_path, "check", config=config).exit_code == 0
        again = run(crm, tmp_path, "provision", config=config)
        made = account(crm)
    before, _, _ = asked.output.replace("\n", " ").partition("Создать?")
    assert "поле сделки «Дата запуска» — дата" in before
    assert "«Бриф» — текст (никто не просит другого)" in before
    assert "воронка «Клиенты»: порядок этапов не указан" in before
    assert "порядок этапов" not in again.output
    assert made.field("Дата запуска").type == "date"
    assert open_stages(made, "Клиенты") == ["Запуск", "Новый клиент"]


def test_a_second_run_finds_nothing_to_do(bare: LocalCrm, tmp_path: Path) -> None:
    run(bare, tmp_path, "provision", "--yes")
    bare.forget_requests()
    told = run(bare, tmp_path, "provision", "--yes")
    assert told.exit_code == 0
    assert "есть всё, что мост умеет создать" in told.output
    assert writes(bare) == 0


@pytest.mark.parametrize(("answer", "created"), [("да\n", True), ("нет\n", False), ("\n", False)])
def test_it_shows_the_plan_and_asks(bare: LocalCrm, tmp_path: Path, answer: str, created: bool) -> None:
    told = run(bare, tmp_path, "provision", told=answer)
    assert "+ поле сделки «Тип клиента» — список: Прямой клиент, Рекламное агентство" in told.output
    assert (writes(bare) > 0) == created
    assert (told.exit_code == 0) == created
    assert ("Ничего не создано" in told.output) != created


def test_what_the_api_does_not_make_is_told(tmp_path: Path) -> None:
    users = [user for user in bare_account()["users"] if user["name"] != "Светлана Белова"]
    built_in = bare_account()["task_types"][:2]
    with crm_with(bare_account(users=users, task_types=built_in, loss_reasons=[]), tmp_path) as crm:
        told = run(crm, tmp_path, "provision", "--yes")
    assert told.exit_code == 1
    for words in ("тип задачи «Согласование»", "причина отказа «Дорого»", "сотрудник «Светлана Белова»"):
        assert words in told.output


def test_a_lost_answer_stops_it_and_the_next_run_makes_nothing_twice(bare: LocalCrm, tmp_path: Path) -> None:
    bare.fault("lost_answer", method="POST", path="/api/v4/leads/custom_fields", probability=0.2, seed=3)
    broken = run(bare, tmp_path, "provision", "--yes")
    assert broken.exit_code == 3
    assert "созданного дважды не создаст" in broken.output
    bare.good_weather()
    assert run(bare, tmp_path, "provision", "--yes").exit_code == 0
    names = [field.name for field in account(bare).fields()]
    assert len(names) == len(set(names))


def test_too_many_requests_are_waited_out(bare: LocalCrm, tmp_path: Path) -> None:
    busy = bare.fault("status", status=429, method="POST", path="/api/v4/leads/tags", count=1)
    assert run(bare, tmp_path, "provision", "--yes").exit_code == 0
    assert bare.struck(busy) == 1


def test_what_is_there_is_only_added_to(tmp_path: Path) -> None:
    """A stage in the middle, a choice in a list; a field of another type is told of and left alone."""
    there = bare_account()
    there["pipelines"].append({"name": "реализация", "stages": [{"name": "Тайминг"}, {"name": "Исполнение"}]})
    there["custom_fields"]["leads"] += [
        {"name": "Источник", "type": "select", "enums": [{"value": "Сайт"}, {"value": "Рекомендация"}]},
        {"name": "Дата дедлайна", "type": "text"},
    ]
    with crm_with(there, tmp_path) as crm:
        office = CrmUser(crm.url)
        deal = office.new_deal(
            "Иван Петров", "Старая", "реализация / Исполнение", office.new_contact("Иван Петров", "А"), 1
        )
        office.fill("Иван Петров", deal, "Источник", "Рекомендация")
        told = run(crm, tmp_path, "provision", "--yes")
        made = account(crm)
        assert office.value(deal, "Источник") == "Рекомендация"
    assert told.exit_code == 1
    assert "поле сделки «Дата дедлайна»: его тип — текст, а нужен дата" in told.output.replace("\n", " ")
    assert open_stages(made, "реализация") == ["Тайминг", "Подготовка контента", "Согласование контента", "Исполнение"]
    choices = [one.value for one in made.field("Источник").enums]
    assert choices[:2] == ["Сайт", "Рекомендация"]
    assert "JivoSite" in choices


def test_a_token_without_rights_is_told_in_words(tmp_path: Path) -> None:
    with crm_with(bare_account(tokens=[{"token": TOKEN, "user": "Иван Петров"}]), tmp_path) as crm:
        told = run(crm, tmp_path, "provision", "--yes")
    assert told.exit_code == 3
    assert "прав токена не хватает: он должен принадлежать администратору" in told.output
