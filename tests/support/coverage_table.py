"""Which part of the product serves which row of documents A, M, W, S and C.

«python tests/support/coverage_table.py» writes the tables into docs/coverage.md.

A row's rules are told by its document's example config, their tests by the house's names; its stories (those of the
suite and those that the demo plays) by their naming the row or one of its rules. What is no rule, and what a row lacks,
is told by support/regulation_rows.py.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from amo_bridge.config.loader import load  # noqa: E402
from amo_bridge.rules.handler import Rule  # noqa: E402
from support.regulation_rows import LACKS, PARTS, ROWS  # noqa: E402

EXAMPLES = {
    "A": ROOT / "config.example.toml",
    "M": ROOT / "examples" / "smm.toml",
    "W": ROOT / "examples" / "webinar.toml",
    "S": ROOT / "examples" / "remote_sales.toml",
    "C": ROOT / "examples" / "client_department.toml",
}
"""The letter of a document and the config that is written for it."""

CLAUSES = tuple(clause for letter in EXAMPLES for clause in ROWS[letter])

HEADER = ("| row | rules | code | tests | not there yet |", "|---|---|---|---|---|")

RULES: Mapping[str, Sequence[Rule]] = {letter: load(path, {}).rules for letter, path in EXAMPLES.items()}


def rules_of(clause: str) -> list[Rule]:
    """The rules that serve a row, by the config of its document."""
    return [rule for rule in RULES[clause[0]] if clause in rule.clauses]


def is_served(clause: str) -> bool:
    """Is there at least a part of it?"""
    return clause in PARTS or any(rule.enabled for rule in rules_of(clause))


def rows(letter: str) -> list[str]:
    """A document's table, a line a row."""
    return [*HEADER, *map(_row, ROWS[letter])]


def summary(letter: str) -> str:
    """How much of a document is there, in a line."""
    whole = sum(is_served(clause) and clause not in LACKS for clause in ROWS[letter])
    partly = sum(is_served(clause) and clause in LACKS for clause in ROWS[letter])
    return f"{len(ROWS[letter])} rows: {whole} whole, {partly} partly, {len(ROWS[letter]) - whole - partly} not there."


def _row(clause: str) -> str:
    rules = rules_of(clause)
    names = [f"`{rule.name}`" for rule in rules]
    code = [f"{rule.handler.section}/{rule.handler.name}.py" for rule in rules]
    if clause in PARTS:
        names.append(PARTS[clause].what)
        code.append(PARTS[clause].code)
    tests = [*own_tests(clause), *(stories_of(clause, rules) if is_served(clause) else ())]
    return f"| {clause} | {', '.join(names)} | {_links(code)} | {_links(tests)} | {LACKS.get(clause, '')} |"


def own_tests(clause: str) -> list[str]:
    """The tests of the code that serves it."""
    tests = [f"tests/{rule.handler.section}/test_{rule.handler.name}.py" for rule in rules_of(clause)]
    return [*tests, PARTS[clause].test] if clause in PARTS else tests


def stories_of(clause: str, rules: Iterable[Rule]) -> list[str]:
    """The stories over HTTP that name the row (alone or within a span) or one of its rules."""
    blocks = [rule.name for rule in rules]
    stories = [*(ROOT / "tests" / "stories").glob("test_*.py"), *(ROOT / "amo_bridge" / "demo").glob("*.py")]
    found = [path for path in sorted(stories) if _mentions(path.read_text("utf-8"), clause, blocks)]
    return [str(path.relative_to(ROOT)) for path in found]


def _mentions(text: str, clause: str, blocks: Iterable[str]) -> bool:
    if any(block in text for block in blocks):
        return True
    letter, number = clause[0], int(clause[1:])
    spans = re.findall(rf"\b{letter}(\d+)(?:\s*(?:[-–—]|to)\s*{letter}?(\d+))?\b", text)
    return any(int(first) <= number <= int(last or first) for first, last in spans)


def _links(paths: Iterable[str]) -> str:
    return ", ".join(f"[{Path(path).name}](../{path})" for path in dict.fromkeys(paths))


if __name__ == "__main__":
    page = ROOT / "docs" / "coverage.md"
    text = page.read_text("utf-8")
    for document in EXAMPLES:
        begin, end = f"<!-- coverage {document}:begin -->", f"<!-- coverage {document}:end -->"
        head, tail = text.partition(begin)[0], text.partition(end)[2]
        text = "\n".join([f"{head}{begin}", *rows(document), "", summary(document), f"{end}{tail}"])
    page.write_text(text, "utf-8")
