"""docs/add-an-action.md is followed on a copy of the package: its changes apply, are tidy, and its test passes."""

from __future__ import annotations

from pathlib import Path

from support.doc_diffs import changed_copy, changed_files, run_tidy_and_tested
from support.doc_files import ROOT, fences

PAGE = ROOT / "docs" / "add-an-action.md"
MOST_FILES = 4
TEST = "tests/test_add_contact_note.py"


def test_an_action_touches_few_files() -> None:
    assert 0 < len(changed_files(PAGE)) <= MOST_FILES


def test_the_page_can_be_followed(tmp_path: Path) -> None:
    changed_copy(PAGE, tmp_path)
    (test,) = fences(PAGE, "python")
    (tmp_path / TEST).write_text(test, "utf-8")
    run_tidy_and_tested(tmp_path, changed_files(PAGE), TEST)
