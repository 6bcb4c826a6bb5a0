"""The port of the document storage: each file of a deal is copied into the deal's folder, once.

A file is downloaded from amoCRM to this server's disk first, whole and counted, and uploaded from there: so a broken
download never becomes a broken copy. Which copy goes where is written into ``stored_files`` before the upload.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from sqlalchemy import Row, select, update
from sqlalchemy.engine import Connection

from amo_bridge.channels.port import Job, LostAnswer, NotSent, Outcome, Port, Sent
from amo_bridge.channels.storage_services import (
    DealFolder,
    LocalCopy,
    NameTaken,
    StorageService,
    safe_name,
    versioned,
)
from amo_bridge.clock import Clock
from amo_bridge.config.channels import StorageSection
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.files import FileTooLarge, download_file, file_ids_of_deal, files_by_ids
from amo_bridge.crm.reads import deals_by_ids
from amo_bridge.crm.records import DealRecord, api_text, integer
from amo_bridge.engine.alerts import Alerts
from amo_bridge.engine.effects import Channel, Effect
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.errors import (
    ChannelBusy,
    ChannelDown,
    ChannelRefused,
    CrmError,
    CrmForbidden,
    CrmRefused,
    CrmStopped,
    CrmTemporary,
    UnknownName,
    why_not,
)
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.private_files import make_folder
from amo_bridge.rules.actions import SetFields
from amo_bridge.rules.deal import Deal
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.tables import deal_folders, stored_files
from amo_bridge.text.names import is_named, starts_with

MEGABYTE = 1 << 20
MOST_VERSIONS = 1000
FRESH_LINKS = 3
NO_RIGHT = (
    "у токена amoCRM нет права на файлы: выдайте его интеграции (раздел «Файлы») и повторите на странице «Не выполнено»"
)


@dataclass(frozen=True)
class SourceFile:
    """A file of amoCRM's, as the files service describes it now."""

    uuid: str
    version: str
    name: str
    size: int
    at: float
    row: Mapping[str, Any]

    @classmethod
    def of(cls, row: Mapping[str, Any], told_name: str) -> SourceFile:
        name = api_text(row.get("name")) or told_name
        metadata = row.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        extension = api_text(metadata.get("extension"))
        if extension and not name.casefold().endswith(f".{extension.casefold()}"):
            name = f"{name}.{extension}"
        at = integer(row.get("updated_at")) or integer(row.get("created_at")) or 0
        uuid, version = str(row["uuid"]), api_text(row.get("version_uuid"))
        return cls(uuid, version, safe_name(name), integer(row.get("size")) or 0, at, row)

    @property
    def content_type(self) -> str:
        metadata = self.row.get("metadata")
        kind = api_text(metadata.get("mime_type")) if isinstance(metadata, Mapping) else ""
        return kind if re.fullmatch(r"[\w.+-]+/[\w.+-]+", kind) else "application/octet-stream"


