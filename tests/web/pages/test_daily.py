"""«Отчёт за день»: confirmed by the person himself, by an admin who is not silent about it, by nobody else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from python_calamine import CalamineWorkbook
from sqlalchemy import select
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.clock import FixedClock
from amo_bridge.config.channels import PersonSection
from amo_bridge.config.model import DailyReportSection
from amo_bridge.engine.daily_reports import DailyReport, DailyReports, Sums
from amo_bridge.rules.option_types import UserName
from amo_bridge.storage.tables import outbox
from amo_bridge.web.auth.users import Role

IVAN, MARIA = "Иван Петров", "Мария Кузнецова"
EVENING = datetime(2026, 11, 24, 15, tzinfo=UTC)
PLAN = "Прозвонить 70 лидов"


@pytest.fixture
def office(pages: Pages) -> Pages:
    """Tuesday, 18:00 in Moscow: Ivan and Maria have their reports; «ivan» is how Ivan logs in."""
    pages.meet_account()
    pages.know_account(agency())
    pages.bridge.clock = FixedClock(EVENING)
    pages.account.clock = pages.bridge.clock
    config = pages.bridge.config
    people = {UserName(IVAN): PersonSection(login="Ivan")}
    pages.bridge.config = replace(
        config, daily_report=DailyReportSection(), channels=replace(config.channels, people=people)
    )
    make(pages, date(2026, 11, 24), PLAN)
    return pages


def reports(pages: Pages) -> DailyReports:
    return DailyReports(pages.account.account_store, pages.bridge.clock)


def make(pages: Pages, day: date, plan: str = "") -> None:
    people = [(agency().user(name).id, name, Sums(5_000 * n, n, 10 * n)) for n, name in enumerate((IVAN, MARIA), 1)]
    with pages.office.store.write() as connection:
        reports(pages).make(connection, day, EVENING, plan, people)


def of(pages: Pages, who: str) -> DailyReport:
    return next(one for one in reports(pages).between(date(2026, 11, 24), date(2026, 11, 24)) if one.person == who)


def address(pages: Pages, who: str) -> str:
    return f"/reports/daily/{of(pages, who).number}"


def notices(pages: Pages) -> list[dict[str, Any]]:
    with pages.office.store.read() as connection:
        return [json.loads(one)["body"] for one in connection.execute(select(outbox.c.payload)).scalars()]


def send(visit: Visit, path: str, **form: Any) -> str:
    page = visit.get(path)
    version = page.text.partition('name="version" value="')[2].partition('"')[0]
    data = {"plan": PLAN, "do": "confirm", "version": version, **form}
    return words_of(visit.post(path, data, follow_redirects=True))


def test_the_person_confirms_his_own(office: Pages) -> None:
    ivan = office.visit(Role.VIEWER, "ivan")
    words = words_of(ivan.get("/reports/daily"))
    assert "Ваш отчёт за 24.11.2026 ждёт подтверждения." in words
    words = send(ivan, address(office, IVAN), plan="Найти 10 клиентов\r\nи позвонить")
    assert "Отчёт подтверждён." in words
    report = of(office, IVAN)
    assert (report.plan, report.confirmed_by) == ("Найти 10 клиентов\nи позвонить", "Иван Петров, ivan")
    assert notices(office) == []
    assert "ждёт подтверждения" not in words_of(ivan.get("/reports/daily")).partition("По дням")[0]


def test_nobody_confirms_for_another(office: Pages, viewer: Visit) -> None:
    ivan = office.visit(Role.WEBINAR, "ivan")
    for visit, who in ((ivan, MARIA), (viewer, IVAN), (viewer, MARIA)):
        page = visit.get(address(office, who))
        assert "<textarea" not in page.text
        assert visit.post(address(office, who), {"plan": PLAN, "do": "confirm"}, page="/").status_code == 403
        assert not of(office, who).is_confirmed


def test_an_admin_may_and_the_person_is_told(office: Pages, admin: Visit) -> None:
    assert "Это чужой отчёт" in words_of(admin.get(address(office, MARIA)))
    send(admin, address(office, MARIA))
    assert of(office, MARIA).confirmed_by == "Анна вместо: Мария Кузнецова"
    (notice,) = notices(office)
    assert notice["user_id"] == agency().user(MARIA).id
    assert notice["text"] == "Ваш отчёт за 24.11.2026: подтверждён. Это сделал администратор Анна"
    assert notice["url"].endswith(address(office, MARIA))
    assert "Отчёт за 24.11.2026, Мария Кузнецова: подтверждён" in words_of(admin.get("/audit"))


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        ({"plan": " "}, "Сначала напишите план на завтра."),
        ({"plan": "x" * 1001}, "План длиннее 1000 знаков"),
        ({"version": "0"}, "Отчёт изменился, пока вы смотрели"),
        ({"do": "save", "plan": "Звонить"}, "План сохранён."),
        ({"do": "save"}, "Ничего не изменилось: план тот же."),
    ],
)
def test_what_does_not_confirm(office: Pages, form: dict[str, Any], answer: str) -> None:
    assert answer in send(office.visit(Role.VIEWER, "ivan"), address(office, IVAN), **form)
    assert not of(office, IVAN).is_confirmed


def test_twice_is_once_and_what_changes_later_is_a_correction(office: Pages) -> None:
    ivan = office.visit(Role.VIEWER, "ivan")
    path = address(office, IVAN)
    send(ivan, path)
    assert "Отчёт уже подтверждён." in send(ivan, path)
    with office.office.store.write() as connection:
        reports(office).recount(connection, of(office, IVAN).number, Sums(9_000, 2, 10))
    words = words_of(ivan.get(path))
    assert "цифры пересчитаны исправление мост 9 000 ₽ 2 10" in words.replace("\N{NO-BREAK SPACE}", " ")
    assert "подтверждён Иван Петров, ivan 5 000 ₽ 1 10" in words.replace("\N{NO-BREAK SPACE}", " ")
    assert "подтверждён исправлен" in words_of(ivan.get("/reports/daily"))


def test_an_old_tab_overwrites_nothing_and_keeps_what_was_written(office: Pages) -> None:
    ivan = office.visit(Role.VIEWER, "ivan")
    path = address(office, IVAN)
    old = str(of(office, IVAN).version)
    send(ivan, path, do="save", plan="Новый план")
    for do in ("save", "confirm"):
        words = send(ivan, path, do=do, plan="Старая вкладка", version=old)
        assert "Отчёт изменился, пока вы смотрели" in words
        assert "План сохранён" not in words
        assert "Старая вкладка" in words, "in the form, not lost"
    assert (of(office, IVAN).plan, of(office, IVAN).is_confirmed) == ("Новый план", False)
    send(ivan, path, do="save", plan="Старая вкладка")
    assert of(office, IVAN).plan == "Старая вкладка"


def test_a_confirmed_report_keeps_a_plan(office: Pages) -> None:
    ivan = office.visit(Role.VIEWER, "ivan")
    path = address(office, IVAN)
    send(ivan, path)
    for do in ("save", "confirm"):
        assert "Сначала напишите план на завтра." in send(ivan, path, do=do, plan=" ")
    assert of(office, IVAN).plan == PLAN
    assert "План сохранён." in send(ivan, path, do="save", plan="Другой план")


def test_a_week_a_month_and_files(office: Pages, viewer: Visit) -> None:
    make(office, date(2026, 11, 3), "=1+1")
    words = words_of(viewer.get("/reports/daily")).replace("\N{NO-BREAK SPACE}", " ")
    assert "Мария Кузнецова 10 000 ₽ 2 20 0 из 1" in words
    month = words_of(viewer.get("/reports/daily?span=month")).replace("\N{NO-BREAK SPACE}", " ")
    assert "Мария Кузнецова 20 000 ₽ 4 40 0 из 2" in month
    table = viewer.get("/reports/daily.csv?span=month").get_data().decode("utf-8-sig")
    assert f"2026-11-24;{IVAN};5000;1;10;{PLAN};;;0" in table
    assert "'=1+1" in table
    book = CalamineWorkbook.from_filelike(BytesIO(viewer.get("/reports/daily.xlsx?span=month").get_data()))
    rows = book.get_sheet_by_index(0).to_python()
    assert [row[:3] for row in rows[1:3]] == [["2026-11-24", IVAN, 5000.0], ["2026-11-24", MARIA, 10000.0]]
    assert rows[3][5] == "=1+1"


@pytest.mark.parametrize("asked", ["day=nonsense&span=year", "day=2099-01-01", ""])
def test_nonsense_is_the_usual(office: Pages, viewer: Visit, asked: str) -> None:
    assert IVAN in words_of(viewer.get(f"/reports/daily?{asked}"))


def test_who_is_tied_to_nobody_is_told_how(office: Pages, viewer: Visit) -> None:
    assert "попросите администратора вписать ваше имя входа" in words_of(viewer.get("/reports/daily"))
    assert viewer.get("/reports/daily/999").status_code == 404
    assert viewer.get(f"/reports/daily/{10**30}").status_code == 404


def test_switched_off_and_before_there_is_anything(office: Pages, viewer: Visit, tmp_path: Path) -> None:
    office.bridge.config = replace(office.bridge.config, daily_report=None)
    assert "Отчёты за день выключены" in words_of(viewer.get("/reports/daily?day=2020-01-01"))
    new = Pages.in_folder(tmp_path / "new").visit(Role.VIEWER)
    assert "Отчёты за день выключены" in words_of(new.get("/reports/daily"))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_in_a_browser(office: Pages, browser: Browser, size: dict[str, int]) -> None:
    office.add_user("ivan", Role.VIEWER)
    with served(office.app) as url, opened(browser, url, viewport=size) as context:
        page = context.new_page()
        page.goto("/login")
        page.get_by_label("Имя").fill("ivan")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        page.goto("/reports/daily")
        expect(page.get_by_role("rowheader", name=IVAN).first).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
        page.get_by_role("link", name="Проверить и подтвердить").click()
        assert serious_findings(page) == []
        assert fits_its_width(page)
        page.get_by_role("button", name="Подтвердить").click()
        expect(page.get_by_text("Отчёт подтверждён.")).to_be_visible()
    assert of(office, IVAN).is_confirmed
