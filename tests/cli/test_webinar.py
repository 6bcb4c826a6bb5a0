"""``amo-bridge webinar``: what people type after a webinar."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.local_crm import TOKEN, LocalCrm, served
from support.running_bridge import RunningBridge
from support.webinar_samples import ACCOUNT, SAMPLES, SCHOOL, fill_contacts, school_config

from amo_bridge.cli import main
from amo_bridge.clock import SystemClock
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.storage.database import Store
from amo_bridge.web.auth.audit import Audit

Run = Callable[..., Result]
REPORT = str(SAMPLES / "bizon_report.xlsx")


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The school's amoCRM."""
    with served(load_world(ACCOUNT)) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    return school_config(sandbox.url, tmp_path / "data")


@pytest.fixture
def run(sandbox: LocalCrm, monkeypatch: pytest.MonkeyPatch, bridge: RunningBridge) -> Run:
    """``run("preview", FILE)`` beside a bridge at work."""
    fill_contacts(bridge, sandbox)
    for name, value in (("ACCOUNT_URL", sandbox.url), ("TOKEN", TOKEN), ("DATA", str(bridge.config.data_folder))):
        monkeypatch.setenv(f"AMO_BRIDGE_{name}", value)

    def invoke(*words: str, answer: str = "") -> Result:
        told = ["webinar", *words, "--config", str(SCHOOL)]
        return CliRunner().invoke(main, told, input=answer, catch_exceptions=False)

    return invoke


def test_a_preview_writes_nothing(run: Run, office: CrmUser) -> None:
    told = run("preview", REPORT)
    assert told.exit_code == 0, told.output
    for words in (
        "отчёт Бизон365",
        "активность важнее минут",
        "Наталья Ёлкина",
        "телефон у нескольких",
        "ждут решения и не загружаются (1): Олена.",
    ):
        assert words in " ".join(told.output.split())
    assert not any(office.deals_on(stage) for stage in office.stages)


def test_import_list_report_undo(run: Run, office: CrmUser, tmp_path: Path) -> None:
    told = run("import", REPORT, "--yes")
    assert told.exit_code == 0, told.output
    came_of_it = "Создано сделок: 4, создано контактов: 2, дополнено контактов: 1; не загружено: 3 (ждут решения: 1, "
    assert f"Загрузка № 1: загружено. {came_of_it}" in " ".join(told.output.split())
    assert "Ждут решения: 1. Решите, кто это" in told.output
    assert sum(len(office.deals_on(stage)) for stage in office.stages) == 4
    assert "bizon_report.xlsx" in run("list").output
    told_to_programs = json.loads(run("report", "1", "--json").output)
    assert (told_to_programs["state"], told_to_programs["waiting"]) == ("done", 1)
    assert "загрузка № 1 уже закончена" in run("pause", "1").output
    shown = " ".join(run("report", "1").output.split())
    assert shown.startswith(came_of_it)
    for words in ("Игорь", "igor@example.ru", "/leads/detail/", "сделано", "Загрузка № 1: загружено"):
        assert words in shown
    assert run("report", "1", "--csv", str(tmp_path / "r.csv")).exit_code == 0
    sheet = (tmp_path / "r.csv").read_text("utf-8-sig")
    assert "/leads/detail/" in sheet
    assert sheet.startswith("Строка;Имя;"), "the titles come first, for filters and programs"
    assert [line.split(";")[1] for line in sheet.splitlines() if "ждёт решения" in line] == ["Олена"]
    told = run("undo", "1", answer="да\n")
    assert "Загрузка № 1: отменено" in told.output
    assert len(office.deals_on("Вебинары / Закрыто и не реализовано")) == 4


def test_what_is_done_by_command_is_told_among_the_changes(run: Run, bridge: RunningBridge) -> None:
    assert run("import", REPORT, "--yes").exit_code == 0
    assert run("undo", "1", "--yes").exit_code == 0
    deeds = Audit(Store.at(bridge.config.bridge.database, bridge.config.data_folder), SystemClock()).last(9)
    assert [(one.deed, one.words) for one in deeds] == [
        ("webinar.undo", "Загрузка № 1: отменяется"),
        ("webinar.start", "Загрузка № 1: начата"),
    ]
    assert "(командная строка)" in deeds[0].who


