"""Which part of the product serves which clause of documents A, M and S.

«python tests/support/coverage_table.py» prints the tables of docs/coverage.md.

A clause's rules are told by its document's example config, their tests by the house's names; its stories (those of the
suite and those that the demo plays) by their naming the clause or one of its rules.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from amo_bridge.config.loader import load
from amo_bridge.rules.handler import Rule

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

EXAMPLES = {
    "A": ROOT / "config.example.toml",
    "M": ROOT / "examples" / "smm.toml",
    "S": ROOT / "examples" / "remote_sales.toml",
}
"""The letter of a document and the config that is written for it."""

HEADER = ("| clause | rules | code | tests |", "|---|---|---|---|")


def _clauses(letter: str, *spans: tuple[int, int]) -> Iterator[str]:
    for first, last in spans:
        yield from (f"{letter}{number}" for number in range(first, last + 1))


OF_A = tuple(
    _clauses(
        "A", (1, 6), (10, 12), (20, 23), (30, 31), (40, 40), (50, 51), (60, 66), (70, 78), (80, 82), (90, 104),
        (110, 111), (120, 120), (123, 123),
    )
)  # fmt: skip
"""Document A but for its channels (A121, A122, A124)."""

CLAUSES = (*OF_A, *_clauses("M", (1, 17)), *_clauses("S", (1, 8)))

NOT_BY_RULES = {
    "A70": ("the services page", "amo_bridge/web/pages/services.py", "tests/web/pages/test_services.py"),
    "A120": ("the overdue report", "amo_bridge/web/pages/reports.py", "tests/web/pages/test_reports.py"),
    "A123": ("the scripts' pages", "amo_bridge/web/pages/scripts.py", "tests/web/pages/test_scripts.py"),
}
"""Clauses that a page serves, alone or beside a rule: what it is, its code, its test."""

MISSING: dict[str, str] = {
    "M9": "not there yet: advertising statistics against the norms",
    "M17": "not there yet: the monthly pay sheet; penalties are kept (`amo-bridge violations`)",
    "S1": "not there yet: KPI per manager",
    "S2": "not there yet: the daily report",
    "S3": "not there yet: acknowledgement of changed rules",
    "S8": "not there yet: Pipedrive",
}

RULES: Mapping[str, Sequence[Rule]] = {letter: load(path, {}).rules for letter, path in EXAMPLES.items()}


def rules_of(clause: str) -> list[Rule]:
    """The rules that serve a clause, by the config of its document."""
    return [rule for rule in RULES[clause[0]] if clause in rule.clauses]


def rows(letter: str) -> list[str]:
    """A document's table, a line a clause."""
    return [*HEADER, *(_row(clause, rules_of(clause)) for clause in CLAUSES if clause[0] == letter)]


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
    stories = [*(ROOT / "tests" / "stories").glob("test_*.py"), *(ROOT / "amo_bridge" / "demo").glob("stories.py")]
    found = [path for path in sorted(stories) if _mentions(path.read_text("utf-8"), clause, blocks)]
    return [str(path.relative_to(ROOT)) for path in found]


def _mentions(text: str, clause: str, blocks: Iterable[str]) -> bool:
    if any(block in text for block in blocks):
        return True
    letter, number = clause[0], int(clause[1:])
    spans = re.findall(rf"\b{letter}(\d+)(?:\s*(?:[-–—]|to)\s*{letter}?(\d+))?\b", text)
    return any(int(first) <= number <= int(last or first) for first, last in spans)


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _links(paths: Iterable[str]) -> str:
    return ", ".join(f"[{Path(path).name}](../{path})" for path in paths)


if __name__ == "__main__":
    for document in EXAMPLES:
        sys.stdout.write("\n".join([f"Document {document}", "", *rows(document), "", ""]))
