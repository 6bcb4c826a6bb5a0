"""Every clause of documents A, M and S is served by something, and the tables of docs/coverage.md say by what."""

from __future__ import annotations

import pytest
from support.coverage_table import CLAUSES, EXAMPLES, MISSING, NOT_BY_RULES, ROOT, rows, rules_of


@pytest.mark.parametrize("document", EXAMPLES)
def test_the_documents_table_is_what_the_config_and_the_tests_say(document: str) -> None:
    text = (ROOT / "docs" / "coverage.md").read_text("utf-8")
    begin, end = f"<!-- coverage {document}:begin -->", f"<!-- coverage {document}:end -->"
    table = text.partition(begin)[2].partition(end)[0]
    assert table.strip().splitlines() == rows(document), "python tests/support/coverage_table.py prints the tables"


@pytest.mark.parametrize("clause", CLAUSES)
def test_a_clause_is_served_by_an_enabled_rule_or_a_page_or_said_to_be_missing(clause: str) -> None:
    served = any(rule.enabled for rule in rules_of(clause))
    assert served or clause in NOT_BY_RULES or clause in MISSING


@pytest.mark.parametrize("clause", [clause for clause in CLAUSES if clause not in MISSING])
def test_a_clause_has_tests_that_are_there(clause: str) -> None:
    tests = [ROOT / "tests" / one.handler.section / f"test_{one.handler.name}.py" for one in rules_of(clause)]
    tests += [ROOT / NOT_BY_RULES[clause][2]] if clause in NOT_BY_RULES else []
    assert tests
    assert all(test.is_file() for test in tests)


def test_what_is_said_to_be_missing_is_missing() -> None:
    assert not [clause for clause in MISSING if rules_of(clause)]
