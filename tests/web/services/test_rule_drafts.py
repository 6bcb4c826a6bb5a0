"""A block of TOML → a form → a block: for every example of every kind it means the same."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from amo_bridge.config.blocks import SWITCHES, block_of
from amo_bridge.config.loader import load
from amo_bridge.config.rule_blocks import Example, example_files, examples
from amo_bridge.rules import Condition, Options, TaskSpec, Until
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.option_controls import controls_of
from amo_bridge.rules.option_types import taken
from amo_bridge.rules.registry import shipped
from amo_bridge.web.services.option_forms import (
    BadForm,
    Habits,
    Node,
    fields_of_tree,
    nodes_of,
    place_mistakes,
    pressed,
    tree_of_fields,
    tree_of_values,
    values_of_tree,
)
from amo_bridge.web.services.rule_drafts import suggested_name

SHIPPED = {**shipped("handlers"), **shipped("schedules")}
EXAMPLES = [one for each in examples().rules.values() for one in each]
NO_HABITS = Habits(lambda keys: False, lambda keys: 0.0)


@cache
def rules() -> dict[tuple[str, str], Rule]:
    return {(file.name, rule.name): rule for file in example_files() for rule in load(file, {}).rules}


def drawn(nodes: list[Node]) -> dict[str, str]:
    """What a browser would send of the page."""
    fields: dict[str, str] = {}
    for node in nodes:
        if node.control.is_composite and not node.is_raw:
            if node.is_there or node.parts:
                fields[node.name] = node.text or "+"
        elif not node.is_spare or node.text:
            fields[node.name] = node.text
        fields |= drawn(node.parts)
    return fields


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.source} {one.name}")
def test_every_example_goes_through_the_form_and_means_the_same(example: Example) -> None:
    handler, rule = SHIPPED[example.path[1]], rules()[example.source, example.name]
    controls = controls_of(handler.options)
    tree = tree_of_values(controls, {key: one for key, one in example.values.items() if key not in SWITCHES})
    shared: dict[str, Any] = {name: getattr(rule.options, name) for name, _ in taken(handler.options)}
    for fields in (dict(fields_of_tree(tree)), drawn(nodes_of(controls, tree, NO_HABITS))):
        made = values_of_tree(controls, tree_of_fields(fields))
        assert made.mistakes == []
        assert handler.options.model_validate(made.values | shared) == rule.options
        assert made.values == values_of_tree(controls, tree_of_values(controls, made.values)).values


class Some(Options):
    when: Condition | None = None
    task: TaskSpec
    until: Until | None = None
    odd: tuple[int, str] | None = None
    kinds: tuple[str, ...] = ("а",)
    thread: str = "а"


SOME = controls_of(Some)


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        ({}, {"task": {}}),
        ({"o.when": "+", "o.when.field": " Тип "}, {"task": {}, "when": {"field": "Тип"}}),
        ({"o.when": "+"}, {"task": {}, "when": {}}),
        ({"o.when.field": "Тип"}, {"task": {}}),
        ({"o.until": "+", "o.until.0": "=never", "o.until.1": ""}, {"task": {}, "until": "never"}),
        (
            {"o.until.0": "1", "o.until.0.v": "+", "o.until.0.v.filled": "Дата", "o.until.3": "=stage left"},
            {"task": {}, "until": [{"filled": "Дата"}, "stage left"]},
        ),
        ({"o.odd": '[1, "а"]'}, {"task": {}, "odd": [1, "а"]}),
        ({"o.kinds": "+", "o.kinds.0": ""}, {"task": {}, "kinds": []}),
        ({"o.kinds": "+", "o.kinds.0": "а", "o.kinds.1": " "}, {"task": {}}),
        ({"o.thread": ""}, {"task": {}, "thread": ""}),
        ({"o.thread.": "б", "o.": "в", "o..text": "г"}, {"task": {}}),
        ({f"o.until.{'9' * 5000}": "=never", "o.until.0": "9" * 5000, f"o{'.a' * 60}": "x"}, {"task": {}}),
        ({"o.task.text": "а\r\nб", "x.task.to": "б"}, {"task": {"text": "а\nб"}}),
    ],
)
def test_what_a_browser_sends(fields: dict[str, str], values: dict[str, Any]) -> None:
    made = values_of_tree(SOME, tree_of_fields(fields))
    assert (made.values, made.mistakes) == (values, [])


def test_what_is_not_toml_is_told_and_not_dropped() -> None:
    tree = tree_of_fields({"o.odd": "[1,"})
    made = values_of_tree(SOME, tree)
    assert [path for path, _ in made.mistakes] == [("odd",)]
    nodes = nodes_of(SOME, tree, NO_HABITS)
    assert place_mistakes(nodes, made.mistakes) == []
    odd = next(node for node in nodes if node.control.key == "odd")
    assert odd.text == "[1,"
    assert "TOML" in odd.mistakes[0]


@pytest.mark.parametrize(
    "value", [{"when": "любое"}, {"task": 5}, {"until": {"filled": "а", "x": 1}}, {"task": {"y": 1}}]
)
def test_a_value_that_fits_no_field_is_kept_as_it_was_written(value: dict[str, Any]) -> None:
    tree = tree_of_fields(dict(fields_of_tree(tree_of_values(SOME, value))))
    made = values_of_tree(SOME, tree).values
    assert {key: made[key] for key in value} == value


def test_mistakes_stand_beside_the_nearest_field() -> None:
    tree = tree_of_fields({"o.when": "+", "o.when.is": "а", "o.task.text": "а"})
    nodes = nodes_of(SOME, tree, NO_HABITS)
    told = [(("when", "is_"), "первая"), (("task",), "вторая"), (("task", "due", 3), "третья"), (("нет",), "четвёртая")]
    assert place_mistakes(nodes, told) == [(("нет",), "четвёртая")]
    when, task = (next(one for one in nodes if one.control.key == key) for key in ("when", "task"))
    assert next(one for one in when.parts if one.control.key == "is").mistakes == ["первая"]
    assert task.mistakes == ["вторая"]
    assert next(one for one in task.parts if one.control.key == "due").mistakes == ["третья"]
    assert when.has_mistakes


def test_rows_come_go_and_change_places() -> None:
    tree = tree_of_fields({"o.until.0": "=never", "o.until.2": "=deal closed"})
    assert pressed(SOME, tree, "add:o.until") == "o.until.3"
    assert pressed(SOME, tree, "up:o.until.2") == "o.until.0"
    assert values_of_tree(SOME, tree).values["until"] == ["deal closed", "never"]
    pressed(SOME, tree, "remove:o.until.0")
    assert values_of_tree(SOME, tree).values["until"] == "never"
    pressed(SOME, tree, "add:o.when")
    assert values_of_tree(SOME, tree).values["when"] == {}
    for button in ("add:x.when", "up:o.when", "drop:o.when", "add:o"):
        with pytest.raises(BadForm):
            pressed(SOME, tree, button)


def test_what_the_form_writes_reads_as_what_a_person_wrote() -> None:
    """Line by line, comments aside: of the examples most are the same; others spell out a default, or wrap a list."""
    same = 0
    for example in EXAMPLES:
        handler = SHIPPED[example.path[1]]
        controls = controls_of(handler.options)
        tree = tree_of_values(controls, {key: one for key, one in example.values.items() if key not in SWITCHES})
        switches = {key: one for key, one in example.values.items() if key in SWITCHES}
        values = {key: examples().in_order(one, key) for key, one in values_of_tree(controls, tree).values.items()}
        made = block_of(example.path, {**switches, **values}, examples().order[handler.name])
        written = [line for line in example.text.split("\n") if line.strip() and not line.strip().startswith("#")]
        same += made.strip().split("\n") == written
    assert same >= 88
    assert len(EXAMPLES) >= 150


@pytest.mark.parametrize(
    ("words", "taken", "name"),
    [
        ("Только объём — «взять»!", [], "tolko_obem_vzyat"),
        ("3 дня тишины", ["rule_3_dnya_tishiny"], "rule_3_dnya_tishiny_2"),
        ("…", [], "rule"),
    ],
)
def test_a_name_for_the_file_is_made_of_the_words(words: str, taken: list[str], name: str) -> None:
    assert suggested_name(words, taken) == name
