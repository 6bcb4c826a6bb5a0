"""Reading mailboxes: cursors, faults and new numbers, with a scripted connection; then a real Dovecot and amoCRM."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from support.client_fakes import RecordingRateLimiter
from support.fakes import ACCOUNT, NOON
from support.imap_server import PASSWORD, USER, ImapServer, cutting_proxy, imap_server, letter, needs_dovecot
from support.local_crm import TOKEN, LocalCrm

from amo_bridge.clock import FixedClock, SystemClock
from amo_bridge.config.intake import MailboxSection
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.files import file_ids_of_deal, files_by_ids
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.stories import MANAGER
from amo_bridge.errors import CrmError, StoreUnavailable
from amo_bridge.intake.letters import DEAL, LetterOwners, Owner
from amo_bridge.intake.mail import ClientLetter
from amo_bridge.intake.mail_reader import BATCH_LETTERS, FolderCursor, LetterFiles, MailboxReader, MailReaders
from amo_bridge.intake.mailbox import Envelope, FolderState, MailboxConnection, MailboxDown
from amo_bridge.intake.repository import IntakeRequests, request_row
from amo_bridge.intake.request import VendorRequest, VendorSettings
from amo_bridge.storage.database import AccountStore, Store, insert_new
from amo_bridge.storage.tables import intake_requests, outbox

SETTINGS = VendorSettings(own_domains=("agency.example",))


@dataclass
class ScriptedBox:
    """A folder: ``letters`` by UID. ``fails_at``: the UIDs at which the connection breaks, once each. ``broken``: why
    it can't be opened at all."""

    letters: dict[int, bytes] = field(default_factory=dict)
    validity: int = 100
    fails_at: list[int] = field(default_factory=list)
    broken: list[MailboxDown] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)
    fetched: list[tuple[int, bool]] = field(default_factory=list)
    since: list[date] = field(default_factory=list)

    def open(self, folder: str) -> FolderState:
        if self.broken:
            raise self.broken.pop(0)
        return FolderState(self.validity, max(self.letters, default=0) + 1)

    def letters_after(self, uid: int) -> list[Envelope]:
        return [self._envelope(one) for one in sorted(self.letters) if one > uid]

    def letters_since(self, day: date) -> list[Envelope]:
        self.since.append(day)
        return [self._envelope(one) for one in sorted(self.letters)]

    def fetch(self, uids: Sequence[int], *, headers_only: bool = False) -> dict[int, bytes]:
        for uid in uids:
            if uid in self.fails_at:
                self.fails_at.remove(uid)
                raise MailboxDown("связь прервалась")
        self.fetched += [(uid, headers_only) for uid in uids]
        return {uid: self.letters[uid] for uid in uids if uid in self.letters}

    def wait(self, seconds: float, stopping: threading.Event) -> None:
        stopping.wait(seconds)

    def close(self) -> None:
        pass

    def _envelope(self, uid: int) -> Envelope:
        return Envelope(uid, self.sizes.get(uid, 1000), NOON)


class Reading:
    def __init__(self, store: Store, **section: Any) -> None:
        self.store = AccountStore(store, ACCOUNT)
        self.box = ScriptedBox()
        self.fates: list[str] = []
        told = {"name": "info", "host": "imap.example", "user": "info@agency.example", **section}
        self.section = MailboxSection.model_validate(told)

    def reader(self) -> MailboxReader:
        """A new one each time, as after a restart."""
        return MailboxReader(
            self.section,
            self.box,  # type: ignore[arg-type]
            self.store,
            SETTINGS,
            FixedClock(NOON),
            passed=self.fates.append,
        )

    def read(self) -> int:
        return self.reader().read()

    def kept(self) -> int:
        with self.store.read() as connection:
            return connection.execute(select(func.count()).select_from(intake_requests)).scalar_one()


@pytest.fixture
def reading(store: Store) -> Reading:
    return Reading(store)


def unknown(number: int) -> bytes:
    return letter(number=number, sender=f"client-{number}@example.com")


def test_the_first_connection_begins_with_now(reading: Reading) -> None:
    reading.box.letters = {uid: unknown(uid) for uid in range(1, 1001)}
    assert reading.read() == 0
    assert reading.box.fetched == []
    reading.box.letters[1001] = unknown(1001)
    assert reading.read() == 1
    assert reading.kept() == 1


