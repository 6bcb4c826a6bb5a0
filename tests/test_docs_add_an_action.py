"""docs/add-an-action.md is followed on a copy of the package: its changes apply, are tidy, and its test passes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.doc_files import ROOT, fences

PAGE = ROOT / "docs" / "add-an-action.md"
MOST_FILES = 4
COPIED = ("amo_bridge", "handlers", "schedules", "letters", "tests/support")
NEEDED = ("pyproject.toml", "config.example.toml", "tests/conftest.py")


def changes() -> Iterator[tuple[str, str, str]]:
    """(file, what stands there, what is to stand there) of every hunk on the page."""
    for block in fences(PAGE, "diff"):
        head, *hunks = block.split("@@\n")
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            yield head.removeprefix("+++ ").strip(), before, after


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package as somebody has it who followed the page."""
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in NEEDED:
        shutil.copy(ROOT / name, tmp_path / name)
    for name, before, after in changes():
        path = tmp_path / name
        text = path.read_text("utf-8")
        assert text.count(before) == 1, f"{name} has not this once:\n{before}"
        path.write_text(text.replace(before, after), "utf-8")
    (test,) = fences(PAGE, "python")
    (tmp_path / "tests" / "test_add_contact_note.py").write_text(test, "utf-8")
    return tmp_path


def run(copy: Path, *command: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_action_touches_few_files() -> None:
    assert len({name for name, _, _ in changes()}) <= MOST_FILES


def test_the_page_can_be_followed(copy: Path) -> None:
    files = sorted({name for name, _, _ in changes()})
    run(copy, "ruff", "check", *files, "tests/test_add_contact_note.py")
    run(copy, "ruff", "format", "--check", *files, "tests/test_add_contact_note.py")
    run(copy, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "tests/test_add_contact_note.py")
