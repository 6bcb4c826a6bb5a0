"""Import paths of 0.1 in an agency's own rules: they load for this release, with a warning.

``amo_bridge.rules`` has every name now. To be deleted with the next release.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

MOVED: Mapping[str, tuple[str, ...]] = {
    "amo_bridge.actions": ("amo_bridge.rules.actions",),
    "amo_bridge.card": ("amo_bridge.rules.deal",),
    "amo_bridge.config.names": ("amo_bridge.rules.option_types",),
    "amo_bridge.config.sections": ("amo_bridge.rules.option_types",),
    "amo_bridge.config.series": ("amo_bridge.rules.options",),
    "amo_bridge.date_options": ("amo_bridge.rules.ladders",),
    "amo_bridge.deal": ("amo_bridge.rules.deal",),
    "amo_bridge.due": ("amo_bridge.dates.due",),
    "amo_bridge.duration": ("amo_bridge.dates.duration",),
    "amo_bridge.every": ("amo_bridge.dates.recurrence",),
    "amo_bridge.fields": ("amo_bridge.rules.deal",),
    "amo_bridge.file_names": ("amo_bridge.text.names",),
    "amo_bridge.mails": ("amo_bridge.text.addresses",),
    "amo_bridge.names": ("amo_bridge.text.names",),
    "amo_bridge.options": (
        "amo_bridge.rules.options",
        "amo_bridge.rules.gates",
    ),
    "amo_bridge.phones": ("amo_bridge.text.addresses",),
    "amo_bridge.round_options": ("amo_bridge.rules.ladders",),
    "amo_bridge.schedule": ("amo_bridge.rules.handler",),
    "amo_bridge.service_lines": ("amo_bridge.rules.service_lines",),
    "amo_bridge.shift": ("amo_bridge.dates.offset",),
    "amo_bridge.step_options": ("amo_bridge.rules.ladders",),
    "amo_bridge.task_answers": ("amo_bridge.text.names",),
    "amo_bridge.worktime": ("amo_bridge.dates.calendar",),
    "amo_bridge.written_notes": ("amo_bridge.rules.gates",),
}
"""Old module → where its names stand now, the first that has the name."""

RENAMED: Mapping[str, str] = {
    "Deeds": "ActionsSpec",
    "Every": "Recurrence",
    "Need": "DataNeed",
    "NotRead": "NotLoaded",
    "Shift": "Offset",
    "TimedDeeds": "TimedActions",
    "in_words": "describe",
}
"""Names that changed besides. ``Unread`` of a deal is ``Missing``; that of service lines keeps its name."""


def old_imports(path: Path) -> list[tuple[int, str, str]]:
    """(line, old path, new path) of every old import in a file; empty for a file that is no Python."""
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module in MOVED:
            for alias in node.names:
                found.append((node.lineno, f"{node.module}.{alias.name}", _new_path(node.module, alias.name)))
    return sorted(found)


def _new_path(module: str, name: str) -> str:
    """«amo_bridge.rules.Deal» if the facade has it, else where it stands; the module alone for an unknown name."""
    facade = importlib.import_module("amo_bridge.rules")
    for new in MOVED[module]:
        there = _renamed(module, name)
        if hasattr(importlib.import_module(new), there):
            return f"amo_bridge.rules.{there}" if there in facade.__all__ else f"{new}.{there}"
    return MOVED[module][0]


def _renamed(module: str, name: str) -> str:
    if name == "Unread" and module == "amo_bridge.card":
        return "Missing"
    return RENAMED.get(name, name)


class _OldModules(MetaPathFinder, Loader):
    """Makes an old module: its names are looked up where they stand now."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        def look_up(name: str) -> Any:
            for new in MOVED[module.__name__]:
                there = importlib.import_module(new)
                if hasattr(there, _renamed(module.__name__, name)):
                    return getattr(there, _renamed(module.__name__, name))
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__getattr__ = look_up  # type: ignore[method-assign]


@contextmanager
def importable() -> Iterator[None]:
    """Within it the old modules can be imported; afterwards nothing of them is left."""
    finder = _OldModules()
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in MOVED:
            if sys.modules.pop(name, None) is not None:
                parent, _, tail = name.rpartition(".")
                vars(sys.modules[parent]).pop(tail, None)
