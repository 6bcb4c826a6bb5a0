"""Everything that is wrong with a text in one pass: its syntax, its keys, and only what is really wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.config_text import GOOD

from amo_bridge.config import toml_recovery
from amo_bridge.config.diagnostics import place_of
from amo_bridge.config.loader import load_text, readable
from amo_bridge.config.toml_recovery import recover
from amo_bridge.errors import ConfigError

PATH = Path("config.toml")


def line(text: str, beginning: str, nth: int = 1) -> int:
    found = [number for number, one in enumerate(text.splitlines(), 1) if one.startswith(beginning)]
    return found[nth - 1]


def lines_told(text: str) -> list[int | None]:
    return [place_of(problem)[1] for problem in readable(PATH, text, {}).problems]


def first_difference(wrong: str, right: str) -> int:
    pairs = zip(wrong.splitlines(), right.splitlines(), strict=False)
    return next(number for number, (one, other) in enumerate(pairs, 1) if one != other)


RULE = """
[handlers.stage_creates_tasks.{name}]
enabled = true
stages = ["Продажи / Новый клиент"]
tasks = [{{ text = "Связаться", to = "manager", due = "1 working hour" }}]
"""
ONE, TWO, THREE = (RULE.format(name=name) for name in ("one", "two", "three"))

MISTAKES = [
    pytest.param("enabled = true", "enabled = True", id="a value"),
    pytest.param("enabled = true", "enabled true", id="no ="),
    pytest.param("enabled = true", "Включено", id="a word"),
    pytest.param("enabled = true", 'clause = "A1', id="an open quote"),
    pytest.param("enabled = true", 'clause = "A"1""', id="quotes within"),
    pytest.param("enabled = true", "enabled = true\nenabled = false", id="a key twice"),
    pytest.param('["Продажи / Новый клиент"]', '["Продажи / Новый клиент"', id="an open list"),
    pytest.param('["Продажи / Новый клиент"]', "Продажи / Новый клиент", id="no quotes"),
    pytest.param('to = "manager", due', 'to = "manager" due', id="no comma in a table"),
    pytest.param('"1 working hour" }]', '"1 working hour" ]', id="an open table"),
]


@pytest.mark.parametrize(("right", "wrong"), MISTAKES)
def test_each_mistake_is_told_once_with_its_line_and_nothing_else_is(right: str, wrong: str) -> None:
    """Two tables with the same mistake, a wrong key in a third, a good one between them."""
    blocks = [ONE.replace(right, wrong), TWO, THREE.replace(right, wrong)]
    text = GOOD + "".join(blocks) + "\n[calendr]\n"
    told = readable(PATH, text, {}).problems
    syntax, rest = [one for one in told if "это не TOML" in one], [one for one in told if "это не TOML" not in one]
    first = GOOD.count("\n") + first_difference(blocks[0], ONE)
    assert [place_of(one)[1] for one in syntax] == [first, first + (blocks[0] + blocks[1]).count("\n")]
    (only,) = rest
    assert "calendr" in only


def test_a_broken_header_takes_its_own_table_with_it_and_no_other() -> None:
    text = GOOD + ONE.replace(".one]", ".one") + TWO.replace("enabled = true", 'enabled = "yes"')
    told = readable(PATH, text, {}).problems
    assert [place_of(one)[1] for one in told] == [
        line(text, "[handlers.stage_creates_tasks.one"),
        line(text, 'enabled = "yes"'),
    ]


def test_in_a_list_of_many_lines_the_line_of_the_mistake_is_told() -> None:
    tasks = 'tasks = [\n  { text = "Раз", to = "manager", due = "1 h" },\n  { text = "Два" to = "manager" },\n]'
    text = GOOD + ONE.replace(ONE.splitlines()[4], tasks) + TWO.replace("stages", "stage")
    told = readable(PATH, text, {}).problems
    assert place_of(told[0])[1] == line(text, '  { text = "Два"')
    assert all("stage_creates_tasks.two" in one for one in told[1:])
    assert len(told) == 3


def test_a_text_of_many_lines_that_is_not_closed_ends_the_search_and_spares_what_stands_before() -> None:
    text = GOOD + ONE.replace("enabled = true", "enabled = yes") + TWO + '\n[mail]\nfrom = """открыто\nx = 1\n'
    assert lines_told(text) == [line(text, "enabled = yes"), line(text, 'from = """')]


