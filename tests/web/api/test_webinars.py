"""What the pages do for webinars, programs do by ``/api/v1/webinars``: the whole journey, and each refusal in words."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.api_client import Program
from support.local_crm import LocalCrm, served
from support.running_bridge import RunningBridge, wait_until
from support.webinar_samples import ACCOUNT, SAMPLES, fill_contacts, school_config
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import TestResponse, encode_multipart

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION
from amo_bridge.web.services.webinars import SEVERAL_FILES, webinar_services
from amo_bridge.webinars.formats.guards import MOST_BYTES
from amo_bridge.webinars.imports.report import HEADER, report
from amo_bridge.webinars.imports.service import DRY

REPORT = (SAMPLES / "bizon_report.xlsx").read_bytes()
TABLE = "Кто;Адрес;Смотрел;Когда\nАнна;anna@example.ru;61;13.09.2021\n".encode()
NAMED = {"name": "Кто", "mail": "Адрес", "minutes": "Смотрел", "date": "Когда"}


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The school's amoCRM."""
    with served(load_world(ACCOUNT)) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path, request: pytest.FixtureRequest) -> Config:
    config = school_config(sandbox.url, tmp_path / "data")
    is_idle = getattr(request, "param", "") == "idle"
    return replace(config, bridge=config.bridge.model_copy(update={"dry_run": is_idle}))


@pytest.fixture
def at_work(bridge: RunningBridge, sandbox: LocalCrm) -> RunningBridge:
    """A bridge that knows everybody in the account."""
    fill_contacts(bridge, sandbox)
    return bridge


@pytest.fixture
def team(at_work: RunningBridge) -> Program:
    return Program(at_work, Role.WEBINAR)


def upload(program: Program, *contents: bytes, **fields: str) -> TestResponse:
    files = [FileStorage(io.BytesIO(content), f"{number}.dat") for number, content in enumerate(contents)]
    boundary, body = encode_multipart(MultiDict([*(("files", file) for file in files), *fields.items()]))
    kind = f"multipart/form-data; boundary={boundary}"
    return program.ask("POST", "/webinars", data=body, content_type=kind)


def people(program: Program, number: int, **asked: Any) -> dict[str, Any]:
    """Name → what is told of him."""
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    return {one["name"]: one for one in program.get(f"/webinars/{number}/people?{query}")["attendees"]}


def deals(office: CrmUser) -> int:
    return sum(len(office.deals_on(stage)) for stage in office.stages)


def becomes(program: Program, number: int, state: str) -> None:
    wait_until(lambda: program.get(f"/webinars/{number}")["state"] == state, f"import {number} is {state}")


def test_upload_look_decide_start_report_undo(team: Program, at_work: RunningBridge, office: CrmUser) -> None:
    told = upload(team, REPORT)
    assert (told.status_code, told.json) == (200, {"numbers": [1]})
    assert team.get("/overview/today")["webinars"] == [], "a draft has done nothing"
    plan = team.get("/webinars/1")
    assert (plan["state"], plan["held_on"], plan["waiting"]) == ("draft", "2021-09-13", 1)
    assert plan["made_by"] == "API: webinar программа"
    assert plan["files"][0]["source"] == "отчёт Бизон365 (Excel)"
    assert "активность важнее минут" in plan["rule"]
    assert sum(count for one in plan["sums"] for count in one["standings"].values()) == 4
    assert plan["left_out"] == {"doubtful": 1, "unmatched": 1, "banned": 1}
    assert [(one["interest"], one["planned"], one["done"]) for one in plan["sums"]] == [
        ("active", 2, 0), ("long", 1, 0), ("short", 1, 0),
    ]  # fmt: skip
    assert (len(plan["attendees"]), plan["results"]) == (7, "Ещё не начато: 7.")
    assert deals(office) == 0, "nothing is written by looking"

    olena = people(team, 1)["Олена"]
    assert (olena["standing"], olena["plan"], len(olena["choices"])) == ("doubtful", "nothing", 2)
    assert "телефон у нескольких контактов" in olena["why"]
    there = f"/webinars/1/people/{olena['place']}"
    decided = team.ask("PUT", there, {"what": "contact", "contact_id": olena["choices"][0], "interest": "long"}).json
    assert (decided["plan"], decided["contact_id"]) == ("create_deal", olena["choices"][0])
    assert decided["interest"] == "long"
    assert team.ask("PUT", there, {"what": "plan"}).json == olena, "a decision may be taken back"
    assert team.ask("PUT", there, {"what": "new"}).json["decided"]["what"] == "new"

    assert team.ask("POST", "/webinars/1/start").json["state"] == "running"
    becomes(team, 1, "done")
    assert deals(office) == 5
    assert team.get("/overview/today")["webinars"] == [{"number": 1, "state": "done", "held_on": "2021-09-13"}]
    done = people(team, 1, state="done")
    assert {"Олена", "Анжелика"} <= set(done)
    assert done["Олена"]["became"] == "сделано"
    assert done["Олена"]["deal_url"].endswith(f"/leads/detail/{done['Олена']['deal_id']}")

    assert team.ask("POST", "/webinars/1/undo").json["state"] == "undoing"
    becomes(team, 1, "undone")
    assert len(office.deals_on("Вебинары / Закрыто и не реализовано")) == 5
    audit = at_work.app.extensions[EXTENSION].audit.last(9)
    assert {one.who for one in audit} == {"API: webinar программа"}
    assert [one.words for one in reversed(audit)] == [
        "Файлы вебинара прочитаны: 0.dat",
        f"Загрузка № 1, строка {olena['place']}: это контакт {olena['choices'][0]}, этап «long»",
        f"Загрузка № 1, строка {olena['place']}: по плану",
        f"Загрузка № 1, строка {olena['place']}: новый контакт",
        "Загрузка № 1: начата",
        "Загрузка № 1: отменяется",
    ]


