"""Scripts and letters by the API: read, tried on a deal, written, put back; refused for the pages' reasons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.api_client import Program
from support.pages import Pages, agency

from amo_bridge.config.channels import MailSection
from amo_bridge.web.auth.users import Role

TEXT = "Тема: Проект «{{ сделка.название }}»\n\nЗдравствуйте!\n"
PATH = "/texts/letters/ждём/бриф"
DEAL = 30000001


@pytest.fixture
def folder(pages: Pages) -> Path:
    pages.know_account(agency())
    pages.know_deal("Ромашка")
    config = pages.bridge.config
    mail = MailSection.model_validate({"host": "127.0.0.1", "from": "info@agency.example"})
    pages.bridge.config = replace(config, channels=replace(config.channels, mail=mail))
    made = config.path.parent / "letters"
    (made / "ждём").mkdir(parents=True)
    (made / "ждём/бриф.txt").write_text(TEXT, "utf-8")
    return made


def test_a_letter_is_read_checked_written_and_put_back(folder: Path, master: Program) -> None:
    (told,) = master.get("/texts")["letters"]
    assert (told["name"], told["problem"], told["uses"]) == ("ждём/бриф", "", [])
    before = master.get(PATH)
    tried = master.ask("POST", f"{PATH}/check", {"text": TEXT + "{{ сделка.этап }}\n", "deal": DEAL}).json
    assert (tried["subject"], tried["findings"]) == ("Проект «Ромашка»", [])
    (wrong,) = master.ask("POST", f"{PATH}/check", {"text": TEXT + "{{ нет }}\n"}).json["findings"]
    assert (wrong["file"], wrong["line"]) == ("ждём/бриф.txt", 4)
    edit = {"text": TEXT + "Ещё\n", "html": "<p>Ещё</p>\n", "mark": before["mark"]}
    after = master.ask("PUT", PATH, edit).json
    assert (folder / "ждём/бриф.html").read_text("utf-8") == "<p>Ещё</p>\n"
    assert master.ask("PUT", PATH, edit).status_code == 409, "of a version that is there no more"
    (version,) = after["versions"]
    assert master.get(f"{PATH}?version={version['name']}")["text"] == TEXT
    gone = {"mark": after["mark"], "html_mark": after["html_mark"]}
    assert master.ask("DELETE", PATH, gone).json["letters"] == []


def test_what_is_wrong_is_not_written(folder: Path, master: Program) -> None:
    mark = master.get(PATH)["mark"]
    for path, text, status in (
        (PATH, TEXT + "{% if %}\n", 422),
        ("/texts/letters/..%2F..%2Fconfig", TEXT, 422),
        ("/texts/scripts/Скрипт", TEXT, 422),
    ):
        assert master.ask("PUT", path, {"text": text, "mark": mark}).status_code == status
    assert (folder / "ждём/бриф.txt").read_text("utf-8") == TEXT
    assert master.ask("GET", "/texts/letters/..%2F..%2Fconfig").status_code == 404


def test_a_talk_is_written_down_once(folder: Path, master: Program) -> None:
    script = "Тема: Звонок\n\n# Узнать\n\n[поле: Основной продукт]\n[ответ: Да]\n"
    assert master.ask("PUT", "/texts/scripts/call", {"text": script}).status_code == 200
    path = f"/deals/{DEAL}/scripts/call"
    kinds = [block["kind"] for block in master.get(path)["blocks"]]
    assert kinds == ["heading", "field", "answer"]
    said = {"answers": {"Узнать": "Да"}, "fields": {"Основной продукт": "Кофе"}, "mark": "0123456789"}
    assert master.ask("POST", path, said).json == {"state": "saved"}
    assert master.ask("POST", path, said).json == {"state": "again"}
    assert master.ask("POST", path, {"mark": "0123456789"}).json == {"state": "nothing"}
    assert master.ask("POST", path, {**said, "answers": {"Узнать": "Нет"}}).status_code == 422
    assert master.ask("POST", path, {**said, "fields": {"Бюджет": "1"}}).status_code == 422


def test_letters_are_the_admins_and_scripts_the_heads(pages: Pages, folder: Path) -> None:
    head = Program(pages, Role.HEAD)
    assert head.ask("GET", PATH).status_code == 403
    assert head.ask("PUT", "/texts/scripts/call", {"text": "Тема: Звонок\n"}).status_code == 200
    assert Program(pages, Role.WEBINAR).ask("GET", "/texts").status_code == 403