def test_roles_of_a_broken_section_are_not_missed() -> None:
    """The role may stand in the broken line."""
    text = GOOD.replace("[roles]", "[roles]\nboss = Елена") + ONE.replace('to = "manager"', 'to = "boss"')
    found = readable(PATH, text, {})
    assert [place_of(one)[1] for one in found.problems] == [line(text, "boss")]
    assert "boss" in found.unread


def test_a_section_that_rules_need_is_not_missed_while_it_is_broken() -> None:
    text = (
        GOOD
        + "\n[services]\nfield = Услуги\n"
        + ('\n[handlers.service_lines_set_tasks.x]\nenabled = true\nstages = ["Продажи / Новый клиент"]\n')
    )
    told = readable(PATH, text, {}).problems
    assert place_of(told[0])[1] == line(text, "field = Услуги")
    assert not any("нужен раздел" in one for one in told)


def test_the_broken_account_does_not_keep_the_rules_from_being_read() -> None:
    text = GOOD.replace('url = "', "url = ", 1) + ONE.replace("enabled", "enable")
    told = readable(PATH, text, {}).problems
    assert place_of(told[0])[1] == line(text, "url")
    assert [one for one in told if "enable" in one]
    assert readable(PATH, text, {}).config is None


def test_a_text_with_a_mistake_can_not_be_loaded_and_all_of_them_are_raised() -> None:
    text = GOOD + ONE.replace("enabled = true", "enabled = yes") + TWO.replace("stages", "stage")
    with pytest.raises(ConfigError) as raised:
        load_text(PATH, text, {})
    assert raised.value.problems == list(readable(PATH, text, {}).problems)


def test_a_good_text_is_read_as_it_stands() -> None:
    found = recover(PATH, GOOD)
    assert (found.problems, found.broken, found.lost) == ((), frozenset(), frozenset())


def test_rubbish_ends() -> None:
    found = recover(PATH, "\n".join(["= [" * 3, "«»", "[[[", "x = '''"] * 200))
    assert 0 < len(found.problems) <= 50


@pytest.mark.parametrize(
    ("text", "at"),
    [
        pytest.param(GOOD + "a" + ".a" * 20_000 + " = 1\n", GOOD.count("\n") + 1, id="a key of many parts"),
        pytest.param(GOOD + "x = " + "[" * 5_000 + "]" * 5_000, GOOD.count("\n") + 1, id="lists in lists"),
        pytest.param(GOOD + "x = " + "[" * 40 + "]" * 40, GOOD.count("\n") + 1, id="somewhat too deep"),
        pytest.param(GOOD + "x = " + "{a = " * 300 + "1" + "}" * 300, GOOD.count("\n") + 1, id="tables in tables"),
        pytest.param(GOOD + "# \n" * 20_001, None, id="lines"),
        pytest.param(GOOD + "#" * 1_000_001, None, id="signs"),
    ],
)
def test_what_no_config_is_like_is_refused_before_it_costs_anything(text: str, at: int | None) -> None:
    found = readable(PATH, text, {})
    (told,) = found.problems
    assert (found.config, place_of(told)[1]) == (None, at)


def test_after_some_seconds_no_more_mistakes_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toml_recovery, "RECOVERY_SECONDS", -1)
    first, said = recover(PATH, "a = \n" * 30).problems
    assert place_of(first)[1] == 1
    assert "дальше не проверено" in said