class StoredFiles:
    """What lies where in the document storage; one account's, of one vendor. Raises StoreUnavailable."""

    def __init__(self, store: AccountStore, vendor: str, clock: Clock) -> None:
        self._store = store
        self._vendor = vendor
        self._clock = clock
        self._mine = (store.owns(stored_files), stored_files.c.vendor == vendor)

    def folder_ref(self, deal_id: int) -> str:
        """The deal's folder as it was known last; empty if it has none yet."""
        with self._store.read() as connection:
            query = select(deal_folders.c.ref).where(*self._folder(deal_id))
            return connection.execute(query).scalar() or ""

    def keep_folder(self, deal_id: int, folder: DealFolder) -> None:
        row = {"account": self._store.account_id, "vendor": self._vendor, "deal_id": deal_id, "made_at": self._now()}
        where = {"ref": folder.ref, "url": folder.url}
        with self._store.write() as connection:
            insert_new(connection, deal_folders, [row | where])
            connection.execute(update(deal_folders).where(*self._folder(deal_id)).values(**where))

    def of_deal(self, deal_id: int) -> Sequence[Row[Any]]:
        """All copies of the deal's files, the oldest first, also those that are just being uploaded."""
        with self._store.read() as connection:
            query = select(stored_files).where(*self._mine, stored_files.c.deal_id == deal_id)
            return connection.execute(query.order_by(stored_files.c.id)).all()

    def get(self, row_id: int) -> Row[Any]:
        with self._store.read() as connection:
            return connection.execute(select(stored_files).where(*self._mine, stored_files.c.id == row_id)).one()

    def is_ours(self, url: str) -> bool:
        """Is it the address of a folder or copy that the bridge made?"""
        with self._store.read() as connection:
            for table in (stored_files, deal_folders):
                query = select(table.c.deal_id).where(self._store.owns(table), table.c.url == url).limit(1)
                if connection.execute(query).first() is not None:
                    return True
        return False

    def begin(self, deal_id: int, source: SourceFile, copy: LocalCopy, outbox_id: int) -> Row[Any]:
        """The row of a copy that is about to be uploaded: the one of an earlier try, or a new one."""
        row = {
            "account": self._store.account_id, "vendor": self._vendor, "deal_id": deal_id,
            "file_uuid": source.uuid, "version_uuid": source.version, "base": source.name,
            "version": self.next_version(deal_id, source.name), "name": "", "folder_ref": "", "ref": "", "url": "",
            "size": copy.size, "md5": copy.md5, "file_at": source.at, "state": "putting", "outbox_id": outbox_id,
        }  # fmt: skip
        same = (
            *self._mine,
            stored_files.c.deal_id == deal_id,
            stored_files.c.file_uuid == source.uuid,
            stored_files.c.version_uuid == source.version,
        )
        with self._store.write() as connection:
            insert_new(connection, stored_files, [row])
            now = {"size": copy.size, "md5": copy.md5, "outbox_id": outbox_id}
            connection.execute(update(stored_files).where(*same, stored_files.c.state == "putting").values(**now))
            return connection.execute(select(stored_files).where(*same)).one()

    def next_version(self, deal_id: int, base: str) -> int:
        versions = [row.version for row in self.of_deal(deal_id) if row.base.casefold() == base.casefold()]
        return max(versions, default=0) + 1

    def goes_to(self, row_id: int, folder_ref: str, ref: str, name: str, version: int) -> None:
        """Settle where a copy is to go, before it goes there."""
        values = {"folder_ref": folder_ref, "ref": ref, "name": name, "version": version}
        with self._store.write() as connection:
            connection.execute(update(stored_files).where(stored_files.c.id == row_id).values(**values))

    def stored(self, connection: Connection, row_id: int, url: str) -> None:
        values = {"state": "stored", "url": url, "stored_at": self._now()}
        connection.execute(update(stored_files).where(stored_files.c.id == row_id).values(**values))

    def _folder(self, deal_id: int) -> tuple[Any, ...]:
        mine = (self._store.owns(deal_folders), deal_folders.c.vendor == self._vendor)
        return (*mine, deal_folders.c.deal_id == deal_id)

    def _now(self) -> float:
        return self._clock.now().timestamp()


