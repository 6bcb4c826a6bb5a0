"""Journeys in a real browser over a bridge at work: what an admin does, what everybody can read, desk and phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import update
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings
from support.local_crm import LocalCrm
from support.pages import PASSWORD
from support.pictures import a_day, pages_of
from support.running_bridge import EXAMPLE, UNHURRIED, RunningBridge, wait_until

from amo_bridge.config.loader import load
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.storage.tables import journal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION

IVAN = "Иван Петров"
NEW = "Продажи / Новый клиент"
RULE = "stage_creates_tasks.new_client"


@pytest.fixture
def at_work(tmp_path: Path, sandbox: LocalCrm, start_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    """A bridge whose config file is its own, so that pages may change it; «Анна» is the admin."""
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE.read_text("utf-8").replace("https://example.amocrm.ru", sandbox.url), "utf-8")
    config = load(path, {})
    account = config.account.model_copy(update={"requests_per_second": UNHURRIED})
    bridge = start_bridge(replace(config, account=account)).wait_ready()
    add_user(bridge, "Анна", Role.ADMIN)
    return bridge


def add_user(bridge: RunningBridge, login: str, role: Role) -> None:
    office = bridge.app.extensions[EXTENSION]
    user = office.users.add(login, role)
    with office.store.write() as connection:
        office.users.set_password(connection, user.id, PASSWORD)


def log_in(page: Page, login: str = "Анна") -> Page:
    page.goto("/login")
    page.get_by_label("Имя").fill(login)
    page.get_by_label("Пароль").fill(PASSWORD)
    page.get_by_role("button", name="Войти").click()
    expect(page.get_by_role("heading", name="Обзор", exact=True)).to_be_visible()
    return page


@pytest.fixture
def page(browser: Browser, at_work: RunningBridge) -> Iterator[Page]:
    with opened(browser, at_work.url) as context:
        yield log_in(context.new_page())


def new_deal(office: CrmUser, bridge: RunningBridge, crm: LocalCrm) -> int:
    deal = office.new_deal(IVAN, "Ромашка", NEW, office.new_contact(IVAN, "Ольга"), 0)
    bridge.settle(crm)
    return deal


def switch(page: Page, button: str) -> None:
    page.goto(f"/rules/{RULE}")
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_role("heading", name="Что изменится")).to_be_visible()
    page.get_by_role("button", name="Сохранить").click()
    expect(page.get_by_text("Мост уже работает по-новому")).to_be_visible()


def test_a_rule_toggled_on_the_page_acts_at_once(
    page: Page, at_work: RunningBridge, office: CrmUser, sandbox: LocalCrm
) -> None:
    work = at_work.bridge._work
    assert work is not None
    switch(page, "Выключено")
    wait_until(lambda: work.worker is not None and not work.wants_to_begin_anew, "the leader has begun anew")
    first = new_deal(office, at_work, sandbox)
    assert not office.tasks(first)
    switch(page, "Всерьёз")
    wait_until(lambda: work.worker is not None and not work.wants_to_begin_anew, "the leader has begun anew")
    second = new_deal(office, at_work, sandbox)
    assert [task["text"] for task in office.tasks(second)] == ["Связаться и взять в работу"]
    page.goto("/audit")
    expect(page.get_by_text(f"Выключено: {RULE}")).to_be_visible()
    expect(page.get_by_text(f"Включено: {RULE}")).to_be_visible()


def test_a_deal_is_found_and_a_step_of_it_taken_again(
    page: Page, at_work: RunningBridge, office: CrmUser, sandbox: LocalCrm
) -> None:
    deal = new_deal(office, at_work, sandbox)
    page.get_by_role("searchbox").fill(f"https://agency.amocrm.ru/leads/detail/{deal}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Ромашка")).to_be_visible()
    card = page.get_by_role("listitem").filter(has_text="A10").filter(has_text="сделано").first
    card.get_by_role("button", name="Что сделали бы правила сейчас?").click()
    expect(page.get_by_text("Ничего ещё не изменено")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("section").filter(has_text="A10").get_by_role("button", name="Сделать второй раз").click()
    expect(page.get_by_text("Отправлено в работу")).to_be_visible()
    at_work.settle(sandbox)
    assert len(office.tasks(deal)) == 2


def test_the_overview_shows_the_chart_and_refreshes_itself(
    page: Page, at_work: RunningBridge, office: CrmUser, sandbox: LocalCrm
) -> None:
    new_deal(office, at_work, sandbox)
    with page.expect_response("**/overview/state", timeout=30_000):
        pass
    expect(page.get_by_text("Связаться и взять в работу").first).to_be_visible()
    page.reload()
    expect(page.locator("canvas[data-drawn]")).to_be_visible(timeout=20_000)
    page.get_by_text("То же таблицей").click()
    expect(page.get_by_role("columnheader", name="Сбоев")).to_be_visible()


def test_an_edited_config_is_not_lost_unasked(page: Page) -> None:
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.goto("/config")
    page.get_by_role("link", name="Обзор", exact=True).click()
    expect(page.get_by_role("heading", name="Обзор", exact=True)).to_be_visible()
    assert asked == [], "nothing was changed"

    page.goto("/config")
    begin_with(page, "# mine\n")
    page.get_by_role("link", name="Обзор", exact=True).click()
    assert asked == ["beforeunload"]
    assert text_of(page).startswith("# mine\n")

    page.get_by_role("button", name="Проверить").click()
    expect(page.get_by_role("heading", name="Что изменится")).to_be_visible()
    page.get_by_role("link", name="Обзор", exact=True).click()
    assert asked == ["beforeunload"] * 2
    page.get_by_role("button", name="Править дальше").click()
    assert text_of(page).startswith("# mine\n")
    page.get_by_role("button", name="Проверить").click()
    page.get_by_role("link", name="Не менять").click()
    expect(page.locator(".CodeMirror")).to_be_visible()
    assert not text_of(page).startswith("# mine"), "said by the person himself"
    assert asked == ["beforeunload"] * 2


def begin_with(page: Page, words: str) -> None:
    page.locator(".CodeMirror").evaluate(
        "(box) => { box.CodeMirror.focus(); box.CodeMirror.execCommand('goDocStart'); }"
    )
    page.keyboard.type(words)


def text_of(page: Page) -> str:
    """What stands in the config's editor."""
    page.locator(".CodeMirror").wait_for()
    return str(page.locator(".CodeMirror").evaluate("(box) => box.CodeMirror.getValue()"))


