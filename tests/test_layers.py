"""The layers of the package: imports run one way, modules hold one subject whole, names are the field's own terms."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "amo_bridge"

LAYERS = (
    ("errors", "clock", "lazy", "logs", "private_files", "events", "text"),
    ("dates", "file_lock", "retry"),
    ("keyvalue", "versioned_file"),
    ("crm",),
    ("rules",),
    ("config",),
    ("storage", "provision"),
    ("mirror",),
    ("engine",),
    ("sync", "channels", "webinars", "reports"),
    ("intake", "advertising"),
    ("demo",),
    ("runtime",),
    ("rehearsal",),
    ("start",),
    ("web",),
    ("server",),
    ("cli",),
)
"""A package imports only what stands above it. ``sandbox`` and ``standins`` stand apart."""

BASE = LAYERS[0]
APART = {"sandbox": set(BASE), "standins": {*BASE, "sandbox"}}
"""The local amoCRM and the local vendors must not be built from what our own clients send."""
USES_SANDBOX = {"demo", "rehearsal", "cli"}
LONGEST_MODULE = 600
LONGER = {"amo_bridge.storage.tables": 1700}
SHORT = 100


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py")) if "migrations" not in path.parts}
LAYER_OF = {name: number for number, layer in enumerate(LAYERS) for name in layer}


def imported(path: Path, *, at_runtime: bool = False) -> Iterator[str]:
    """The modules of ours that a file imports; ``at_runtime``: without those for type checkers alone."""
    tree = ast.parse(path.read_text("utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not (at_runtime and id(node) in for_types):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                module = full if full in MODULES else node.module
                if module in MODULES:
                    yield module


def packages_above(module: str) -> set[str]:
    """``amo_bridge.web.api`` for ``amo_bridge.web.api.rules``, and so on upwards."""
    parts = module.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts))} & MODULES.keys()


def loaded_by(module: str) -> set[str]:
    """What must be loaded before a module: what it imports, and the packages around that, but not its own."""
    needed = set(imported(MODULES[module], at_runtime=True))
    around = {package for name in needed for package in packages_above(name)}
    return (needed | around) - packages_above(module) - {module}


def package_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    own = package_of(module)
    if own in ("", "__main__"):
        return
    others = {package_of(name) for name in imported(MODULES[module])} - {own, ""}
    if own in APART:
        assert others <= APART[own]
        return
    assert not others & APART.keys() or own in USES_SANDBOX
    upwards = {other for other in others - APART.keys() if LAYER_OF[other] >= LAYER_OF[own]}
    assert not upwards - (set(BASE) if own in BASE else set())


def test_every_package_has_its_layer() -> None:
    names = {package_of(module) for module in MODULES} - {"", "__main__", *APART}
    assert names == set(LAYER_OF)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module: loaded_by(module) for module in MODULES}
    while free := [module for module, needed in graph.items() if not needed & graph.keys()]:
        for module in free:
            del graph[module]
    # What imports a circle is left as well: only what is imported itself can be part of one.
    while loose := [module for module in graph if not any(module in needed for needed in graph.values())]:
        for module in loose:
            del graph[module]
    assert not sorted(graph)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_holds_no_more_than_one_subject(module: str) -> None:
    lines = len(MODULES[module].read_text("utf-8").splitlines())
    assert lines <= LONGER.get(module, LONGEST_MODULE)


def test_a_subject_is_not_scattered_over_tiny_modules() -> None:
    lengths = [
        len(path.read_text("utf-8").splitlines())
        for module, path in MODULES.items()
        if package_of(module) not in APART and path.name != "__init__.py"
    ]
    assert sum(length < SHORT for length in lengths) < len(lengths) / 3
    assert statistics.median(lengths) >= SHORT
    loose = [path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")]
    assert len(loose) <= 8


TESTS = sorted(path for path in (ROOT / "tests").rglob("test_*.py"))
BY_SUBJECT = {"handlers", "schedules", "stories", "chaos", "support"}
"""Folders whose tests are named by a rule or a story."""


@pytest.mark.parametrize("path", TESTS, ids=[str(path.relative_to(ROOT)) for path in TESTS])
def test_a_test_stands_beside_its_module(path: Path) -> None:
    """``tests/engine/test_sender_faults.py`` tests ``amo_bridge/engine/sender.py``."""
    folder = path.parent.relative_to(ROOT / "tests")
    if not folder.parts or folder.parts[0] in BY_SUBJECT:
        return
    beside = PACKAGE / folder
    names = {one.stem for one in beside.glob("*.py")} | {beside.name, *(one.name for one in beside.glob("*/"))}
    subject = path.stem.removeprefix("test_")
    assert any(subject == name or subject.startswith(f"{name}_") for name in names), sorted(names)


RETIRED = {
    "aftermath": "write results",
    "alarm alarms": "alert",
    "arbiter": "the Gunicorn application",
    "bell bells ring": "wake, notify, subscribe",
    "brain": "rule engine",
    "budget budgets fuse fuses": "rate limiter, circuit breaker",
    "chore chores": "job",
    "clockwork": "scheduler",
    "deed deeds": "action",
    "desk desks": "service, view, context",
    "door doors": "receiver, endpoint",
    "duties duty": "leader",
    "gauge gauges": "metric",
    "ground": "shared resources",
    "hands": "clock",
    "hear learn meet": "decode, record, refresh, subscribe",
    "house office": "server process, accounts",
    "keeper": "refresher",
    "lane lanes quay traffic": "channel",
    "outlook": "due work",
    "patience": "retry, backoff",
    "planner": "processor",
    "said told": "the event, the answer, the problem: what it is",
    "trouble troubles wellness": "outage, health issue, problem",
    "vitals": "health snapshot",
    "workshop": "wiring",
}
"""Words that the project has given up → the field's own terms."""

