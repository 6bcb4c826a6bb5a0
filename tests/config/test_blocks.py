"""A block written into the file by a program: the block alone changes, and what a person wrote stays."""

from __future__ import annotations

import pytest

from amo_bridge.config.blocks import block_of, keys_of_block, values_of, with_block, without_block
from amo_bridge.config.files import difference
from amo_bridge.config.rule_blocks import Example, example_files, examples
from amo_bridge.errors import ConfigError

FILES = {file.name: file.read_text("utf-8") for file in example_files()}
EXAMPLES = [one for each in examples().rules.values() for one in each]
every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.source} {one.name}")
PATH = ("schedules", "stage_ladder", "warm")
HAND_WRITTEN = """\
# До него.
[bridge]
data = "data"  # рядом

# Шапка правила.
[schedules.stage_ladder.warm]
# Включено с мая.
enabled = true  # да
stages = ["Продажи / Новый клиент"]
steps = [
    # Сначала письмо.
    { after = "3 d", letter = { template = "а" } },  # первое
    # Потом задача.
    { after = "5 d", task = { text = "Позвонить", to = "manager", due = "today" } },
]
# Хвост.
existing = "skip"

# --- глава ---

# Шапка следующего.
[handlers.stage_creates_tasks.next]
enabled = true
"""


def changed(**keys: object) -> list[str]:
    before = values_of(HAND_WRITTEN, PATH)
    assert before is not None
    values = {key: value for key, value in {**before, **keys}.items() if value is not None}
    text = with_block(HAND_WRITTEN, PATH, values, order=("stages", "when", "existing", "steps"))
    assert values_of(text, PATH) == values
    return [line for line in difference(HAND_WRITTEN, text) if line[0] in "+-"]


@every_example
def test_a_block_that_says_the_same_is_left_alone(example: Example) -> None:
    text = FILES[example.source]
    assert with_block(text, example.path, example.values) == text


@every_example
def test_a_block_is_taken_out_with_its_comment_and_comes_back_the_same(example: Example) -> None:
    text = FILES[example.source]
    without = without_block(text, example.path)
    assert values_of(without, example.path) is None
    assert not [line for line in difference(text, without) if line[0] == "+"]
    again = with_block(without, example.path, example.values, order=examples().order[example.path[1]], comment="Слова")
    assert again.startswith(without.rstrip("\n"))
    assert values_of(again, example.path) == example.values


def test_one_step_of_a_list_changes_and_its_comments_stay() -> None:
    steps = [
        {"after": "3 d", "letter": {"template": "б"}},
        {"after": "5 d", "task": {"text": "Позвонить", "to": "manager", "due": "today"}},
    ]
    assert changed(steps=steps) == [
        '-    { after = "3 d", letter = { template = "а" } },  # первое',
        '+    { after = "3 d", letter = { template = "б" } },  # первое',
    ]
    more = {"after": "9 d", "tags": ["холодный"]}
    before = values_of(HAND_WRITTEN, PATH)
    assert before is not None
    assert changed(steps=[*before["steps"], more]) == ['+    { after = "9 d", tags = ["холодный"] },']


@pytest.mark.parametrize(
    ("keys", "lines"),
    [
        ({"existing": "catch up"}, ['-existing = "skip"', '+existing = "catch up"']),
        ({"existing": None}, ['-existing = "skip"']),
        ({"when": {"tag": "vip"}}, ['+when = { tag = "vip" }']),
        ({"dry_run": True}, ["+dry_run = true"]),
        ({"enabled": False}, ["-enabled = true  # да", "+enabled = false  # да"]),
    ],
    ids=["changed", "taken out", "new", "a switch", "a comment behind it"],
)
def test_a_key_changes_one_line(keys: dict[str, object], lines: list[str]) -> None:
    assert changed(**keys) == lines


def test_taking_a_rule_out_leaves_the_comments_of_its_neighbours() -> None:
    left = without_block(HAND_WRITTEN, PATH)
    assert "Шапка правила" not in left
    assert "# --- глава ---\n\n# Шапка следующего.\n[handlers" in left
    assert left.startswith('# До него.\n[bridge]\ndata = "data"  # рядом\n')


@pytest.mark.parametrize(
    "text",
    [
        '[schedules]\nstage_ladder.warm = { enabled = true, stages = ["а"] }\n',
        '[schedules.stage_ladder.warm]\nenabled = true\nwhen.tag = "vip"\n',
    ],
    ids=["no header of its own", "a key in parts"],
)
def test_what_is_written_in_an_unusual_way_is_refused_and_not_spoilt(text: str) -> None:
    with pytest.raises(ConfigError, match="измените"):
        with_block(text, PATH, {"enabled": False, "when": {"tag": "иное"}})


def test_a_file_without_its_last_line_end_gets_a_key() -> None:
    text = "[schedules.stage_ladder.warm]\nenabled = true"
    assert with_block(text, PATH, {"enabled": True, "clause": "A1"}) == f'{text}\nclause = "A1"\n'


def test_a_key_is_quoted_whatever_it_holds() -> None:
    values = {"enabled": True, 'a"\n]': {"б\n": "в"}}
    assert keys_of_block(block_of(PATH, values)) == values


