"""The files service and files of cards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.sandbox_http import Receiver, ServedSandbox, receiver, served_sandbox

from amo_bridge.sandbox.files import MAX_PART


@pytest.fixture
def hooked() -> Iterator[Receiver]:
    with receiver() as taken:
        yield taken


@pytest.fixture
def sandbox(hooked: Receiver) -> Iterator[ServedSandbox]:
    with served_sandbox() as served:
        served.control("POST", "limits", {"enabled": False})
        yield served


def upload(sandbox: ServedSandbox, name: str, content: bytes, **more: Any) -> dict[str, Any]:
    body = {"file_name": name, "file_size": len(content), **more}
    session = sandbox.call("POST", "/drive/v1.0/sessions", body).json()
    url = session["upload_url"]
    for start in range(0, len(content), MAX_PART):
        answer = sandbox.raw("POST", url, content[start : start + MAX_PART])
        assert answer.status_code == 200, answer.text
        url = answer.json().get("next_url")
    assert url is None
    return dict(answer.json())


def test_the_drive_is_where_the_account_says(sandbox: ServedSandbox) -> None:
    assert sandbox.call("GET", "/api/v4/account?with=drive_url").json()["drive_url"] == f"{sandbox.url}/drive"


def test_a_file_goes_up_in_parts_and_comes_down_whole(sandbox: ServedSandbox) -> None:
    content = bytes(range(256)) * (MAX_PART // 256 * 2 + 3)

    file = upload(sandbox, "Бриф клиента.docx", content)

    assert (file["name"], file["size"], file["type"]) == ("Бриф клиента.docx", len(content), "document")
    assert file["metadata"]["extension"] == "docx"
    # The link alone is enough, without a token.
    assert sandbox.raw("GET", file["_links"]["download"]["href"], token="").content == content


def test_wrong_uploads_are_refused(sandbox: ServedSandbox) -> None:
    session = sandbox.call("POST", "/drive/v1.0/sessions", {"file_name": "a.txt", "file_size": 3}).json()

    assert sandbox.raw("POST", session["upload_url"] + "0", b"abc").status_code == 404
    assert sandbox.raw("POST", session["upload_url"], b"abcd").status_code == 400
    assert sandbox.call("POST", "/drive/v1.0/sessions", {"file_name": "a.txt"}).status_code == 400
    big = {"file_name": "a.txt", "file_size": session["max_file_size"] + 1}
    assert sandbox.call("POST", "/drive/v1.0/sessions", big).status_code == 400


def test_a_session_ends_after_a_day(sandbox: ServedSandbox) -> None:
    session = sandbox.call("POST", "/drive/v1.0/sessions", {"file_name": "a.txt", "file_size": 3}).json()

    sandbox.control("POST", "clock", {"advance": 24 * 3600})

    assert sandbox.raw("POST", session["upload_url"], b"abc").status_code == 404


def test_a_new_version_keeps_the_file(sandbox: ServedSandbox) -> None:
    first = upload(sandbox, "Договор.pdf", b"one")

    second = upload(sandbox, "Договор 2.pdf", b"two!", file_uuid=first["uuid"])

    assert second["uuid"] == first["uuid"]
    assert second["version_uuid"] != first["version_uuid"]
    assert second["has_multiple_versions"] is True
    versions = sandbox.call("GET", f"/drive/v1.0/files/{first['uuid']}/versions").json()["_embedded"]["versions"]
    assert [version["size"] for version in versions] == [3, 4]
    assert sandbox.raw("GET", first["_links"]["download_version"]["href"]).content == b"one"


def test_files_are_listed_renamed_deleted_and_restored(sandbox: ServedSandbox) -> None:
    first, second = upload(sandbox, "a.txt", b"1"), upload(sandbox, "b.pdf", b"2")

    def names(query: str = "") -> list[str]:
        answer = sandbox.call("GET", f"/drive/v1.0/files?{query}")
        return [file["name"] for file in answer.json()["_embedded"]["files"]] if answer.content else []

    assert names() == ["b.pdf", "a.txt"]
    assert names("filter[extensions][0]=txt") == ["a.txt"]
    sandbox.call("PATCH", f"/drive/v1.0/files/{second['uuid']}", {"name": "c.pdf"})
    assert names(f"filter[uuid]={second['uuid']}") == ["c.pdf"]
    assert sandbox.call("DELETE", "/drive/v1.0/files", [{"uuid": first["uuid"]}]).status_code == 204
    assert (names(), names("filter[deleted]=1")) == (["c.pdf"], ["a.txt"])
    sandbox.call("POST", "/drive/v1.0/files/restore", [{"uuid": first["uuid"]}])
    assert sorted(names()) == ["a.txt", "c.pdf"]


def test_a_cards_files_are_paged_by_before_id(sandbox: ServedSandbox) -> None:
    deal = sandbox.new_deal()
    path = f"/api/v4/leads/{deal}/files"
    files = [upload(sandbox, f"{number}.txt", b"x")["uuid"] for number in range(3)]
    empty = sandbox.call("GET", path).status_code

    put = sandbox.call("PUT", path, [{"file_uuid": uuid} for uuid in files])
    sandbox.call("PUT", path, [{"file_uuid": files[0]}])
    first = sandbox.call("GET", f"{path}?limit=2").json()
    rest = sandbox.raw("GET", first["_links"]["next"]["href"]).json()

    assert (empty, put.status_code, put.content) == (204, 202, b"")
    assert [file["file_uuid"] for file in first["_embedded"]["files"]] == [files[2], files[1]]
    assert [file["file_uuid"] for file in rest["_embedded"]["files"]] == [files[0]]
    assert "next" not in rest["_links"]
    links = sandbox.call("GET", f"/api/v4/files/{files[0]}/links").json()
    assert links == {"file_uuid": files[0], "entities": [{"entity_type": "leads", "entity_id": deal}]}
    assert sandbox.call("DELETE", path, [{"file_uuid": files[2]}]).status_code == 202
    left = sandbox.call("GET", path).json()["_embedded"]["files"]
    assert [file["file_uuid"] for file in left] == [files[1], files[0]]


def test_a_file_dropped_on_a_card_is_seen_everywhere(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "note_lead")
    deal, person = sandbox.new_deal(), sandbox.user("Мария Кузнецова")
    dropped = {"entity_type": "leads", "entity_id": deal, "user_id": person, "comment": "Смотрите"}

    answer = sandbox.control("POST", "ui/attach_file", {**dropped, "file_name": "Коммерческое предложение.pdf"})
    sandbox.flush()

    file, text = hooked.forms()
    prefix = "leads[note][0][note]"
    assert (file[f"{prefix}[note_type]"], text[f"{prefix}[note_type]"]) == ("5", "4")
    assert file[f"{prefix}[text]"] == "Коммерческое предложение.pdf"
    drive, _, rest = file[f"{prefix}[attachement]"].partition("/")
    assert drive == "drive"
    assert rest.split("/")[1:] == [answer["file_uuid"], "Kommercheskoe_predlozhenie.pdf"]
    assert f'"id":{person},"author_name":"Мария Кузнецова"' in file[f"{prefix}[metadata]"]
    assert text[f"{prefix}[text]"] == "Смотрите"
    assert file[f"{prefix}[created_at]"] == text[f"{prefix}[created_at]"]
    events = sandbox.call("GET", f"/api/v4/events?filter[entity]=lead&filter[entity_id]={deal}").json()
    types = [event["type"] for event in events["_embedded"]["events"]]
    assert types == ["common_note_added", "attachment_note_added", "lead_added"]
    files = sandbox.call("GET", f"/api/v4/leads/{deal}/files").json()["_embedded"]["files"]
    assert [one["file_uuid"] for one in files] == [answer["file_uuid"]]


@pytest.mark.parametrize(
    "wrong", [{"entity_id": 1}, {"entity_type": "leads", "user_id": 1}, {"file_name": ""}, {"entity_type": "tables"}]
)
def test_a_file_dropped_nowhere_is_refused(sandbox: ServedSandbox, wrong: dict[str, Any]) -> None:
    person = sandbox.user("Мария Кузнецова")
    body = {"entity_type": "leads", "entity_id": sandbox.new_deal(), "user_id": person, "file_name": "a.txt"}

    answer = sandbox.call("POST", "/sandbox/ui/attach_file", {**body, **wrong})

    assert answer.status_code in (400, 404)
