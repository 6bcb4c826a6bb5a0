"""Reads the mailboxes of an account, each in a thread of its own, as long as this process leads.

The cursor of a folder (UIDVALIDITY and the last UID) is kept in the transaction that writes the letter down, so a
letter is neither lost nor done twice, whenever the connection or the process breaks off.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import Row, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.config.intake import MailboxSection
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.files import file_ids_of_deal, files_by_ids, upload_file
from amo_bridge.engine.effects import Effect, Kind
from amo_bridge.engine.outbox import Planned
from amo_bridge.errors import BridgeError, CrmError, CrmForbidden, CrmRefused, LeadLost
from amo_bridge.intake.letters import RULE, FetchedLetter, LetterBook
from amo_bridge.intake.mail import SOURCE, Attachment, attachments
from amo_bridge.intake.mailbox import MEGABYTE, Envelope, FolderState, MailboxConnection, MailboxDown
from amo_bridge.intake.repository import DEAL, kept_request
from amo_bridge.intake.request import VendorSettings
from amo_bridge.logs import log
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.tables import intake_requests, outbox

POLL_SECONDS = 60.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 600.0
# When all numbers of a folder are new, so much is read again; what is known by its Message-ID changes nothing.
LOOKED_BACK = timedelta(days=3)
# Fetched by one command and written in one transaction.
BATCH_LETTERS, BATCH_BYTES = 25, 2 * MEGABYTE
# An outage is told to a person when it has lasted so long; a wrong password at once.
TOLD_AFTER_SECONDS = 900.0
NO_FILES_SCOPE = (
    "Файлы письма не сохранены в сделке: у интеграции нет доступа к файлам. Отметьте «Доступ к файлам» в правах "
    "интеграции; файлы остались в ящике"
)


class FolderCursor:
    """How far a folder of a box is read."""

    def __init__(self, store: AccountStore, box: str, folder: str) -> None:
        place = hashlib.sha256(f"{box}\0{folder}".encode()).hexdigest()[:16]
        self._cursors = Cursors(store)
        self._store = store
        self._uid, self._validity, self._at = (f"{name}:{place}" for name in ("mail_uid", "mail_validity", "mail_at"))

    def read(self) -> tuple[int, int] | None:
        """(UIDVALIDITY, last UID); None before the first time."""
        validity, uid = self._cursors.read(self._validity), self._cursors.read(self._uid)
        return None if validity is None or uid is None else (int(validity), int(uid))

    @property
    def read_at(self) -> datetime | None:
        """When the folder was read last."""
        at = self._cursors.read(self._at)
        return None if at is None else datetime.fromtimestamp(at, UTC)

    def write(self, connection: Connection, validity: int, uid: int, at: datetime) -> None:
        """Within the transaction that writes the letter down."""
        for name, value in ((self._validity, validity), (self._uid, uid), (self._at, at.timestamp())):
            self._cursors.write(connection, name, float(value))


class MailboxReader:
    """One box. ``passed`` hears what became of each letter; ``came`` that there is something to work on.
    ``is_dry``: see LetterBook."""

    def __init__(
        self,
        section: MailboxSection,
        connection: MailboxConnection,
        store: AccountStore,
        settings: VendorSettings,
        clock: Clock,
        passed: Callable[[str], None] = lambda fate: None,
        came: Callable[[], None] = lambda: None,
        is_dry: Callable[[], bool] = lambda: False,
    ) -> None:
        self.section = section
        self.connection = connection
        self._store = store
        self._book = LetterBook(store, settings, clock, is_dry)
        self._clock = clock
        self._passed = passed
        self._came = came

    def read(self, stopping: threading.Event | None = None) -> int:
        """Read what is new in all folders; how many letters there were. Raises MailboxDown, StoreUnavailable."""
        count = self._read_folder(self.section.folder, "in", stopping)
        if self.section.sent:
            count += self._read_folder(self.section.sent, "out", stopping)
            # Waiting for news is of use only in the folder into which they come.
            self.connection.open(self.section.folder)
        return count

    def _read_folder(self, folder: str, direction: Literal["in", "out"], stopping: threading.Event | None) -> int:
        cursor = FolderCursor(self._store, self.section.name, folder)
        state = self.connection.open(folder)
        known = cursor.read()
        count = 0
        for together in _together(self._new(folder, cursor, state, known)):
            if stopping is not None and stopping.is_set():
                return count
            self._take(together, cursor, state.validity, direction)
            count += len(together)
        if count == 0 and (known is None or known[0] != state.validity):
            with self._store.write() as connection:
                cursor.write(connection, state.validity, state.next_uid - 1, self._clock.now())
        if count:
            self._came()
        return count

    def _new(
        self, folder: str, cursor: FolderCursor, state: FolderState, known: tuple[int, int] | None
    ) -> Sequence[Envelope]:
        if known is None:
            return self.connection.letters_since(self.section.since) if self.section.since else ()
        validity, uid = known
        if validity == state.validity:
            return self.connection.letters_after(uid)
        since = (cursor.read_at or self._clock.now()) - LOOKED_BACK
        words = "the mailbox has numbered its letters anew; the last days are read again"
        log.warning(words, box=self.section.name, folder=folder, since=f"{since:%Y-%m-%d}")
        return self.connection.letters_since(since.date())

    def _take(
        self, together: Sequence[Envelope], cursor: FolderCursor, validity: int, direction: Literal["in", "out"]
    ) -> None:
        """Fetch some letters with one command, and write them down with the cursor in one transaction."""
        letters = self._fetched(together, direction)
        try:
            fates = self._written(letters, cursor, validity, together[-1].uid)
        except BridgeError:
            raise
        except Exception:
            log.exception("a letter could not be understood; it is kept as it is", box=self.section.name)
            fates = [
                fate
                for letter, envelope in zip(letters, together, strict=True)
                for fate in self._written_alone(letter, cursor, validity, envelope.uid)
            ]
        for envelope, fate in zip(together, fates, strict=True):
            log.info("letter read", box=self.section.name, kind=fate, bytes=envelope.size)
            self._passed(fate)

    def _fetched(self, together: Sequence[Envelope], direction: Literal["in", "out"]) -> list[FetchedLetter | None]:
        most = self.section.largest_mb * MEGABYTE
        cut = {one.uid for one in together if direction == "out" or one.size > most}
        raw: dict[int, bytes] = {}
        for is_cut in (True, False):
            if uids := [one.uid for one in together if (one.uid in cut) is is_cut]:
                raw |= self.connection.fetch(uids, headers_only=is_cut)
        now = self._clock.now()
        return [
            FetchedLetter(
                self.section.name, raw[one.uid], min(one.at, now), direction, direction == "in" and one.uid in cut
            )
            if raw.get(one.uid)
            else None
            for one in together
        ]

    def _written(
        self, letters: Sequence[FetchedLetter | None], cursor: FolderCursor, validity: int, uid: int
    ) -> list[str]:
        fates: list[str] = []
        with self._store.write() as connection:
            for letter in letters:
                if letter is None:
                    fates.append("gone")
                else:
                    fates.append(self._book.put(connection, letter, new_clients=self.section.new_clients))
            cursor.write(connection, validity, uid, self._clock.now())
        return fates

    def _written_alone(self, letter: FetchedLetter | None, cursor: FolderCursor, validity: int, uid: int) -> list[str]:
        try:
            return self._written([letter], cursor, validity, uid)
        except BridgeError:
            raise
        except Exception as error:  # noqa: BLE001 - told above, with its traceback
            assert letter is not None
            with self._store.write() as connection:
                fate = self._book.put_broken(connection, letter, f"сбой моста: {type(error).__name__}")
                cursor.write(connection, validity, uid, self._clock.now())
            return [fate]


def _together(envelopes: Sequence[Envelope]) -> Iterator[Sequence[Envelope]]:
    """Small letters in batches, a big one alone."""
    batch: list[Envelope] = []
    size = 0
    for one in envelopes:
        if batch and (len(batch) >= BATCH_LETTERS or size + one.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += one.size
    if batch:
        yield batch


class LetterFiles:
    """Puts the files of letters into amoCRM and on their deals.

    A file that lies there already, by its name and size, is not put there twice. As long as ``is_dry`` they wait.
    """

    def __init__(
        self,
        store: AccountStore,
        client: CrmClient,
        drive_url: Callable[[], str],
        clock: Clock,
        is_dry: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_dry = is_dry
        self._store = store
        self._client = client
        self._drive_url = drive_url
        self._clock = clock

    def upload(self, most: int = 20) -> int:
        """Upload for some letters; how many are settled. Raises CrmError that may pass, StoreUnavailable."""
        if self._is_dry():
            return 0
        table = intake_requests
        waiting = (self._store.owns(table), table.c.vendor == SOURCE, table.c.state == "files")
        with self._store.read() as connection:
            rows = connection.execute(select(table).where(*waiting).order_by(table.c.id).limit(most)).all()
        for row in rows:
            self._upload_of(row)
        return len(rows)

    def _upload_of(self, row: Row[tuple[object, ...]]) -> None:
        request = kept_request(row).request
        deal_id = int(request.header(DEAL) or 0)
        files = [file for file in attachments(request.body) if file.content]
        try:
            uuids = self._uploaded(deal_id, files)
        except CrmForbidden:
            self._settle(row, deal_id, (), NO_FILES_SCOPE)
            return
        except CrmRefused as error:
            self._settle(row, deal_id, (), f"Файлы письма не сохранены в сделке, amoCRM отказала: {error}")
            return
        self._settle(row, deal_id, uuids, "")

    def _uploaded(self, deal_id: int, files: Sequence[Attachment]) -> list[str]:
        there = file_ids_of_deal(self._client, deal_id)
        known = files_by_ids(self._client, self._drive_url(), there) if there else {}
        have = {(str(file.get("name")), file.get("size")) for file in known.values()}
        new = [file for file in files if (file.name, len(file.content)) not in have]
        return [upload_file(self._client, self._drive_url(), one.name, one.content, one.content_type) for one in new]

    def _settle(self, row: Row[tuple[object, ...]], deal_id: int, uuids: Sequence[str], problem: str) -> None:
        now = self._clock.now()
        body: Mapping[str, object] = {"entity_id": deal_id, "file_uuids": list(uuids)}
        kind: Kind = "attach_files"
        words = f"файлы письма: {len(uuids)}"
        if problem:
            kind, words = "add_note", "примечание «Файлы письма не сохранены»"
            body = {"entity_id": deal_id, "note_type": "common", "params": {"text": problem}}
        with self._store.write() as connection:
            if uuids or problem:
                effect = Effect(kind, deal_id, body, words)
                planned = Planned(None, RULE, f"{RULE}|files|{row.id}", effect)
                insert_new(connection, outbox, [planned.row(self._store.account_id, now)])
            connection.execute(
                update(intake_requests)
                .where(intake_requests.c.id == row.id)
                .values(state="read", why=problem or row.why)
            )


class MailReaders:
    """All boxes of an account.

    ``tell(text, about)`` tells a person, at most once a day about one thing. ``rounds``: how often a box has been read
    to its end.
    """

    def __init__(
        self,
        readers: Sequence[MailboxReader],
        files: LetterFiles,
        tell: Callable[[str, str], None],
        wake: Callable[[], None] = lambda: None,
        *,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.rounds = 0
        self._files = files
        self._tell = tell
        self._wake = wake
        self._poll_seconds = poll_seconds
        self._outages: dict[str, str] = {}
        self._stopping = threading.Event()
        # Of two boxes only one uploads at a time.
        self._uploading = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(one,), name=f"mail {one.section.name}", daemon=True)
            for one in readers
        ]

    @property
    def outages(self) -> dict[str, str]:
        """Box → why it can't be read just now (Russian)."""
        return dict(self._outages)

    def start(self) -> None:
        """Begin to read."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 30) -> None:
        """Finish the letter in hand and leave."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout)

    def _run(self, reader: MailboxReader) -> None:
        pause, down_for = FIRST_PAUSE_SECONDS, 0.0
        try:
            while not self._stopping.is_set():
                try:
                    self.once(reader)
                    reader.connection.wait(self._poll_seconds, self._stopping)
                    pause, down_for = FIRST_PAUSE_SECONDS, 0.0
                except LeadLost:
                    return
                except Exception as error:  # noqa: BLE001 - one box must not stop, whatever its server says
                    self._note(reader, error, down_for)
                    self._stopping.wait(pause)
                    down_for += pause
                    pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        finally:
            reader.connection.close()

    def once(self, reader: MailboxReader) -> int:
        """One round of a box: read what is new, upload what waits."""
        count = reader.read(self._stopping)
        self.rounds += 1
        if self._outages.pop(reader.section.name, ""):
            log.info("the mailbox can be read again", box=reader.section.name)
        if count:
            self._wake()
        with self._uploading:
            try:
                if self._files.upload():
                    self._wake()
            except CrmError as error:
                # The worker tells of it; the files wait in the store for the next round.
                log.info("files of letters wait", error=str(error))
        return count

    def _note(self, reader: MailboxReader, error: Exception, down_for: float) -> None:
        name = reader.section.name
        words = str(error) or type(error).__name__
        if self._outages.get(name) != words:
            is_bug = not isinstance(error, BridgeError)
            log.error("mailbox can't be read", box=name, error=words, exc_info=is_bug)
        self._outages[name] = words
        is_setting = isinstance(error, MailboxDown) and error.is_setting
        if is_setting or down_for >= TOLD_AFTER_SECONDS:
            try:
                self._tell(f"почта не читается: {words}", f"mailbox:{name}")
                self._wake()
            except BridgeError as trouble:
                log.error("nobody could be told", about=f"mailbox {name}", error=str(trouble))
