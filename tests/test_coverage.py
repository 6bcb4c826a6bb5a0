"""Every clause of document A is served by something, and the table of docs/coverage.md says by what."""

from __future__ import annotations

import pytest
from coverage_table import CLAUSES, EXAMPLE, MISSING, NOT_BY_RULES, ROOT, rows

from amo_bridge.config.load import load

RULES = load(EXAMPLE, {}).rules


def test_the_documents_table_is_what_the_config_and_the_tests_say() -> None:
    text = (ROOT / "docs" / "coverage.md").read_text("utf-8")
    table = text.partition("<!-- coverage:begin -->")[2].partition("<!-- coverage:end -->")[0]
    assert table.strip().splitlines() == rows(), "python tests/coverage_table.py prints the table"


@pytest.mark.parametrize("clause", CLAUSES)
def test_a_clause_is_served_by_an_enabled_rule_or_a_page_or_said_to_be_missing(clause: str) -> None:
    served = any(rule.enabled and clause in rule.clauses for rule in RULES)
    assert served or clause in NOT_BY_RULES or clause in MISSING


@pytest.mark.parametrize("clause", [clause for clause in CLAUSES if clause not in MISSING])
def test_a_clause_has_tests_that_are_there(clause: str) -> None:
    rules = [rule for rule in RULES if clause in rule.clauses]
    tests = [ROOT / "tests" / rule.handler.section / f"test_{rule.handler.name}.py" for rule in rules]
    tests += [ROOT / NOT_BY_RULES[clause][2]] if clause in NOT_BY_RULES else []
    assert tests
    assert all(test.is_file() for test in tests)


def test_what_is_said_to_be_missing_is_missing() -> None:
    assert not [clause for clause in MISSING if any(clause in rule.clauses for rule in RULES)]
