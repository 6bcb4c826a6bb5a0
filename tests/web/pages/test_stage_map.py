"""The map: pipelines, rules on their stages, arrows; before the account is known and after, on a phone too."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.web.auth.users import Role


def test_the_page_before_the_account_is_known_and_after(pages: Pages, viewer: Visit) -> None:
    assert "Реализация" in words_of(viewer.get("/map"))
    pages.know_account(agency())
    pages.know_deal("Ромашка")
    pages.say("acts")
    page = viewer.get("/map")
    words = words_of(page)
    assert "Новый клиент 1 A10 · 1" in words
    assert "Смотря по сделке, правила могут помешать друг другу: 4" in words
    assert 'class="way opens"' not in page.text, "another pipeline's arrow is in the list"
    assert "откроет сделку на Реализация / Тайминг A80" in words


def test_the_picture_has_the_rules_beside_their_stages(pages: Pages, viewer: Visit) -> None:
    pages.know_account(agency())
    pages.know_deal("Ромашка")
    pages.say("acts")
    page = viewer.get("/map").text
    shown = re.findall(r'<a class="rule (\w+)" href="([^"]+)">.*?<text[^>]*>([^<]*)</text></a>', page, re.DOTALL)
    assert ("work", "/rules/stage_creates_tasks.new_client", "A10 · ×1") in shown, "how often it acted"
    assert ("gate", "/rules/stage_needs_fields.meeting_date", "A40") in shown
    assert ("work", "/rules/stage_ladder.brief_awaited", "A20–A23 · 3 d, 5 d, 6 d …") in shown, "a ladder's days"
    exits = {label for kind, _, label in shown if kind == "exit"}
    assert {"A80 → Реализация / Тайминг", "A82 → Работа с потерянными / Потерянные"} <= exits
    assert "A51 → Продажи / Согласование КП" not in exits, "an arrow of this pipeline"
    assert re.search(r'text-anchor="end">1</text>', page), "the deals of a stage"


def test_a_stage_that_was_renamed_in_amocrm_keeps_its_rules(pages: Pages, viewer: Visit) -> None:
    pages.know_account_renamed(agency(), "Новый клиент", "Первый контакт")
    words = words_of(viewer.get("/map"))
    assert "Первый контакт 0 A10" in words, words[:1500]
    assert "Новый клиент" not in words


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_in_a_browser(pages: Pages, browser: Browser, size: dict[str, int]) -> None:
    pages.know_account(agency())
    pages.add_user("Мария", Role.VIEWER)
    with served(pages.app) as site, opened(browser, site, viewport=size) as context:
        page = context.new_page()
        page.goto("/login?next=/map")
        page.get_by_label("Имя").fill("Мария")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        expect(page.get_by_role("heading", name="Реализация")).to_be_visible()
        expect(page.locator("svg.stage-map .way").first).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
        page.get_by_role("link", name="A51").first.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Коммерческое предложение")