def test_older_letters_are_read_from_the_day_that_the_config_says(store: Store) -> None:
    reading = Reading(store, since=date(2026, 11, 1))
    reading.box.letters = {1: unknown(1), 2: unknown(2)}
    assert reading.read() == 2
    assert reading.box.since == [date(2026, 11, 1)]
    assert (reading.read(), reading.kept()) == (0, 2)


def test_a_connection_that_breaks_in_a_letter_goes_on_from_there(reading: Reading) -> None:
    reading.read()
    reading.box.letters = {uid: unknown(uid) for uid in range(1, 61)}
    reading.box.fails_at = [30, 30]
    for _ in range(2):
        with pytest.raises(MailboxDown):
            reading.read()
        assert reading.kept() == BATCH_LETTERS
    assert reading.read() == 60 - BATCH_LETTERS
    assert [uid for uid, _ in reading.box.fetched] == list(range(1, 61)), "each once"
    assert reading.kept() == 60


def test_a_big_letter_is_fetched_alone(reading: Reading) -> None:
    reading.read()
    reading.box.letters = {uid: unknown(uid) for uid in range(1, 6)}
    reading.box.sizes = {3: 15 * 1024 * 1024}
    reading.box.fails_at = [3]
    with pytest.raises(MailboxDown):
        reading.read()
    assert reading.kept() == 2, "those before it are written down"
    assert reading.read() == 3


