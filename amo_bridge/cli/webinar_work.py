"""A worker for a command: a running bridge's if there is one, else one of the command's own while it lasts."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from amo_bridge.cli.common import tell_and_exit
from amo_bridge.config.model import Config
from amo_bridge.mirror.contacts import ContactIndex
from amo_bridge.runtime.account import Bridge
from amo_bridge.storage.accounts import RECONCILED_AT, Cursors, known_key
from amo_bridge.webinars.imports.model import STATE_WORDS
from amo_bridge.webinars.imports.repository import ACTIVE, ImportBook

LOOK_EVERY = 0.2


@contextmanager
def a_worker(config: Config, screen: Console) -> Iterator[None]:
    """Somebody works for the account meanwhile. If a bridge leads already, ours only stands by; else it first hears
    what it has missed: a plan by an old copy would take people for strangers."""
    since = time.time()
    bridge = Bridge(config, os.environ, "", role="worker")
    bridge.start()
    try:
        with screen.status("мост готовится") as status:
            while bridge.state != "ready" and not bridge.problems:
                status.update(f"мост готовится: {bridge.state}")
                time.sleep(LOOK_EVERY)
            while not (bridge.problems or _has_caught_up(bridge, since)):
                status.update("мост читает, что изменилось в amoCRM")
                time.sleep(LOOK_EVERY)
        if bridge.problems:
            tell_and_exit(bridge.problems)
        yield
    finally:
        bridge.stop()


def _has_caught_up(bridge: Bridge, since: float) -> bool:
    """Has the account been looked over since then, and are all its contacts known?"""
    store = bridge.ground.store
    key = known_key(store, bridge.config.account.url)
    if key is None:
        return False
    looked_at = Cursors(store, key).read(RECONCILED_AT) or 0.0
    return ContactIndex(store, key).is_filled and (looked_at >= since or not bridge.is_leading)


def watch(book: ImportBook, number: int, screen: Console) -> None:
    """Show how far an import is until it is over. Leaving (Ctrl+C) holds it: it goes on when somebody says so."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen) as bar:
        task = bar.add_task(f"загрузка № {number}", total=book.counts(number).all)
        while (job := book.get(number)).state in ACTIVE:
            counts = book.counts(number)
            words = f"загрузка № {number}: {STATE_WORDS[job.state]}" + (f" ({job.trouble})" if job.trouble else "")
            bar.update(task, completed=counts.settled, description=words)
            time.sleep(LOOK_EVERY)
        bar.update(task, completed=book.counts(number).settled)
