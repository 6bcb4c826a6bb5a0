"""Every row of the five documents is served or said to be missing, and the tables of docs/coverage.md say by what."""

from __future__ import annotations

import pytest
from support.coverage_table import (
    CLAUSES,
    EXAMPLES,
    ROOT,
    RULES,
    is_served,
    own_tests,
    rows,
    rules_of,
    stories_of,
    summary,
)
from support.regulation_rows import JOURNEYS, LACKS, PARTS, ROWS

SERVED = [clause for clause in CLAUSES if is_served(clause)]


@pytest.mark.parametrize("document", EXAMPLES)
def test_the_documents_table_is_what_the_config_and_the_tests_say(document: str) -> None:
    text = (ROOT / "docs" / "coverage.md").read_text("utf-8")
    begin, end = f"<!-- coverage {document}:begin -->", f"<!-- coverage {document}:end -->"
    table = text.partition(begin)[2].partition(end)[0]
    wanted = [*rows(document), "", summary(document)]
    assert table.strip().splitlines() == wanted, "python tests/support/coverage_table.py writes the tables"


@pytest.mark.parametrize("clause", CLAUSES)
def test_a_row_is_served_by_an_enabled_rule_or_a_page_or_said_to_be_missing(clause: str) -> None:
    assert is_served(clause) or clause in LACKS


@pytest.mark.parametrize("clause", SERVED)
def test_a_row_has_tests_that_are_there(clause: str) -> None:
    tests = own_tests(clause)
    assert tests
    assert all((ROOT / test).is_file() for test in tests)
    assert all((ROOT / part.code).is_file() for name, part in PARTS.items() if name == clause)


@pytest.mark.parametrize("clause", [clause for clause in SERVED if clause[0] in JOURNEYS])
def test_a_row_is_told_by_a_story(clause: str) -> None:
    assert stories_of(clause, rules_of(clause))


@pytest.mark.parametrize("document", EXAMPLES)
def test_a_rule_serves_a_row_that_the_document_has(document: str) -> None:
    named = {clause for rule in RULES[document] for clause in rule.clauses if clause[0] == document}
    assert not named - set(ROWS[document])


def test_what_is_said_of_a_row_is_said_of_one_that_is_there() -> None:
    assert not {*LACKS, *PARTS} - set(CLAUSES)
