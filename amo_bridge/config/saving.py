"""The config file written anew, so that no moment exists at which it is half written, and nobody's edit is lost.

The version before is kept in ``config-backups`` of the data folder; the newest ten of a file stay.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from amo_bridge.config.load import load_text
from amo_bridge.config.model import Config
from amo_bridge.errors import ConfigError, why_not
from amo_bridge.file_lock import file_lock

FOLDER = "config-backups"
KEPT = 10
CHANGED_MEANWHILE = "файл изменился, пока вы правили его: посмотрите, что в нём теперь, и повторите"


@dataclass(frozen=True)
class Written:
    """A version of the file. ``mark`` tells one from another."""

    text: str
    mark: str


@dataclass(frozen=True)
class Backup:
    """A version that was replaced then."""

    name: str
    at: datetime


class ConfigFile:
    """``backups``: the folder of versions before."""

    def __init__(self, path: Path, data_folder: Path, environment: Mapping[str, str]) -> None:
        self._path = path
        self._folder = data_folder / FOLDER
        self._environment = environment

    def read(self) -> Written:
        """The file as it is. Raises ConfigError."""
        try:
            source = self._path.read_bytes()
            return Written(_text(source), _mark(source))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError([f"файл {self._path} не читается: {error}"]) from error

    def checked(self, text: str) -> Config:
        """The config that the text would be. Raises ConfigError with all its problems."""
        return load_text(self._path, text, self._environment)

    def save(self, text: str, mark: str) -> None:
        """Put the text in place of the version of this mark. Raises ConfigError, also when that is no longer there."""
        self.checked(text)
        self._folder.mkdir(parents=True, exist_ok=True)
        with file_lock(self._folder / "lock"):
            before = self._path.read_bytes()
            if _mark(before) != mark:
                raise ConfigError([CHANGED_MEANWHILE])
            self._keep(before)
            self._replace(_as_before(text, before))

    def backups(self) -> list[Backup]:
        """Newest first."""
        found = sorted(self._folder.glob(f"{self._path.stem}.*.toml"), reverse=True)
        return [Backup(path.name, _moment(path)) for path in found]

    def backup(self, name: str) -> str:
        """The text of a version before. Raises ConfigError."""
        if name not in {one.name for one in self.backups()}:
            raise ConfigError([f"прежней версии {name} нет"])
        return _text((self._folder / name).read_bytes())

    def _keep(self, source: bytes) -> None:
        name = f"{self._path.stem}.{datetime.now(UTC):%Y%m%dT%H%M%S%f}.toml"
        (self._folder / name).write_bytes(source)
        for old in self.backups()[KEPT:]:
            (self._folder / old.name).unlink(missing_ok=True)

    def _replace(self, source: bytes) -> None:
        try:
            with tempfile.NamedTemporaryFile(
                dir=self._path.parent, prefix=f".{self._path.name}.", delete=False
            ) as file:
                file.write(source)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.chmod(file.name, self._path.stat().st_mode & 0o777)
                os.replace(file.name, self._path)
            finally:
                Path(file.name).unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(
                [f"файл {self._path} отсюда не изменить ({why_not(error)}): измените его на сервере"]
            ) from error


def _text(source: bytes) -> str:
    return source.decode("utf-8-sig").replace("\r\n", "\n")


def _as_before(text: str, before: bytes) -> bytes:
    """With the mark at the beginning and the line ends that the file had: browsers send their own."""
    text = text.replace("\r\n", "\n")
    ends = "\r\n" if b"\r\n" in before else "\n"
    return (b"\xef\xbb\xbf" if before.startswith(b"\xef\xbb\xbf") else b"") + text.replace("\n", ends).encode()


def _mark(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()


def _moment(path: Path) -> datetime:
    return datetime.strptime(path.name.split(".")[-2], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
