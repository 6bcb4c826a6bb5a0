"""What the commands about webinars work with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from amo_bridge.cli.common import console, user_name
from amo_bridge.cli.opened import NoStore, opened
from amo_bridge.cli.russian import Stop
from amo_bridge.cli.webinar_columns import named
from amo_bridge.cli.webinar_words import show_files, show_plan
from amo_bridge.clock import SystemClock
from amo_bridge.config.model import Config
from amo_bridge.runtime.connection import known_account
from amo_bridge.web.auth.audit import Audit
from amo_bridge.webinars.formats.model import ColumnsUnknown, ExportError
from amo_bridge.webinars.imports.drafts import Drafting, Upload
from amo_bridge.webinars.imports.repository import NoSuchImport
from amo_bridge.webinars.imports.service import ImportControl

Columns = tuple[tuple[str, str], ...]


class Desk:
    """What the commands work with."""

    def __init__(
        self, config: Config, drafting: Drafting, control: ImportControl, zone: ZoneInfo, audit: Audit
    ) -> None:
        self._audit = audit
        self.config = config
        self.drafting = drafting
        self.control = control
        self.book = drafting.book
        self.zone = zone

    def write_down(self, number: int, deed: str, words: str) -> None:
        """For the page that tells who changed what."""
        who = f"{user_name()} (командная строка)"
        self._audit.write(who, f"webinar.{deed}", f"Загрузка № {number}: {words}", account=self.config.path.stem)

    def uploads(self, files: Sequence[Path]) -> list[Upload]:
        return [Upload(path.name, path.read_bytes()) for path in files]

    def show(self, files: Sequence[Path], held_on: date | None, columns: Columns) -> None:
        """The plan, on the screen. Columns that are named are remembered for all such tables."""
        uploads = self.uploads(files)
        screen = console()
        try:
            exports = self.drafting.read(uploads)
        except ColumnsUnknown as error:
            if not columns:
                raise Stop(f"{error}. Скажите так: --column почта=«название столбца» --column минуты=«…»") from error
            self.drafting.memory.remember_columns(error.signature, named(columns, error.headers))
            exports = self.drafting.read(uploads)
        before = [self.drafting.memory.loaded_by(upload.digest) for upload in uploads]
        drafts = [self.drafting.memory.same_file(upload.digest, ("draft",)) for upload in uploads]
        show_files(screen, [upload.name for upload in uploads], exports, before, drafts)
        for day, rows in self.drafting.preview(exports, held_on).items():
            show_plan(screen, day, rows, self.drafting.options)


@contextmanager
def at_work(config: Config) -> Iterator[Desk]:
    """The store of the account, with what is known of it. Ends the command in words when something is not there."""
    with opened(config) as (store, key):
        account = known_account(config, os.environ)
        if account is None:
            raise NoStore(f"мост ещё не видел аккаунт {config.account.url}: запустите его (amo-bridge serve)")
        try:
            drafting = Drafting(store, key, config, account, SystemClock())
            control = ImportControl(store, key, drafting, dry_run=config.bridge.dry_run)
            yield Desk(config, drafting, control, ZoneInfo(account.timezone), Audit(store, SystemClock()))
        except (ExportError, NoSuchImport) as error:
            raise Stop(str(error)) from error


def day(told: str | None) -> date | None:
    """Of the calendar, as people type it. Ends the command in words for what is none."""
    if told is None:
        return None
    try:
        return datetime.strptime(told, "%d.%m.%Y").date()  # noqa: DTZ007 - a day has no zone
    except ValueError as error:
        raise Stop(f"«{told}» — не дата, нужна вида 13.09.2021") from error
