"""What the config asks of an account, and what of it is missing."""

from __future__ import annotations

from pathlib import Path

from provision_kit import EXAMPLE

from amo_bridge.config.against_account import account_names
from amo_bridge.config.load import load
from amo_bridge.config.names import DateFieldName, TemplateName
from amo_bridge.names import same_name
from amo_bridge.provision.wanted import Wanted

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


def wanted(folder: Path, *, stage: str = "Продажи / Оплата", roles: str = "") -> Wanted:
    path = folder / "config.toml"
    path.write_text(NAMED.format(stage=stage, roles=roles), "utf-8")
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