def test_who_waits_is_decided_about_later(run: Run, office: CrmUser) -> None:
    told = run("import", REPORT, "--yes")
    assert "amo-bridge webinar decide 1 СТРОКА --new" in " ".join(told.output.split())
    (place,) = (
        number for number in range(1, 8) if f"│ {number} │ Олена" in " ".join(run("report", "1").output.split())
    )
    for words in ((), ("--new", "--contact", "5")):
        assert "скажите одно" in run("decide", "1", str(place), *words).output
    assert "контакта 5 мост не знает" in run("decide", "1", str(place), "--contact", "5").output
    assert "в загрузке № 1 нет строки 99" in run("decide", "1", "99", "--new").output
    told = run("decide", "1", str(place), "--new", "--interest", "long")
    assert told.exit_code == 0, told.output
    assert "Олена: новый контакт и новая сделка; сделано" in told.output
    assert "Загрузка № 1: загружено. Создано сделок: 5, " in told.output
    assert sum(len(office.deals_on(stage)) for stage in office.stages) == 5
    assert "сделано, решать больше нечего" in run("decide", "1", str(place), "--new").output


def test_an_undo_that_can_t_be_is_not_asked_about(run: Run) -> None:
    told = run("undo", "3", answer="да\n")
    assert "загрузки № 3 нет" in told.output
    assert "Отменить загрузку" not in told.output


@pytest.mark.parametrize("answer", ["нет\n", "n\n", "\n", ""])
def test_no_is_no(answer: str, run: Run, office: CrmUser) -> None:
    told = run("import", REPORT, answer=answer)
    assert told.exit_code == 1
    assert "Ничего не записано." in told.output
    assert "Ошибка" not in told.output
    assert not any(office.deals_on(stage) for stage in office.stages)


def test_columns_are_named_once(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text("Кто;Адрес;Смотрел\nАнна;anna@example.ru;61\n", "utf-8")
    asked = run("preview", str(table), "--date", "13.09.2021")
    assert asked.exit_code == 1
    assert "--column почта=" in asked.output
    wrong = run("preview", str(table), "--column", "почта=Адресс")
    assert "может быть, «Адрес»?" in wrong.output
    named = ("--column", "имя=Кто", "--column", "почта=Адрес", "--column", "минуты=Смотрел")
    assert "смотрел 61 мин" in " ".join(run("preview", str(table), "--date", "13.09.2021", *named).output.split())
    assert run("preview", str(table), "--date", "13.09.2021").exit_code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("undo", "7", "--yes"), "загрузки № 7 нет"),
        (("pause", "7"), "загрузки № 7 нет"),
        (("preview", REPORT, "--date", "вчера"), "не дата"),
    ],
)
def test_what_can_t_be_done(run: Run, words: tuple[str, ...], told: str) -> None:
    said = run(*words)
    assert said.exit_code == 1
    assert told in said.output


