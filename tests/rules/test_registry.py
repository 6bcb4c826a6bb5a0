"""Handlers are found by scanning a folder: the shipped ones, and an agency's own."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.builders import deal, entered

from amo_bridge.config.loader import load
from amo_bridge.errors import ConfigError
from amo_bridge.events import FileAttached, StageEntered
from amo_bridge.rules.actions import Skip
from amo_bridge.rules.deal import DataNeed
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.old_import_paths import MOVED
from amo_bridge.rules.registry import own, shipped

OWN = '''\
"""A deal of a big client comes → somebody rings at once.

Does nothing for others.
Covers M7.
"""

from __future__ import annotations

from amo_bridge.events import StageEntered
from amo_bridge.rules import Deal, Options, Skip, handler


class VipGetsACall(Options):
    over: int


@handler(on=StageEntered, options=VipGetsACall, gate=True, needs=["own_tasks"])
def vip_gets_a_call(event: StageEntered, deal: Deal, options: VipGetsACall) -> Skip:
    return Skip(f"бюджет {deal.price} из {options.over}")
'''


KIND = """from pydantic import Field
from amo_bridge.events import StageEntered
from amo_bridge.rules import Options, handler
class Broken(Options):
    over: int

@handler(on=StageEntered, options=Broken)
def broken(event, deal, options):
    return ()
"""


def folder(parent: Path, **files: str) -> Path:
    made = parent / "mine"
    made.mkdir()
    for name, text in files.items():
        (made / f"{name}.py").write_text(text, "utf-8")
    return made


def problems(path: Path, *taken: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        own("handlers", path, taken)
    return caught.value.problems


def test_a_shipped_handler_knows_what_it_listens_to() -> None:
    handlers = shipped("handlers")
    assert handlers["file_moves_deal"].on == (FileAttached,)
    assert not handlers["file_moves_deal"].is_about_deals
    assert handlers["stage_needs_fields"].gate
    assert handlers["stage_creates_tasks"].is_about_deals
    assert handlers["stage_creates_tasks"].needs == {"own_tasks"}


def test_an_own_handler_is_like_a_shipped_one(tmp_path: Path) -> None:
    [mine] = own("handlers", folder(tmp_path, vip_gets_a_call=OWN, _helpers="x = 1")).values()
    assert (mine.name, mine.on, mine.gate, mine.needs) == ("vip_gets_a_call", (StageEntered,), True, {"own_tasks"})
    assert mine.summary == "A deal of a big client comes → somebody rings at once."
    assert mine.covers == "Covers M7."
    assert mine.judge(entered("Продажи / Новый клиент"), deal(price=5), mine.options(over=9)) == Skip("бюджет 5 из 9")


def test_an_own_handler_works_from_the_config(tmp_path: Path) -> None:
    folder(tmp_path, vip_gets_a_call=OWN)
    config = tmp_path / "config.toml"
    config.write_text(
        '[account]\nurl = "https://a.amocrm.ru"\n[bridge]\nown_handlers = "mine"\n'
        "[handlers.vip_gets_a_call.all]\nenabled = true\nover = 1000000\n",
        "utf-8",
    )
    [rule] = load(config, {}).rules
    assert rule.name == "vip_gets_a_call.all"
    assert rule.words == "A deal of a big client comes → somebody rings at once.", "until the config has better words"
    config.write_text(config.read_text("utf-8").replace("over", "ower"), "utf-8")
    with pytest.raises(ConfigError, match=r"строка 7 \[handlers.vip_gets_a_call.all\] ower: .* «over»\?"):
        load(config, {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "в файле нет функции broken с пометкой @handler"),
        ("def broken(): ...", "в файле нет функции broken с пометкой @handler"),
        (OWN, "в файле нет функции broken с пометкой @handler"),
        ("x = 1\ndef broken(:\n", "строка 2: Python не исполнил файл: SyntaxError: "),
        ("import nowhere_to_be_found\n", "строка 1: Python не исполнил файл: ModuleNotFoundError: "),
        ("\n\nx = undefined\n", "строка 3: Python не исполнил файл: NameError: "),
        ("raise ValueError('нет')", "строка 1: Python не исполнил файл: ValueError: нет"),
        ("import sys\nsys.exit(3)", "строка 2: Python не исполнил файл: SystemExit: 3"),
        (KIND.replace("int", "'Nothing'"), "строка 4: опции не читаются: PydanticUndefinedAnnotation: name 'Nothing'"),
        (KIND.replace("int", "int = Field(ge='x')"), "строка 4: опции не читаются: SchemaError"),
        (
            KIND.replace("int", "int = Field(default_factory=lambda: 1/0)"),
            "строка 5: опции не читаются: ZeroDivision",
        ),
        (KIND.replace("options=Broken", "options=dict"), "строка 7: options — не класс опций"),
        (KIND.replace("on=StageEntered", "on='stage'"), "строка 7: on — не события"),
        (
            KIND.replace("(event, deal, options)", "(event)"),
            "строка 7: функция должна принимать",
        ),
    ],
)
def test_a_file_that_is_no_handler(text: str, words: str, tmp_path: Path) -> None:
    path = folder(tmp_path, broken=text)
    [told] = problems(path)
    assert told.startswith(f"{path / 'broken.py'}: {words}")


def test_all_broken_files_are_told_at_once(tmp_path: Path) -> None:
    path = folder(tmp_path, first="x = ", good="", second="1 / 0", vip_gets_a_call=OWN)
    assert [Path(told.split(":")[0]).stem for told in problems(path)] == ["first", "good", "second"]


def test_a_file_that_failed_can_be_put_right(tmp_path: Path) -> None:
    path = folder(tmp_path, vip_gets_a_call="x =")
    problems(path)
    (path / "vip_gets_a_call.py").write_text(OWN, "utf-8")
    assert list(own("handlers", path)) == ["vip_gets_a_call"]


def test_an_own_handler_does_not_silently_replace_a_shipped_one(tmp_path: Path) -> None:
    path = folder(tmp_path, vip_gets_a_call=OWN)
    assert problems(path, "vip_gets_a_call") == [
        f"{path / 'vip_gets_a_call.py'}: такой обработчик уже есть, назовите файл иначе"
    ]


def test_no_folder(tmp_path: Path) -> None:
    assert problems(tmp_path / "mine") == [f"папки с обработчиками {tmp_path / 'mine'} нет"]


# --- import paths of 0.1 -------------------------------------------------------------------------------------------

OLD = """\
from amo_bridge.actions import Action, Skip
from amo_bridge.config.names import StageName
from amo_bridge.deal import Deal
from amo_bridge.due import Due
from amo_bridge.events import StageEntered
from amo_bridge.file_names import starts_with
from amo_bridge.options import Condition, Deeds, WantedFile
from amo_bridge.rules import Options, handler
from amo_bridge.step_options import TimedDeeds


