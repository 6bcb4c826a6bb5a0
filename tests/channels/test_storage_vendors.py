"""Vendors of the document storage over their stand-ins: once, in the deal's folder, whatever the vendor does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
from support.document_office import FOLDER_FIELD, DocumentOffice
from support.google_account import service_account
from support.local_crm import LocalCrm

from amo_bridge.channels import google
from amo_bridge.channels.google import GoogleDrive
from amo_bridge.channels.s3 import EMPTY_SHA256, S3, Signer
from amo_bridge.channels.storage_services import StorageService
from amo_bridge.channels.yandex_disk import YandexDisk
from amo_bridge.config.channels import GoogleDriveSection, S3Section, YandexDiskSection
from amo_bridge.errors import ChannelDown, ChannelError
from amo_bridge.standins.google_drive import DriveFile, GoogleDriveStandIn
from amo_bridge.standins.s3 import S3StandIn, StoredObject
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.standins.yandex_disk import YandexDiskStandIn
from amo_bridge.storage.database import Store


@dataclass
class Kit:
    """A vendor: its stand-in, and how its own people look at it and touch it. ``upload``: the path on which the bytes
    come, for faults."""

    stand_ins: StandIns
    stand_in: Any
    service: StorageService
    files: Callable[[], dict[str, bytes]]
    put_by_hand: Callable[[DocumentOffice, str, bytes], None]
    delete_folder: Callable[[DocumentOffice], None] | None
    rename_folder: Callable[[DocumentOffice, str], None] | None
    upload: str

    def fault(self, kind: str, path: str = "*", count: int = 1) -> None:
        self.stand_ins.faults.add(kind, vendor=self.stand_in.name, path=path, count=count)

    def names(self) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self.files())


def yandex_disk(stand_ins: StandIns, **keys: Any) -> Kit:
    disk = stand_ins["yandex_disk"]
    assert isinstance(disk, YandexDiskStandIn)
    section = YandexDiskSection(api=disk.settings()["api"], **keys)

    def folder(office: DocumentOffice) -> str:
        return f"disk:/amoCRM/{office.deal} Ромашка"

    def by_hand(office: DocumentOffice, name: str, content: bytes) -> None:
        disk.resources[f"{folder(office)}/{name}"] = type(disk.resources["disk:"])(content)

    return Kit(
        stand_ins, disk, YandexDisk(section, disk.token), disk.files, by_hand,
        lambda office: disk.delete(folder(office)),
        lambda office, name: disk.rename(folder(office), f"disk:/amoCRM/{name}"),
        "/upload-target/*",
    )  # fmt: skip


def google_drive(stand_ins: StandIns, **keys: Any) -> Kit:
    drive = stand_ins["google_drive"]
    assert isinstance(drive, GoogleDriveStandIn)
    told = drive.settings()
    section = GoogleDriveSection(api=told["api"], token_url=told["token_url"], drive=told["drive"], **keys)

    def by_hand(office: DocumentOffice, name: str, content: bytes) -> None:
        number = next(number for number, one in drive.all.items() if one in drive.folders(office.deal))
        drive.all[f"by hand {name}"] = DriveFile(name, [number], content)

    def rename(office: DocumentOffice, name: str) -> None:
        drive.folders(office.deal)[0].name = name

    return Kit(
        stand_ins, drive, GoogleDrive(section, service_account(drive.email)), drive.files, by_hand,
        lambda office: drive.trash(office.deal), rename, "/upload-session/*",
    )  # fmt: skip


def s3(stand_ins: StandIns, **keys: Any) -> Kit:
    objects = stand_ins["s3"]
    assert isinstance(objects, S3StandIn)
    told = {name: value for name, value in objects.settings().items() if name != "secret"}

    def by_hand(office: DocumentOffice, name: str, content: bytes) -> None:
        objects.objects[f"deals/{office.deal}/{name}"] = StoredObject(content, "", "")

    service = S3(S3Section(**(told | keys)), objects.secret)
    return Kit(stand_ins, objects, service, objects.files, by_hand, None, None, "/documents/deals/*")


KITS: dict[str, Callable[[StandIns], Kit]] = {"yandex_disk": yandex_disk, "google_drive": google_drive, "s3": s3}


@pytest.fixture
def stand_ins() -> Iterator[StandIns]:
    made = StandIns(tuple(KITS), live=False)
    with serving(made):
        yield made


@pytest.fixture(params=KITS)
def kit(request: pytest.FixtureRequest, stand_ins: StandIns) -> Kit:
    return KITS[request.param](stand_ins)


@pytest.fixture
def office(store: Store, sandbox: LocalCrm, tmp_path: Path, kit: Kit) -> DocumentOffice:
    return DocumentOffice(store, sandbox, tmp_path, kit.service)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """One kind is enough here: the port is tested on both in test_storage.py."""
    opened = Store.in_folder(tmp_path)
    opened.prepare()
    yield opened
    opened.close()


def test_a_file_and_its_links(office: DocumentOffice, kit: Kit) -> None:
    office.store_file("КП.pdf", "первое")
    assert list(kit.files().values()) == ["первое".encode()]
    (path,) = kit.files()
    assert str(office.deal) in path
    links = office.fields()
    assert set(links) == {FOLDER_FIELD, "Ссылка на КП"}
    assert all(link.startswith("http") for link in links.values())


def test_an_empty_file_is_a_file_too(office: DocumentOffice, kit: Kit) -> None:
    uuid = office.attach("КП.pdf")
    with office.crm.world.lock:
        files = office.crm.world.table("files")
        version = files[uuid]["version_uuid"]
        versions = office.crm.world.table("file_versions")
        versions[version] = {**versions[version], "content": "", "size": 0}
        files[uuid] = {**files[uuid], "size": 0}
    office.want("КП.pdf", uuid)
    office.round()
    assert (office.state(), list(kit.files().values())) == (["done"], [b""])


def test_versions_lie_beside_each_other(office: DocumentOffice, kit: Kit) -> None:
    office.store_file("КП.pdf", "первое")
    first = office.fields()["Ссылка на КП"]
    office.crm.later()
    office.store_file("КП.pdf", "второе")
    assert kit.names() == ["КП (2).pdf", "КП.pdf"]
    assert office.fields()["Ссылка на КП"] != first


def test_what_a_person_has_put_there_stays(office: DocumentOffice, kit: Kit) -> None:
    office.store_file("Договор.pdf", "договор")
    kit.put_by_hand(office, "КП.pdf", b"foreign")
    office.store_file("КП.pdf", "наше")
    assert {b"foreign", "наше".encode()} <= set(kit.files().values())
    assert office.state() == ["done", "done"]


@pytest.mark.parametrize("fault", ["lost_answer", "refuse_before", "broken"])
def test_an_upload_whose_answer_is_lost_is_there_once(office: DocumentOffice, kit: Kit, fault: str) -> None:
    kit.fault(fault, kit.upload)
    office.store_file("КП.pdf", "первое")
    for _ in range(5):
        office.later(minutes=2)
    assert (office.state(), kit.names()) == (["done"], ["КП.pdf"])
    assert "Ссылка на КП" in office.fields()


@pytest.mark.parametrize("nth", range(8))
@pytest.mark.parametrize("fault", ["lost_answer", "broken"])
def test_any_answer_that_is_lost_does_no_harm(office: DocumentOffice, kit: Kit, fault: str, nth: int) -> None:
    """The first, the second … of all requests that a file takes."""
    struck = kit.stand_ins.faults.strike
    asked = iter(range(1000))

    def strike(kinds: Any, vendor: str, path: str) -> Any:
        if fault in kinds and next(asked) == nth:
            kit.fault(fault)
        return struck(kinds, vendor, path)

    kit.stand_ins.faults.strike = strike  # type: ignore[method-assign]
    office.store_file("КП.pdf", "первое")
    for _ in range(6):
        office.later(minutes=5)
    assert (office.state(), kit.names()) == (["done"], ["КП.pdf"])


def test_a_deleted_folder_is_made_again(office: DocumentOffice, kit: Kit) -> None:
    if kit.delete_folder is None:
        pytest.skip("no folders here")
    office.store_file("КП.pdf", "первое")
    kit.delete_folder(office)
    office.store_file("Договор.pdf", "второе")
    assert kit.names() == ["Договор.pdf"]
    assert "создана заново" in office.told()
    assert len(office.bodies("create_task")) == 1


@pytest.mark.parametrize("new_name", ["Важное", "{deal} Другое имя"])
def test_a_renamed_folder_is_found_by_the_deal(office: DocumentOffice, kit: Kit, new_name: str) -> None:
    if kit.rename_folder is None:
        pytest.skip("no folders here")
    office.store_file("КП.pdf", "первое")
    kit.rename_folder(office, new_name.format(deal=office.deal))
    office.store_file("Договор.pdf", "второе")
    assert kit.names() == ["Договор.pdf", "КП.pdf"]
    assert "создана заново" not in office.told()


def test_a_wrong_key_holds_files_back(office: DocumentOffice, kit: Kit) -> None:
    kit.fault("unauthorised", count=20)
    office.store_file("КП.pdf")
    assert (office.state(), kit.names()) == (["ready"], [])
    kit.stand_ins.faults.clear()
    office.later(minutes=10)
    assert (office.state(), kit.names()) == (["done"], ["КП.pdf"])


def test_too_many_requests_are_waited_out(office: DocumentOffice, kit: Kit) -> None:
    kit.fault("limited")
    office.store_file("КП.pdf")
    assert office.state() == ["ready"]
    office.later(minutes=10)
    assert (office.state(), kit.names()) == (["done"], ["КП.pdf"])


def test_check_says_that_it_lets_us_in(kit: Kit) -> None:
    assert "пускает" in kit.service.check()
    kit.fault("unauthorised", count=5)
    with pytest.raises(ChannelDown):
        kit.service.check()


# --- Yandex.Disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk_office(store: Store, sandbox: LocalCrm, tmp_path: Path, stand_ins: StandIns) -> DocumentOffice:
    return DocumentOffice(store, sandbox, tmp_path, yandex_disk(stand_ins, publish=False).service)


def test_without_publishing_a_link_is_the_owners(disk_office: DocumentOffice, stand_ins: StandIns) -> None:
    disk_office.store_file("КП.pdf")
    assert disk_office.fields()["Ссылка на КП"].startswith("https://disk.yandex.ru/client/disk/amoCRM/")
    disk = stand_ins["yandex_disk"]
    assert not any(one.public_url for one in disk.resources.values())  # type: ignore[attr-defined]


def test_a_full_disk_says_so(disk_office: DocumentOffice, stand_ins: StandIns) -> None:
    stand_ins["yandex_disk"].configure({"quota": 3})
    disk_office.store_file("КП.pdf")
    assert (disk_office.state(), "кончилось место" in disk_office.told()) == (["ready"], True)


def test_what_is_taken_and_not_shown_yet_is_waited_for(disk_office: DocumentOffice, stand_ins: StandIns) -> None:
    disk = stand_ins["yandex_disk"]
    disk.configure({"takes_later": True})
    disk_office.store_file("КП.pdf")
    assert disk_office.state() == ["doubt"]
    disk_office.later(minutes=1)
    uploads = [one for one in disk.requests if one.path.startswith("/upload-target/")]
    assert (disk_office.state(), len(uploads)) == (["done"], 1)


def test_a_copy_that_is_not_reckoned_up_yet_gets_no_second_one(
    disk_office: DocumentOffice, stand_ins: StandIns
) -> None:
    disk = stand_ins["yandex_disk"]
    assert isinstance(disk, YandexDiskStandIn)
    disk.configure({"hides_md5": True})
    disk_office.store_file("КП.pdf")
    for _ in range(2):
        disk_office.later(minutes=5)
    assert disk_office.state() == ["doubt"]
    disk.configure({"hides_md5": False})
    disk_office.later(minutes=30)
    assert disk_office.state() == ["done"]
    assert [path.rpartition("/")[2] for path in disk.files()] == ["КП.pdf"]


def test_a_locked_disk_is_waited_for(disk_office: DocumentOffice, stand_ins: StandIns) -> None:
    stand_ins["yandex_disk"].configure({"locked": True})
    disk_office.store_file("КП.pdf")
    assert disk_office.state() == ["ready"]
    stand_ins["yandex_disk"].configure({"locked": False})
    disk_office.later(minutes=5)
    assert disk_office.state() == ["done"]


# --- Google Drive -----------------------------------------------------------------------------------------------------


@pytest.fixture
def drive(stand_ins: StandIns) -> GoogleDriveStandIn:
    found = stand_ins["google_drive"]
    assert isinstance(found, GoogleDriveStandIn)
    return found


@pytest.fixture
def drive_office(store: Store, sandbox: LocalCrm, tmp_path: Path, stand_ins: StandIns) -> DocumentOffice:
    return DocumentOffice(store, sandbox, tmp_path, google_drive(stand_ins).service)


def test_a_large_file_goes_in_parts_and_goes_on_where_it_broke_off(
    drive_office: DocumentOffice, drive: GoogleDriveStandIn, stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(google, "PART_SIZE", 1000)
    drive.configure({"takes_half": True})
    for fault in ("lost_answer", "refuse_before", "broken"):
        stand_ins.faults.add(fault, vendor="google_drive", path="/upload-session/*")
    content = "".join(str(number) for number in range(2000))
    drive_office.store_file("КП.pdf", content)
    assert (drive_office.state(), list(drive.files().values())) == (["done"], [content.encode()])
    assert len([one for one in drive.requests if one.path.startswith("/upload/")]) == 1, "one upload, not begun anew"


@pytest.mark.parametrize("share", [False, True])
def test_the_folder_is_shared_only_if_the_config_says_so(
    store: Store, sandbox: LocalCrm, tmp_path: Path, stand_ins: StandIns, drive: GoogleDriveStandIn, share: bool
) -> None:
    office = DocumentOffice(store, sandbox, tmp_path, google_drive(stand_ins, share=share).service)
    office.store_file("КП.pdf")
    (folder,) = drive.folders(office.deal)
    assert folder.shared is share


@pytest.mark.parametrize("restarted", [False, True])
def test_a_folder_that_was_made_and_not_yet_shared_is_shared(
    stand_ins: StandIns, drive: GoogleDriveStandIn, restarted: bool
) -> None:
    service = google_drive(stand_ins, share=True).service
    stand_ins.faults.add("refuse_before", vendor="google_drive", path="*/permissions")
    with pytest.raises(ChannelError):
        service.folder(7, "Ромашка", "")
    (folder,) = drive.folders(7)
    assert not folder.shared
    again = google_drive(stand_ins, share=True).service if restarted else service
    found = again.folder(7, "Ромашка", "")
    assert (folder.shared, len(drive.folders(7))) == (True, 1)
    before = len(drive.requests)
    again.folder(7, "Ромашка", found.ref)
    assert not [one for one in drive.requests[before:] if one.path.endswith("/permissions")], "kept: shared already"


def test_an_account_without_room_is_told_that_it_needs_a_shared_drive(
    drive_office: DocumentOffice, drive: GoogleDriveStandIn
) -> None:
    drive.configure({"quota_exceeded": True})
    drive_office.store_file("КП.pdf")
    assert (drive_office.state(), "нужен общий диск" in drive_office.told()) == (["ready"], True)


def test_a_token_that_has_died_is_renewed(drive_office: DocumentOffice, drive: GoogleDriveStandIn) -> None:
    drive_office.store_file("КП.pdf")
    drive.token = "google-test-token-2"
    drive_office.store_file("Договор.pdf")
    assert drive_office.state() == ["done", "done"]


@responses.activate
@pytest.mark.parametrize("answer", [{"status": 404, "body": "<html>"}, {"status": 200, "json": {"href": "x"}}])
def test_another_address_than_disks_is_told(answer: dict[str, Any]) -> None:
    responses.get("https://disk.example/", **answer)
    with pytest.raises(ChannelDown, match=r"поправьте api в \[yandex_disk\]"):
        YandexDisk(YandexDiskSection(api="https://disk.example"), "token").check()


def test_a_drive_that_is_not_shared_names_the_account(stand_ins: StandIns, drive: GoogleDriveStandIn) -> None:
    service = google_drive(stand_ins, folder="elsewhere").service
    with pytest.raises(ChannelDown, match=drive.email):
        service.check()


@pytest.mark.parametrize("key", ["", "{}", "not json", '{"client_email": "a", "private_key": "b"}'])
def test_a_key_that_is_none_is_named(stand_ins: StandIns, drive: GoogleDriveStandIn, key: str) -> None:
    told = drive.settings()
    section = GoogleDriveSection(api=told["api"], token_url=told["token_url"], drive=told["drive"])
    with pytest.raises(ChannelDown, match="AMO_BRIDGE_GOOGLE_DRIVE_KEY"):
        GoogleDrive(section, key).check()


# --- S3 ---------------------------------------------------------------------------------------------------------------

AWS_KEY, AWS_SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
AWS_TIME = datetime(2013, 5, 24, tzinfo=UTC)
AWS_HOST = "https://examplebucket.s3.amazonaws.com"


def test_signatures_are_those_of_the_documentation() -> None:
    """AWS docs, sig-v4-header-based-auth and sigv4-query-string-auth."""
    signer = Signer(AWS_KEY, AWS_SECRET, "us-east-1")
    headers = signer.headers("GET", f"{AWS_HOST}/test.txt", EMPTY_SHA256, {"range": "bytes=0-9"}, AWS_TIME)
    told = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    assert headers["Authorization"].endswith(
        f"SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature={told}"
    )
    listed = signer.headers("GET", f"{AWS_HOST}/?max-keys=2&prefix=J", EMPTY_SHA256, {}, AWS_TIME)
    assert listed["Authorization"].endswith("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
    link = signer.link(f"{AWS_HOST}/test.txt", {}, 86400, AWS_TIME)
    assert link.endswith("aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


def test_a_file_in_s3_opens_for_some_minutes(
    store: Store, sandbox: LocalCrm, tmp_path: Path, stand_ins: StandIns
) -> None:
    kit = s3(stand_ins)
    office = DocumentOffice(store, sandbox, tmp_path, kit.service)
    office.store_file("КП (первое) + «скидка» 100%.pdf", "первое")
    (row,) = office.rows()
    assert office.fields()["Ссылка на КП"].endswith(f"/deals/{office.deal}/files/{row.id}")
    link = kit.service.open(office.deal, row.ref, row.name)
    got = requests.get(str(link), timeout=30)
    assert (got.status_code, got.content) == (200, "первое".encode())
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert requests.get(str(link).replace("X-Amz-Expires=600", "X-Amz-Expires=9000"), timeout=30).status_code == 403


@pytest.mark.parametrize(
    ("keys", "words"), [({"bucket": "another"}, "bucket"), ({"key": "wrong"}, "AMO_BRIDGE_S3_SECRET")]
)
def test_what_is_wrong_with_the_section_is_named(stand_ins: StandIns, keys: dict[str, str], words: str) -> None:
    with pytest.raises(ChannelDown, match=words):
        s3(stand_ins, **keys).service.check()
