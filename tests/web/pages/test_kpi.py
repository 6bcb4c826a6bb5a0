"""«KPI»: everybody's figures against the plan, by day, week, month; on a screen on the wall, in files, on a phone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from python_calamine import CalamineWorkbook
from support.api_client import Program
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.clock import FixedClock
from amo_bridge.config.model import KpiPlan, KpiSection
from amo_bridge.config.other_crms import PipedriveSection
from amo_bridge.crm.account import LOST
from amo_bridge.crm.records import DealRecord
from amo_bridge.events import TouchRecord
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.mirror.touches import add_touches
from amo_bridge.reports.kpi_days import KpiDays, Way
from amo_bridge.reports.kpi_plans import KpiPlans
from amo_bridge.reports.pipedrive import READ_AT, PipedriveItem, PipedriveLog, PipedriveUser
from amo_bridge.rules.option_types import UserName
from amo_bridge.storage.accounts import Cursors
from amo_bridge.web.auth.users import Role

IVAN, MARIA = "Иван Петров", "Мария Кузнецова"
TUESDAY = datetime(2026, 11, 24, 15, tzinfo=UTC)
SHIFT = time(10)
PLAN = KpiPlan(contacts=4, talks=2)


def call(pages: Pages, who: str, at: datetime, card: int, seconds: int = 60) -> None:
    one = TouchRecord(
        key=f"{who}{at}{card}", kind="call", direction="out", at=at, card=("deal", card),
        user_id=agency().user(who).id, seconds=seconds, phone=f"+7916{card:07}",
    )  # fmt: skip
    with pages.office.store.write() as connection:
        add_touches(connection, pages.account.key, [one])


def measure(pages: Pages, **section: object) -> None:
    told = KpiSection.model_validate(section)
    pages.bridge.config = replace(pages.bridge.config, kpi=told)


@pytest.fixture
def office(pages: Pages) -> Pages:
    """Tuesday, 18:00 in Moscow: Ivan has called three clients since half past ten, Maria one since nine."""
    pages.meet_account()
    pages.know_account(agency())
    pages.bridge.clock = FixedClock(TUESDAY)
    pages.account.clock = pages.bridge.clock
    for number, minutes in enumerate((0, 30, 60)):
        call(pages, IVAN, TUESDAY - timedelta(hours=7, minutes=30) + timedelta(minutes=minutes), number)
    call(pages, IVAN, TUESDAY - timedelta(hours=2), 7, seconds=3)
    call(pages, MARIA, TUESDAY - timedelta(hours=9), 8)
    call(pages, MARIA, TUESDAY - timedelta(hours=33), 9)
    return pages


def test_a_day_against_the_plan(office: Pages, viewer: Visit) -> None:
    measure(office, plan=PLAN, shift=SHIFT)
    words = words_of(viewer.get("/reports/kpi"))
    assert f"{IVAN} 3 из 4 4 3 из 2 1 0 0 0 0 0 10:30 позже 10:00" in words
    assert f"{MARIA} 1 из 4 1 1 из 2 0 0 0 0 0 0 09:00 вовремя" in words
    assert "Все вместе 4 из 8 5 4 из 4 1 0 0 0 0 0" in words


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("span=week", f"{MARIA} 2 из 8 2 2 из 4 0"),
        ("span=month", f"{MARIA} 2 из 64 2 2 из 32 0"),
        ("day=2026-11-23", f"{MARIA} 1 из 4 1 1 из 2 0"),
        ("day=2026-11-22", "никто ничего не сделал"),
        ("day=nonsense&span=year", f"{MARIA} 1 из 4 1 1 из 2 0"),
        ("day=2099-01-01", f"{MARIA} 1 из 4 1 1 из 2 0"),
    ],
)
def test_other_days(office: Pages, viewer: Visit, asked: str, wanted: str) -> None:
    """The plan of a span is that of its working days that have begun; 4 November is a holiday."""
    measure(office, plan=PLAN)
    assert wanted in words_of(viewer.get(f"/reports/kpi?{asked}"))


def test_what_is_not_known_and_what_has_changed_is_said(office: Pages, viewer: Visit) -> None:
    assert "Мост знает о работе" not in words_of(viewer.get("/reports/kpi"))
    words = words_of(viewer.get("/reports/kpi?span=month"))
    assert "прочтёт команда amo-bridge kpi rebuild 2026-11" in words, words[-1200:]
    kept = KpiDays(office.account.account_store, Way(office.account.zone, agency().current_user_id, 30))
    kept.keep_up(TUESDAY)
    call(office, MARIA, TUESDAY - timedelta(hours=32), 10)
    kept.keep_up(TUESDAY + timedelta(hours=1))
    words = words_of(viewer.get("/reports/kpi?span=week"))
    assert "23 ноября 2026 г.: цифры изменились" in words
    assert f"{MARIA} 3 3 3 0" in words
    told = Program(office, Role.VIEWER).get("/reports/kpi?span=week")
    assert (told["people"][MARIA]["talks"], told["total"]["talks"], told["known_from"]) == (3, 6, None)
    assert list(told["changed"]) == ["2026-11-23"]


def test_a_plan_agreed_for_a_day_goes_before_the_usual_one(office: Pages, viewer: Visit) -> None:
    measure(office, plan=PLAN)
    head, maria = office.visit(Role.HEAD), agency().user(MARIA).id

    def agree(day: str, **plan: str) -> str:
        told = head.post(
            "/reports/kpi/plan", {"day": day, "person": maria, **plan}, page="/reports/kpi", follow_redirects=True
        )
        return words_of(told)

    assert "План записан." in agree("2026-11-24", talks="5", contacts="0")
    words = words_of(viewer.get("/reports/kpi"))
    assert f"{MARIA} 1 1 1 из 5 0" in words
    assert f"{IVAN} 3 из 4 4 3 из 2" in words
    assert "Все вместе 4 из 4 5 4 из 7" in words
    assert f"28.11, {MARIA}: Разговоры — 9" in agree("2026-11-28", talks="9")
    assert f"{MARIA} 1 из 4 1 1 из 2" not in words_of(viewer.get("/reports/kpi"))
    assert "План записан." in agree("2026-11-24")
    assert f"{MARIA} 1 из 4 1 1 из 2" in words_of(viewer.get("/reports/kpi"))
    assert [one.deed for one in office.office.audit.last(9)].count("kpi.plan") == 3


@pytest.mark.parametrize(
    ("day", "person", "talks", "told"),
    [
        ("2026-11-23", MARIA, "5", "не дальше года"),
        ("2028-01-01", MARIA, "5", "не дальше года"),
        ("завтра", MARIA, "5", "впишите целые числа"),
        ("2026-11-24", MARIA, "много", "впишите целые числа"),
        ("2026-11-24", MARIA, "-1", "от 0 до миллиарда"),
        ("2026-11-24", "", "5", "Такого человека"),
    ],
)
def test_what_is_no_plan_is_said(office: Pages, day: str, person: str, talks: str, told: str) -> None:
    number = agency().user(person).id if person else 1
    form = {"day": day, "person": number, "talks": talks}
    head = office.visit(Role.HEAD)
    assert told in words_of(head.post("/reports/kpi/plan", form, page="/reports/kpi", follow_redirects=True))
    assert KpiPlans(office.account.account_store).of(date(2020, 1, 1), date(2030, 1, 1)) == {}


def test_a_plan_is_the_heads_to_agree_and_a_programs(office: Pages, viewer: Visit) -> None:
    assert "План на день" not in words_of(viewer.get("/reports/kpi"))
    plan = {"day": "2026-11-24", "user_id": agency().user(IVAN).id, "talks": 7}
    assert Program(office, Role.VIEWER).ask("POST", "/reports/kpi/plan", plan).status_code == 403
    program = Program(office, Role.HEAD)
    assert program.ask("POST", "/reports/kpi/plan", plan).json["talks"] == 7
    assert program.ask("POST", "/reports/kpi/plan", {**plan, "user_id": 1}).status_code == 400
    assert f"{IVAN} 3 4 3 из 7" in words_of(viewer.get("/reports/kpi"))


def test_an_event_day_begins_when_the_config_says(office: Pages, viewer: Visit) -> None:
    measure(office, shift=SHIFT, event_days={"2026-11-24": "15:00"})
    words = words_of(viewer.get("/reports/kpi"))
    assert words.count("вовремя") == 2
    assert "позже" not in words


def test_on_a_day_off_nobody_is_late(office: Pages, viewer: Visit) -> None:
    call(office, IVAN, datetime(2026, 11, 22, 12, tzinfo=UTC), 11)
    measure(office, shift=SHIFT, plan=PLAN)
    words = words_of(viewer.get("/reports/kpi?day=2026-11-22"))
    assert f"{IVAN} 1 1 1 0 0 0 0 0 0 15:00" in words, "and nothing was expected"
    assert "позже" not in words


def test_only_those_whom_the_config_names(office: Pages, viewer: Visit) -> None:
    measure(office, people=[UserName(MARIA), UserName("Павел Смирнов")])
    words = words_of(viewer.get("/reports/kpi"))
    assert IVAN not in words
    assert "Павел Смирнов 0 0 0 0 0 0 0 0 0 —" in words


def test_whoever_was_renamed_in_amocrm_is_still_measured(office: Pages, viewer: Visit) -> None:
    measure(office, people=[MARIA], plan=PLAN)
    office.know_account_renamed(agency(), MARIA, "Мария Петрова")
    words = words_of(viewer.get("/reports/kpi"))
    assert "Мария Петрова 1 из 4 1 1 из 2 0" in words
    assert IVAN not in words.partition("План на день")[0]


def test_files_and_the_screen_on_the_wall(office: Pages, viewer: Visit) -> None:
    table = viewer.get("/reports/kpi.csv").get_data().decode("utf-8-sig")
    assert f"{IVAN};3;4;3;1;0;0;0;0" in table
    book = CalamineWorkbook.from_filelike(BytesIO(viewer.get("/reports/kpi.xlsx?span=week").get_data()))
    assert book.get_sheet_by_index(0).to_python()[2][:2] == [MARIA, 2.0]
    assert book.sheet_names == ["KPI"]
    wall = viewer.get("/reports/kpi?tv=1").text
    assert 'hx-trigger="every 60s"' in wall
    assert "hx-trigger" not in viewer.get("/reports/kpi").text


def test_lost_deals_stand_there_with_their_reasons(office: Pages, viewer: Visit) -> None:
    store, at = office.account.account_store, TUESDAY - timedelta(hours=1)
    told = ((1, IVAN, "Дорого"), (2, IVAN, "Дорого"), (3, IVAN, None), (4, MARIA, "Дорого"))
    records = [
        DealRecord(id=number, responsible_user_id=agency().user(who).id, status_id=LOST, closed_at=at, updated_at=at,
                   loss_reason=reason)
        for number, who, reason in told
    ]  # fmt: skip
    with store.write() as connection:
        Mirror(store).put(connection, [MirroredDeal(one, at) for one in records], at)
    words = words_of(viewer.get("/reports/kpi"))
    assert f"Почему потеряно Человек Дорого без причины {IVAN} 2 1 {MARIA} 1 0" in words
    table = viewer.get("/reports/kpi.csv").get_data().decode("utf-8-sig")
    assert f"{IVAN};3;4;3;1;0;0;0;0;3;Дорого — 2; без причины — 1" in table.replace('"', "")
    book = CalamineWorkbook.from_filelike(BytesIO(viewer.get("/reports/kpi.xlsx").get_data()))
    assert book.get_sheet_by_name("Потеряно").to_python()[1:] == [
        [IVAN, "Дорого", 2.0], [IVAN, "без причины", 1.0], [MARIA, "Дорого", 1.0],
    ]  # fmt: skip
    answer = Program(office, Role.VIEWER).ask("GET", "/reports/kpi").json
    assert answer["people"][IVAN]["lost_by"] == {"Дорого": 2, "без причины": 1}
    assert answer["total"]["lost"] == 4


def test_work_in_pipedrive_is_added_and_what_is_not_is_told(office: Pages, viewer: Visit) -> None:
    channels = replace(office.bridge.config.channels, pipedrive=PipedriveSection(api="https://a.pipedrive.com"))
    office.bridge.config = replace(office.bridge.config, channels=channels)
    assert "Pipedrive подключён, но ещё не прочитан" in words_of(viewer.get("/reports/kpi"))
    log, store = PipedriveLog(office.account.account_store), office.account.account_store
    users = [PipedriveUser(1, "Ivan", agency().user(IVAN).email), PipedriveUser(2, "Masha", "masha@home.example")]
    at = TUESDAY - timedelta(hours=1)
    items = [
        PipedriveItem("activity", 1, 1, at, kind="call", client="person 5"),
        PipedriveItem("activity", 2, 2, at, kind="call", client="person 6"),
        PipedriveItem("deal", 3, 1, at, cost=10_000, currency="USD"),
    ]
    with store.write() as connection:
        log.keep_users(connection, users)
        log.keep(connection, items)
        Cursors(store).write(connection, READ_AT, TUESDAY.timestamp())
    words = words_of(viewer.get("/reports/kpi"))
    assert f"{IVAN} 4 5 4 1 0 0 1 0 0 10:30" in words
    assert "Сделанное в Pipedrive уже прибавлено; прочитано 24.11.2026, 18:00" in words
    assert "не сосчитаны Masha (masha@home.example)" in words
    assert "Продаж в валюте USD: 1; они сосчитаны, а их сумма не прибавлена." in words


def test_before_there_is_anything(tmp_path: Path) -> None:
    viewer = Pages.in_folder(tmp_path / "new").visit(Role.VIEWER)
    assert "Мост ещё не знакомился с аккаунтом" in words_of(viewer.get("/reports/kpi"))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("address", ["/reports/kpi?span=week", "/reports/kpi?tv=1"])
def test_in_a_browser(office: Pages, browser: Browser, size: dict[str, int], address: str) -> None:
    measure(office, plan=PLAN, shift=SHIFT)
    office.add_user("Анна", Role.VIEWER)
    with served(office.app) as url, opened(browser, url, viewport=size) as context:
        page = context.new_page()
        page.goto("/login")
        page.get_by_label("Имя").fill("Анна")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        page.goto(address)
        expect(page.get_by_role("rowheader", name=IVAN).first).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
        if "week" in address:
            expect(page.locator("canvas[data-drawn]")).to_be_visible()
            with page.expect_download() as saved:
                page.get_by_role("button", name="Сохранить график (PNG)").click()
            assert saved.value.suggested_filename == "kpi.png"
            assert saved.value.path().read_bytes().startswith(b"\x89PNG")
