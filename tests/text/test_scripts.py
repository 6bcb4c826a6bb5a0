"""Call scripts: read from a folder, filled with the deal's data, checked before anybody reads them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amo_bridge.text.scripts import Block, Scripts
from amo_bridge.text.templates import BadTemplate

ROOT = Path(__file__).parents[2]
FACTS: dict[str, Any] = {
    "клиент": {"имя": "Анна", "полное_имя": "Анна Соколова"},
    "сделка": {"название": "Ромашка", "этап": "Новый клиент", "бюджет": ""},
    "менеджер": {"имя": "Иван Петров", "почта": ""},
    "поле": {"Тип клиента": "Прямой клиент", "Услуги": ""},
    "отписка": "",
}
TEXT = """Тема: Звонок: {{ сделка.название }}

# Начать
— {{ клиент.имя }}, добрый день!
Удобно?

- Первый вопрос
- Второй{% if поле["Тип клиента"] %} ({{ поле["Тип клиента"] }}){% endif %}

- Третий,
  в две строки
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "call.txt").write_text(TEXT, "utf-8")
    return tmp_path


def test_a_script_is_filled_and_divided_into_what_is_said(folder: Path) -> None:
    script = Scripts(folder).filled("call", FACTS)
    assert script.title == "Звонок: Ромашка"
    assert script.blocks == (
        Block("heading", ("Начать",)),
        Block("text", ("— Анна, добрый день!", "Удобно?")),
        Block("list", ("Первый вопрос", "Второй (Прямой клиент)", "Третий, в две строки")),
    )


@pytest.mark.parametrize("name", ["", "нет такого", "../call", "call.txt"])
def test_only_what_is_in_the_folder_is_a_script(folder: Path, name: str) -> None:
    (folder.parent / "secret.txt").write_text("Тема: x\n", "utf-8")
    with pytest.raises(KeyError):
        Scripts(folder).filled(name, FACTS)


def test_mistakes_are_told_before_the_call(folder: Path) -> None:
    (folder / "bad.txt").write_text("Тема: x\n\n{{ клеент.имя }}", "utf-8")
    (folder / "torn.txt").write_text("Тема: x\n\n{% if сделка %}", "utf-8")
    told = list(Scripts(folder).problems())
    assert told[0] == "скрипт «bad»: в шаблоне «клеент» ничего не значит; может быть, «клиент»?"
    assert told[1].startswith("скрипт «torn»:")
    with pytest.raises(BadTemplate):
        Scripts(folder).filled("bad", FACTS)


def test_the_fields_that_scripts_ask_for_are_known(folder: Path) -> None:
    assert list(Scripts(folder).field_names()) == [("call", "Тип клиента"), ("call", "Тип клиента")]


def test_the_shipped_scripts_are_in_order() -> None:
    scripts = Scripts(ROOT / "scripts")
    assert scripts.names == ["brief-reminder", "first-call", "renewal"]
    assert list(scripts.problems()) == []


def test_a_folder_that_is_not_there_has_no_scripts(tmp_path: Path) -> None:
    assert Scripts(tmp_path / "nowhere").names == []


def test_where_there_are_to_be_none_there_are_none() -> None:
    assert Scripts(None).names == []
    with pytest.raises(KeyError):
        Scripts(None).filled("call", FACTS)
