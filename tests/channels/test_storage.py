"""The document storage: each file of a deal once into the deal's folder, its links in fields, whatever goes wrong."""

from __future__ import annotations

import os
import shutil
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import responses
from support.document_office import FOLDER_FIELD, IVAN, PAGES, DocumentOffice
from support.fakes import client_of
from support.local_crm import LocalCrm

from amo_bridge.channels.storage_services import (
    MARK,
    DealFolder,
    FolderStorage,
    LocalCopy,
    is_folder_of,
    safe_name,
    versioned,
)
from amo_bridge.config.channels import StorageSection
from amo_bridge.crm.files import FileTooLarge, download_file
from amo_bridge.errors import ChannelDown, ChannelUncertain, CrmRefused, CrmTemporary, CrmUncertain
from amo_bridge.storage.database import Store

# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Договор.pdf", "Договор.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ('КП: «Ромашка» "А/Б"?.pdf', "КП_ «Ромашка» _А_Б__.pdf"),
        ("...", "файл"),
        ("", "файл"),
        ("й" * 300 + ".docx", "й" * 97 + ".docx"),
        ("line\nbreak\x00.txt", "line_break_.txt"),
    ],
)
def test_a_name_that_every_service_takes(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_version_stands_before_the_extension() -> None:
    assert [versioned("КП.pdf", number) for number in (1, 2)] == ["КП.pdf", "КП (2).pdf"]
    assert versioned("Бриф", 3) == "Бриф (3)"


def test_a_folder_is_known_by_its_number() -> None:
    assert is_folder_of("123 Ромашка", 123)
    assert is_folder_of("123", 123)
    assert not is_folder_of("1234 Ромашка", 123)


# --- the folder on this server ----------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "documents"


@pytest.fixture
def office(store: Store, sandbox: LocalCrm, root: Path, tmp_path: Path) -> DocumentOffice:
    return DocumentOffice(store, sandbox, tmp_path / "data", FolderStorage(root))


def lying(root: Path) -> dict[str, str]:
    """Path within the folder → content."""
    found = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file() and path.name != MARK}
    return {name: path.read_text("utf-8") for name, path in found.items()}


def test_a_file_lies_in_the_deals_folder_and_fields_lead_to_it(office: DocumentOffice, root: Path) -> None:
    office.store_file("КП Ромашка.pdf", "первое")
    assert lying(root) == {f"{office.deal} Ромашка/КП Ромашка.pdf": "первое"}
    (row,) = office.rows()
    page = f"{PAGES}/deals/{office.deal}/files"
    assert office.fields() == {FOLDER_FIELD: page, "Ссылка на КП": f"{page}/{row.id}"}
    assert office.told() == "файл «КП Ромашка.pdf» в хранилище"
    assert not list(office.spool.glob("*"))


def test_nobody_else_of_this_server_reads_it(office: DocumentOffice, root: Path) -> None:
    office.store_file("КП.pdf")
    (path,) = [path for path in root.rglob("КП.pdf")]
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_same_file_is_stored_once_however_often_it_is_told_of(office: DocumentOffice, root: Path) -> None:
    uuid = office.store_file("КП.pdf")
    office.want("КП.pdf", uuid)
    office.round()
    assert len(lying(root)) == 1
    assert office.state() == ["done", "done"]
    assert office.told() == "файл «КП.pdf» уже в хранилище"


def test_another_file_of_the_same_name_is_a_version_and_the_link_leads_to_the_newest(
    office: DocumentOffice, root: Path
) -> None:
    office.store_file("КП.pdf", "первое")
    office.crm.later()
    office.store_file("КП.pdf", "второе")
    deal = f"{office.deal} Ромашка"
    assert lying(root) == {f"{deal}/КП.pdf": "первое", f"{deal}/КП (2).pdf": "второе"}
    newest = office.rows()[-1]
    assert office.fields()["Ссылка на КП"].endswith(f"/files/{newest.id}")


def test_an_older_file_that_comes_late_does_not_take_the_link(office: DocumentOffice) -> None:
    older = office.attach("КП старое.pdf", "старое")
    office.crm.later()
    office.store_file("КП новое.pdf", "новое")
    new = office.fields()["Ссылка на КП"]
    office.want("КП старое.pdf", older)
    office.round()
    assert office.fields()["Ссылка на КП"] == new


def test_what_somebody_else_has_put_into_the_folder_stays(office: DocumentOffice, root: Path) -> None:
    office.store_file("Договор.pdf", "наш")
    folder = root / f"{office.deal} Ромашка"
    (folder / "КП.pdf").write_text("чужой", "utf-8")
    office.store_file("КП.pdf", "наш")
    assert (folder / "КП.pdf").read_text("utf-8") == "чужой"
    assert (folder / "КП (2).pdf").read_text("utf-8") == "наш"


