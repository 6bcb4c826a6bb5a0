"""What the config asks of an account, and what of it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.provision_accounts import EXAMPLE

from amo_bridge.config.account_check import account_names
from amo_bridge.config.loader import load
from amo_bridge.provision.requirements import Wanted
from amo_bridge.rules.option_types import DateFieldName, TemplateName
from amo_bridge.text.names import same_name

NAMED = """
[account]
url = "https://agency.amocrm.ru"
[bridge]
[calendar]
country = "RU"
hours = {{ mon = "10:00-19:00" }}
[roles]
{roles}
[handlers.date_field_sets_task.x]
enabled = true
fields = ["Дата оплаты"]
stages = ["{stage}"]
text = "Спросить {{Имя клиента}}"
to = "manager"
[handlers.lost_deal_is_routed.y]
enabled = false
pipelines = ["Продажи"]
to_stage = "Возврат / Новые"
tag_by_reason = {{ "Дорого" = "дорого" }}
link_field = "Связь"
[handlers.stage_creates_tasks.z]
enabled = true
stages = ["Продажи / Успешно реализовано", "возврат / новые"]
tasks = [{{ text = "Ок", to = "Анна Орлова", due = "1 d", type = "Особая" }}]
"""


def wanted(folder: Path, *, stage: str = "Продажи / Оплата", roles: str = "", more: str = "") -> Wanted:
    path = folder / "config.toml"
    path.write_text(NAMED.format(stage=stage, roles=roles) + more, "utf-8")
    return Wanted.by(load(path, {}))


def test_everything_that_rules_name_is_asked_for_even_if_they_are_off(tmp_path: Path) -> None:
    asked = wanted(tmp_path, roles='pr = { field = "PR", otherwise = "Олег" }')
    assert asked.stages == {"Продажи": ["Оплата"], "Возврат": ["Новые"]}
    types = {field.name: field.shape.type for field in asked.fields}
    assert types == {"Дата оплаты": "date", "Имя клиента": "text", "Связь": "url", "PR": "text"}
    assert asked.loss_reasons == ["Дорого"]
    assert {"дорого", "без робота"} <= set(asked.tags)
    assert asked.task_types == ["Особая"]
    assert sorted(asked.users) == ["Анна Орлова", "Олег"]


def test_a_consent_is_a_box_to_tick(tmp_path: Path) -> None:
    """«не согласен» in a text is easily taken for a consent."""
    more = '[audiences]\nconsent = "Согласие"\nopt_out_field = "Отписался"\n'
    types = {field.name: field.shape.type for field in wanted(tmp_path, more=more).fields}
    assert (types["Согласие"], types["Отписался"]) == ("checkbox", "checkbox")


def test_a_bare_stage_says_no_pipeline(tmp_path: Path) -> None:
    assert wanted(tmp_path, stage="Оплата").bare_stages == ["Оплата"]


def test_what_is_not_the_accounts_is_not_asked_of_it(tmp_path: Path) -> None:
    asked = Wanted()
    asked._name(("x",), TemplateName("ждём бриф"), load(EXAMPLE, {}))
    assert asked == Wanted()


def test_the_example_describes_every_field_that_its_rules_name() -> None:
    """Else provision would have to guess, and could take a date for a text."""
    config = load(EXAMPLE, {})
    assert config.provision is not None
    guessed = {field.name for field in Wanted.by(config).fields} - {
        *config.provision.fields,
        *config.provision.contact_fields,
    }
    assert not guessed
    stages = {f"{pipeline} / {stage}" for pipeline, own in config.provision.pipelines.items() for stage in own}
    assert {f"{pipeline} / {stage}" for pipeline, own in Wanted.by(config).stages.items() for stage in own} == stages


def test_dates_in_the_example_are_dates() -> None:
    config = load(EXAMPLE, {})
    assert config.provision is not None
    for _, name in account_names(config):
        if isinstance(name, DateFieldName):
            (shape,) = (shape for field, shape in config.provision.fields.items() if same_name(field, name))
            assert shape.type in ("date", "date_time"), name


RULES = """
[handlers.stage_needs_fields.a]
enabled = true
entering = ["Продажи / Оплата"]
fields = ["Оплачено", "Оплачен день", "Готово", "Скидка", "Бриф"]
[handlers.stage_needs_full_payment.b]
enabled = true
entering = ["Продажи / Оплата"]
paid_field = "Оплачено"
[handlers.filled_field_starts_deeds.c]
enabled = true
fields = ["Бриф"]
do = { set_fields = { "Готово" = true, "Скидка" = 5, "Итог" = "{Оплачен день}" } }
[handlers.date_field_sets_task.d]
enabled = true
fields = ["Оплачен день"]
text = "{Бриф}"
to = "manager"
"""


@pytest.mark.parametrize("is_turned", [False, True])
def test_the_most_demanding_use_of_a_field_says_its_type(tmp_path: Path, is_turned: bool) -> None:
    """Whichever rule names the field first."""
    blocks = [f"[handlers{rule}" for rule in RULES.split("[handlers")[1:]]
    asked = wanted(tmp_path, more="\n".join(reversed(blocks) if is_turned else blocks))
    types = {field.name: field.shape.type for field in asked.fields}
    assert types["Оплачено"] == "numeric"
    assert types["Оплачен день"] == "date"
    assert types["Готово"] == "checkbox"
    assert types["Скидка"] == "numeric"
    assert types["Бриф"] == types["Итог"] == "text"


@pytest.mark.parametrize(
    ("described", "made"), [("textarea", "date"), ("date_time", "date_time"), ("birthday", "birthday")]
)
def test_a_description_stands_unless_a_rule_needs_a_date(tmp_path: Path, described: str, made: str) -> None:
    asked = wanted(tmp_path, more=f'[provision.fields]\n"дата оплаты" = "{described}"\n"Связь" = "text"')
    types = {field.name: field.shape.type for field in asked.fields}
    assert types["дата оплаты"] == made
    assert types["Связь"] == "text"


def test_an_order_that_nobody_told_is_known(tmp_path: Path) -> None:
    told = '[provision.pipelines]\n"продажи" = ["Оплата"]'
    assert wanted(tmp_path).unordered == ["Продажи", "Возврат"]
    assert wanted(tmp_path, more=told).unordered == ["Возврат"]
