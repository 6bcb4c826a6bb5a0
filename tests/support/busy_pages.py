"""Pages of a busy account, and the statements that all of them ask the store."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine.interfaces import CacheStats

from amo_bridge.config.loader import load
from amo_bridge.storage.database import Store
from amo_bridge.web.auth.users import Role
from bench.large_store import SECTIONS, LargeStore, Size, addresses
from support.api_client import Program
from support.pages import NOWHERE, Pages, agency
from support.running_bridge import EXAMPLE

Statements = dict[str, tuple[str, Any]]
"""A statement as ``shortened`` → it as it was asked, and with what."""
MARK = re.compile(r"%\(\w+\)s(?:::\w+)?")
LIST = re.compile(r"\(\?(?:, \?)*\)")
ROWS = re.compile(r"VALUES \(\?\)(?:, \(\?\))*")


def busy_pages(folder: Path, size: Size, environment: Mapping[str, str] | None = None) -> Pages:
    path = folder / "config.toml"
    path.write_text(EXAMPLE.read_text("utf-8").replace("https://example.amocrm.ru", NOWHERE) + SECTIONS, "utf-8")
    pages = Pages.of(load(path, environment or {}))
    pages.meet_account()
    pages.know_account(agency())
    here = pages.account
    rules = tuple(rule.name for rule in here.config.rules)
    LargeStore(here.account_store, agency(), rules, here.clock.now()).fill(size)
    return pages


@contextmanager
def statements_of(store: Store) -> Iterator[Statements]:
    """What is read meanwhile."""
    seen: Statements = {}

    def listen(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        if statement.startswith(("SELECT", "WITH")):
            seen.setdefault(shortened(statement), (statement, parameters))

    event.listen(store.engine, "before_cursor_execute", listen)
    try:
        yield seen
    finally:
        event.remove(store.engine, "before_cursor_execute", listen)


@contextmanager
def compiled_each_time(store: Store) -> Iterator[set[str]]:
    """The statements asked meanwhile that SQLAlchemy can't keep compiled: that costs more than asking them."""
    seen: set[str] = set()

    def listen(_: object, __: object, statement: str, ___: object, context: Any, ____: object) -> None:
        if getattr(context, "cache_hit", None) is CacheStats.NO_CACHE_KEY and context.compiled is not None:
            seen.add(shortened(statement))

    event.listen(store.engine, "before_cursor_execute", listen)
    try:
        yield seen
    finally:
        event.remove(store.engine, "before_cursor_execute", listen)


def shortened(statement: str) -> str:
    """Values as question marks, whatever the database; of a list and of rows one."""
    plain = MARK.sub("?", re.sub(r"\s+", " ", statement))
    return ROWS.sub("VALUES (?)", LIST.sub("(?)", plain))


def ask_everything(pages: Pages) -> list[str]:
    """Every page and API door; returns the addresses that failed."""
    admin, program = pages.visit(Role.ADMIN), Program(pages, Role.ADMIN)
    failed = []
    for _, address in addresses(pages.app):
        in_api = address.startswith("/api/v1/")
        answer = program.ask("GET", address.removeprefix("/api/v1")) if in_api else admin.get(address)
        failed += [address] if answer.status_code == 500 else []
    return failed
