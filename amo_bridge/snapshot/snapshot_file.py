"""The snapshot's file: JSON lines, gzipped. The first line tells of the whole, every other one is a row of a list.

It holds the agency's clients (unless masked), so nobody but its owner may read it; it is whole, or not there.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from amo_bridge.errors import BridgeError
from amo_bridge.snapshot.known import NOTHING, Known

FORMAT = 1
Row = dict[str, Any]


class SnapshotRefused(BridgeError):
    """The file can't be written, or is no snapshot; the text says why (Russian)."""


@dataclass(frozen=True)
class Head:
    """``account``: what crm/account_reading gathered; ``known``: what snapshot/known.py recalled."""

    url: str
    taken_at: datetime
    is_masked: bool
    account: Row
    known: Known


def write(path: Path, head: Head, rows: Iterable[tuple[str, Row]]) -> int:
    """Write a new file; how many rows. Raises SnapshotRefused, OSError, and what reading ``rows`` raises."""
    about = {
        "format": FORMAT,
        "url": head.url,
        "taken_at": head.taken_at.isoformat(),
        "is_masked": head.is_masked,
        "account": head.account,
        "known": head.known,
    }
    count = 0
    with _new_file(path) as file:
        file.write(_line(about))
        for kind, row in rows:
            file.write(_line([kind, row]))
            count += 1
    return count


def read(path: Path) -> tuple[Head, Iterator[tuple[str, Row]]]:
    """The head, and the rows as they are asked for. Raises SnapshotRefused."""
    lines = _lines(path)
    about = next(lines, None)
    if not isinstance(about, dict) or "account" not in about:
        raise SnapshotRefused(f"{path} — не снимок аккаунта: сделайте его командой amo-bridge snapshot")
    if about.get("format") != FORMAT:
        raise SnapshotRefused(
            f"{path} — снимок другого вида ({about.get('format')}): сделайте новый этой версией моста"
        )
    head = Head(
        url=str(about["url"]),
        taken_at=datetime.fromisoformat(about["taken_at"]),
        is_masked=bool(about["is_masked"]),
        account=about["account"],
        known={**NOTHING, **about["known"]},
    )
    return head, ((kind, row) for kind, row in lines)


def _lines(path: Path) -> Iterator[Any]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)
    except FileNotFoundError as error:
        raise SnapshotRefused(f"файла {path} нет") from error
    except (OSError, EOFError, ValueError) as error:
        raise SnapshotRefused(f"снимок {path} не читается: {error}") from error


@contextmanager
def _new_file(path: Path) -> Iterator[gzip.GzipFile]:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise SnapshotRefused(f"файл {path} уже есть: назовите новый") from error
    try:
        with os.fdopen(descriptor, "wb") as raw:
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6) as file:
                yield file
            raw.flush()
            os.fsync(raw.fileno())
    except BaseException:
        path.unlink()
        raise


def _line(told: object) -> bytes:
    return (json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