def test_a_program_sees_all_that_the_report_has(team: Program, at_work: RunningBridge) -> None:
    upload(team, REPORT)
    for one, line in zip(team.get("/webinars/1")["attendees"], rows_of_the_csv(at_work), strict=True):
        assert [str(one["place"]), ", ".join(one["mails"]), one["why"], "; ".join(one["places"])] == [
            line["Строка"], line["Почта"], line["Что решено"], line["Где в файле"],
        ]  # fmt: skip
        assert (one["stage"], "; ".join(one["remarks"])) == (line["По вебинару"], line["Замечания"])


def test_it_is_held_and_goes_on(team: Program, sandbox: LocalCrm, office: CrmUser) -> None:
    upload(team, REPORT)
    sandbox.fault("status", method="POST", path="/api/v4/*", status=502)
    team.ask("POST", "/webinars/1/start")
    assert team.ask("POST", "/webinars/1/pause").json["state"] == "paused"
    sandbox.good_weather()
    assert team.ask("POST", "/webinars/1/resume").json["state"] == "running"
    becomes(team, 1, "done")
    assert deals(office) == 4


def test_people_are_filtered_and_paged(team: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(team, REPORT)
    assert set(people(team, 1, standing="unmatched")) == {"Гость"}
    assert set(people(team, 1, words="ёлкина")) == {"Наталья Ёлкина"}
    assert {one["interest"] for one in people(team, 1, interest="active").values()} == {"active"}
    assert people(team, 1, state="done") == {}
    monkeypatch.setattr("amo_bridge.web.api.webinars.ON_A_PAGE", 3)
    pages = [team.get(f"/webinars/1/people?page={page}") for page in (1, 2, 3)]
    assert [(one["found"], one["pages"], len(one["attendees"])) for one in pages] == [(7, 3, 3), (7, 3, 3), (7, 3, 1)]
    assert [one["place"] for told in pages for one in told["attendees"]] == list(range(1, 8))


def test_several_files_and_days(team: Program) -> None:
    table = "Имя;Почта;Минут;Дата\nАнна;a@example.ru;5;{}\n"
    told = upload(team, table.format("13.09.2021").encode(), table.format("14.09.2021").encode())
    assert told.json == {"numbers": [1, 2]}
    assert [one["number"] for one in team.get("/webinars")["webinars"]] == [2, 1]


def test_a_day_that_no_file_tells_is_told(team: Program) -> None:
    table = "Имя;Почта;Минут\nАнна;a@example.ru;5\n".encode()
    assert "нет даты вебинара" in upload(team, table).json["detail"]
    assert upload(team, table, held_on="").status_code == 422
    assert upload(team, table, held_on="13.09.2021").json["detail"].startswith("held_on: ")
    assert upload(team, table, held_on="2021-09-13").json == {"numbers": [1]}
    assert team.get("/webinars/1")["held_on"] == "2021-09-13"


def test_columns_that_nobody_knows_are_named_once(team: Program) -> None:
    told = upload(team, TABLE)
    assert told.status_code == 422
    assert told.json["titles"] == ["Кто", "Адрес", "Смотрел", "Когда"]
    assert told.json["samples"] == [["Анна", "anna@example.ru", "61", "13.09.2021"]]
    assert told.json["fields"]["mail"] == "почта"
    assert "Назовите столбцы в поле columns" in told.json["detail"]
    wrong = upload(team, TABLE, columns=json.dumps(NAMED | {"mail": "Адресс"}))
    assert (wrong.status_code, "столбца «Адресс» в этой таблице нет" in wrong.json["detail"]) == (422, True)
    assert "без них участника не найти" in upload(team, TABLE, columns=json.dumps({"name": "Кто"})).json["detail"]
    assert upload(team, TABLE, columns=json.dumps({"shoe": "Кто"})).json["detail"].startswith("columns.shoe")
    assert upload(team, TABLE, columns="{").json["detail"].startswith("columns: ")
    assert upload(team, TABLE, columns=json.dumps(NAMED)).json == {"numbers": [1]}
    assert people(team, 1)["Анна"]["interest"] == "long"
    assert upload(team, TABLE).json == {"numbers": [2]}, "remembered for all tables like it"


def test_columns_that_are_understood_are_read_otherwise(team: Program) -> None:
    table = "Имя;Почта;Минут;Минут у экрана;Когда;Дата\nАнна;anna@example.ru;5;61;1;13.09.2021\n".encode()
    upload(team, table)
    assert people(team, 1)["Анна"]["minutes"] == 5
    assert upload(team, table, columns=json.dumps({"minutes": "Минут у экрана"})).json == {"numbers": [2]}
    assert people(team, 2)["Анна"]["minutes"] == 61
    upload(team, table)
    assert people(team, 3)["Анна"]["minutes"] == 61, "remembered"
    (answer,) = team.get("/webinars/columns")["answers"]
    assert answer["columns"] == {"minutes": "Минут у экрана"}


def test_files_that_can_t_be_taken(team: Program, at_work: RunningBridge) -> None:
    assert "не выбран ни один файл" in upload(team).json["detail"]
    assert upload(team, b"").json["detail"] == "0.dat: файл пустой"
    assert "это веб-страница (HTML)" in upload(team, b"<html>nothing, here</html>").json["detail"]
    assert "файлов 21" in upload(team, *[REPORT] * 21).json["detail"]
    assert "слишком большой" in upload(team, b"a" * (MOST_BYTES + 1)).json["detail"]
    assert upload(team, b"a" * SEVERAL_FILES, b"b").status_code == 413
    assert team.ask("POST", "/webinars", {"held_on": "2021-09-13"}).status_code == 422, "a form, not JSON"
    assert team.get("/webinars")["webinars"] == []
    assert at_work.app.extensions[EXTENSION].audit.last(9) == [], "nothing was done"


def test_what_is_not_there(team: Program) -> None:
    upload(team, REPORT)
    for method, path in (
        ("GET", "/webinars/9"), ("GET", "/webinars/9/people"), ("POST", "/webinars/9/start"),
        ("PUT", "/webinars/9/people/1"), ("PUT", "/webinars/1/people/99"),
    ):  # fmt: skip
        told = team.ask(method, path, {"what": "skip"})
        assert (told.status_code, "нет" in told.json["detail"]) == (404, True), path
    assert team.ask("GET", f"/webinars/{10**30}").status_code == 404
    assert team.ask("PUT", "/webinars/1/people/1", {"what": "contact", "contact_id": 5}).json == {
        "error": "422", "detail": "контакта 5 мост не знает",
    }  # fmt: skip


@pytest.mark.parametrize(
    "body", [None, [], {"what": "perhaps"}, {"what": "contact"}, {"what": "new", "contact_id": 7}, {"interest": "rich"},
             {"what": "contact", "contact_id": 0}, {"what": "contact", "contact_id": 10**30}]
)  # fmt: skip
def test_a_decision_that_is_none(team: Program, body: Any) -> None:
    upload(team, REPORT)
    assert team.ask("PUT", "/webinars/1/people/1", body).status_code == 422


def test_states_in_which_it_can_t_be_done(team: Program) -> None:
    upload(team, REPORT)
    for deed in ("pause", "resume", "undo"):
        told = team.ask("POST", f"/webinars/1/{deed}")
        assert (told.status_code, told.json["detail"]) == (
            409, "загрузка № 1 ещё не начата: этого с ней сделать нельзя",
        )  # fmt: skip
    assert team.ask("POST", "/webinars/1/drop").json["state"] == "dropped"
    assert team.ask("GET", "/webinars/1").status_code == 404
    assert "удалена" in team.ask("POST", "/webinars/1/start").json["detail"]
    assert team.ask("POST", "/webinars/1/drop").status_code == 409


@pytest.mark.parametrize("config", ["idle"], indirect=True)
def test_a_bridge_that_runs_idle_starts_nothing(team: Program) -> None:
    upload(team, REPORT)
    told = team.ask("POST", "/webinars/1/start")
    assert (told.status_code, told.json["detail"]) == (409, DRY)


def test_whoever_only_looks_is_not_of_the_team(at_work: RunningBridge) -> None:
    viewer = Program(at_work, Role.VIEWER)
    for method, path in (("GET", "/webinars"), ("POST", "/webinars"), ("POST", "/webinars/1/undo")):
        assert viewer.ask(method, path).status_code == 403


def test_a_form_with_files_is_described_as_one(team: Program) -> None:
    told = team.get("/openapi.json")
    post = told["paths"]["/webinars"]["post"]
    assert list(post["requestBody"]["content"]) == ["multipart/form-data"]
    form = told["components"]["schemas"]["WebinarUpload"]
    assert form["required"] == ["files"]
    assert set(form["properties"]) == {"files", "held_on", "columns"}
    assert post["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/UploadRefused")


def rows_of_the_csv(at_work: RunningBridge) -> list[dict[str, str]]:
    with at_work.app.test_request_context("/"):
        at_hand = webinar_services()
        told = report(at_hand.book.rows(1), at_work.config.account.url, at_hand.drafting.options)
    lines = list(csv.reader(io.StringIO(told.decode("utf-8-sig")), delimiter=";"))
    assert tuple(lines[0]) == HEADER
    return [dict(zip(HEADER, line, strict=True)) for line in lines[1:]]


# --- unknown minutes, doubts, answers about columns ---------------------------------------------------------------


def test_unknown_minutes_are_decided_at_once(team: Program) -> None:
    table = "Имя;Почта;Вход;Выход\nАнна;anna@example.ru;19:00;20:10\nБорис;boris@example.ru;19:00;\n".encode()
    (number,) = upload(team, table, held_on="2021-09-13").json["numbers"]  # type: ignore[index]
    report = team.ask("GET", f"/webinars/{number}").json
    assert report is not None
    assert report["doubts"] == ["минуты неизвестны у 1 из 2: Борис"]
    assert {one["name"]: (one["interest"], one["standing"]) for one in report["attendees"]} == {
        "Анна": ("long", "new"),
        "Борис": ("unknown", "no_minutes"),
    }
    assert team.ask("PUT", f"/webinars/{number}/unknown-minutes", json={}).status_code == 422
    decided = team.ask("PUT", f"/webinars/{number}/unknown-minutes", json={"interest": "short"})
    assert decided.json is not None
    assert decided.json["waiting"] == 0
    told = team.ask("GET", f"/webinars/{number}").json
    assert told is not None
    assert [one["plan"] for one in told["attendees"]] == ["create_person", "create_person"]


def test_answers_about_columns_are_seen_changed_and_forgotten(team: Program) -> None:
    assert upload(team, TABLE, columns=json.dumps(NAMED)).status_code == 200
    (answer,) = team.ask("GET", "/webinars/columns").json["answers"]  # type: ignore[index]
    assert answer["columns"] == NAMED
    assert answer["titles"] == ["Кто", "Адрес", "Смотрел", "Когда"]
    where = f"/webinars/columns/{answer['signature']}"
    wrong = {"columns": {"mail": "Почтовый ящик"}}
    assert team.ask("PUT", where, json=wrong).status_code == 422
    assert team.ask("PUT", where, json={"columns": {"name": "Кто"}}).status_code == 422
    changed = team.ask("PUT", where, json={"columns": {"mail": "Адрес", "date": "Когда"}}).json
    assert changed is not None
    assert changed["answers"][0]["columns"] == {"mail": "Адрес", "date": "Когда"}
    forgotten = team.ask("DELETE", where).json
    assert forgotten == {"answers": []}
    assert team.ask("DELETE", where).status_code == 404
    assert upload(team, TABLE).status_code == 422
