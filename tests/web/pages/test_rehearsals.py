"""Rehearsals on their page: asked for, played beside the bridge, shown as a calendar; and what is refused."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.local_crm import LocalCrm
from support.pages import PASSWORD, Pages, Visit, words_of
from support.running_bridge import RunningBridge, wait_until

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.runtime.rehearsal_jobs import KEPT, LONGEST
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION

IVAN = "Иван Петров"
BRIEF = "Продажи / Получение брифа"
LADDER = "stage_ladder.brief_awaited"
RULE = "stage_creates_tasks.new_client"
NOW = datetime.now(UTC)


def deed(days: float, **more: Any) -> dict[str, Any]:
    at = (NOW + timedelta(days=days)).isoformat()
    told = {"at": at, "deal": 30000001, "deal_name": "=Ромашка", "rule": RULE, "clause": "A10", "because": "этап"}
    return told | {"does": ["задача «Связаться»", "тег"], "trouble": ""} | more


def asked(pages: Pages, days: int = 3, deal_id: int | None = None) -> int:
    return pages.account.rehearsals.ask(days, deal_id, "Анна")


def done(pages: Pages, *deeds: dict[str, Any]) -> int:
    number, book = asked(pages), pages.account.rehearsals
    book.begin(number)
    book.finish(number, deeds)
    return number


def test_asked_for_from_upcoming(pages: Pages, admin: Visit) -> None:
    assert 'href="/rehearsals"' in admin.get("/upcoming").text
    answer = admin.post("/rehearsals", {"days": "5", "deal": "https://x.amocrm.ru/leads/detail/77"})
    (made,) = pages.account.rehearsals.all()
    assert answer.headers["Location"] == f"/rehearsals/{made.number}"
    assert (made.days, made.deal_id, made.state, made.asked_by) == (5, 77, "asked", "Анна")
    words = words_of(admin.get(answer.headers["Location"]))
    assert "5 дней, сделка 77" in words
    assert "Страницу можно закрыть" in words
    assert pages.office.audit.last(1)[0].words == f"Репетиция № {made.number}: дней 5, сделка 77"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"days": "0"}, f"Дней — от 1 до {LONGEST}"),
        ({"days": str(LONGEST + 1)}, f"Дней — от 1 до {LONGEST}"),
        ({"days": "много"}, f"Дней — от 1 до {LONGEST}"),
        ({"days": "5", "deal": "Ромашка"}, "Это не номер сделки"),
    ],
)
def test_what_can_not_be_rehearsed_is_told(pages: Pages, admin: Visit, form: dict[str, str], words: str) -> None:
    admin.post("/rehearsals", form)
    assert words in words_of(admin.get("/rehearsals"))
    assert pages.account.rehearsals.all() == []


def test_one_at_a_time(pages: Pages, admin: Visit) -> None:
    asked(pages)
    admin.post("/rehearsals", {"days": "5"})
    assert "репетиция уже идёт" in words_of(admin.get("/rehearsals"))
    assert len(pages.account.rehearsals.all()) == 1


def test_what_came_of_it_day_by_day(pages: Pages, viewer: Visit) -> None:
    number = done(pages, deed(0), deed(2, does=[], trouble="нет такого поля"), deed(2, deal=0, deal_name="", rule=""))
    page = viewer.get(f"/rehearsals/{number}")
    words = words_of(page)
    assert "задача «Связаться»; тег" in words
    assert "не сможет нет такого поля" in words
    local = (NOW + timedelta(days=2)).astimezone(pages.account.zone)
    assert f'href="#d{local:%Y-%m-%d}"' in page.text
    assert f'id="d{local:%Y-%m-%d}"' in page.text
    assert f'href="/rules/{RULE}"' in page.text
    assert "Что люди передвинут, закроют и заполнят, репетиция не знает" in words
    rows = list(
        csv.DictReader(StringIO(viewer.get(f"/rehearsals/{number}.csv").data.decode("utf-8-sig")), delimiter=";")
    )
    assert [row["Что сделает"] for row in rows] == ["задача «Связаться»; тег", "", "задача «Связаться»; тег"]
    assert rows[0]["Сделка"] == "'=Ромашка", "a spreadsheet must not run it"


def test_nothing_will_be_done(pages: Pages, viewer: Visit) -> None:
    assert "Правила ничего не сделают" in words_of(viewer.get(f"/rehearsals/{done(pages)}"))


def test_why_it_came_to_nothing(pages: Pages, viewer: Visit) -> None:
    number = asked(pages)
    pages.account.rehearsals.begin(number)
    pages.account.rehearsals.fail(number, "токен не подошёл")
    assert "Не вышло: токен не подошёл" in words_of(viewer.get(f"/rehearsals/{number}"))


def test_the_page_asks_until_it_is_over(pages: Pages, viewer: Visit) -> None:
    number, book = asked(pages), pages.account.rehearsals
    assert "Ждёт" in words_of(viewer.get(f"/rehearsals/{number}/progress"))
    book.begin(number)
    book.tell(number, 0.4, "На копии пт 04.12.2026")
    told = viewer.get(f"/rehearsals/{number}/progress")
    assert "На копии пт 04.12.2026" in words_of(told)
    assert 'value="0.4"' in told.text
    book.finish(number, [])
    assert viewer.get(f"/rehearsals/{number}/progress").headers["HX-Refresh"] == "true"


def test_stopped(pages: Pages, admin: Visit) -> None:
    number = asked(pages)
    admin.post(f"/rehearsals/{number}/stop", page=f"/rehearsals/{number}")
    assert "Репетицию остановили" in words_of(admin.get(f"/rehearsals/{number}"))
    admin.post(f"/rehearsals/{number}/stop", page="/rehearsals")
    assert "эта репетиция уже кончилась" in words_of(admin.get(f"/rehearsals/{number}"))
    assert [one.deed for one in pages.office.audit.last(9)] == ["rehearsal.stop"]


def test_the_last_few_are_kept(pages: Pages, viewer: Visit) -> None:
    numbers = [done(pages, deed(1)) for _ in range(KEPT + 1)]
    for address in (f"/rehearsals/{numbers[0]}", f"/rehearsals/{numbers[0]}.csv", "/rehearsals/77"):
        assert viewer.get(address).status_code == 404
    assert viewer.get(f"/rehearsals/{numbers[1]}").status_code == 200


@pytest.mark.parametrize("role", [Role.VIEWER, Role.WEBINAR])
def test_only_an_administrator_begins_and_stops(pages: Pages, role: Role) -> None:
    visit, number = pages.visit(role), asked(pages)
    assert visit.post("/rehearsals", {"days": "5"}, page="/").status_code == 403
    assert visit.post(f"/rehearsals/{number}/stop", page="/").status_code == 403
    assert "Начинает репетицию администратор" in words_of(visit.get("/rehearsals"))
    assert pages.account.rehearsals.get(number).state == "asked"


def test_before_the_account_is_known(tmp_path: Any) -> None:
    pages = Pages.in_folder(tmp_path / "fresh")
    admin = pages.visit(Role.ADMIN)
    assert "Мост ещё не знакомился с аккаунтом" in words_of(admin.get("/rehearsals"))
    assert admin.post("/rehearsals", {"days": "5"}, page="/").status_code == 503
    pages.close()


# --- in the browser ------------------------------------------------------------------------------------------------


def log_in(page: Page, address: str) -> None:
    page.goto(f"/login?next={address}")
    page.get_by_label("Имя").fill("Анна")
    page.get_by_label("Пароль").fill(PASSWORD)
    page.get_by_role("button", name="Войти").click()


@pytest.fixture
def site(pages: Pages) -> Iterator[str]:
    pages.add_user("Анна", Role.ADMIN)
    with served(pages.app) as address:
        yield address


@pytest.mark.parametrize("theme", ["dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everybody_can_read_it(pages: Pages, site: str, browser: Browser, theme: str, size: dict[str, int]) -> None:
    number = done(pages, *(deed(day / 2) for day in range(6)), deed(3, does=[], trouble="нет такого поля"))
    waiting = asked(pages)
    with opened(browser, site, viewport=size, color_scheme=theme) as context:
        page = context.new_page()
        log_in(page, "/rehearsals")
        for address in ("/rehearsals", f"/rehearsals/{number}", f"/rehearsals/{waiting}"):
            page.goto(address)
            assert serious_findings(page) == [], address
            assert fits_its_width(page), address


def test_a_rehearsal_from_the_form_to_the_calendar(
    browser: Browser, bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser
) -> None:
    made = office.new_deal(IVAN, "Ромашка", BRIEF, office.new_contact(IVAN, "Анна Каренина"), 1000)
    # The task that is due at once is set before anything is counted.
    bridge.settle_at(sandbox, advance=60)
    staff = bridge.app.extensions[EXTENSION]
    person = staff.users.add("Анна", Role.ADMIN)
    with staff.store.write() as connection:
        staff.users.set_password(connection, person.id, PASSWORD)
    tasks = office.tasks(made)
    sandbox.forget_requests()
    with opened(browser, bridge.url) as context:
        page = context.new_page()
        log_in(page, "/upcoming")
        page.get_by_role("link", name="Репетиция").click()
        page.get_by_label("Дней").fill("12")
        page.get_by_role("button", name="Начать").click()
        expect(page.get_by_role("progressbar")).to_be_visible()
        address = page.url
        page.close()
        # Nobody looks, and it goes on.
        book = staff.account_at(None).rehearsals
        wait_until(lambda: not book.all()[0].is_active, "the rehearsal is over", patience=120)
        page = context.new_page()
        page.goto(address)
        expect(page.get_by_text("готово")).to_be_visible()
        expect(page.get_by_role("link", name="A20–A23").first).to_be_visible()
        expect(page.get_by_role("link", name="Ромашка").first).to_be_visible()
        assert serious_findings(page) == []
    assert not [one for one in sandbox.requests() if not one.startswith("GET ")], "the account is only read"
    assert office.tasks(made) == tasks