def test_a_renamed_folder_is_found_by_the_deal(office: DocumentOffice, root: Path) -> None:
    office.store_file("КП.pdf", "первое")
    (root / f"{office.deal} Ромашка").rename(root / "Важное")
    office.store_file("Договор.pdf", "второе")
    assert lying(root) == {"Важное/КП.pdf": "первое", "Важное/Договор.pdf": "второе"}
    kept = office.rows()[0]
    assert office.service.open(office.deal, kept.ref, kept.name) == root / "Важное" / "КП.pdf"


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of folders whose contents the bridge may not read; tests may run as root, who may all."""
    names: set[str] = set()
    read = Path.read_text

    def may_not(path: Path, *how: Any, **more: Any) -> str:
        if path.parent.name in names:
            raise PermissionError(13, "Permission denied")
        return read(path, *how, **more)

    monkeypatch.setattr(Path, "read_text", may_not)
    return names


def test_a_folder_that_may_not_be_read_is_no_deals(office: DocumentOffice, root: Path, unreadable: set[str]) -> None:
    for name in ("lost+found", f"{office.deal} чужая"):
        (root / name).mkdir(parents=True)
        unreadable.add(name)
    office.store_file("КП.pdf")
    renamed = root / "Ромашка, договоры"
    (root / f"{office.deal} Ромашка").rename(renamed)
    office.store_file("Договор.pdf")
    assert office.state() == ["done", "done"]
    assert {path.name for path in renamed.iterdir()} == {MARK, "КП.pdf", "Договор.pdf"}


def test_the_deals_own_folder_that_may_not_be_read_holds_up_this_deal_alone(
    office: DocumentOffice, root: Path, unreadable: set[str]
) -> None:
    office.store_file("КП.pdf")
    unreadable.add(f"{office.deal} Ромашка")
    office.store_file("Договор.pdf")
    assert (office.state(), "нет прав" in office.told()) == (["done", "ready"], True)
    assert office.service.folder(7, "Другая", "").is_new
    unreadable.clear()
    office.later(minutes=10)
    assert office.state() == ["done", "done"]
    assert len(lying(root)) == 2


def test_a_new_deal_has_no_other_deals_mark_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = FolderStorage(root)
    service.folder(1, "Первая", "")
    service.folder(2, "Вторая", "")
    read: list[str] = []
    monkeypatch.setattr(Path, "read_text", lambda path, *_: read.append(path.parent.name) or "")
    assert (service.folder(3, "Третья", "").is_new, read) == (True, [])


def test_a_deleted_folder_is_made_again_and_somebody_is_told(office: DocumentOffice, root: Path) -> None:
    office.store_file("КП.pdf", "первое")
    shutil.rmtree(root / f"{office.deal} Ромашка")
    office.store_file("Договор.pdf", "второе")
    assert lying(root) == {f"{office.deal} Ромашка/Договор.pdf": "второе"}
    assert "создана заново" in office.told()
    (task,) = office.bodies("create_task")
    assert "прежние копии (1) в неё не возвращены" in task["text"]


def test_a_link_that_a_person_has_put_in_stays(office: DocumentOffice) -> None:
    office.people.fill(IVAN, office.deal, "Ссылка на КП", "https://drive.example/kp")
    office.store_file("КП.pdf")
    assert set(office.fields()) == {FOLDER_FIELD}
    assert "в поле «Ссылка на КП» ссылка человека" in office.told()


def test_a_link_of_the_deal_before_is_ours_to_replace(office: DocumentOffice) -> None:
    office.people.fill(IVAN, office.deal, "Ссылка на КП", f"{PAGES}/deals/1/files/5")
    office.store_file("КП.pdf")
    assert set(office.fields()) == {FOLDER_FIELD, "Ссылка на КП"}


def test_without_an_address_of_the_bridge_the_copy_is_made_and_the_journal_says_so(
    store: Store, sandbox: LocalCrm, root: Path, tmp_path: Path
) -> None:
    office = DocumentOffice(store, sandbox, tmp_path / "data", FolderStorage(root), pages="")
    office.store_file("КП.pdf")
    assert office.fields() == {}
    assert "public_url" in office.told()
    assert len(lying(root)) == 1


def test_a_note_that_names_no_file_is_found_by_its_name(office: DocumentOffice, root: Path) -> None:
    office.attach("Договор № 5.pdf", "договор")
    office.attach("Бриф.pdf", "бриф")
    office.want("Договор № 5.pdf", None)
    office.round()
    assert list(lying(root).values()) == ["договор"]


def test_a_file_that_is_gone_is_not_stored(office: DocumentOffice) -> None:
    office.want("КП.pdf", "00000000-0000-0000-0000-000000000000")
    office.round()
    assert office.state() == ["unsent"]
    assert "удалён или в корзине" in office.told()


def test_a_file_that_is_too_large_is_not_stored(store: Store, sandbox: LocalCrm, root: Path, tmp_path: Path) -> None:
    section = StorageSection(largest_mb=1, keep_free_mb=0)
    office = DocumentOffice(store, sandbox, tmp_path / "data", FolderStorage(root), section)
    office.store_file("КП.pdf", "x" * (1 << 20))
    office.store_file("Договор.pdf", "x" * ((1 << 20) + 1))
    assert office.state() == ["done", "unsent"]
    assert "больше 1 МБ" in office.told()


def test_a_full_disk_holds_files_back_until_there_is_room(
    office: DocumentOffice, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
        office.store_file("КП.pdf", "x" * 10)
        assert (office.state(), "освободите место" in office.told()) == (["ready"], True)
    office.later(minutes=10)
    assert (office.state(), len(lying(root))) == (["done"], 1)


def test_a_deal_without_the_robot_is_left_alone(office: DocumentOffice, root: Path) -> None:
    office.client.patch("/api/v4/leads", [{"id": office.deal, "tags_to_add": [{"name": "без робота"}]}])
    office.store_file("КП.pdf")
    assert (office.state(), root.exists()) == (["unsent"], False)


def test_a_crash_after_the_copy_was_made_is_settled_by_looking(office: DocumentOffice, root: Path) -> None:
    put = office.service.put

    def dies(*told: Any) -> str:
        put(*told)
        raise ChannelUncertain("связь прервалась")

    office.service.put = dies  # type: ignore[method-assign]
    office.store_file("КП.pdf", "первое")
    assert (office.state(), [row.state for row in office.rows()]) == (["doubt"], ["putting"])
    office.service.put = put  # type: ignore[method-assign]
    office.later(minutes=1)
    assert (office.state(), [row.state for row in office.rows()]) == (["done"], ["stored"])
    assert list(lying(root)) == [f"{office.deal} Ромашка/КП.pdf"]
    assert "Ссылка на КП" in office.fields()


def test_a_crash_before_the_copy_was_made_is_settled_by_looking(office: DocumentOffice, root: Path) -> None:
    put = office.service.put

    def dies(*told: Any) -> str:
        raise ChannelUncertain("связь прервалась")

    office.service.put = dies  # type: ignore[method-assign]
    office.store_file("КП.pdf", "первое")
    office.service.put = put  # type: ignore[method-assign]
    office.later(minutes=1)
    office.later(minutes=1)
    assert office.state() == ["done"]
    assert list(lying(root)) == [f"{office.deal} Ромашка/КП.pdf"]


def test_a_link_that_has_expired_is_asked_for_anew(
    office: DocumentOffice, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def expired(*_: Any, **__: Any) -> int:
        raise CrmRefused("nothing is served at this address", status=410)

    with monkeypatch.context() as patched:
        patched.setattr("amo_bridge.channels.storage.download_file", expired)
        office.store_file("КП.pdf")
        assert office.state() == ["ready"]
    office.later(minutes=1)
    assert (office.state(), len(lying(root))) == (["done"], 1)


def test_what_a_dead_process_has_left_is_thrown_away(office: DocumentOffice) -> None:
    office.spool.mkdir(parents=True)
    (office.spool / "part-abc").write_bytes(b"half")
    office.lane.recover()
    assert not list(office.spool.iterdir())


def test_what_another_account_is_downloading_is_left_alone(
    office: DocumentOffice, store: Store, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = DocumentOffice(store, office.crm, tmp_path / "data", office.service, account_id=1234567)
    put = office.service.put

    def meanwhile(folder: DealFolder, ref: str, name: str, copy: LocalCopy) -> str:
        other.lane.recover()
        return put(folder, ref, name, copy)

    monkeypatch.setattr(office.service, "put", meanwhile)
    office.store_file("КП.pdf")
    assert (office.state(), len(lying(root))) == (["done"], 1)


def test_only_the_bridges_own_disk_is_blamed_for_its_errors(
    office: DocumentOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> str:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(office.service, "put", fails)
        office.store_file("КП.pdf")
    assert "не помещается на диск" not in office.told()
    assert not list(office.spool.iterdir())


def test_a_download_that_somebody_has_tidied_away_is_no_failure_once_it_is_stored(
    office: DocumentOffice, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = office.service.put

    def tidied(folder: DealFolder, ref: str, name: str, copy: LocalCopy) -> str:
        url = put(folder, ref, name, copy)
        copy.path.unlink()
        return url

    monkeypatch.setattr(office.service, "put", tidied)
    office.store_file("КП.pdf")
    assert (office.state(), len(lying(root))) == (["done"], 1)


def test_the_same_file_of_two_deals_lies_in_both_folders(office: DocumentOffice, root: Path) -> None:
    uuid = office.store_file("КП.pdf")
    contact = office.people.new_contact(IVAN, "Олег")
    other = office.people.new_deal(IVAN, "Лютик", "Продажи / Новый клиент", contact, 5)
    office.want("КП.pdf", uuid, deal=other)
    office.round()
    assert sorted(lying(root)) == sorted([f"{office.deal} Ромашка/КП.pdf", f"{other} Ромашка/КП.pdf"])


def test_check_says_where_and_how_much_room(tmp_path: Path) -> None:
    assert "свободно" in FolderStorage(tmp_path / "a" / "b").check()
    assert not (tmp_path / "a").exists()
    with pytest.raises(ChannelDown, match="подключите диск"):
        FolderStorage(tmp_path / "a" / "b", is_private=False).check()
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(ChannelDown, match="нельзя писать"):
        FolderStorage(tmp_path / "file").check()


def test_without_hard_links_a_copy_is_whole_all_the_same(
    office: DocumentOffice, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuses)
    office.store_file("КП.pdf", "первое")
    assert lying(root) == {f"{office.deal} Ромашка/КП.pdf": "первое"}


# --- downloading from amoCRM ------------------------------------------------------------------------------------------

SIZE = 48 << 20
URL = "https://drive.example"
CRM = "https://agency.amocrm.ru"


def row_of(size: int | None = 5, href: str = f"{URL}/download/1") -> dict[str, Any]:
    return {"uuid": "u", "size": size, "_links": {"download": {"href": href}}}


def downloaded(row: dict[str, Any], most: int = 100) -> bytes:
    into = BytesIO()
    download_file(client_of(CRM), URL, row, into, most=most)
    return into.getvalue()


@responses.activate
def test_the_link_gets_no_token() -> None:
    responses.get(f"{URL}/download/1", body=b"12345")
    assert downloaded(row_of()) == b"12345"
    assert "Authorization" not in responses.calls[0].request.headers


@responses.activate
def test_a_link_that_wants_the_token_gets_it_from_the_files_service_alone() -> None:
    responses.get(f"{URL}/download/1", status=401)
    responses.get(f"{URL}/download/1", status=302, headers={"Location": "https://cdn.example/1"})
    responses.get("https://cdn.example/1", body=b"12345")
    assert downloaded(row_of()) == b"12345"
    shown = ["Authorization" in call.request.headers for call in responses.calls]
    assert shown == [False, True, False]


@responses.activate
def test_a_foreign_link_never_gets_the_token() -> None:
    responses.get("https://elsewhere.example/1", status=403)
    with pytest.raises(CrmRefused):
        downloaded(row_of(href="https://elsewhere.example/1"))
    assert len(responses.calls) == 1


@responses.activate
def test_redirects_have_an_end() -> None:
    responses.get(f"{URL}/download/1", status=302, headers={"Location": f"{URL}/download/1"})
    with pytest.raises(CrmRefused, match="circle"):
        downloaded(row_of())


@responses.activate
def test_a_redirect_to_an_open_address_is_not_followed() -> None:
    responses.get(f"{URL}/download/1", status=302, headers={"Location": "http://cdn.example/1"})
    with pytest.raises(CrmRefused, match="open address"):
        downloaded(row_of())


@responses.activate
@pytest.mark.parametrize(
    ("status", "error"), [(404, CrmRefused), (410, CrmRefused), (429, CrmTemporary), (502, CrmUncertain)]
)
def test_what_a_refusal_means(status: int, error: type[Exception]) -> None:
    responses.get(f"{URL}/download/1", status=status)
    with pytest.raises(error):
        downloaded(row_of())


@responses.activate
def test_a_file_that_comes_short_is_no_file() -> None:
    responses.get(f"{URL}/download/1", body=b"123")
    with pytest.raises(CrmUncertain, match="3 bytes came of 5"):
        downloaded(row_of())


@responses.activate
def test_a_file_that_is_larger_than_it_said_is_cut_off() -> None:
    responses.get(f"{URL}/download/1", body=b"x" * 1000)
    with pytest.raises(FileTooLarge):
        downloaded(row_of(size=None))


class Endless(BaseHTTPRequestHandler):
    """Serves many zeros."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(SIZE))
        self.end_headers()
        for _ in range(SIZE >> 20):
            self.wfile.write(bytes(1 << 20))

    def log_message(self, format: str, *told: Any) -> None:
        return


@pytest.fixture
def far_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_large_file_is_never_in_memory(far_server: str, tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        with (tmp_path / "large").open("wb") as into:
            row = row_of(SIZE, f"{far_server}/1")
            assert download_file(client_of(CRM), far_server, row, into, most=SIZE) == SIZE
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < SIZE / 8
    assert (tmp_path / "large").stat().st_size == SIZE