def test_somebody_is_invited_and_comes_in(page: Page, browser: Browser, at_work: RunningBridge) -> None:
    page.goto("/users")
    page.get_by_label("Имя").fill("Вера")
    page.get_by_role("button", name="Пригласить и получить ссылку").click()
    link = page.locator("code").first.inner_text()
    with opened(browser, at_work.url) as context:
        vera = context.new_page()
        vera.goto(link)
        vera.get_by_label("Новый пароль").fill("совершенно новый")
        vera.get_by_label("Ещё раз").fill("совершенно новый")
        vera.get_by_role("button", name="Сохранить и войти").click()
        expect(vera.get_by_role("heading", name="Обзор", exact=True)).to_be_visible()
        expect(vera.get_by_role("link", name="Пользователи")).to_have_count(0)


@pytest.mark.timeout(300)
def test_everybody_can_read_every_page_in_both_themes_and_on_a_phone(
    browser: Browser, at_work: RunningBridge, office: CrmUser, sandbox: LocalCrm
) -> None:
    deal = a_day(office, at_work, sandbox)
    found: list[str] = []
    for theme in ("light", "dark"):
        for size in (DESKTOP, PHONE):
            with opened(browser, at_work.url, viewport=size, color_scheme=theme) as context:
                page = log_in(context.new_page())
                for path in pages_of(deal).values():
                    page.goto(path)
                    where = f"{path}, {theme}, {size['width']} px"
                    found += [f"{where}: {finding}" for finding in serious_findings(page)]
                    found += [] if fits_its_width(page) else [f"{where}: wider than the window"]
    assert found == []


FIVE_TAPS = """
window.taps = +(sessionStorage.taps || 0);
document.addEventListener("click", () => { sessionStorage.taps = ++window.taps; }, true);
document.addEventListener("change", () => { sessionStorage.taps = ++window.taps; }, true);
"""
"""A list is a tap to open and one to choose, which a headless browser does in one."""


@pytest.mark.parametrize("size", [DESKTOP, {"width": 360, "height": 740}], ids=["desktop", "phone"])
def test_a_head_takes_back_what_was_done_with_ivans_deals_yesterday(
    browser: Browser, at_work: RunningBridge, office: CrmUser, sandbox: LocalCrm, size: dict[str, int]
) -> None:
    deal = new_deal(office, at_work, sandbox)
    with at_work.app.extensions[EXTENSION].store.write() as connection:
        connection.execute(update(journal).values(at=journal.c.at - 86_400))
    add_user(at_work, "Глава", Role.HEAD)
    with opened(browser, at_work.url, viewport=size, has_touch=size["width"] < 500) as context:
        page = log_in(context.new_page(), "Глава")
        context.add_init_script(FIVE_TAPS)
        page.goto("/")
        page.evaluate("sessionStorage.taps = 0")
        page.reload()
        page.get_by_role("link", name="вчера", exact=True).click()
        page.get_by_label("Кто ведёт сделку").select_option(label=IVAN)
        row = page.get_by_role("row").filter(has_text="Ромашка").filter(has_text="Связаться и взять в работу")
        # What was done, with whose deal, and why.
        expect(row).to_contain_text(IVAN)
        expect(row).to_contain_text("новая сделка на этапе")
        assert fits_its_width(page)
        row.get_by_role("link", name=f"Отменить: сделка {deal}").click()
        expect(page.get_by_text("Ничего ещё не изменено")).to_be_visible()
        assert fits_its_width(page)
        page.get_by_role("button", name="Отменить это в amoCRM").click()
        expect(page.get_by_role("heading", name="Ромашка")).to_be_visible()
        assert page.evaluate("+sessionStorage.taps") == 4, "five with the opening of the list"
    at_work.settle(sandbox)
    assert [task["is_completed"] for task in office.tasks(deal)] == [True]


MENUS = {
    Role.MANAGER: ({"Справка"}, {"Обзор", "Что сделал мост", "Правила", "Настройка", "Пользователи"}),
    Role.WEBINAR: ({"Обзор", "Что сделал мост"}, {"Пользователи", "Настройка"}),
    Role.HEAD: ({"Обзор", "Что сделал мост", "Отчёты"}, {"Пользователи", "Настройка"}),
    Role.ADMIN: ({"Обзор", "Что сделал мост", "Пользователи"}, set()),
}
"""Role → what the menu has, and what it has not."""


@pytest.mark.parametrize("role", list(MENUS), ids=lambda role: str(role.value))
def test_each_sees_what_is_theirs(browser: Browser, at_work: RunningBridge, role: Role) -> None:
    add_user(at_work, "Кто-то", role)
    with opened(browser, at_work.url) as context:
        page = context.new_page()
        page.goto("/login")
        page.get_by_label("Имя").fill("Кто-то")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        expect(page.get_by_role("navigation").first).to_be_visible()
        menu = {" ".join(one.split()) for one in page.locator("nav a").all_inner_texts()}
    seen, unseen = MENUS[role]
    assert (seen - menu, unseen & menu) == (set(), set()), sorted(menu)