PUBLISHED = {
    # Names of rules stand in every config.
    *("handlers.client_answer_starts_deeds", "ClientAnswerStartsDeeds", "client_answer_starts_deeds"),
    *("handlers.filled_field_starts_deeds", "FilledFieldStartsDeeds", "filled_field_starts_deeds"),
    *("handlers.letter_is_told", "LetterIsTold", "letter_is_told"),
    *("handlers.enquiry_is_told", "EnquiryIsTold", "enquiry_is_told"),
    # Schemas of OpenAPI.
    *("Deed", "Deeds", "RehearsalDeed", "Trouble"),
    # The health page, the API and the stored imports call an outage so.
    *("AccountRuntime.trouble", "ConnectionView.trouble"),
}
"""Names that configs, programs or people rely on: they stay."""


def names_in(module: str, path: Path) -> Iterator[str]:
    """The module, and its classes, functions and methods (``Class.method``), wherever they are defined."""

    def defined(node: ast.AST, owner: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{owner}{child.name}"
                yield from defined(child, f"{child.name}." if isinstance(child, ast.ClassDef) else "")
            else:
                yield from defined(child, owner)

    yield module
    yield from defined(ast.parse(path.read_text("utf-8")), "")


def words_of(name: str) -> set[str]:
    """The words of ``snake_case`` and ``CamelCase``."""
    last = name.rpartition(".")[2]
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", last)}


RULES = {
    f"{folder}.{path.stem}": path
    for folder in ("handlers", "schedules")
    for path in sorted((ROOT / folder).glob("*.py"))
}


@pytest.mark.parametrize("module", sorted({*MODULES, *RULES}))
def test_no_name_holds_a_retired_word(module: str) -> None:
    retired = {word: terms for words, terms in RETIRED.items() for word in words.split()}
    path = (MODULES | RULES)[module]
    found = {
        name: retired[word]
        for name in names_in(module, path)
        for word in words_of(name) & retired.keys()
        if name not in PUBLISHED
    }
    assert not found, "use the terms of docs/glossary.md"


def test_every_published_exception_is_still_there() -> None:
    assert {name for module, path in (MODULES | RULES).items() for name in names_in(module, path)} >= PUBLISHED
