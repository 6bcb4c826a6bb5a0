"""The page of a deal's files: who may see it, and what of a file that is not there any more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.pages import Pages, Visit, words_of

from amo_bridge.channels.storage_services import LocalCopy
from amo_bridge.channels.vendors import document_services
from amo_bridge.storage.tables import stored_files
from amo_bridge.web.auth.users import Role

DEAL = 30000001
CONTENT = "<script>alert(1)</script>"


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    there = Pages.in_folder(tmp_path)
    there.meet_account()
    yield there
    there.close()


@pytest.fixture
def viewer(pages: Pages) -> Visit:
    return pages.visit(Role.VIEWER)


def put(pages: Pages, name: str, *, deal: int = DEAL, vendor: str = "storage", url: str = "") -> int:
    """A copy in the bridge's own folder, as the port leaves it; its number."""
    service = document_services(pages.bridge.config, {})["storage"]
    path = pages.bridge.config.data_folder / "incoming"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CONTENT, "utf-8")
    folder = service.folder(deal, "Ромашка", "")
    service.put(folder, service.new_ref(folder, name), name, LocalCopy(path, len(CONTENT), "", ""))
    row = {
        "account": pages.account.key, "vendor": vendor, "deal_id": deal, "file_uuid": f"{name}{deal}",
        "version_uuid": "v", "base": name, "version": 1, "name": name, "folder_ref": folder.ref,
        "ref": service.new_ref(folder, name), "url": url, "size": len(CONTENT), "md5": "", "file_at": 0.0,
        "state": "stored", "outbox_id": 1, "stored_at": 1.0,
    }  # fmt: skip
    with pages.office.store.write() as connection:
        return int(connection.execute(stored_files.insert().returning(stored_files.c.id), row).scalar_one())


def test_a_file_is_listed_and_saved_never_shown(pages: Pages, viewer: Visit) -> None:
    number = put(pages, "Договор.html")
    assert "Договор.html" in words_of(viewer.get(f"/deals/{DEAL}/files"))
    got = viewer.get(f"/deals/{DEAL}/files/{number}")
    assert (got.status_code, got.text, got.content_type) == (200, CONTENT, "application/octet-stream")
    assert got.headers["Content-Disposition"].startswith("attachment")


def test_a_deal_leads_to_its_files(pages: Pages, viewer: Visit) -> None:
    pages.know_deal("Ромашка")
    assert "файл" not in words_of(viewer.get(f"/deals/{DEAL}"))
    put(pages, "Договор.pdf")
    page = viewer.get(f"/deals/{DEAL}")
    assert "1 файл" in words_of(page)
    assert f"/deals/{DEAL}/files" in page.text


def test_a_file_of_another_deal_is_none_of_this_one(pages: Pages, viewer: Visit) -> None:
    number = put(pages, "Договор.pdf", deal=DEAL + 1)
    assert viewer.get(f"/deals/{DEAL}/files/{number}").status_code == 404
    assert "Копий файлов этой сделки нет" in words_of(viewer.get(f"/deals/{DEAL}/files"))


def test_a_file_that_was_deleted_by_hand_is_said_to_be_gone(pages: Pages, viewer: Visit) -> None:
    number = put(pages, "Договор.pdf")
    (path,) = pages.bridge.config.documents_folder.rglob("Договор.pdf")
    path.unlink()
    got = viewer.get(f"/deals/{DEAL}/files/{number}")
    assert (got.status_code, "больше нет" in words_of(got)) == (404, True)


def test_a_file_never_leads_out_of_the_folder(pages: Pages, viewer: Visit) -> None:
    number = put(pages, "Договор.pdf")
    (path,) = pages.bridge.config.documents_folder.rglob("Договор.pdf")
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert viewer.get(f"/deals/{DEAL}/files/{number}").status_code == 404


def test_a_service_with_links_of_its_own_is_led_to(pages: Pages, viewer: Visit) -> None:
    number = put(pages, "Договор.pdf", vendor="yandex_disk", url="https://disk.example/1")
    got = viewer.get(f"/deals/{DEAL}/files/{number}")
    assert (got.status_code, got.headers["Location"]) == (302, "https://disk.example/1")


def test_a_storage_that_is_disconnected_says_so(pages: Pages, viewer: Visit) -> None:
    number = put(pages, "Договор.pdf", vendor="s3")
    got = viewer.get(f"/deals/{DEAL}/files/{number}")
    assert (got.status_code, "[s3]" in words_of(got)) == (404, True)


def test_nobody_who_is_not_logged_in_sees_anything(pages: Pages) -> None:
    number = put(pages, "Договор.pdf")
    stranger = pages.stranger()
    for path in (f"/deals/{DEAL}/files", f"/deals/{DEAL}/files/{number}"):
        got = stranger.get(path)
        assert got.status_code in (302, 401, 403)
        assert CONTENT not in got.text
