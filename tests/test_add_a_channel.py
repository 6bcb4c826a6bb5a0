"""docs/add-a-channel.md is followed on a copy of the package: an invented vendor of SMS is connected and tested."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.doc_diffs import changed_copy, changed_files, run_tidy_and_tested
from support.doc_files import ROOT, fences

PAGE = ROOT / "docs" / "add-a-channel.md"
MOST_FILES = 3
VENDOR, TEST = "amo_bridge/channels/smsgate.py", "tests/test_smsgate.py"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package as somebody has it who followed the page."""
    changed_copy(PAGE, tmp_path)
    vendor, test = fences(PAGE, "python")
    (tmp_path / VENDOR).write_text(vendor, "utf-8")
    (tmp_path / TEST).write_text(test, "utf-8")
    return tmp_path


def test_a_vendor_touches_three_files_at_most() -> None:
    table = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(("| [", "| `"))]
    assert len(table) == len({*changed_files(PAGE), VENDOR}) <= MOST_FILES


def test_the_page_can_be_followed(copy: Path) -> None:
    run_tidy_and_tested(copy, [*changed_files(PAGE), VENDOR], TEST)
