"""Settings by form: from a section to the file and back, mistakes in place, two tabs at once, secrets."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from support.pages import Pages, Visit, agency, saved, words_of
from support.rule_form import fields_of, sent
from werkzeug.test import TestResponse

from amo_bridge.config.files import difference
from amo_bridge.config.loader import load
from amo_bridge.web.auth.users import Role
from amo_bridge.web.services.settings import SECTIONS


@pytest.fixture
def known(pages: Pages) -> Pages:
    pages.know_account(agency())
    return pages


def text_of(pages: Pages) -> str:
    return pages.bridge.config.path.read_text("utf-8")


def change(visit: Visit, name: str, **fields: Any) -> TestResponse:
    """The form of a section, some fields changed, reviewed and saved."""
    address = f"/settings/{name}"
    review = sent(visit, address, visit.get(address), **fields)
    assert "Что изменится" in words_of(review), words_of(review)
    return saved(visit, review)


def changed_lines(before: str, after: str) -> list[str]:
    return [line for line in difference(before, after) if line[0] in "+-"]


@pytest.mark.parametrize("name", [one.name for one in SECTIONS])
def test_each_section_opens_and_says_nothing_new_when_nothing_is_changed(known: Pages, admin: Visit, name: str) -> None:
    page = admin.get(f"/settings/{name}")
    assert page.status_code == 200
    checked = sent(admin, f"/settings/{name}", page, "check")
    words = words_of(checked)
    # What is off has fields that must be filled in before it can be on.
    if "Раздела в файле нет" not in words:
        assert "Ошибок нет Файл от этого не изменится." in words, words


@pytest.mark.parametrize(
    ("name", "fields", "lines"),
    [
        ("calendar", {"o__country": "KZ"}, ['-country = "RU"', '+country = "KZ"']),
        ("calendar", {"o__timezone": "Asia/Omsk"}, ['-timezone = ""', '+timezone = "Asia/Omsk"']),
        ("calendar", {"o__days_off__0": "2026-12-31"}, ["-days_off = []", '+days_off = ["2026-12-31"]']),
        ("retention", {"o__keep_journal": "100 d"}, ['-keep_journal = "90 d"', '+keep_journal = "100 d"']),
        ("bridge", {"o__most_put_backs": "5"}, ["-most_put_backs = 3", "+most_put_backs = 5"]),
        ("account", {"o__requests_per_second": "5"}, ["-requests_per_second = 7", "+requests_per_second = 5"]),
        ("evening_list", {"o__at": "18:00"}, ["+", "+[evening_list]", '+at = "18:00"']),
        ("updates", {"o__check": "true"}, ["+", "+[updates]", "+check = true"]),
        (
            "absences",
            {
                "o__absences": "+",
                "o__absences__0__key": "Иван Петров",
                "o__absences__0__value": "+",
                "o__absences__0__value__0": "+",
                "o__absences__0__value__0__from": "2026-12-21",
                "o__absences__0__value__0__to": "2027-01-08",
                "o__absences__0__value__0__deputy": "Мария Кузнецова",
            },
            ['+"Иван Петров" = [{ from = "2026-12-21", to = "2027-01-08", deputy = "Мария Кузнецова" }]'],
        ),
        (
            "people",
            {
                "o__people": "+",
                "o__people__0__key": "Иван Петров",
                "o__people__0__value": "+",
                "o__people__0__value__telegram": "123",
                "o__people__0__value__quiet": "21:00-09:00",
            },
            ["+", '+[people."Иван Петров"]', "+telegram = 123", '+quiet = "21:00-09:00"'],
        ),
    ],
)
def test_a_form_changes_its_own_lines_alone(
    known: Pages, admin: Visit, name: str, fields: dict[str, str], lines: list[str]
) -> None:
    before = text_of(known)
    answer = change(admin, name, **fields)
    assert "Сохранено" in words_of(admin.get(answer.location))
    assert answer.location.endswith(f"/settings/{name}")
    assert changed_lines(before, text_of(known)) == lines
    load(known.bridge.config.path, {})
    assert "Изменена настройка" in words_of(admin.get("/audit"))


@pytest.mark.parametrize(
    ("name", "fields", "where", "words"),
    [
        ("calendar", {"o__timezone": "Europe/Moskow"}, "o-timezone", "может быть, «Europe/Moscow»?"),
        ("calendar", {"o__hours__0__value": "с десяти"}, "o-hours-0", "выходной день из «Рабочие часы» просто уберите"),
        ("calendar", {"o__country": "ZZ"}, "o-country", "праздники такой страны неизвестны"),
        ("retention", {"o__keep_hooks": "1 d"}, "o-keep_hooks", "не меньше 3 д"),
        ("roles", {"o__roles__0__value__v": "Никто Такой"}, "o-roles-0", "Никто Такой"),
        ("account", {"o__url": "example"}, "o-url", "не адрес аккаунта"),
    ],
)
def test_mistakes_stand_beside_their_fields(
    known: Pages, admin: Visit, name: str, fields: dict[str, str], where: str, words: str
) -> None:
    before = text_of(known)
    page = sent(admin, f"/settings/{name}", admin.get(f"/settings/{name}"), **fields)
    assert page.status_code == 422
    note = r'id="([\w-]+)-told" class="notes">\s*<small class="mistake">(.*?)</small>'
    beside = re.findall(note, page.text, re.DOTALL)
    assert any(id_.startswith(where) and words in told for id_, told in beside), beside
    assert text_of(known) == before


def test_a_new_time_zone_counts_at_once_and_says_its_hour(known: Pages, admin: Visit) -> None:
    told = words_of(admin.get("/rules/form/comes-to/zone?o.timezone=Asia/Omsk"))
    assert re.search(r"Там сейчас: \d\d\.\d\d\.\d{4} \d\d:\d\d", told)
    change(admin, "calendar", o__timezone="Asia/Omsk")
    assert known.bridge.config.calendar.timezone == "Asia/Omsk"


def test_what_needs_a_restart_is_told(known: Pages, admin: Visit) -> None:
    assert "Только после перезапуска моста: Адрес моста в интернете." in words_of(admin.get("/settings/bridge"))
    change(admin, "bridge", o__public_url="https://bridge.example.ru")
    assert "Вступит в силу после перезапуска: [bridge] public_url" in words_of(admin.get("/settings"))


def test_the_year_shows_holidays_and_the_agencys_own_days(known: Pages, admin: Visit) -> None:
    change(admin, "calendar", o__days_off__0="2026-12-30", o__working_days__0="2026-12-26")
    page = admin.get("/settings/calendar?year=2026")
    december = page.text.partition("декабрь")[2].partition("</table>")[0]
    assert re.search(r'class="day-kind own-rest" title="свой выходной">30<', december)
    assert re.search(r'class="day-kind own-work" title="свой рабочий">26<', december)
    january = page.text.partition("январь")[2].partition("</table>")[0]
    assert re.search(r'class="day-kind holiday"[^>]*>1<', january)


def test_a_second_tab_undoes_nobodys_save(known: Pages, admin: Visit) -> None:
    other = known.visit(Role.ADMIN, "Глеб")
    mine = admin.get("/settings/calendar")
    change(other, "calendar", o__country="KZ")
    review = sent(admin, "/settings/calendar", mine, o__timezone="Asia/Omsk")
    saved(admin, review)
    calendar = load(known.bridge.config.path, {}).calendar
    assert (calendar.country, calendar.timezone) == ("KZ", "Asia/Omsk")
    mine = admin.get("/settings/calendar")
    change(other, "calendar", o__country="UA")
    page = sent(admin, "/settings/calendar", mine, o__country="BY")
    assert page.status_code == 409
    assert "Изменено и там, и у вас: Праздники страны" in words_of(page)


def test_a_form_is_not_lost_while_the_file_can_not_be_read(known: Pages, admin: Visit) -> None:
    path, text = known.bridge.config.path, text_of(known)
    page = admin.get("/settings/retention")
    path.write_text(f"{text}\n[bridge\n", "utf-8")
    refused = sent(admin, "/settings/retention", page, o__keep_journal="77 d")
    assert refused.status_code == 409
    path.write_text(text, "utf-8")
    (again,) = re.findall(r'<form method="post" action="/settings/retention">(.*?)</form>', refused.text, re.S)
    fields = {name: unescape(told) for name, told in re.findall(r'name="([^"]+)" value="([^"]*)"', again)}
    back = admin.post("/settings/retention", {**fields, "do": "show"}, page="/settings/retention")
    assert 'value="77 d"' in back.text


def test_two_tabs_add_two_people(known: Pages, admin: Visit) -> None:
    def person(name: str, number: str) -> dict[str, str]:
        row = "o__people__0__"
        return {"o__people": "+", f"{row}key": name, f"{row}value": "+", f"{row}value__telegram": number}

    other = known.visit(Role.ADMIN, "Глеб")
    mine = admin.get("/settings/people")
    change(other, "people", **person("Иван Петров", "1"))
    review = sent(admin, "/settings/people", mine, **person("Елена Орлова", "2"))
    saved(admin, review)
    people = load(known.bridge.config.path, {}).channels.people
    assert {str(name): one.telegram for name, one in people.items()} == {"Иван Петров": 1, "Елена Орлова": 2}


def test_toml_is_taken_into_the_form_and_back(known: Pages, admin: Visit) -> None:
    page = sent(admin, "/settings/calendar", admin.get("/settings/calendar"), "toml", toml='[calendar]\ncountry = "KZ"')
    assert fields_of(page)["o.country"] == "KZ"
    text = sent(admin, "/settings/calendar", page, "text").text
    assert text == '[calendar]\ncountry = "KZ"\n'
    broken = sent(admin, "/settings/calendar", page, "toml", toml="country = ")
    assert broken.status_code == 422


def test_a_section_is_switched_off_and_comes_back_from_the_versions(known: Pages, admin: Visit) -> None:
    before = text_of(known)
    change(admin, "weekly_letter", o__people__0="Елена Орлова")
    assert load(known.bridge.config.path, {}).weekly_letter is not None
    review = admin.post("/settings/weekly_letter/remove", page="/settings/weekly_letter")
    saved(admin, review)
    assert load(known.bridge.config.path, {}).weekly_letter is None
    assert text_of(known).rstrip("\n") == before.rstrip("\n")
    assert admin.post("/settings/calendar/remove", page="/settings/calendar").status_code == 404


def test_it_says_who_is_not_named_and_counts_what_would_go(known: Pages, admin: Visit) -> None:
    assert "Кто не назван" in words_of(admin.get("/settings/people"))
    assert "Иван Петров" in words_of(admin.get("/settings/people")).partition("Кто не назван")[2]
    assert "Сегодня удалять нечего" in words_of(admin.get("/settings/retention/count"))


@pytest.mark.parametrize("path", ["/settings", "/settings/calendar", "/settings/secrets", "/settings/copies"])
def test_settings_are_for_admins(known: Pages, path: str) -> None:
    for role in (Role.HEAD, Role.VIEWER):
        assert known.visit(role).get(path).status_code == 403


def test_a_secret_goes_in_and_never_out(known: Pages, admin: Visit) -> None:
    word = "тайна-7231-только-внутрь"
    change(admin, "bridge", o__most_put_backs="4")
    text = text_of(known)
    known.bridge.config.path.write_text(f"{text}\n[telegram]\n", "utf-8")
    known.bridge.watch.look(again=True)
    variable = "AMO_BRIDGE_TELEGRAM_TOKEN"

    def state() -> str:
        return words_of(admin.get("/settings/secrets")).partition("Токен бота")[2].partition(variable)[0]

    assert "не задан" in state()
    answer = admin.post("/settings/secrets", {"variable": variable, "secret": word}, page="/settings/secrets")
    assert answer.status_code == 302
    assert known.bridge.environment[variable] == word
    assert "зашифрован у моста" in state()
    for path in ("/settings/secrets", "/settings", "/audit", "/config", "/channels/telegram/setup"):
        assert word not in admin.get(path).text
    assert word not in text_of(known)
    files = [one for one in known.bridge.config.data_folder.rglob("*") if one.is_file()]
    assert not [one.name for one in files if word.encode() in one.read_bytes()]
    admin.post("/settings/secrets", {"variable": variable, "forget": "1"}, page="/settings/secrets")
    assert "не задан" in state()


@pytest.mark.parametrize("variable", ["AMO_BRIDGE_TOKEN", "AMO_BRIDGE_KEY", "PATH", "AMO_BRIDGE_DATABASE_PASSWORD"])
def test_only_a_vendors_secret_is_kept_from_the_page(known: Pages, admin: Visit, variable: str) -> None:
    answer = admin.post("/settings/secrets", {"variable": variable, "secret": "x"}, page="/settings/copies")
    assert answer.status_code == 404
