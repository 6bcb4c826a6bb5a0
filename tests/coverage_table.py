"""Which part of the product serves which clause of document A: «python tests/coverage_table.py» prints the table of
docs/coverage.md.

A clause's rules are told by the example config, their tests by the house's names; its stories (those of the suite and
those that the demo plays) by their naming the clause or one of its rules.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from amo_bridge.config.load import load  # noqa: E402 - run as a program, the checkout's own code is meant
from amo_bridge.rules import Rule  # noqa: E402

EXAMPLE = ROOT / "config.example.toml"
HEADER = ("| clause | rules | code | tests |", "|---|---|---|---|")


def _clauses(*spans: tuple[int, int]) -> Iterator[str]:
    for first, last in spans:
        yield from (f"A{number}" for number in range(first, last + 1))


CLAUSES = tuple(
    _clauses(
        (10, 12), (20, 23), (30, 31), (40, 40), (50, 51), (60, 66), (70, 78), (80, 82), (90, 104), (110, 111),
        (120, 120), (123, 123),
    )
)  # fmt: skip
"""Document A but for its channels (A1 to A6, A121, A122, A124)."""

NOT_BY_RULES = {
    "A70": ("the services page", "amo_bridge/web/pages/services.py", "tests/web/test_web_services.py"),
    "A120": ("the overdue report", "amo_bridge/web/pages/reports.py", "tests/web/test_web_reports.py"),
    "A123": ("the scripts' pages", "amo_bridge/web/pages/scripts.py", "tests/web/test_web_scripts.py"),
}
"""Clauses that a page serves, alone or beside a rule: what it is, its code, its test."""

MISSING: dict[str, str] = {}


def rows() -> list[str]:
    """The table, a line a clause."""
    rules = load(EXAMPLE, {}).rules
    return [*HEADER, *(_row(clause, [rule for rule in rules if clause in rule.clauses]) for clause in CLAUSES)]


def _row(clause: str, rules: list[Rule]) -> str:
    if clause in MISSING and not rules:
        return f"| {clause} | {MISSING[clause]} | | |"
    names = [f"`{rule.name}`" for rule in rules]
    code = _unique(f"{rule.handler.section}/{rule.handler.name}.py" for rule in rules)
    tests = _unique(f"tests/{rule.handler.section}/test_{rule.handler.name}.py" for rule in rules)
    if clause in NOT_BY_RULES:
        what, page, test = NOT_BY_RULES[clause]
        names.append(what)
        code.append(page)
        tests.append(test)
    tests += stories_of(clause, rules)
    return f"| {clause} | {', '.join(names)} | {_links(code)} | {_links(tests)} |"


def stories_of(clause: str, rules: Iterable[Rule]) -> list[str]:
    """The stories over HTTP that name the clause (alone or within a span) or one of its rules."""
    blocks = [rule.name for rule in rules]
    stories = [*(ROOT / "tests" / "stories").glob("test_*.py"), *(ROOT / "amo_bridge" / "demo").glob("story*.py")]
    found = [path for path in sorted(stories) if _mentions(path.read_text("utf-8"), clause, blocks)]
    return [str(path.relative_to(ROOT)) for path in found]


def _mentions(text: str, clause: str, blocks: Iterable[str]) -> bool:
    if any(block in text for block in blocks):
        return True
    number = int(clause[1:])
    spans = re.findall(r"\bA(\d+)(?:\s*(?:[-–—]|to)\s*A?(\d+))?\b", text)
    return any(int(first) <= number <= int(last or first) for first, last in spans)


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _links(paths: Iterable[str]) -> str:
    return ", ".join(f"[{Path(path).name}](../{path})" for path in paths)


if __name__ == "__main__":
    sys.stdout.write("\n".join(rows()) + "\n")
