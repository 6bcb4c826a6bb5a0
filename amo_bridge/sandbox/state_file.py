"""State file: a sandbox's records between two starts, in one sqlitedict, one commit a request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlitedict import SqliteDict

Key = int | str


class StateFile:
    """Every record under ``[kind, key]``.

    All kinds share one table of the file, because sqlitedict commits table by table: a sandbox killed between two
    commits would come back with a lead that has no event.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # sqlitedict's default is pickle, which runs code from the file it reads.
        self._rows = SqliteDict(
            str(path),
            tablename="records",
            journal_mode="WAL",
            outer_stack=False,  # else every write pays for a stack trace that nobody reads
            encode=_to_json,
            decode=json.loads,
            encode_key=_to_json,
            decode_key=json.loads,
        )

    def __iter__(self) -> Iterator[tuple[str, Key, dict[str, Any]]]:
        for (kind, key), record in self._rows.items():
            yield kind, key, record

    def put(self, kind: str, key: Key, record: Mapping[str, Any]) -> None:
        self._rows[[kind, key]] = record

    def drop(self, kind: str, key: Key) -> None:
        self._rows.pop([kind, key], None)

    def commit(self) -> None:
        """Returns when the records are on disk."""
        self._rows.commit(blocking=True)

    def close(self) -> None:
        self._rows.close()


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
