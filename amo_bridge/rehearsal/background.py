"""Process of a rehearsal from a page: ``-m amo_bridge.rehearsal.background CONFIG NUMBER``.

The leader starts it (runtime/rehearsal_jobs.py) and holds its stdin: when that is closed, nobody wants the rehearsal
any more, and the process ends at once. What it finds out goes into the store. amoCRM is only read, within the rate
limit that all processes of the account share.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from amo_bridge import logs
from amo_bridge.clock import SystemClock
from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.crm.responses import describe
from amo_bridge.engine.forecast import Upcoming
from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.logs import log
from amo_bridge.rehearsal.known_state import recall
from amo_bridge.rehearsal.results import day_title
from amo_bridge.rehearsal.simulation import rehearsing
from amo_bridge.rehearsal.snapshot import Source, from_account
from amo_bridge.runtime.connection import Connection
from amo_bridge.runtime.rehearsal_jobs import Rehearsal, Rehearsals
from amo_bridge.runtime.startup import known_fit
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore, Store

MEMORY = 3 * 1024**3
POLITENESS = 10
MOST_ROWS = 30_000
"""Deals, people and tasks together; the command takes as many as there are."""
TOLD_EVERY = 1.0
# Copying the account is the first part of the bar, playing the rest.
COPIED = 0.3
KINDS = {"companies": "компаний", "contacts": "контактов", "leads": "сделок", "tasks": "задач"}

Tell = Callable[[float, str], None]


class TooLarge(BridgeError):
    """The account is too large for a page's rehearsal; the text says what to do (Russian)."""


class NotWanted(Exception):
    """Somebody has stopped it."""


def main(arguments: Sequence[str]) -> None:
    logs.set_up(logging.WARNING)
    threading.Thread(target=_end_with_the_leader, daemon=True).start()
    _be_modest()
    config = load(Path(arguments[0]))
    store = Store.at(config.bridge.database, config.data_folder)
    try:
        key = known_key(store, config.account.url)
        assert key is not None, "the leader has met the account"
        rehearse(known_fit(config, os.environ, store).working, AccountStore(store, key), int(arguments[1]))
    finally:
        store.close()


def rehearse(config: Config, store: AccountStore, number: int) -> None:
    """Play the rehearsal of this number and write down what came of it, or why nothing did. Raises StoreUnavailable."""
    book = Rehearsals(store, SystemClock())
    try:
        book.finish(number, _played(config, store, book.get(number), _teller(book, number)))
    except NotWanted:
        log.warning("rehearsal stopped", number=number)
    except (BridgeError, ConfigError, OSError) as error:
        book.fail(number, describe(error))


def _played(config: Config, store: AccountStore, asked: Rehearsal, tell: Tell) -> list[dict[str, Any]]:
    tell(0.0, "Читается аккаунт")
    source = _copied(config, store, asked.deal_id, tell)
    zone, begin, span = ZoneInfo(source.timezone), source.taken_at, timedelta(days=asked.days)

    def progress(moment: datetime) -> None:
        tell(COPIED + (1 - COPIED) * ((moment - begin) / span), f"На копии {day_title(moment, zone)}")

    tell(COPIED, "Правила знакомятся с копией")
    with (
        tempfile.TemporaryDirectory(prefix="amo-bridge-rehearsal-") as folder,
        rehearsing(config, source.world, Path(folder), begin, source.known, days=asked.days) as play,
    ):
        play.until(begin + span, progress)
        deeds = play.actions(asked.deal_id)
    names = source.deal_names()
    return [deed.to_json(zone, names) for deed in deeds]


def _copied(config: Config, store: AccountStore, deal_id: int | None, tell: Tell) -> Source:
    """By amoCRM's clock, as the worker heard it last."""
    now = Upcoming(store, (), SystemClock()).now()
    client = Connection(config, os.environ, store.store).client()
    read: dict[str, int] = {}

    def progress(kind: str, rows: int) -> None:
        read[kind] = rows
        if sum(read.values()) > MOST_ROWS:
            raise TooLarge(
                f"в аккаунте больше {MOST_ROWS} записей: возьмите одну сделку, "
                "а весь аккаунт репетируйте командой amo-bridge rehearse"
            )
        tell(COPIED * sum(read.values()) / MOST_ROWS, f"Читается аккаунт: {KINDS[kind]} {rows}")

    return from_account(client, now, recall(store, now, deal_id), deal_id, progress=progress)


def _teller(book: Rehearsals, number: int) -> Tell:
    """Tells the store now and then. Raises NotWanted."""
    told_at = 0.0

    def tell(share: float, doing: str) -> None:
        nonlocal told_at
        if monotonic() - told_at < TOLD_EVERY:
            return
        told_at = monotonic()
        if not book.tell(number, min(max(share, 0.0), 1.0), doing):
            raise NotWanted

    return tell


def _end_with_the_leader() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _be_modest() -> None:
    """The bridge itself comes first, and what asks for too much memory dies alone."""
    os.nice(POLITENESS)
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(sys.argv[1:])
