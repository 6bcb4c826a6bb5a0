"""The base of all pages as people meet it: in Chromium, by mouse, keyboard and on a phone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import DESKTOP, PHONE, SharedBrowser, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages

from amo_bridge.web.auth.users import Role


@pytest.fixture
def site(pages: Pages) -> Iterator[str]:
    """The address at which the pages are served."""
    with served(pages.app) as address:
        yield address


@pytest.fixture
def window(browser: Browser, site: str) -> Iterator[Page]:
    with opened(browser, site) as context:
        yield context.new_page()


def log_in(page: Page) -> None:
    page.goto("/login")
    page.get_by_label("Имя").fill("Анна")
    page.get_by_label("Пароль").fill(PASSWORD)
    page.get_by_role("button", name="Войти").click()


def test_the_first_admin_comes_in_by_the_link(tmp_path: Path, browser: Browser) -> None:
    pages = Pages.in_folder(tmp_path / "fresh")
    secret = pages.office.links.for_first_admin()
    with served(pages.app) as url, opened(browser, url) as context:
        page = context.new_page()
        page.goto(f"/setup/{secret}")
        page.get_by_label("Имя").fill("Анна")
        page.get_by_label("Новый пароль").fill(PASSWORD)
        page.get_by_label("Ещё раз").fill(PASSWORD)
        page.get_by_role("button", name="Начать").click()
        expect(page.get_by_text("Готово: вы администратор")).to_be_visible()
        page.get_by_role("button", name="Выйти").click()
        log_in(page)
        expect(page.get_by_role("heading", name="Обзор")).to_be_visible()
    pages.close()


def test_a_wrong_password_is_told_and_the_ninth_try_is_refused(pages: Pages, window: Page) -> None:
    pages.add_user("Анна", Role.ADMIN)
    window.goto("/login")
    for _ in range(9):
        window.get_by_label("Имя").fill("Анна")
        window.get_by_label("Пароль").fill("не тот пароль")
        window.get_by_role("button", name="Войти").click()
        if window.get_by_role("heading", name="Слишком много попыток").is_visible():
            break
        expect(window.get_by_text("Имя или пароль не подходят")).to_be_visible()
    expect(window.get_by_text("Попробуйте снова через 15 минут")).to_be_visible()


def test_the_keyboard_alone_is_enough(pages: Pages, window: Page) -> None:
    pages.add_user("Анна", Role.ADMIN)
    window.goto("/login")
    window.keyboard.press("Tab")
    expect(window.get_by_role("link", name="К содержанию")).to_be_focused()
    window.get_by_label("Имя").focus()
    window.keyboard.type("Анна")
    window.keyboard.press("Tab")
    window.keyboard.type(PASSWORD)
    window.keyboard.press("Enter")
    expect(window.get_by_role("heading", name="Обзор")).to_be_visible()


def test_the_navigation_is_behind_a_button_on_a_phone(pages: Pages, browser: Browser, site: str) -> None:
    pages.add_user("Анна", Role.ADMIN)
    with opened(browser, site, viewport=PHONE, has_touch=True) as context:
        page = context.new_page()
        log_in(page)
        section = page.get_by_role("navigation").get_by_role("link", name="Обзор")
        expect(section).to_be_hidden()
        page.get_by_role("button", name="Меню").click()
        expect(section).to_be_visible()
        assert fits_its_width(page)
        assert serious_findings(page) == []


@pytest.mark.parametrize("theme", ["dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_in_front_of_the_door_everybody_can_read(
    pages: Pages, browser: Browser, site: str, theme: str, size: dict[str, int]
) -> None:
    pages.add_user("Анна", Role.ADMIN)
    with opened(browser, site, viewport=size, color_scheme=theme) as context:
        page = context.new_page()
        for path in ("/login", f"/setup/{'x' * 9}", "/nowhere"):
            page.goto(path)
            assert serious_findings(page) == [], path
            assert fits_its_width(page), path


def test_a_chosen_theme_wins_over_the_systems(window: Page) -> None:
    window.goto("/login")
    light = background(window)
    window.get_by_role("button", name="Тема: как в системе").click()
    expect(window.get_by_role("button", name="Тема: тёмная")).to_be_visible()
    assert background(window) != light


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))


def test_a_link_is_copied_over_plain_http_too(pages: Pages, window: Page) -> None:
    """There browsers give a page no clipboard."""
    pages.add_user("Анна", Role.ADMIN)
    window.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    log_in(window)
    window.goto("/users")
    window.get_by_label("Имя").fill("Вера")
    window.get_by_role("button", name="Пригласить").click()
    copy = window.get_by_role("button", name="Скопировать")
    link = copy.get_attribute("data-copy")
    copy.click()
    expect(window.get_by_role("button", name="Скопировано")).to_be_focused()
    window.get_by_label("Имя").focus()
    window.keyboard.press("Control+V")
    expect(window.get_by_label("Имя")).to_have_value(str(link)[:80])


def test_between_its_uses_other_event_loops_run_in_this_thread(shared_browser: SharedBrowser) -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        return 7

    for _ in range(2):
        with shared_browser.in_use() as browser:
            page = browser.new_page()
            page.set_content("<title>Обзор</title>")
            assert page.title() == "Обзор"
            page.close()
        assert asyncio.run(answer()) == 7
