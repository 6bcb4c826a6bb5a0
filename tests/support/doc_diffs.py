"""A page of docs, followed on a copy of the package: its diffs are applied, its commands are run there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from support.doc_files import ROOT, fences

COPIED = ("amo_bridge", "handlers", "schedules", "letters", "tests/support")
NEEDED = ("pyproject.toml", "config.example.toml", "tests/conftest.py")


def changes(page: Path) -> Iterator[tuple[str, str, str]]:
    """(file, what stands there, what is to stand there) of every hunk on the page."""
    for block in fences(page, "diff"):
        head, *hunks = block.split("@@\n")
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            yield head.removeprefix("+++ ").strip(), before, after


def changed_files(page: Path) -> list[str]:
    """The files that the page changes."""
    return sorted({name for name, _, _ in changes(page)})


def changed_copy(page: Path, folder: Path) -> None:
    """Put the package into the folder as somebody has it who followed the page's diffs."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in NEEDED:
        shutil.copy(ROOT / name, folder / name)
    for name, before, after in changes(page):
        path = folder / name
        text = path.read_text("utf-8")
        assert text.count(before) == 1, f"{name} has not this once:\n{before}"
        path.write_text(text.replace(before, after), "utf-8")


def run_in(folder: Path, *command: str) -> None:
    """Run a module of Python in the copy; it has to succeed."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_tidy_and_tested(folder: Path, files: list[str], test: str) -> None:
    """The files and the test are well formatted, and the test passes."""
    run_in(folder, "ruff", "check", *files, test)
    run_in(folder, "ruff", "format", "--check", *files, test)
    run_in(folder, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", test)
