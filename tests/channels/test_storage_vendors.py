"""Vendors of the document storage over their stand-ins: once, in the deal's folder, whatever the vendor does."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.document_office import FOLDER_FIELD, DocumentOffice
from support.local_crm import LocalCrm

from amo_bridge.channels.storage_services import StorageService
from amo_bridge.channels.yandex_disk import YandexDisk
from amo_bridge.config.channels import YandexDiskSection
from amo_bridge.errors import ChannelDown
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


KITS: dict[str, Callable[[StandIns], Kit]] = {"yandex_disk": yandex_disk}


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
def store(prepared_file: Path, tmp_path: Path) -> Iterator[Store]:
    """One kind is enough here: the port is tested on both in test_storage.py."""
    opened = Store(f"sqlite:///{shutil.copy(prepared_file, tmp_path / 'bridge.db')}")
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


def test_a_locked_disk_is_waited_for(disk_office: DocumentOffice, stand_ins: StandIns) -> None:
    stand_ins["yandex_disk"].configure({"locked": True})
    disk_office.store_file("КП.pdf")
    assert disk_office.state() == ["ready"]
    stand_ins["yandex_disk"].configure({"locked": False})
    disk_office.later(minutes=5)
    assert disk_office.state() == ["done"]