class OldRule(Options):
    stage: StageName


@handler(on=StageEntered, options=OldRule)
def old_rule(event: StageEntered, deal: Deal, options: OldRule) -> Skip:
    return Skip(f"{Deeds.__name__}, {TimedDeeds.__name__}")
"""


def test_a_file_with_import_paths_of_the_last_release_loads_and_is_told(tmp_path: Path) -> None:
    path = folder(tmp_path, old_rule=OLD)
    with capture_logs() as logs:
        [mine] = own("handlers", path).values()
    decided = mine.judge(entered("Продажи / Новый клиент"), deal(), mine.options(stage="Продажи / Новый клиент"))
    assert decided == Skip("ActionsSpec, TimedActions")
    told = [(log["line"], log["old"], log["new"]) for log in logs]
    assert (1, "amo_bridge.actions.Skip", "amo_bridge.rules.Skip") in told
    assert (7, "amo_bridge.options.Deeds", "amo_bridge.rules.ActionsSpec") in told
    assert (9, "amo_bridge.step_options.TimedDeeds", "amo_bridge.rules.TimedActions") in told
    assert {line for line, _, _ in told} == {1, 2, 3, 4, 6, 7, 9}


def test_old_import_paths_are_there_for_own_files_alone(tmp_path: Path) -> None:
    own("handlers", folder(tmp_path, old_rule=OLD))
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("amo_bridge.actions")


def test_every_moved_path_leads_to_a_module_that_is_there() -> None:
    assert all(importlib.util.find_spec(new) for news in MOVED.values() for new in news)
    assert not [old for old in MOVED if importlib.util.find_spec(old)]


def needs_of(kind: str, **options: Any) -> frozenset[DataNeed]:
    """What a rule of this kind reads, with these options."""
    handler = {**shipped("handlers"), **shipped("schedules")}[kind]
    return Rule(handler, "some", handler.options.model_validate(options), enabled=True).needs


STEP = {"after": "1 d", "task": {"text": "Позвонить", "to": "manager", "due": "1 d"}}
FILE = {"name_starts_with": ["Договор"]}
WITH_FILE = {**STEP, "after": "2 d", "without_file": FILE}
STAGES = ["Продажи / Новый клиент"]
END = {"until": {"file": FILE}}


def test_other_tasks_are_read_only_where_they_are_moved() -> None:
    date, task = {"fields": ["Дата дедлайна"]}, {"text": "Проверить", "to": "manager"}
    assert needs_of("date_field_sets_task", **date, **task) == {"own_tasks"}
    assert needs_of("date_field_sets_task", **date, moves=["Отчёт"]) == {"open_tasks"}


@pytest.mark.parametrize(
    ("kind", "options", "read"),
    [
        ("stage_ladder", {"stages": STAGES, "steps": [STEP]}, set()),
        ("stage_ladder", {"stages": STAGES, "steps": [STEP, WITH_FILE]}, {"files"}),
        # Of the end of its task the engine takes care.
        ("stage_ladder", {"stages": STAGES, "steps": [{**STEP, "task": {**STEP["task"], **END}}]}, set()),
        ("stage_needs_file", {"entering": STAGES, **FILE}, {"files"}),
        ("stage_needs_call", {"entering": STAGES}, {"calls"}),
        ("finished_task_needs_proof", {"tasks": ["Позвонить"], "call": {}}, {"calls"}),
        ("finished_task_needs_proof", {"tasks": ["Позвонить"], "pictures": True}, {"files"}),
        ("finished_task_needs_proof", {"tasks": ["Позвонить"], "file": FILE, "call": {}}, {"calls", "files"}),
        ("stage_opens_deal", {"stages": STAGES, "pipelines": ["Продажи"], "to_stage": STAGES[0]}, {"files"}),
    ],
)  # fmt: skip
def test_files_and_calls_are_read_only_where_the_options_look_at_them(
    kind: str, options: dict[str, Any], read: set[DataNeed]
) -> None:
    assert needs_of(kind, **options) & {"files", "calls"} == read