def test_without_a_running_bridge_the_command_does_the_work_itself(
    sandbox: LocalCrm, office: CrmUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ACCOUNT_URL", sandbox.url), ("TOKEN", TOKEN), ("DATA", str(tmp_path / "own"))):
        monkeypatch.setenv(f"AMO_BRIDGE_{name}", value)
    words = ["webinar", "import", REPORT, "--yes", "--config", str(SCHOOL)]
    told = CliRunner().invoke(main, words, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    assert "Загрузка № 1: загружено" in told.output
    found = {row["name"] for stage in office.stages for row in office.deals_on(stage)}
    assert "igor@example.ru, Игорь" in found
    people = [row["name"] for row in office._rows("/api/v4/contacts", "contacts")]
    assert len(people) == 4 + 2, "those who were known are not made again"


# --- for programs, and answers about columns ----------------------------------------------------------------------

ATTENDEES = SAMPLES.parent / "attendees"
KEYS = {"name", "emails", "phones", "minutes", "buttons", "class", "why"}


def offline(*words: str) -> Result:
    told = ["webinar", "preview", *words, "--offline", "--config", str(SCHOOL)]
    return CliRunner().invoke(main, told, catch_exceptions=False)


def test_a_preview_without_amocrm_has_the_keys_that_scripts_rely_on() -> None:
    told = json.loads(offline(str(ATTENDEES / "myownconference.tsv"), "--json").stdout)
    assert told.keys() == {"drafts", "asked"}
    (draft,) = told["drafts"]
    assert draft.keys() == {"held_on", "people", "left_out", "doubts"}
    assert draft["held_on"] == "2021-09-13"
    assert all(person.keys() == KEYS for person in draft["people"])
    assert [(person["minutes"], person["class"]) for person in draft["people"]] == [
        (78, "long"), (50, "short"), (None, "unknown"),
    ]  # fmt: skip
    zoom = json.loads(offline(str(ATTENDEES / "zoom_webinar_ru.csv"), "--json").stdout)
    assert all(one.keys() == {"name", "emails", "why"} for one in zoom["drafts"][0]["left_out"])


def test_a_preview_without_amocrm_asks_for_what_it_needs(tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text("Кто;Адрес для писем;Смотрел сам\nАнна;anna@example.ru;61\n", "utf-8")
    assert json.loads(offline(str(table), "--json").stdout) == {"drafts": [], "asked": ["почта", "минуты"]}
    named = ("--column", "почта=Адрес для писем", "--column", "минуты=Смотрел сам")
    told = json.loads(offline(str(table), "--json", *named).stdout)
    assert (told["asked"], told["drafts"][0]["held_on"]) == (["дата"], None)
    told = json.loads(offline(str(table), "--json", "--date", "13.09.2021", *named).stdout)
    assert told["drafts"][0]["people"][0]["minutes"] == 61
    assert "Анна" not in offline(str(table), "--date", "13.09.2021").output
    assert "anna@example.ru" in offline(str(table), "--date", "13.09.2021", *named).output


def test_a_table_that_is_understood_can_be_read_otherwise(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    rows = "Анна;anna@example.ru;61;5;Слушатель\nОльга;olga@example.ru;90;90;Ведущий\n"
    table.write_text(f"Имя;Почта;Минут;Минут у экрана;Роль\n{rows}", "utf-8")

    def minutes(told: str) -> dict[str, float]:
        (draft,) = json.loads(told)["drafts"]
        return {person["name"]: person["minutes"] for person in draft["people"]}

    asked = (str(table), "--date", "13.09.2021", "--json")
    named = ("--column", "минуты=Минут у экрана", "--column", "роль=-")
    assert minutes(offline(*asked).stdout) == {"Анна": 61}
    assert minutes(offline(*asked, *named).stdout) == {"Анна": 5, "Ольга": 90}
    assert minutes(run("preview", *asked, *named).stdout) == {"Анна": 5, "Ольга": 90}
    assert minutes(run("preview", *asked).stdout) == {"Анна": 5, "Ольга": 90}, "remembered for all tables like it"
    assert "роль — нет" in run("columns").output
    assert "столбца «Минуты» в файле нет" in offline(*asked, "--column", "минуты=Минуты").output
    assert "не понадобился" in offline(*asked, "--column", "минуты=Минут").stderr


def test_answers_about_columns_on_the_command_line(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text("Кто;Адрес;Дома;Смотрел сам\nАнна;anna@example.ru;5;61\n", "utf-8")
    named = ("--column", "почта=Адрес", "--column", "минуты=Дома", "--date", "13.09.2021", "--json")
    told = json.loads(run("preview", str(table), *named).stdout)
    assert told["drafts"][0]["people"][0]["minutes"] == 5
    listed = run("columns").output
    assert "минут на вебинаре — «Дома»" in listed
    answer = next(
        word for word in listed.split() if len(word) == 8 and all(char in "0123456789abcdef" for char in word)
    )
    changed = run("columns", "--change", answer, "--column", "почта=Адрес", "--column", "минуты=Смотрел сам")
    assert "минут на вебинаре — «Смотрел сам»" in changed.output
    again = json.loads(run("preview", str(table), "--date", "13.09.2021", "--json").stdout)
    assert again["drafts"][0]["people"][0]["minutes"] == 61
    assert "Ответов о столбцах нет" in run("columns", "--forget", answer).output
    assert json.loads(run("preview", str(table), "--json").stdout)["asked"] == ["почта", "минуты"]
