"""Config reload: a good new version of the file takes over at once, a broken one changes nothing.

What stands in ``[account]`` and a few keys of ``[bridge]`` (where the data is, where hooks are sent) is settled at the
start and needs a restart; everything else counts at once. A process whose own code was replaced on the disk takes no
version: a kind of rule that it has not imported yet would be the new release's, in an old engine.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Protocol

import amo_bridge
from amo_bridge.clock import Clock
from amo_bridge.config.diagnostics import text_of
from amo_bridge.config.intake import INTAKE_PREFIX
from amo_bridge.config.loader import load_text
from amo_bridge.config.model import Config
from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.rules.registry import shipped_folder

# To ask a file's date once a second costs nothing to speak of.
LOOK_EVERY = 1.0
SETTLED_KEYS = ("public_url", "data", "database")
# A broken file may be good without being touched: when amoCRM answers again, or knows the field. And a page of another
# process may have kept a secret.
TRY_AGAIN = 30.0
OTHER_CODE = (
    "файлы моста на диске сменились, а работает он по прежним: "
    "конфиг вступит в силу после перезапуска (amo-bridge serve)"
)


@dataclass(frozen=True)
class FileState:
    """What became of the file as it is now. ``problems`` (Russian): why it is not in force; none: it is.
    ``needs_restart``: what of it will count only after a restart. ``since``: when that was found out."""

    since: datetime
    problems: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()


class Reader(Protocol):
    """Whose config it is."""

    @property
    def config(self) -> Config: ...

    def misfits(self, config: Config) -> list[str]:
        """Names in it that the account does not know. Raises BridgeError while that can't be said."""

    def secrets_changed(self) -> bool:
        """Are the secrets that pages keep others than those in force? They are read anew."""

    def take_config(self, config: Config) -> None:
        """It is in force from now on."""


class ConfigWatch:
    def __init__(
        self,
        reader: Reader,
        environment: Mapping[str, str],
        clock: Clock,
        *,
        look_every: float = LOOK_EVERY,
        problems: Sequence[str] = (),
    ) -> None:
        """``problems``: what is wrong with the file already at the start; then no version of it is in force."""
        self._reader = reader
        self._environment = environment
        self._clock = clock
        self._look_every = look_every
        self._path: Path = reader.config.path
        _code_at_start()
        self._stamp = _stamp(self._path)
        self._digest = digest_of(self._path)
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="config", daemon=True)
        self._try_again_at = 0.0
        self.state = FileState(clock.now(), tuple(problems))
        if problems:
            # None of the file's versions is in force.
            self._digest = ""

    @property
    def mark_in_force(self) -> str:
        """Of the version of the file that the bridge works by, as config/files.py marks versions."""
        return self._digest

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._bell.set()
        if self._thread.ident is not None:
            self._thread.join(30)

    def look(self, *, again: bool = False) -> FileState:
        """Look now: what has been written a moment ago is in force when this returns, or it is told why not.
        ``again``: also if the file has not changed; it may be good by now, or a page may have kept a secret."""
        with self._lock:
            stamp = _stamp(self._path)
            if stamp != self._stamp or again or monotonic() > self._try_again_at:
                self._stamp = stamp
                self._try_again_at = monotonic() + TRY_AGAIN
                self._look_inside()
            return self.state

    def _look_inside(self) -> None:
        digest = digest_of(self._path)
        if digest == self._digest and not self.state.problems and not self._reader.secrets_changed():
            return
        try:
            if _code_stamp() != _code_at_start():
                raise ConfigError([OTHER_CODE])
            config = load_text(self._path, text_of(self._path), self._environment)
            problems = self._reader.misfits(config)
        except ConfigError as error:
            problems = error.problems
        except BridgeError as error:
            problems = [f"имена не сверены с аккаунтом: {error}"]
        if problems:
            if problems != list(self.state.problems):
                log.error("config is broken, the last good one stays", problems=problems)
                self.state = FileState(self._clock.now(), tuple(problems))
            return
        self._digest = digest
        settled, needs_restart = _settled(config, self._reader.config)
        self._reader.take_config(settled)
        self.state = FileState(self._clock.now(), needs_restart=needs_restart)
        log.info("config taken", rules=sum(rule.enabled for rule in config.rules), needs_restart=list(needs_restart))

    def _run(self) -> None:
        while not self._stopping:
            self._bell.wait(self._look_every)
            self._bell.clear()
            if not self._stopping:
                self._try_to_look()

    def _try_to_look(self) -> None:
        try:
            self.look()
        except Exception as error:  # noqa: BLE001 - a watch that died would never tell of the next version
            log.error("config not looked at", error=repr(error))


def _settled(new: Config, old: Config) -> tuple[Config, tuple[str, ...]]:
    """The new config with what can't be changed at work left as it is, and what that is."""
    differing = ["[account]"] if new.account != old.account else []
    kept = {key: getattr(old.bridge, key) for key in SETTLED_KEYS}
    differing += [f"[bridge] {key}" for key, value in kept.items() if getattr(new.bridge, key) != value]
    intake, prefix = new.intake, old.intake.prefix if old.intake else INTAKE_PREFIX
    if intake and intake.prefix != prefix:
        differing.append("[intake] prefix")
        intake = intake.model_copy(update={"prefix": prefix})
    bridge = new.bridge.model_copy(update=kept)
    return replace(new, account=old.account, bridge=bridge, intake=intake), tuple(differing)


def digest_of(path: Path) -> str:
    """Of what is in the file; empty while it can't be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _code_stamp() -> frozenset[tuple[str, int, int]]:
    """Differs when a file of the bridge's code was changed, came or went."""
    folders = [amo_bridge.__path__[0], str(shipped_folder("handlers")), str(shipped_folder("schedules"))]
    found = set()
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders.append(entry.path)
                elif entry.name.endswith(".py"):
                    state = entry.stat()
                    found.add((entry.path, state.st_mtime_ns, state.st_size))
    return frozenset(found)


_code_at_start = cache(_code_stamp)


def _stamp(path: Path) -> tuple[int, ...]:
    """Differs when the file was written or put in place of another; empty while there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_size, found.st_ino)