def test_a_key_with_a_header_stays_when_another_one_changes() -> None:
    text = '[schedules.stage_ladder.warm]\nenabled = true\n[schedules.stage_ladder.warm.when]\ntag = "vip"\n'
    assert with_block(text, PATH, {"enabled": False, "when": {"tag": "vip"}}) == text.replace("true", "false")


APART = """\
[schedules.stage_ladder.warm]
enabled = true  # да

# Кого.
[schedules.stage_ladder.warm.when]
tag = "vip"  # важные

# Первый.
[[schedules.stage_ladder.warm.steps]]
# Три дня.
after = "3 d"

# Второй.
[[schedules.stage_ladder.warm.steps]]
after = "5 d"
[schedules.stage_ladder.warm.steps.task]
text = "Позвонить"  # менеджеру

# Следующее.
[handlers.stage_creates_tasks.next]
enabled = true
"""
FIRST_STEP, SECOND_STEP = {"after": "3 d"}, {"after": "5 d", "task": {"text": "Позвонить"}}


@pytest.mark.parametrize(
    ("keys", "lines"),
    [
        ({"when": {"tag": "иное"}}, ['-tag = "vip"  # важные', '+tag = "иное"  # важные']),
        (
            {"when": {"tag": "vip", "field": "Тип"}},
            ['+field = "Тип"'],
        ),
        ({"when": None}, ["-# Кого.", "-[schedules.stage_ladder.warm.when]", '-tag = "vip"  # важные', "-"]),
        (
            {"steps": [FIRST_STEP, {"after": "5 d", "task": {"text": "Написать"}}]},
            ['-text = "Позвонить"  # менеджеру', '+text = "Написать"  # менеджеру'],
        ),
        (
            {"steps": [SECOND_STEP]},
            ["-# Первый.", "-[[schedules.stage_ladder.warm.steps]]", "-# Три дня.", '-after = "3 d"', "-"],
        ),
        (
            {"steps": [FIRST_STEP, SECOND_STEP, {"after": "9 d"}]},
            ["+", "+[[schedules.stage_ladder.warm.steps]]", '+after = "9 d"'],
        ),
        (
            {"steps": [{"after": "1 d"}, FIRST_STEP, SECOND_STEP]},
            ["+[[schedules.stage_ladder.warm.steps]]", '+after = "1 d"', "+"],
        ),
        ({"clause": "A1"}, ['+clause = "A1"']),
    ],
    ids=["a key", "a new key", "the table", "deep", "a step", "one more", "one before", "beside"],
)
def test_keys_under_headers_of_their_own_are_changed_where_they_stand(
    keys: dict[str, object], lines: list[str]
) -> None:
    before = values_of(APART, PATH)
    assert before is not None
    values = {key: value for key, value in {**before, **keys}.items() if value is not None}
    text = with_block(APART, PATH, values)
    assert values_of(text, PATH) == values
    assert sorted(line for line in difference(APART, text) if line[0] in "+-") == sorted(lines)
    assert text.endswith("# Следующее.\n[handlers.stage_creates_tasks.next]\nenabled = true\n")


def test_a_block_goes_with_what_has_headers_of_its_own() -> None:
    left = without_block(APART, PATH)
    assert left == "# Следующее.\n[handlers.stage_creates_tasks.next]\nenabled = true\n"


def test_tables_of_a_section_get_headers_and_go_with_them() -> None:
    text = '[people."Иван Петров"]\ntelegram = 1  # рабочий\n\n[bridge]\ndata = "data"\n'
    two = {"Иван Петров": {"telegram": 2}, "Анна": {"max": 7}}
    made = with_block(text, ("people",), two, is_nested=True)
    assert made == (
        '[people."Иван Петров"]\ntelegram = 2  # рабочий\n\n[people."Анна"]\nmax = 7\n\n[bridge]\ndata = "data"\n'
    )
    assert with_block(made, ("people",), {}, is_nested=True) == '[bridge]\ndata = "data"\n'
    assert with_block("[bridge]\n", ("people",), {"Анна": {"max": 7}}, is_nested=True) == (
        '[bridge]\n\n[people."Анна"]\nmax = 7\n'
    )


def test_a_new_block_reads_as_if_somebody_had_written_it() -> None:
    values = {
        "steps": [{"after": "3 d", "tags": ["а"]}, {"after": "5 d", "note": "Первая\nвторая"}],
        "stages": ["Продажи / Новый клиент"],
        "clause": "A1",
        "enabled": True,
    }
    assert block_of(PATH, values, ("stages", "steps"), "A1: слова").splitlines() == [
        "# A1: слова",
        "[schedules.stage_ladder.warm]",
        "enabled = true",
        'clause = "A1"',
        'stages = ["Продажи / Новый клиент"]',
        "steps = [",
        '    { after = "3 d", tags = ["а"] },',
        '    { after = "5 d", note = "Первая\\nвторая" },',
        "]",
    ]


@pytest.mark.parametrize("header", ["", "[schedules.stage_ladder.warm]\n"], ids=["bare", "with its header"])
def test_a_typed_block_is_read_with_its_header_or_without(header: str) -> None:
    assert keys_of_block(f'{header}enabled = true\nstages = ["а"]\n') == {"enabled": True, "stages": ["а"]}


def test_the_examples_explain_their_options() -> None:
    assert examples().hint("stage_creates_tasks", "stages") == "На каких этапах работает."
    assert examples().order["stage_creates_tasks"][:3] == ("enabled", "clause", "says")
