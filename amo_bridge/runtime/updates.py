"""Newer versions of the bridge: the package index is asked once a day, where the config wants it.

It is a notice and no more: nothing is downloaded or installed, and whatever goes wrong is one line in the log.
"""

from __future__ import annotations

import json
import re
import threading
from datetime import timedelta
from importlib.metadata import version
from time import monotonic

import requests

from amo_bridge.clock import Clock
from amo_bridge.config.model import UpdatesSection
from amo_bridge.errors import BridgeError
from amo_bridge.logs import log
from amo_bridge.storage.accounts import UPDATE_ASKED_AT, UPDATE_SEEN, Cursors
from amo_bridge.storage.database import AccountStore

PACKAGE = "amo-bridge"
EVERY = timedelta(days=1)
TIMEOUT = (5.0, 10.0)
"""Seconds to connect, seconds between two pieces of the answer."""
LONGEST_ANSWER_SECONDS = 30.0
LARGEST_ANSWER = 8 * 1024 * 1024
PART = 10_000
_RELEASE = re.compile(r"\d{1,4}(?:\.\d{1,4}){0,2}", re.ASCII)
"""Versions of this project; a trial one («1.2rc1») is nobody's to be told of."""


class UpdateCheck:
    """Asks in a thread of its own: the worker never waits for the index."""

    def __init__(self, section: UpdatesSection, store: AccountStore, clock: Clock) -> None:
        self._section = section
        self._store = store
        self._clock = clock
        self._asking: threading.Thread | None = None

    def run(self) -> None:
        """Begin to ask if a day has passed. Raises StoreUnavailable."""
        if self._asking is not None and self._asking.is_alive():
            return
        now = self._clock.now().timestamp()
        last = Cursors(self._store).read(UPDATE_ASKED_AT)
        if last is not None and 0 <= now - last < EVERY.total_seconds():
            return
        # Written before it is asked: an index that is down is not asked every hour.
        self._keep(UPDATE_ASKED_AT, now)
        self._asking = threading.Thread(target=self._ask, name="updates", daemon=True)
        self._asking.start()

    def wait(self, seconds: float) -> None:
        """Until the asking that is under way has ended."""
        if self._asking is not None:
            self._asking.join(seconds)

    def _ask(self) -> None:
        try:
            found = newest_release(self._section.index)
            self._keep(UPDATE_SEEN, _number(found))
        except (requests.RequestException, ValueError, BridgeError) as error:
            log.warning("package index not asked", index=self._section.index, error=str(error)[:200])

    def _keep(self, name: str, value: float) -> None:
        with self._store.write() as connection:
            Cursors(self._store).write(connection, name, value)


def newest_release(index: str) -> str:
    """The newest version of this package that the index has. Raises requests.RequestException; ValueError for an answer
    that does not say it."""
    until = monotonic() + LONGEST_ANSWER_SECONDS
    body = bytearray()
    headers = {"Accept": "application/json", "User-Agent": f"{PACKAGE}/{version(PACKAGE)}"}
    with requests.get(f"{index}/pypi/{PACKAGE}/json", headers=headers, timeout=TIMEOUT, stream=True) as answer:
        answer.raise_for_status()
        for piece in answer.iter_content(64 * 1024):
            body += piece
            if len(body) > LARGEST_ANSWER or monotonic() > until:
                raise ValueError("the answer is too long")
    told = json.loads(body)
    found = told["info"]["version"] if isinstance(told, dict) and isinstance(told.get("info"), dict) else ""
    if not isinstance(found, str) or not _RELEASE.fullmatch(found):
        raise ValueError(f"no release: {str(found)[:40]!r}")
    return found


def newer_version(store: AccountStore) -> str:
    """The version to be told of; empty while ours is the newest that anybody knows. Raises StoreUnavailable."""
    seen = Cursors(store).read(UPDATE_SEEN)
    ours = _RELEASE.match(version(PACKAGE))
    if seen is None or ours is None or seen <= _number(ours[0]):
        return ""
    number = int(seen)
    return f"{number // PART**2}.{number // PART % PART}.{number % PART}"


def _number(release: str) -> float:
    """Cursors are numbers: 1.2.3 is 1 0002 0003, and a later release the larger one."""
    parts = [int(part) for part in release.split(".")] + [0, 0]
    return float(parts[0] * PART**2 + parts[1] * PART + parts[2])
