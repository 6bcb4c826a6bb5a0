"""A text file with its versions: written in one step, and never over somebody else's edit.

The version before is kept in a folder beside; the newest ten of a file stay.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from amo_bridge.errors import ConfigError, why_not
from amo_bridge.file_lock import file_lock
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.private_files import make_file, make_folder

KEPT = 10
CHANGED_MEANWHILE = "файл изменился, пока вы правили его: посмотрите, что в нём теперь, и повторите"
_STAMP = "%Y%m%dT%H%M%S%f"


@dataclass(frozen=True)
class Written:
    """A version of the file. ``mark`` tells one from another; empty: there is no file."""

    text: str
    mark: str


@dataclass(frozen=True)
class Backup:
    """A version that was replaced then."""

    name: str
    at: datetime


class VersionedFile:
    """``folder``: of the versions before; ``stem``: what their names begin with, the file's own if nothing is told."""

    def __init__(self, path: Path, folder: Path, stem: str = "") -> None:
        self._path = path
        self._folder = folder
        stem = stem or path.stem
        self._name = f"{stem}.{{stamp}}{path.suffix}"
        self._pattern = re.compile(rf"{re.escape(stem)}\.(\d{{8}}T\d{{12}}){re.escape(path.suffix)}")

    def read(self) -> Written:
        """The file as it is. Raises ConfigError."""
        try:
            source = self._path.read_bytes()
            return Written(text_of(source), mark_of(source))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError([f"файл {self._path} не читается: {error}"]) from error

    def read_or_none(self) -> Written:
        """The same; of a file that is not there an empty text without a mark. Raises ConfigError."""
        return self.read() if self._path.exists() else Written("", "")

    def save(self, text: str, mark: str) -> None:
        """Put the text in place of the version of this mark (empty: a new file). Raises ConfigError, also when that is
        no longer there."""
        self._change(mark, lambda before: self._replace(as_before(text, before)))

    def remove(self, mark: str) -> None:
        """Take the file away; its last version is kept. Raises ConfigError as ``save`` does."""
        self._change(mark, lambda before: self._unlink())

    def backups(self) -> list[Backup]:
        """Newest first."""
        found = [(name, told[1]) for name in self._kept() if (told := self._pattern.fullmatch(name))]
        moments = [(name, datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)) for name, stamp in found]
        return [Backup(name, at) for name, at in sorted(moments, key=lambda one: one[1], reverse=True)]

    def backup(self, name: str) -> str:
        """The text of a version before. Raises ConfigError."""
        if name not in {one.name for one in self.backups()}:
            raise ConfigError([f"прежней версии {name} нет"])
        return text_of((self._folder / name).read_bytes())

    def _kept(self) -> list[str]:
        return [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []

    def _change(self, mark: str, change: Callable[[bytes], None]) -> None:
        try:
            make_folder(self._folder)
            with file_lock(self._folder / "lock"):
                before = self._path.read_bytes() if mark or self._path.exists() else b""
                if (mark_of(before) if before or self._path.exists() else "") != mark:
                    raise ConfigError([CHANGED_MEANWHILE])
                if mark:
                    self._keep(before)
                change(before)
        except OSError as error:
            raise ConfigError([f"прежнюю версию файла не сохранить в {self._folder}: {why_not(error)}"]) from error

    def _keep(self, source: bytes) -> None:
        name = self._name.format(stamp=datetime.now(UTC).strftime(_STAMP))
        make_file(self._folder / name)
        (self._folder / name).write_bytes(source)
        for old in self.backups()[KEPT:]:
            (self._folder / old.name).unlink(missing_ok=True)

    def _replace(self, source: bytes) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                dir=self._path.parent, prefix=f".{self._path.name}"[:80] + ".", delete=False
            ) as file:
                file.write(source)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.chmod(file.name, self._path.stat().st_mode & 0o777 if self._path.exists() else 0o644)
                os.replace(file.name, self._path)
            finally:
                Path(file.name).unlink(missing_ok=True)
        except OSError as error:
            raise self._not_from_here(error) from error

    def _unlink(self) -> None:
        try:
            self._path.unlink()
        except OSError as error:
            raise self._not_from_here(error) from error

    def _not_from_here(self, error: OSError) -> ConfigError:
        return ConfigError([f"файл {self._path} отсюда не изменить ({why_not(error)}): измените его на сервере"])


def text_of(source: bytes) -> str:
    return source.decode("utf-8-sig").replace("\r\n", "\n")


def as_before(text: str, before: bytes) -> bytes:
    """With the mark at the beginning and the line ends that the file had: browsers send their own."""
    text = text.replace("\r\n", "\n")
    ends = "\r\n" if b"\r\n" in before else "\n"
    return (b"\xef\xbb\xbf" if before.startswith(b"\xef\xbb\xbf") else b"") + text.replace("\n", ends).encode()


def mark_of(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()
