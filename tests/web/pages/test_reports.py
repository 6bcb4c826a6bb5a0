"""The report of overdue tasks: the page, and its files, which never run anything in a spreadsheet."""

from __future__ import annotations

import csv
import re
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from zipfile import ZipFile

import pytest
from playwright.sync_api import Browser, expect
from python_calamine import CalamineWorkbook
from support.browser import PHONE, fits_its_width, opened, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of
from support.task_mirror import keep_tasks

from amo_bridge.crm.account import Account
from amo_bridge.events import TaskAdded, TaskUpdated
from amo_bridge.mirror.tasks import record_task_events
from amo_bridge.reports import workbook
from amo_bridge.storage.accounts import MIRROR_MET_AT, Cursors
from amo_bridge.web.auth.users import Role

IVAN = "Иван Петров"


@pytest.fixture
def late(pages: Pages) -> Pages:
    """Three tasks of Ivan's, due yesterday, and one of a stranger's."""
    pages.know_account(agency())
    owe(pages, agency().user(IVAN).id, agency().user(IVAN).id, agency().user(IVAN).id, 77)
    return pages


def owe(pages: Pages, *people: int, card: tuple[str, int] | None = None, text: str = "", first: int = 0) -> None:
    due = (datetime.now(UTC) - timedelta(days=1)).timestamp()
    rows = [
        {"account": pages.account.key, "task_id": number, "responsible_user_id": person, "due_at": due,
         "is_completed": False, "updated_at": 0.0, "created_by": 1, "task_type_id": 1, "text": text, "created_at": 0.0,
         "entity_type": card[0] if card else None, "entity_id": card[1] if card else None}
        for number, person in enumerate(people, first)
    ]  # fmt: skip
    with pages.office.store.write() as connection:
        keep_tasks(connection, rows)


def days(pages: Pages, many: int) -> list[str]:
    today = datetime.now(pages.account.zone).date()
    return [f"{today - timedelta(days=back):%d.%m.%Y}" for back in range(many - 1, -1, -1)]


def test_each_person_and_each_day(late: Pages, viewer: Visit) -> None:
    words = words_of(viewer.get("/reports/overdue"))
    assert f"{IVAN} 0 0 0 0 0 3 3 3 —" in words
    assert "№ 77 0 0 0 0 0 1 1 1 —" in words
    assert "Все вместе 0 0 0 0 0 4 4 4 —" in words


def test_counted_the_other_way(late: Pages, viewer: Visit) -> None:
    words = words_of(viewer.get("/reports/overdue?count=missed"))
    assert f"{IVAN} 0 0 0 0 0 3 0 3" in words


def test_a_figure_leads_to_its_tasks(late: Pages, viewer: Visit) -> None:
    owe(late, agency().user(IVAN).id, card=("deal", 40), text="Позвонить <Ольге>", first=100)
    page = viewer.get("/reports/overdue")
    today = datetime.now(late.account.zone).date()
    link = next(found for found in re.findall(r'href="([^"]+)"', page.text) if f"day={today}" in found)
    told = viewer.get(link.replace("&amp;", "&"))
    words = words_of(told)
    assert IVAN in words
    assert words.count("не сделана") == 4
    assert "Позвонить <Ольге>" in words
    assert 'href="/deals/40"' in told.text
    assert f'href="{late.bridge.config.account.url}/leads/detail/40"' in told.text
    assert words_of(viewer.get("/reports/overdue/tasks")).count("не сделана") == 5
    assert "№ 77" in words_of(viewer.get("/reports/overdue/tasks"))
    assert words_of(viewer.get("/reports/overdue/tasks?person=nobody")).count("не сделана") == 0
    assert words_of(viewer.get(f"/reports/overdue/tasks?day={today}&count=missed")).count("не сделана") == 0


@pytest.mark.parametrize("kind", ["contact", "company", "customer"])
def test_a_task_on_another_card_leads_there(late: Pages, viewer: Visit, kind: str) -> None:
    owe(late, 77, card=(kind, 41), first=100)
    assert re.search(rf'/{kind[:4]}\w+/detail/41"', viewer.get("/reports/overdue/tasks").text)


