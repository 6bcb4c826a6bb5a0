"""The config by the API: read, checked, saved, put back; refused for the same reasons as on its page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.api_client import Program
from support.pages import Pages, agency

from amo_bridge.config.loader import load
from amo_bridge.web.auth.users import Role

RULE = "stage_creates_tasks.new_client"
HEADER = "[handlers.stage_creates_tasks.new_client]\nenabled = "


@pytest.fixture
def path(pages: Pages) -> Path:
    return pages.bridge.config.path


def switched_off(text: str) -> str:
    assert f"{HEADER}true" in text
    return text.replace(f"{HEADER}true", f"{HEADER}false", 1)


def is_on(path: Path) -> bool:
    return next(rule.enabled for rule in load(path, {}).rules if rule.name == RULE)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_the_file_as_it_is(path: Path, master: Program) -> None:
    told = master.get("/config")
    assert (told["file"], told["text"]) == ("config.toml", path.read_text("utf-8"))
    assert told["mark"] == told["mark_in_force"]
    assert told["problems"] == told["needs_restart"] == told["backups"] == []


def test_a_broken_file_is_told_with_its_place_and_what_works_meanwhile(path: Path, master: Program) -> None:
    good = master.get("/config")
    broken = path.read_text("utf-8").replace(f"{HEADER}true", f"{HEADER}1", 1)
    path.write_text(broken, "utf-8")
    told = master.get("/config")
    (problem,) = told["problems"]
    assert problem["line"] == line_of(broken, f"{HEADER}1") + 1
    assert problem["words"].startswith(
        f"config.toml, строка {problem['line']} [handlers.stage_creates_tasks.new_client]"
    )
    assert told["mark"] != told["mark_in_force"] == good["mark"]
    assert master.ask("PUT", "/config", {"text": good["text"], "mark": told["mark"]}).json["problems"] == []


def test_checking_tells_what_would_change_and_changes_nothing(path: Path, master: Program) -> None:
    before = path.read_text("utf-8")
    told = master.ask("POST", "/config/check", {"text": switched_off(before)}).json
    assert [line for line in told["difference"] if line[0] in "+-"] == ["-enabled = true", "+enabled = false"]
    assert told["problems"] == []
    same = master.ask("POST", "/config/check", {"text": before.replace("\n", "\r\n")}).json
    assert same == {"difference": [], "problems": []}
    assert path.read_text("utf-8") == before


def test_what_is_wrong_is_told_with_its_place(path: Path, master: Program) -> None:
    text = path.read_text("utf-8") + "\n[extra]\n"
    (problem,) = master.ask("POST", "/config/check", {"text": text}).json["problems"]
    assert problem["line"] == line_of(text, "[extra]")
    assert "такого раздела нет" in problem["words"]
    unclosed, missing = master.ask("POST", "/config/check", {"text": "a = [1"}).json["problems"]
    assert unclosed["line"] == 1
    assert missing["line"] is None, "what is not there stands in no line"


def test_names_that_the_account_does_not_have_are_told(pages: Pages, path: Path, master: Program) -> None:
    pages.know_account(agency())
    pages.bridge.role = "web"
    wrong = path.read_text("utf-8").replace(
        'stages = ["Продажи / Новый клиент"]', 'stages = ["Продажи / Новый клинт"]', 1
    )
    told = master.ask("POST", "/config/check", {"text": wrong}).json["problems"]
    assert any("Новый клиент" in one["words"] and one["line"] for one in told)
    assert master.ask("PUT", "/config", {"text": wrong, "mark": master.get("/config")["mark"]}).status_code == 422


def test_slips_in_the_text_and_unknown_names_are_told_together(pages: Pages, path: Path, master: Program) -> None:
    pages.know_account(agency())
    pages.bridge.role = "web"
    wrong = (
        path.read_text("utf-8")
        .replace('stages = ["Продажи / Новый клиент"]', 'stages = ["Продажи / Новый клинт"]', 1)
        .replace("dry_run =", "dryrun =", 1)
    )
    told = [one["words"] for one in master.ask("POST", "/config/check", {"text": wrong}).json["problems"]]
    assert len(told) == 2
    assert any("dry_run" in words for words in told)
    assert any("Новый клиент" in words for words in told)


def test_a_role_that_is_wrong_itself_is_told_once(pages: Pages, path: Path, master: Program) -> None:
    pages.know_account(agency())
    pages.bridge.role = "web"
    text = path.read_text("utf-8")
    before = next(line for line in text.splitlines() if line.startswith("head = "))
    told = master.ask("POST", "/config/check", {"text": text.replace(before, "head = 5", 1)}).json["problems"]
    assert len(told) == 1


def test_without_an_account_to_begin_with_the_slips_are_told(path: Path, master: Program) -> None:
    text = re.sub(r"(?m)^url = .*$", 'url = "agency"', path.read_text("utf-8"), count=1)
    told = [one["words"] for one in master.ask("POST", "/config/check", {"text": text}).json["problems"]]
    assert any("нужен https://" in words for words in told)


def test_a_text_is_saved_with_its_comments_and_counts_at_once(pages: Pages, path: Path, master: Program) -> None:
    before = path.read_text("utf-8")
    edit = {"text": switched_off(before).replace("\n", "\r\n"), "mark": master.get("/config")["mark"]}
    answer = master.ask("PUT", "/config", edit)
    assert answer.status_code == 200
    assert answer.json["text"] == path.read_text("utf-8") == switched_off(before)
    assert answer.json["mark"] == answer.json["mark_in_force"]
    assert [one["name"] for one in answer.json["backups"]] == [one.name for one in pages.account.file.backups()]
    assert not next(rule.enabled for rule in pages.bridge.config.rules if rule.name == RULE)
    (deed,) = pages.office.audit.last(9)
    assert (deed.who, deed.deed, deed.words) == ("API: admin программа", "config.save", f"Выключено: {RULE}")
    assert "+enabled = false" in deed.details


def test_the_same_text_twice_is_saved_once(pages: Pages, path: Path, master: Program) -> None:
    edit = {"text": switched_off(path.read_text("utf-8")), "mark": master.get("/config")["mark"]}
    assert [master.ask("PUT", "/config", edit).status_code for _ in range(2)] == [200, 200]
    assert len(pages.account.file.backups()) == 1
    assert len(pages.office.audit.last(9)) == 1


def test_an_edit_of_somebody_else_meanwhile_is_not_lost(pages: Pages, path: Path, master: Program) -> None:
    told = master.get("/config")
    path.write_text(told["text"] + "# чужое\n", "utf-8")
    answer = master.ask("PUT", "/config", {"text": switched_off(told["text"]), "mark": told["mark"]})
    assert answer.status_code == 409
    assert "файл изменился, пока вы правили его" in answer.json["detail"]
    assert "# чужое" in path.read_text("utf-8")
    assert is_on(path)
    assert pages.office.audit.last(9) == []


def test_a_text_that_is_wrong_is_not_saved(path: Path, master: Program) -> None:
    told = master.get("/config")
    answer = master.ask("PUT", "/config", {"text": told["text"] + "\n[extra]\n", "mark": told["mark"]})
    assert answer.status_code == 422
    assert re.search(r"config\.toml, строка \d+ \[extra\]: такого раздела нет", answer.json["detail"])
    assert path.read_text("utf-8") == told["text"]


@pytest.mark.parametrize(
    "body", [None, {}, {"text": ""}, {"text": 7, "mark": "x"}, {"text": "", "mark": "", "more": 1}]
)
def test_a_body_that_is_not_as_described_is_told(path: Path, master: Program, body: Any) -> None:
    before = path.read_bytes()
    assert master.ask("PUT", "/config", body).status_code == 422
    assert path.read_bytes() == before


def test_a_version_before_is_read_and_put_back_once(pages: Pages, path: Path, master: Program) -> None:
    before = path.read_text("utf-8")
    saved = master.ask("PUT", "/config", {"text": switched_off(before), "mark": master.get("/config")["mark"]}).json
    (kept,) = saved["backups"]
    assert (kept["who"], kept["words"]) == ("API: admin программа", f"Выключено: {RULE}")
    version = master.get(f"/config/backups/{kept['name']}")
    assert (version["name"], version["at"], version["text"]) == (kept["name"], kept["at"], before)
    restore = f"/config/backups/{kept['name']}/restore"
    for _ in range(2):
        answer = master.ask("POST", restore, {"mark": saved["mark"]})
        assert (answer.status_code, answer.json["text"]) == (200, before)
    assert path.read_text("utf-8") == before
    assert len(pages.office.audit.last(9)) == 2
    words = pages.office.audit.last(1)[0].words
    assert re.fullmatch(rf"Возвращена версия, заменённая [\d.]+, [\d:]+\. Включено: {re.escape(RULE)}", words)


def test_a_version_before_is_not_put_over_an_edit_that_nobody_has_seen(path: Path, master: Program) -> None:
    told = master.get("/config")
    saved = master.ask("PUT", "/config", {"text": switched_off(told["text"]), "mark": told["mark"]}).json
    answer = master.ask("POST", f"/config/backups/{saved['backups'][0]['name']}/restore", {"mark": told["mark"]})
    assert answer.status_code == 409
    assert not is_on(path)


@pytest.mark.parametrize("name", ["..%2fconfig.toml", "config.2026.toml", "lock"])
def test_nothing_but_a_version_before_is_told_or_put_back(master: Program, name: str) -> None:
    assert master.ask("GET", f"/config/backups/{name}").status_code == 404
    assert master.ask("POST", f"/config/backups/{name}/restore", {"mark": "x"}).status_code == 404


def test_a_file_that_can_not_be_written_is_told(path: Path, master: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    told = master.get("/config")
    monkeypatch.setattr("os.replace", refuse)
    answer = master.ask("PUT", "/config", {"text": switched_off(told["text"]), "mark": told["mark"]})
    assert answer.status_code == 409
    assert "отсюда не изменить" in answer.json["detail"]
    assert is_on(path)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.WEBINAR])
def test_the_config_is_the_admins(pages: Pages, role: Role) -> None:
    assert Program(pages, role).ask("GET", "/config").status_code == 403
