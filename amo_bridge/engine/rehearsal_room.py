"""The leader's side of rehearsals that pages ask for: one at a time, each in a process of its own.

A rehearsal reads the whole account and computes for minutes: beside the thread that answers amoCRM's hooks that would
cost hooks. The process is of low priority, has a limit of memory and of time, and ends when the bridge does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from time import monotonic

import structlog

from amo_bridge.config.model import Config
from amo_bridge.engine.rehearsals import Rehearsals, State

log = structlog.get_logger()
PLAYER = "amo_bridge.rehearsal.background"
OURS = "AMO_BRIDGE_"
MOST_SECONDS = 20 * 60
TOO_LONG = (
    f"не уложилась в {MOST_SECONDS // 60} минут: возьмите меньше дней или одну сделку, "
    "а весь аккаунт репетируйте командой amo-bridge rehearse"
)
BROKEN_OFF = "прервана: мост перезапустили или изменили настройку; начните заново"
DIED = "сорвалась: процесс репетиции умер (причина — в его журнале); возьмите меньше дней или одну сделку"
# Of several accounts in this process one rehearses, the others wait.
_room = threading.Lock()


class RehearsalRoom:
    """``look`` is the leader's chore: begin what is asked for, end what is over. ``leave`` when the leading ends."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._playing: _Playing | None = None

    def enter(self, book: Rehearsals, config: Config) -> None:
        """A term of leading begins: what another one was playing is lost. Raises StoreUnavailable."""
        self._book, self._config = book, config
        book.fail_those_left(BROKEN_OFF)

    def look(self) -> None:
        """Raises StoreUnavailable; the next look goes on."""
        if self._playing is not None:
            self._see_to(self._playing)
        elif (asked := self._book.waiting()) is not None and _room.acquire(blocking=False):
            self._playing = _Playing(asked.number, self._config, self._environment)
            if self._book.begin(asked.number):
                self._playing.start()
            else:
                self._end()

    def leave(self) -> None:
        """Whatever is played is broken off; the next term says so."""
        if self._playing is not None:
            self._end()

    def _see_to(self, playing: _Playing) -> None:
        state: State = self._book.get(playing.number).state
        if playing.is_over:
            self._book.fail(playing.number, DIED)
        elif playing.seconds > MOST_SECONDS:
            self._book.fail(playing.number, TOO_LONG)
        elif state == "running":
            return
        self._end()

    def _end(self) -> None:
        playing, self._playing = self._playing, None
        try:
            if playing is not None:
                playing.end()
        finally:
            _room.release()


class _Playing:
    """The process that plays one rehearsal. It watches its stdin: when that is closed, it ends."""

    def __init__(self, number: int, config: Config, environment: Mapping[str, str]) -> None:
        self.number = number
        self._config = config
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._began_at = monotonic()

    def start(self) -> None:
        """The account and the store are those of this bridge, whatever the config's file says by now."""
        config = self._config
        # Of several accounts in this process each has an environment of its own: another one's token is not its token.
        machine = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        told = {
            **machine, **self._environment, "AMO_BRIDGE_ACCOUNT_URL": config.account.url,
            "AMO_BRIDGE_DATA": str(config.data_folder), "AMO_BRIDGE_DATABASE": config.bridge.database,
        }  # fmt: skip
        command = [sys.executable, "-m", PLAYER, str(config.path), str(self.number)]
        self._process = subprocess.Popen(command, env=told, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        log.info("rehearsal begins", number=self.number)

    @property
    def is_over(self) -> bool:
        return self._process is None or self._process.poll() is not None

    @property
    def seconds(self) -> float:
        return monotonic() - self._began_at

    def end(self) -> None:
        """It has ended, or is made to."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        log.info("rehearsal ended", number=self.number)