def test_as_csv_and_as_a_workbook_the_figures_are_the_same(late: Pages, viewer: Visit) -> None:
    answer = viewer.get("/reports/overdue.csv")
    text = list(csv.reader(StringIO(answer.data.decode("utf-8-sig")), delimiter=";"))
    assert text == [
        ["Человек", *days(late, 7), "Всего задач", "Перенесено, раз", "Перенесено, часов"],
        [IVAN, *"0000033", "3", "0", "0"],
        ["№ 77", *"0000011", "1", "0", "0"],
    ]
    assert "attachment" in answer.headers["Content-Disposition"]
    book = CalamineWorkbook.from_filelike(BytesIO(viewer.get("/reports/overdue.xlsx").data))
    sheet = book.get_sheet_by_index(0).to_python()
    assert [[cell if isinstance(cell, str) else str(int(cell)) for cell in row] for row in sheet] == text


def test_a_name_is_never_run_as_a_formula(late: Pages, viewer: Visit) -> None:
    told = deepcopy(dict(agency().to_json()))
    for person in told["users"]:
        person["name"] = "=HYPERLINK(1)"
    late.know_account(Account.from_json(told))
    text = viewer.get("/reports/overdue.csv").data.decode("utf-8-sig")
    assert "\n'=HYPERLINK(1);" in text
    sheet = ZipFile(BytesIO(viewer.get("/reports/overdue.xlsx").data))
    assert "=HYPERLINK(1)" in sheet.read("xl/sharedStrings.xml").decode()
    assert "<f>" not in sheet.read("xl/worksheets/sheet1.xml").decode()


def test_without_the_package_the_page_offers_no_workbook(
    late: Pages, viewer: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "is_available", lambda: False)
    answer = viewer.get("/reports/overdue.xlsx")
    assert answer.status_code == 503
    assert "amo-bridge[reports]" in words_of(answer)


@pytest.mark.parametrize(
    "query", ["days=9999", "days=x", "count=all", "until=never", "until=2999-01-01", "until=0001-01-01", "day=x"]
)
def test_nonsense_in_the_address_does_no_harm(late: Pages, viewer: Visit, query: str) -> None:
    assert viewer.get(f"/reports/overdue?{query}").status_code == 200
    assert viewer.get(f"/reports/overdue/tasks?{query}").status_code == 200


def test_nobody_is_late(late: Pages, viewer: Visit) -> None:
    words = words_of(viewer.get("/reports/overdue?until=2020-01-01"))
    assert "Просроченных задач нет За эти дни все успели в срок." in words


def test_on_a_phone_the_newest_days_are_in_sight_with_the_names_beside_them(late: Pages, browser: Browser) -> None:
    late.add_user("Вера", Role.VIEWER)
    with served(late.app) as url, opened(browser, url, viewport=PHONE) as context:
        page = context.new_page()
        page.goto("/login?next=/reports/overdue%3Fdays%3D31")
        page.get_by_label("Имя").fill("Вера")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        row = page.get_by_role("row", name=IVAN)
        expect(row.locator("td")).to_have_count(33)
        expect(row.locator("td").last).to_be_in_viewport()
        expect(row.locator("td").first).not_to_be_in_viewport()
        expect(row.locator("th")).to_be_in_viewport()
        assert fits_its_width(page)


def test_no_task_was_ever_seen(pages: Pages, viewer: Visit) -> None:
    assert "Мост ещё не видел ни одной задачи" in words_of(viewer.get("/reports/overdue"))


