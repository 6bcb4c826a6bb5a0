"""Settings by form in a real browser: at a desk and on a phone, to the file and back."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import DESKTOP, PHONE, fits_its_width, serious_findings, window
from support.pages import Pages, agency

from amo_bridge.config.loader import load


def is_in_order(page: Page) -> None:
    assert serious_findings(page) == []
    assert fits_its_width(page)


@pytest.mark.parametrize(
    "how", [{"viewport": DESKTOP, "color_scheme": "dark"}, {"viewport": PHONE}], ids=["desktop, dark", "phone"]
)
def test_working_time_and_people_to_the_file(pages: Pages, browser: Browser, how: dict[str, Any]) -> None:
    pages.know_account(agency())
    with window(pages, browser, "/settings", **how) as page:
        is_in_order(page)
        page.get_by_role("link", name="Рабочее время").click()
        expect(page.get_by_role("heading", name="Рабочее время")).to_be_visible()
        is_in_order(page)
        page.get_by_label("Часовой пояс").fill("Asia/Omsk")
        page.get_by_label("Часовой пояс").blur()
        expect(page.get_by_text("Там сейчас:")).to_be_visible()
        page.get_by_label("Свои выходные 1").fill("2026-12-31")
        page.get_by_role("button", name="Проверить и показать, что изменится").click()
        expect(page.locator("span.plus")).to_have_text(['+days_off = ["2026-12-31"]', '+timezone = "Asia/Omsk"'])
        is_in_order(page)
        page.get_by_role("button", name="Сохранить").click()
        expect(page.get_by_text("Сохранено")).to_be_visible()
        page.goto("/settings/people")
        page.get_by_role("button", name="+ Люди").click()
        page.get_by_label("Люди, что").fill("Иван Петров")
        page.get_by_label("Telegram").fill("123")
        is_in_order(page)
        page.get_by_role("button", name="Проверить и показать, что изменится").click()
        page.get_by_role("button", name="Сохранить").click()
        expect(page.get_by_text("Сохранено")).to_be_visible()
        for address in ("/settings/secrets", "/settings/copies"):
            page.goto(address)
            is_in_order(page)
    config = load(pages.bridge.config.path, {})
    assert config.calendar.timezone == "Asia/Omsk"
    assert [(str(name), one.telegram) for name, one in config.channels.people.items()] == [("Иван Петров", 123)]