class StoragePort(Port):
    """``spool``: where files lie between download and upload, of all accounts that share it in a folder each."""

    channel: Channel = "storage"
    batch_size = 10
    lost_answer: LostAnswer = "find"
    # A copy is wanted days later, too: amoCRM's file waits.
    gives_up_after = timedelta(days=7)

    def __init__(
        self,
        section: StorageSection,
        service: StorageService,
        spool: Path,
        store: AccountStore,
        client: CrmClient,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        account_clock: Clock,
    ) -> None:
        self._section = section
        self._service = service
        # amoCRM's number of the account: accounts with a database each may share a data folder.
        self._spool = spool / str(rule_engine().account.id)
        self._store = store
        self._client = client
        self._rule_engine = rule_engine
        self._clock = clock
        self._account_clock = account_clock
        self._files = StoredFiles(store, service.vendor, clock)
        self._out: dict[int, tuple[int, str]] = {}
        """Row of the outbox → row of ``stored_files`` and the address, of what is there now."""

    def recover(self) -> None:
        """What was downloaded for an upload that broke off is downloaded anew."""
        for left in self._spool.glob("part-*"):
            left.unlink(missing_ok=True)

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        self._out.clear()
        deals = self._deals(rows)
        return {row.id: self._planned(row, deals.get(row.deal_id)) for row in rows}

    def find_lost(self, row: Sendable) -> Sent | None:
        kept = next((one for one in self._files.of_deal(row.deal_id) if one.outbox_id == row.id), None)
        if kept is None or not kept.ref:
            return None
        url = kept.url if kept.state == "stored" else self._service.find(kept.ref, kept.size, kept.md5)
        if url is None:
            return None
        try:
            record = self._deals([row]).get(row.deal_id)
        except CrmTemporary as error:
            raise ChannelBusy(f"amoCRM не ответила: {error}", retry_after=error.retry_after) from error
        self._out[row.id] = (kept.id, url)
        words = f"файл «{kept.name}» уже в хранилище"
        if record is None:
            return Sent(words)
        return self._sent(row, self._rule_engine().viewer.deal(record), record, words, self._folder_url(row.deal_id))

    def keep(self, connection: Connection, row: Sendable, outcome: Outcome) -> None:
        if isinstance(outcome, Sent) and row.id in self._out:
            self._files.stored(connection, *self._out[row.id])

    def _deals(self, rows: Sequence[Sendable]) -> dict[int, DealRecord]:
        filters = self._rule_engine().account.is_api_filter_enabled
        return deals_by_ids(self._client, {row.deal_id for row in rows}, filter_enabled=filters)

    def _planned(self, row: Sendable, record: DealRecord | None) -> Outcome | Job:
        if record is None:
            return NotSent("сделки нет в аккаунте: удалена, объединена или не видна мосту")
        deal, tag = self._rule_engine().viewer.deal(record), self._rule_engine().config.bridge.opt_out_tag
        if deal.has_tag(tag):
            return NotSent(f"на сделке тег «{tag}»")
        return partial(self._store_file, row, deal, record)

    # --- one file ---

    def _store_file(self, row: Sendable, deal: Deal, record: DealRecord) -> Outcome:
        try:
            source = self._source(row)
            if source is None:
                return NotSent("файла больше нет в amoCRM: удалён или в корзине")
            for kept in self._files.of_deal(deal.id):
                is_same = (kept.file_uuid, kept.version_uuid) == (source.uuid, source.version)
                if is_same and kept.state == "stored":
                    words = f"файл «{kept.name}» уже в хранилище"
                    return self._sent(row, deal, record, words, self._folder_url(deal.id))
            if source.size > self._section.largest_mb * MEGABYTE:
                return NotSent(f"файл больше {self._section.largest_mb} МБ (largest_mb в [storage])")
            with self._downloaded(source) as copy:
                return self._put(row, deal, record, source, copy)
        except FileTooLarge:
            return NotSent(f"файл больше {self._section.largest_mb} МБ (largest_mb в [storage])")
        except CrmForbidden as error:
            raise ChannelRefused(NO_RIGHT) from error
        except CrmRefused as error:
            # Perhaps the link has expired on the way; each try asks for a new one.
            kind = ChannelBusy if row.attempts < FRESH_LINKS else ChannelRefused
            raise kind(f"amoCRM не отдаёт файл: {error}") from error
        except CrmTemporary as error:
            raise ChannelBusy(f"amoCRM не отдала файл: {error}", retry_after=error.retry_after) from error
        except CrmStopped as error:
            raise ChannelDown(f"amoCRM остановила мост: {error}") from error
        except CrmError as error:
            raise ChannelBusy(f"amoCRM не отдала файл: {error}") from error

    def _source(self, row: Sendable) -> SourceFile | None:
        """The file as amoCRM has it now. A note of an old kind names no file, only how it is called."""
        name, uuid = row.body["file_name"], row.body.get("file_uuid")
        uuids = [uuid] if uuid else file_ids_of_deal(self._client, row.deal_id)
        found = files_by_ids(self._client, self._rule_engine().account.drive_url, uuids)
        sources = [SourceFile.of(found[one], name) for one in uuids if one in found]
        if not uuid:
            sources = [one for one in sources if is_named(one.name, name)]
        return sources[-1] if sources else None

    @contextmanager
    def _downloaded(self, source: SourceFile) -> Iterator[LocalCopy]:
        """The file on this server's disk while the block runs."""
        with self._disk_errors():
            make_folder(self._spool)
            spare = shutil.disk_usage(self._spool).free - source.size
            if spare < self._section.keep_free_mb * MEGABYTE:
                least = f"{self._section.keep_free_mb} МБ (keep_free_mb в [storage])"
                raise ChannelDown(f"на диске моста осталось бы меньше {least}: освободите место")
            handle, name = tempfile.mkstemp(dir=self._spool, prefix="part-")
        path = Path(name)
        try:
            with self._disk_errors(), open(handle, "wb") as opened:
                counted = _Counted(opened)
                most = self._section.largest_mb * MEGABYTE
                drive = self._rule_engine().account.drive_url
                size = download_file(self._client, drive, source.row, cast(BinaryIO, counted), most=most)
            yield LocalCopy(path, size, counted.md5.hexdigest(), counted.sha256.hexdigest(), source.content_type)
        finally:
            # What stays is removed at the next start.
            with suppress(OSError):
                path.unlink(missing_ok=True)

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ChannelDown(f"файл не помещается на диск моста: {why_not(error)}") from error

    def _put(self, row: Sendable, deal: Deal, record: DealRecord, source: SourceFile, copy: LocalCopy) -> Outcome:
        known = self._files.folder_ref(deal.id)
        folder = self._service.folder(deal.id, row.body["folder"], known)
        self._files.keep_folder(deal.id, folder)
        if known and folder.is_new:
            self._tell_of_folder(deal)
        kept = self._files.begin(deal.id, source, copy, row.id)
        version = kept.version
        is_placed = bool(kept.ref) and kept.folder_ref == folder.ref
        for _ in range(MOST_VERSIONS):
            name = kept.name if is_placed else versioned(source.name, version)
            ref = kept.ref if is_placed else self._service.new_ref(folder, name)
            self._files.goes_to(kept.id, folder.ref, ref, name, version)
            try:
                url = self._service.put(folder, ref, name, copy)
            except NameTaken:
                is_placed, version = False, max(version + 1, self._files.next_version(deal.id, source.name))
                continue
            self._out[row.id] = (kept.id, url)
            again = "; папку сделки удалили, создана заново" if known and folder.is_new else ""
            return self._sent(row, deal, record, f"файл «{name}» в хранилище{again}", folder.url)
        raise ChannelRefused(f"имён для файла «{source.name}» в папке сделки не осталось")

    def _tell_of_folder(self, deal: Deal) -> None:
        """Somebody has deleted the folder; what was in it stays where he put it."""
        lost = sum(one.state == "stored" for one in self._files.of_deal(deal.id))
        log.warning("the folder of a deal was gone and is made anew", deal=deal.id, copies=lost)
        words = (
            f"папки документов сделки {deal.id} «{deal.name}» в хранилище не было: её удалили или унесли; создана "
            f"новая, прежние копии ({lost}) в неё не возвращены — в amoCRM файлы целы"
        )
        Alerts(self._store, CurrentRules(self._rule_engine()), self._clock).tell(words, f"storage:{deal.id}")

    # --- addresses in the deal's fields ---

    def _sent(self, row: Sendable, deal: Deal, record: DealRecord, words: str, folder_url: str) -> Sent:
        wanted = self._addresses(row, deal, folder_url)
        foreign = [name for name in wanted if not self._may_replace(deal, name, wanted[name])]
        values = {name: url for name, url in wanted.items() if url and name not in foreign}
        if foreign:
            words += f"; в поле {', '.join(f'«{name}»' for name in foreign)} ссылка человека, она оставлена"
        if any(not url for url in wanted.values()):
            words += "; ссылку дать неоткуда: не задан [bridge] public_url"
        then: tuple[Effect, ...] = ()
        if values:
            action = SetFields(deal_id=deal.id, values=values)
            try:
                then = tuple(self._rule_engine().resolver.effects(action, deal, record, self._account_clock.now()))
            except (UnknownName, ValueError) as error:
                words += f"; ссылка не записана: {error}"
        return Sent(words, then=then)

    def _addresses(self, row: Sendable, deal: Deal, folder_url: str) -> dict[str, str]:
        """Field → the address it is to have: of the folder, or of the newest file that begins so."""
        found: dict[str, str] = {}
        if field := row.body.get("link_field"):
            found[field] = folder_url or self._page(deal)
        here, there = self._out.get(row.id, (0, ""))
        copies = [one for one in self._files.of_deal(deal.id) if one.state == "stored" or one.id == here]
        for field, beginnings in (row.body.get("links") or {}).items():
            fitting = [one for one in copies if any(starts_with(one.base, words) for words in beginnings)]
            if fitting:
                newest = max(fitting, key=lambda one: (one.file_at, one.id))
                url = there if newest.id == here else newest.url
                page = self._page(deal)
                found[field] = url or (f"{page}/{newest.id}" if page else "")
        return found

    def _page(self, deal: Deal) -> str:
        """The bridge's page of the deal's files; empty if nobody knows where the bridge is."""
        return "" if self._service.has_links or not deal.page.startswith("http") else f"{deal.page}/files"

    def _folder_url(self, deal_id: int) -> str:
        with self._store.read() as connection:
            mine = (self._store.owns(deal_folders), deal_folders.c.vendor == self._service.vendor)
            query = select(deal_folders.c.url).where(*mine, deal_folders.c.deal_id == deal_id)
            return connection.execute(query).scalar() or ""

    def _may_replace(self, deal: Deal, field: str, url: str) -> bool:
        """What a person has put into the field stays; what the bridge has put there, or carried over, does not."""
        value = deal.text(field)
        if value in ("", url):
            return True
        pages = re.escape(deal.page.removesuffix(f"/deals/{deal.id}"))
        return re.fullmatch(rf"{pages}/deals/\d+/files(/\d+)?", value) is not None or self._files.is_ours(value)


class _Counted:
    """Writes on, and computes what services compare a copy by."""

    def __init__(self, into: BinaryIO) -> None:
        self._into = into
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.sha256 = hashlib.sha256()

    def write(self, piece: bytes) -> int:
        self.md5.update(piece)
        self.sha256.update(piece)
        return self._into.write(piece)


def listed_files(store: AccountStore, deal_id: int) -> list[Row[Any]]:
    """The copies that are there, of any vendor, the newest first; for the page. Raises StoreUnavailable."""
    mine = (store.owns(stored_files), stored_files.c.deal_id == deal_id, stored_files.c.state == "stored")
    with store.read() as connection:
        rows = connection.execute(select(stored_files).where(*mine).order_by(stored_files.c.id.desc()))
        return list(rows.all())


def stored_at(row: Row[Any]) -> datetime:
    return datetime.fromtimestamp(row.stored_at, UTC)