def test_a_letter_that_meets_a_bug_holds_up_nothing(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    reading.read()
    reading.box.letters = {uid: unknown(uid) for uid in range(1, 6)}
    real = LetterOwners.of

    def of(self: LetterOwners, letter: ClientLetter) -> Owner | None:
        if letter.sender == "client-3@example.com":
            raise TypeError("unforeseen")
        return real(self, letter)

    monkeypatch.setattr(LetterOwners, "of", of)
    assert reading.read() == 5
    assert reading.fates == ["enquiry", "enquiry", "broken", "enquiry", "enquiry"]
    (broken,) = IntakeRequests(reading.store).latest(state="broken")
    assert (broken.request.body, broken.why) == (unknown(3), "сбой моста: TypeError")


def test_new_numbers_of_the_folder_lose_and_double_nothing(reading: Reading) -> None:
    reading.read()
    reading.box.letters = {1: unknown(1), 2: unknown(2)}
    reading.read()
    reading.box.validity = 200
    reading.box.letters = {1: unknown(1), 2: unknown(2), 3: unknown(3)}
    assert reading.read() == 3
    assert reading.kept() == 3
    assert reading.fates == ["enquiry", "enquiry", "repeated", "repeated", "enquiry"]
    assert reading.box.since == [(NOON - timedelta(days=3)).date()]
    assert reading.read() == 0


def test_a_store_that_fails_leaves_the_letter_unread(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    reading.read()
    reading.box.letters = {1: unknown(1)}
    reader = reading.reader()

    def fail(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("диск полон")

    with monkeypatch.context() as patched:
        patched.setattr(reader._book, "put", fail)
        with pytest.raises(StoreUnavailable):
            reader.read()
    assert (reading.read(), reading.kept()) == (1, 1)


def test_of_a_letter_over_the_limit_only_the_headers_are_fetched(reading: Reading) -> None:
    reading.read()
    reading.box.letters = {1: unknown(1), 2: unknown(2)}
    reading.box.sizes = {1: 30 * 1024 * 1024}
    reading.read()
    assert sorted(reading.box.fetched) == [(1, True), (2, False)]


def test_a_letter_that_is_gone_holds_up_nothing(reading: Reading) -> None:
    reading.read()
    reading.box.letters = {1: b"", 2: unknown(2)}
    assert reading.read() == 2
    assert reading.fates == ["gone", "enquiry"]


def test_two_boxes_have_cursors_of_their_own(store: Store) -> None:
    first, second = Reading(store, name="info"), Reading(store, name="olga")
    first.read()
    second.read()
    first.box.letters = second.box.letters = {1: unknown(1)}
    assert (first.read(), second.read()) == (1, 1)
    assert first.kept() == 1, "the same letter in two boxes"


class NoFiles:
    def upload(self) -> int:
        return 0


@dataclass
class Telling:
    told: list[tuple[str, str]] = field(default_factory=list)
    heard: threading.Event = field(default_factory=threading.Event)

    def __call__(self, text: str, about: str) -> None:
        self.told.append((text, about))
        self.heard.set()


def test_a_wrong_password_is_told_at_once_and_the_box_is_tried_again(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amo_bridge.intake.mail_reader.FIRST_PAUSE_SECONDS", 0.01)
    reading.box.broken = [MailboxDown("имя или пароль не приняты", is_setting=True)]
    telling, came = Telling(), threading.Event()
    reader = reading.reader()
    monkeypatch.setattr(reading.box, "wait", lambda seconds, stopping: (came.set(), stopping.wait(seconds)))
    readers = MailReaders([reader], NoFiles(), telling, poll_seconds=0.01)  # type: ignore[arg-type]
    readers.start()
    try:
        assert telling.heard.wait(20)
        assert came.wait(20), "it reads again by itself"
    finally:
        readers.stop()
    assert telling.told == [("почта не читается: имя или пароль не приняты", "mailbox:info")]
    assert readers.outages == {}


def test_a_short_outage_is_shown_but_nobody_is_disturbed(reading: Reading) -> None:
    reading.box.broken = [MailboxDown("связь прервалась")]
    telling = Telling()
    reader = reading.reader()
    readers = MailReaders([reader], NoFiles(), telling)  # type: ignore[arg-type]
    with pytest.raises(MailboxDown) as raised:
        readers.once(reader)
    readers._note(reader, raised.value, down_for=0)
    assert (readers.outages, telling.told) == ({"info": "связь прервалась"}, [])
    readers._note(reader, raised.value, down_for=1000)
    assert len(telling.told) == 1
    readers.once(reader)
    assert readers.outages == {}


@dataclass
class Pauses(threading.Event):
    """The bridge's end, after so many pauses between two tries."""

    most: int
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0)
        if len(self.seconds) == self.most:
            self.set()
        return self.is_set()


def test_a_server_that_breaks_off_each_wait_for_news_is_tried_ever_more_rarely(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(seconds: float, stopping: threading.Event) -> None:
        raise MailboxDown("связь прервалась")

    monkeypatch.setattr(reading.box, "wait", wait)
    telling = Telling()
    readers = MailReaders([reading.reader()], NoFiles(), telling)  # type: ignore[arg-type]
    readers._stopping = pauses = Pauses(most=10)
    readers._run(reading.reader())
    assert pauses.seconds == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert telling.told[0] == ("почта не читается: связь прервалась", "mailbox:info")
    assert readers.outages == {"info": "связь прервалась"}


# --- the files of letters, with a local amoCRM ------------------------------------------------------------------------


class Drive:
    """A letter with files whose deal is known, and the sandbox's amoCRM."""

    def __init__(self, store: Store, crm: LocalCrm, deal: int) -> None:
        self.crm, self.deal = crm, deal
        self.is_dry = False
        self.store = AccountStore(store, ACCOUNT)
        self.client = CrmClient(crm.url, LongLivedToken(TOKEN), RecordingRateLimiter())

    def keep(self, *files: tuple[str, bytes], key: str = "<1@example.com>") -> None:
        row = request_row(
            ACCOUNT,
            vendor="mail",
            key=key,
            request=VendorRequest("(IMAP)", letter(files=files)),
            headers={DEAL: str(self.deal)},
            state="files",
            why="",
        )
        with self.store.write() as connection:
            insert_new(connection, intake_requests, [row])

    def upload(self) -> int:
        where = f"{self.crm.url}/drive"
        return LetterFiles(self.store, self.client, lambda: where, FixedClock(NOON), lambda: self.is_dry).upload()

    def effects(self) -> list[tuple[str, dict[str, Any]]]:
        with self.store.read() as connection:
            rows = connection.execute(select(outbox.c.kind, outbox.c.payload).order_by(outbox.c.id)).all()
        return [(row.kind, json.loads(row.payload)["body"]) for row in rows]

    def attach(self) -> None:
        """What the sender of the outbox does."""
        for kind, body in self.effects():
            if kind == "attach_files":
                rows = [{"file_uuid": one} for one in body["file_uuids"]]
                self.client.put(f"/api/v4/leads/{self.deal}/files", rows)

    def names(self) -> list[tuple[str, int]]:
        uuids = file_ids_of_deal(self.client, self.deal)
        found = files_by_ids(self.client, f"{self.crm.url}/drive", uuids)
        return [(found[one]["name"], found[one]["size"]) for one in uuids]

    def states(self) -> list[str]:
        return [one.state for one in IntakeRequests(self.store).latest()]


@pytest.fixture
def drive(store: Store, sandbox: LocalCrm, office: CrmUser) -> Drive:
    contact = office.new_contact(MANAGER, "Зоя Тестова", "zoya@example.com")
    return Drive(store, sandbox, office.new_deal(MANAGER, "Ромашка", "Продажи / Новый клиент", contact, 1000))


def test_the_files_of_a_letter_go_onto_its_deal(drive: Drive) -> None:
    drive.keep(("Анкета.docx", b"brief"), ("макет.psd", b"x" * 1_300_000))
    assert drive.upload() == 1
    drive.attach()
    assert drive.names() == [("Анкета.docx", 5), ("макет.psd", 1_300_000)]
    assert drive.states() == ["read"]
    assert drive.upload() == 0


def test_a_file_that_lies_there_already_is_not_uploaded_again(drive: Drive) -> None:
    drive.keep(("Анкета.docx", b"brief"))
    drive.upload()
    drive.attach()
    drive.keep(("Анкета.docx", b"brief"), ("Ещё.docx", b"more"), key="<2@example.com>")
    drive.upload()
    assert [len(body["file_uuids"]) for _, body in drive.effects()] == [1, 1]


def test_an_upload_that_breaks_off_is_done_again_and_attached_once(drive: Drive) -> None:
    drive.keep(("макет.psd", b"x" * 1_300_000))
    drive.crm.fault("status", status=503, path="/drive/v1.0/sessions/*", count=1)
    with pytest.raises(CrmError):
        drive.upload()
    assert (drive.states(), drive.effects()) == (["files"], [])
    assert drive.upload() == 1
    drive.attach()
    assert drive.names() == [("макет.psd", 1_300_000)]


def test_without_the_right_to_files_a_note_says_where_they_are(drive: Drive) -> None:
    drive.crm.control("POST", "tokens", {"token": "no-files", "user_id": 10000001, "scopes": ["crm"]})
    drive.client = CrmClient(drive.crm.url, LongLivedToken("no-files"), RecordingRateLimiter())
    drive.keep(("Анкета.docx", b"brief"))
    drive.upload()
    ((kind, body),) = drive.effects()
    assert (kind, "нет доступа к файлам" in body["params"]["text"]) == ("add_note", True)
    assert drive.states() == ["read"]


def test_the_files_of_letters_wait_as_long_as_the_bridge_is_dry(drive: Drive) -> None:
    drive.is_dry = True
    drive.keep(("Анкета.docx", b"brief"))
    assert (drive.upload(), drive.effects(), drive.states()) == (0, [], ["files"])
    drive.is_dry = False
    drive.upload()
    drive.attach()
    assert drive.names() == [("Анкета.docx", 5)]


# --- a real server ----------------------------------------------------------------------------------------------------


@needs_dovecot
def test_a_letter_of_15_mb_arrives_whole_although_the_connection_breaks_in_it(store: Store) -> None:
    with imap_server() as server, cutting_proxy(server.port) as proxy:
        section = server.section(port=proxy.port)
        connection = MailboxConnection(section, lambda: PASSWORD)
        account = AccountStore(store, ACCOUNT)
        reader = MailboxReader(section, connection, account, SETTINGS, SystemClock())
        reader.read()
        server.deliver(letter(files=(("макет.psd", b"\x01" * 15 * 1024 * 1024),)), letter(number=2))
        connection.close()
        proxy.cuts = [9_000_000]
        with pytest.raises(MailboxDown):
            reader.read()
        assert reader.read() == 2
        connection.close()
        kept = IntakeRequests(account).latest()
        assert [len(one.request.body) > 15 * 1024 * 1024 for one in kept] == [False, True]
        assert not any(b"Seen" in flags for flags in server.flags())


@needs_dovecot
def test_a_server_that_numbers_its_letters_anew_loses_and_doubles_nothing(store: Store) -> None:
    with imap_server() as server:
        connection = MailboxConnection(server.section(), lambda: PASSWORD)
        account = AccountStore(store, ACCOUNT)
        reader = MailboxReader(server.section(), connection, account, SETTINGS, SystemClock())
        reader.read()
        server.deliver(letter(number=1), letter(number=2))
        assert reader.read() == 2
        before = connection.open("INBOX").validity
        connection.close()
        server.number_anew()
        server.deliver(letter(number=3))
        assert connection.open("INBOX").validity != before
        assert reader.read() == 3
        connection.close()
        assert len(IntakeRequests(account).latest()) == 3


YEAR_OF_LETTERS = 1500


def fill_box(server: ImapServer, count: int) -> None:
    """Letters of a year, put into the folder as the server itself would have done: each an hour or two after the last.

    Every third is of a colleague's own domain, every fifth a mailing, every seventh comes twice."""
    folder = server.folder / "mail" / USER / "cur"
    owner = (server.folder / "mail").stat()
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        sent = NOON - timedelta(days=365) + timedelta(days=365) * (number / count)
        same = number - 1 if number % 7 == 6 else number
        headers = {"Precedence": "bulk"} if number % 5 == 4 else {}
        sender = f"colleague-{number}@agency.example" if number % 3 == 2 else f"client-{same}@example.com"
        path = folder / f"{int(sent.timestamp())}.M{number}.host:2,"
        path.write_bytes(letter(number=same, sender=sender, **headers))
        os.utime(path, (sent.timestamp(), sent.timestamp()))
    for path in (folder.parent, *folder.parent.iterdir(), *folder.iterdir()):
        os.chown(path, owner.st_uid, owner.st_gid)


def expected_letters(count: int) -> int:
    """Those that are enquiries: neither colleagues' nor mailings, each once."""
    return len(
        {number - 1 if number % 7 == 6 else number for number in range(count) if number % 3 != 2 and number % 5 != 4}
    )


@needs_dovecot
def test_a_year_of_letters_is_read_in_portions_and_a_restart_takes_nothing_twice(store: Store) -> None:
    with imap_server() as server, cutting_proxy(server.port) as proxy:
        section = server.section(port=proxy.port, since=(NOON - timedelta(days=400)).date())
        fill_box(server, YEAR_OF_LETTERS)
        account = AccountStore(store, ACCOUNT)
        fates: list[str] = []
        fetched: list[int] = []

        def reader() -> MailboxReader:
            connection = MailboxConnection(section, lambda: PASSWORD)
            read = connection.fetch

            def fetch(uids: Sequence[int], *, headers_only: bool = False) -> dict[int, bytes]:
                found = read(uids, headers_only=headers_only)
                fetched.append(len(found))
                return found

            connection.fetch = fetch  # type: ignore[method-assign]
            return MailboxReader(section, connection, account, SETTINGS, FixedClock(NOON), passed=fates.append)

        # The connection breaks in the middle, each time the process is a new one.
        proxy.cuts = [250_000, 400_000]
        cursor = FolderCursor(account, section.name, section.folder)
        reached: list[int] = []
        for _ in range(2):
            with pytest.raises(MailboxDown):
                reader().read()
            known = cursor.read()
            reached.append(known[1] if known else 0)
        last = reader()
        left = last.read()
        last.connection.close()
        assert 0 < reached[0] < reached[1] < YEAR_OF_LETTERS, "the cursor has moved"
        assert left == YEAR_OF_LETTERS - reached[1], "it goes on from there"
        assert len(fates) == YEAR_OF_LETTERS, "each letter once"
        assert max(fetched) <= BATCH_LETTERS, "never more than a portion at a time"
        assert sum(fetched) < YEAR_OF_LETTERS + 3 * BATCH_LETTERS, "of what a break tore nothing but its portion again"
        with account.read() as connection:
            kept = connection.execute(select(func.count()).select_from(intake_requests)).scalar_one()
        assert kept == expected_letters(YEAR_OF_LETTERS)
        again = reader()
        assert again.read() == 0
        again.connection.close()
        assert not any(b"Seen" in flags for flags in server.flags())