def test_a_deadline_that_was_moved_is_told_with_its_days_before(pages: Pages, viewer: Visit) -> None:
    pages.know_account(agency())
    ivan, now = agency().user(IVAN).id, datetime.now(UTC)
    day = timedelta(days=1)
    added = TaskAdded(
        at=now - 4 * day,
        created_at=now - 4 * day,
        due=now - 3 * day,
        task_id=5,
        responsible_user_id=ivan,
        text="Позвонить",
    )
    moved = [TaskUpdated(at=at, due=due, task_id=5) for at, due in ((now - 2 * day, now + day), (now - day, now - day))]
    for event in (added, *moved):
        with pages.office.store.write() as connection:
            record_task_events(connection, pages.account.key, [event])
    words = words_of(viewer.get("/reports/overdue"))
    assert f"{IVAN} 0 0 0 1 0 1 1 1 2 (+2 дн.)" in words
    assert "по последнему сроку" not in words
    text = list(csv.reader(StringIO(viewer.get("/reports/overdue.csv").data.decode("utf-8-sig")), delimiter=";"))
    assert text[1] == [IVAN, *"0001011", "1", "2", "48"]
    words = words_of(viewer.get("/reports/overdue/tasks"))
    assert "2 (+2 дн.) не сделана" in words


def test_what_is_not_known_of_the_days_before_is_said_once(late: Pages, viewer: Visit) -> None:
    since = datetime.now(UTC) - timedelta(hours=30)
    with late.office.store.write() as connection:
        record_task_events(connection, late.account.key, [TaskUpdated(at=since, due=since, task_id=9)])
    assert words_of(viewer.get("/reports/overdue")).count("сосчитаны по последнему сроку") == 1


# --- the week ----------------------------------------------------------------------------------------------------


def test_the_week_that_goes_on_is_told_as_far_as_it_has_come(late: Pages, viewer: Visit) -> None:
    today = datetime.now(late.account.zone).date()
    page = viewer.get(f"/reports/week?monday={today}")
    words = words_of(page)
    assert f"Неделя {today - timedelta(days=today.weekday()):%d.%m}" in words
    assert re.search(rf"{IVAN} 3 [03] 0\b", words)
    assert re.search(r"№ 77 1 [01] 0\b", words)
    assert "Решать нечего: всё выполнено, правила работают." in words
    assert "→" not in words, "there is no week after it yet"
    assert viewer.get("/reports/week?monday=2026-13-45").status_code == 200
    assert viewer.get("/reports/week?monday=2999-01-01").status_code == 200


def test_a_week_without_delays_says_so_and_leads_to_its_neighbours(late: Pages, viewer: Visit) -> None:
    today = datetime.now(late.account.zone).date()
    monday = today - timedelta(days=today.weekday() + 140)
    page = viewer.get(f"/reports/week?monday={monday + timedelta(days=2)}")
    words = words_of(page)
    assert f"Неделя {monday:%d.%m}–{monday + timedelta(days=6):%d.%m.%Y}" in words
    assert "Опозданий и нарушений нет" in words
    assert f"/reports/week?monday={monday - timedelta(days=7)}" in page.text
    assert f"/reports/week?monday={monday + timedelta(days=7)}" in page.text


def test_of_a_week_before_the_bridge_nobody_is_said_to_be_in_time(late: Pages, viewer: Visit) -> None:
    for address in ("/reports/week?monday=2024-03-11", "/reports/week?monday=2000-01-03"):
        words = words_of(viewer.get(address))
        assert "Мост знает о задачах с" in words
        assert "Опозданий и нарушений нет" not in words
    store, met = late.account.account_store, datetime.now(late.account.zone) - timedelta(days=10)
    with store.write() as connection:
        Cursors(store).write(connection, MIRROR_MET_AT, met.timestamp())
    assert "Мост знает о задачах с" in words_of(viewer.get(f"/reports/week?monday={met.date()}"))
    last = met.date() + timedelta(days=7)
    assert "Мост знает о задачах с" not in words_of(viewer.get(f"/reports/week?monday={last}"))


def test_the_week_fits_a_phone_and_has_its_charts(late: Pages, browser: Browser) -> None:
    late.add_user("Вера", Role.VIEWER)
    today = datetime.now(late.account.zone).date()
    with served(late.app) as url, opened(browser, url, viewport=PHONE) as context:
        page = context.new_page()
        page.goto(f"/login?next=/reports/week%3Fmonday%3D{today}")
        page.get_by_label("Имя").fill("Вера")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        expect(page.locator("canvas[data-drawn]")).to_have_count(2)
        assert fits_its_width(page)
