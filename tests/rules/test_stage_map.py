"""The stage map: where rules work and lead, what is at odds, the drawing for Mermaid."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command_line import EXAMPLE
from support.fakes import agency

from amo_bridge.config.loader import load
from amo_bridge.rules.stage_map import StageMap, mermaid

EXAMPLES = sorted((EXAMPLE.parent / "examples").glob("*.toml"))
BEGIN = """
[account]
url = "https://example.amocrm.ru"
"""


def moves(name: str, to: str, begins: str = "КП", stages: str = "В / Один") -> str:
    return (
        f'[handlers.file_moves_deal.{name}]\nenabled = true\nname_starts_with = ["{begins}"]\n'
        f'from_stages = ["{stages}"]\nto_stage = "{to}"\n'
    )


def ladder(name: str, at: str, to: str) -> str:
    return (
        f'[schedules.stage_ladder.{name}]\nenabled = true\nstages = ["{at}"]\n'
        f'steps = [{{ after = "3 d", move_to = "{to}" }}]\n'
    )


def gate(entering: str, **more: str) -> str:
    rest = "".join(f'{key} = ["{value}"]\n' for key, value in more.items())
    return f'[handlers.stage_needs_fields.gate]\nenabled = true\nentering = ["{entering}"]\nfields = ["Бюджет"]\n{rest}'


def map_of(tmp_path: Path, *blocks: str) -> StageMap:
    path = tmp_path / "config.toml"
    path.write_text(BEGIN + "\n".join(blocks), "utf-8")
    return StageMap.of(load(path, {}).rules)


def told(tmp_path: Path, *blocks: str) -> list[tuple[tuple[str, ...], bool]]:
    """Which rules are at odds, and is it sure?"""
    return [
        (tuple(name.partition(".")[2] for name in one.rules), one.is_sure)
        for one in map_of(tmp_path, *blocks).conflicts()
    ]


MINDED = ladder("minds", "В / Два", "В / Успешно реализовано") + ladder("too", "В / Три", "В / Успешно реализовано")


@pytest.mark.parametrize(
    ("blocks", "found"),
    [
        pytest.param([moves("a", "В / Два"), moves("b", "В / Три")], [(("a", "b"), True)], id="two ways"),
        pytest.param([moves("a", "В / Два"), moves("b", "В / Два")], [], id="one way twice"),
        pytest.param([moves("a", "В / Два"), moves("b", "В / Три", "Счёт")], [], id="other files"),
        pytest.param([moves("a", "В / Два"), moves("b", "В / Три", stages="В / Ноль")], [], id="other stages"),
        pytest.param(
            [moves("a", "В / Два"), moves("b", "В / Три").replace("enabled = true", "enabled = false")], [], id="off"
        ),
        pytest.param([moves("a", "В / Два"), gate("В / Два")], [(("a", "gate"), False)], id="into a gate"),
        pytest.param([moves("a", "В / Два"), gate("В / Два", not_from="В / Один")], [], id="the gate lets it pass"),
        pytest.param([moves("a", "В / Два"), gate("В / Три")], [], id="another gate"),
    ],
)
def test_what_is_at_odds(tmp_path: Path, blocks: list[str], found: list[tuple[tuple[str, ...], bool]]) -> None:
    assert told(tmp_path, *blocks, MINDED) == found


def test_a_circle_that_nobody_has_to_push(tmp_path: Path) -> None:
    there, back = ladder("there", "В / Один", "В / Два"), ladder("back", "В / Два", "В / Один")
    assert told(tmp_path, there, back) == [(("there", "back"), True)]
    # A file is a person's doing.
    assert told(tmp_path, moves("there", "В / Два"), back) == []


def test_a_stage_where_nobody_remembers_the_deal(tmp_path: Path) -> None:
    assert told(tmp_path, moves("a", "В / Два")) == [(("a",), False)]
    assert told(tmp_path, moves("a", "В / Успешно реализовано")) == []


@pytest.mark.parametrize("path", [EXAMPLE, *EXAMPLES], ids=lambda path: path.name)
def test_shipped_rules_are_not_surely_at_odds(path: Path) -> None:
    found = StageMap.of(load(path, {}).rules)
    assert [one.words for one in found.conflicts() if one.is_sure] == []
    assert found.places


def test_what_the_example_leads_where() -> None:
    found = StageMap.of(load(EXAMPLE, {}).rules)
    ways = {(way.rule.clause, way.source, way.target, way.is_new) for way in found.ways}
    assert {
        ("A51", "Продажи / Бриф получен", "Продажи / Согласование КП", False),
        ("A80", "Продажи / Успешно реализовано", "Реализация / Тайминг", True),
        ("A82", "Продажи / Закрыто и не реализовано", "Работа с потерянными / Потерянные", True),
        ("A1–A6", "", "Продажи / Новый клиент", True),
    } <= ways
    assert "A72" in [rule.clause for rule in found.on("Продажи / Утвержденный проект", "guards")]


def test_as_mermaid(tmp_path: Path) -> None:
    drawing = mermaid(map_of(tmp_path, moves("a", "В / «Два» [x]"), gate("В / Один")), ["В / Один", "В / Ноль"])
    assert drawing.splitlines() == [
        "flowchart LR",
        '  subgraph p0["В"]',
        '    s0["Один<br>file_moves_deal.a<br>вход: stage_needs_fields.gate"]',
        '    s1["Ноль"]',
        '    s2["«Два» [x]"]',
        "  end",
        '  s0 -->|"file_moves_deal.a"| s2',
    ]


def answer(name: str, word: str, to: str) -> str:
    return (
        f'[handlers.task_answer_decides.{name}]\nenabled = true\ntask = "Согласовать"\nstages = ["В / Один"]\n'
        f'answers = [{{ words = ["{word}"], move_to = "{to}" }}]\n'
    )


def test_answers_that_differ_are_not_at_odds(tmp_path: Path) -> None:
    assert told(tmp_path, answer("yes", "да", "В / Два"), answer("no", "нет", "В / Три"), MINDED) == []
    assert told(tmp_path, answer("yes", "да", "В / Два"), answer("no", "да", "В / Три"), MINDED)[0][1]


def test_stages_are_known_by_any_spelling(tmp_path: Path) -> None:
    found = [(("a", "b"), True)]
    assert told(tmp_path, moves("a", "В / Два"), moves("b", "В / Три", stages="Один"), MINDED) == found
    assert told(tmp_path, moves("a", "В / Два"), moves("b", "В / Три", stages="в / один"), MINDED) == found


def test_a_bare_name_means_every_pipeline_that_has_it(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(BEGIN + gate("Закрыто и не реализовано"), "utf-8")
    found = StageMap.of(load(path, {}).rules, agency().stage_titles)
    assert {one.stage for one in found.places} == {stage.title for stage in agency().stages if stage.kind == "lost"}


def test_where_a_deal_comes_from_is_not_where_a_rule_works() -> None:
    found = StageMap.of(load(EXAMPLE.parent / "examples" / "client_department.toml", {}).rules)
    assert "stage_creates_tasks" not in {rule.handler.name for rule in found.on("Клиенты / Передача из продаж")}


def test_many_ways_are_looked_through_at_once(tmp_path: Path) -> None:
    """Each stage leads to every other one."""
    stages = [f"В / {number}" for number in range(12)]
    blocks = [
        ladder(f"l{a}_{b}", one, other) for a, one in enumerate(stages) for b, other in enumerate(stages) if a != b
    ]
    circles = [names for names, is_sure in told(tmp_path, *blocks) if is_sure]
    assert circles
    assert all(len(names) == 2 for names in circles)
