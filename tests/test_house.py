"""The house keeps itself: names, tests, docs and config blocks stay together, and nothing grows out of its place."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

import pytest

from amo_bridge import events
from amo_bridge.cli.rules import markdown_table
from amo_bridge.config.loader import load
from amo_bridge.rules import actions
from amo_bridge.rules.registry import shipped

ROOT = Path(__file__).parent.parent
FOLDERS = ("handlers", "schedules")
RULE_FILES = {
    folder: sorted(path for path in (ROOT / folder).glob("*.py") if not path.stem.startswith("_")) for folder in FOLDERS
}
HANDLERS = [path for paths in RULE_FILES.values() for path in paths]
SHIPPED = {**shipped("handlers"), **shipped("schedules")}
ENGINE = sorted((ROOT / "amo_bridge").rglob("*.py"))
EXAMPLE = ROOT / "config.example.toml"
EXAMPLES = [EXAMPLE, *sorted((ROOT / "examples").glob("*.toml"))]

LONGEST_HANDLER = 110  # its imports not counted
LONGEST_FIRST_LINE = 100
QUESTION_WORDS = ("What", "How", "Where", "Which", "Who", "Whom", "Whose", "When", "Why", "If")

HANDLER_IMPORTS = ("__future__", "collections.abc", "datetime", "pydantic", "typing")
RULE_PACKAGES = ("dates", "events", "rules", "text")
"""Words and shapes, nothing that could ask, wait or write: that is what keeps a handler a pure function."""

WITHOUT_PAYLOAD = {
    **dict.fromkeys(("StageEntered", "FieldChanged", "ResponsibleChanged"), "concluded by the bridge, told by no hook"),
    "StepDue": "the clock's, told by no hook",
    "CampaignLoaded": "an advertising service's, told by no hook",
    **dict.fromkeys(("TaskObserved", "TaskFinished", "TaskAnswered"), "concluded by the bridge, told by no hook"),
    **dict.fromkeys(("TaskRescheduled", "TaskRemoved", "TaskRenamed"), "concluded by the bridge, told by no hook"),
    **dict.fromkeys(("ClientUnsubscribed", "SeriesLetterDue"), "told by the bridge's own mail: tests/channels"),
    "ContactDateChanged": "concluded by the bridge when a contact is read",
    "MailboxLetter": "fetched by the bridge itself: tests/intake/test_letters.py",
    "ClientAnswered": "concluded by the bridge from a call, a letter or a message",
    **dict.fromkeys(("EnquiryReceived", "EnquiryOnDeal"), "come by other vendors' requests: tests/stories"),
    "MailLogged": "amoCRM has no hook for letters: tests/crm/test_events_api.py",
    "ClientRestored": "amoCRM's docs name the action; nobody has published such a hook",
    **dict.fromkeys(
        ("FileAttached", "SmsLogged", "UnsortedUpdated"), "bodies made by hand: tests/crm/test_webhooks.py"
    ),
    "Unrecognised": "whatever the decoder has no word for: tests/crm/test_webhooks_hostile.py",
}
"""Events that no captured hook proves, and why that is so."""


@cache
def tree_of(path: Path) -> ast.Module:
    """The file parsed, once for all tests that look at it."""
    return ast.parse(path.read_text("utf-8"))


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def by_file(paths: list[Path]) -> Callable[..., pytest.MarkDecorator]:
    return pytest.mark.parametrize("path", paths, ids=names(paths))


# --- handlers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_folder_is_the_list(folder: Literal["handlers", "schedules"]) -> None:
    assert RULE_FILES[folder]
    assert list(shipped(folder)) == [path.stem for path in RULE_FILES[folder]]


def test_no_name_stands_in_both_folders() -> None:
    """Rules are told apart by it in the journal and the outbox."""
    assert not set(shipped("handlers")) & set(shipped("schedules"))


@by_file(HANDLERS)
def test_a_handler_is_one_function_of_the_files_name(path: Path) -> None:
    public = [
        node.name for node in tree_of(path).body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
    assert public == [path.stem]


@by_file(HANDLERS)
def test_a_handler_has_its_test_file(path: Path) -> None:
    test = ROOT / "tests" / path.parent.name / f"test_{path.name}"
    assert test.is_file()
    assert path.stem in test.read_text("utf-8")


@by_file(HANDLERS)
def test_a_handler_says_what_it_does_and_which_clauses_it_serves(path: Path) -> None:
    handler = SHIPPED[path.stem]
    assert re.fullmatch(r".+ → .+\.", handler.summary)
    assert re.search(r"^Covers [A-Z]\d+", handler.covers)
    assert "oes nothing" in (ast.get_docstring(tree_of(path)) or ""), "and when it does nothing"


@by_file(HANDLERS)
def test_a_handler_has_a_block_in_an_example(path: Path) -> None:
    assert path.stem in {rule.handler.name for example in EXAMPLES for rule in load(example, {}).rules}


@by_file(HANDLERS)
def test_a_handler_can_not_reach_the_world(path: Path) -> None:
    tree = tree_of(path)
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    ours = {name for name in imported if name.startswith("amo_bridge.")}
    assert imported - ours <= set(HANDLER_IMPORTS)
    assert {name.split(".")[1] for name in ours} <= set(RULE_PACKAGES)
    asked = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not asked & {"now", "today", "utcnow", "environ"}


@by_file(HANDLERS)
def test_a_handler_is_short(path: Path) -> None:
    tree = tree_of(path)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    lines = len(path.read_text("utf-8").splitlines()) - sum(node.end_lineno - node.lineno + 1 for node in imports)
    assert lines <= LONGEST_HANDLER


# --- the engine --------------------------------------------------------------------------------------------------


@by_file(ENGINE)
def test_a_module_says_what_it_is(path: Path) -> None:
    tree = tree_of(path)
    if not tree.body:
        assert path.name == "__init__.py"
        return
    assert ast.get_docstring(tree)


# A migration tells its change in as many words as it takes.
@by_file([path for path in ENGINE if "migrations" not in path.parts and path.stat().st_size])
def test_the_first_line_of_a_module_is_its_subject(path: Path) -> None:
    first_line = (ast.get_docstring(tree_of(path)) or "").splitlines()[0]
    assert len(first_line) <= LONGEST_FIRST_LINE
    assert first_line.endswith((".", "…", ":", ")")), "the first line is a sentence by itself"
    assert first_line.split()[0] not in QUESTION_WORDS, "a module is named by its subject, not by a question"


MODULES_BY_NAME = {path.name for path in (*ENGINE, *HANDLERS, *(ROOT / "tests").rglob("*.py"))}


@by_file([*ENGINE, *HANDLERS])
def test_modules_that_a_docstring_names_are_there(path: Path) -> None:
    nodes = ast.walk(tree_of(path))
    texts = [
        ast.get_docstring(node) or "" for node in nodes if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    ]
    named = {name for text in texts for name in re.findall(r"(\w+\.py)\b", text)}
    assert not named - MODULES_BY_NAME


@by_file([*ENGINE, *HANDLERS])
def test_nothing_is_printed(path: Path) -> None:
    calls = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    assert not [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


@by_file(ENGINE)
def test_the_engine_knows_no_stage_by_name(path: Path) -> None:
    """The regulation is in handlers/ and the config; the engine would work for any agency. The demo plays ours."""
    if "demo" not in path.parts:
        code = tree_of(path)
        docs = {id(node.value) for node in ast.walk(code) if isinstance(node, ast.Expr)}
        texts = [
            node.value
            for node in ast.walk(code)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
        ]
        assert not [text for text in texts if re.search("Бриф получен|Новый клиент|Согласование КП", text)]


# --- the two vocabularies ----------------------------------------------------------------------------------------


def leaves(module: object, base: type) -> list[str]:
    """The classes that are made: those that nothing in the module is derived from, and those that stand alone."""
    kinds = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, base)]
    return sorted(kind.__name__ for kind in kinds if kind is not base and kind.__name__ not in ABSTRACT)


ABSTRACT = {"DealReported", "ClientReported", "TaskReported", "NoteReported", "DealObserved"}
"""What several events have in common; never made themselves."""


@pytest.fixture(scope="module")
def proven() -> set[str]:
    payloads = (ROOT / "tests" / "payloads").glob("*.json")
    return {event["type"] for path in payloads for event in json.loads(path.read_text("utf-8"))}


@pytest.mark.parametrize("event", leaves(events, events.Event))
def test_an_event_is_proven_by_a_captured_hook(event: str, proven: set[str]) -> None:
    assert (event in proven) != (event in WITHOUT_PAYLOAD)


@pytest.mark.parametrize("action", leaves(actions, actions.Action))
def test_an_action_is_tested_where_it_is_carried_out(action: str) -> None:
    tests = [*(ROOT / "tests" / "engine").rglob("*.py"), *(ROOT / "tests" / "stories").rglob("*.py")]
    assert any(re.search(rf"\b{action}\b", path.read_text("utf-8")) for path in tests)


# --- the documents ------------------------------------------------------------------------------------------------


TABLES_OF_RULES = [
    ("rules.md", "rules", "config.example.toml"),
    ("webinar.md", "rules", "examples/webinar.toml"),
    ("regulations.md", "smm", "examples/smm.toml"),
    ("regulations.md", "remote", "examples/remote_sales.toml"),
    ("regulations.md", "clients", "examples/client_department.toml"),
]


@pytest.mark.parametrize(("page", "mark", "config"), TABLES_OF_RULES)
def test_the_document_has_the_table_of_the_rules(page: str, mark: str, config: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    shown = re.search(rf"<!-- {mark}:begin -->\n(.*?)\n<!-- {mark}:end -->", text, re.DOTALL)
    assert shown is not None, "no markers for the table"
    table = markdown_table(load(ROOT / config, {}))
    assert shown[1].replace("](../", "](") == table, f"amo-bridge rules --config {config} --markdown"


def test_the_documents_that_people_are_sent_to_are_there() -> None:
    named = set()
    for path in [*ENGINE, *HANDLERS, EXAMPLE, *(ROOT / folder / "__init__.py" for folder in FOLDERS)]:
        named |= set(re.findall(r"docs/[\w-]+\.md", path.read_text("utf-8")))
    assert named
    assert not {name for name in named if not (ROOT / name).is_file()}
