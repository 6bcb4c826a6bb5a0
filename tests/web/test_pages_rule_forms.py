"""Rules by form in a real browser: from the catalogue to the file, at a desk and on a phone, light and dark."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import DESKTOP, PHONE, fits_its_width, serious_findings, window
from support.pages import Pages, agency

from amo_bridge.config.loader import load

LOOKS = pytest.mark.parametrize(
    "how",
    [{"viewport": DESKTOP}, {"viewport": PHONE}, {"viewport": {"width": 1500, "height": 900}, "color_scheme": "dark"}],
    ids=["desktop", "phone", "dark"],
)


def known(pages: Pages) -> Pages:
    """Their account's names are known."""
    pages.know_account(agency())
    return pages


def is_in_order(page: Page) -> None:
    assert serious_findings(page) == []
    assert fits_its_width(page)


@LOOKS
def test_a_rule_from_nothing_to_the_file(pages: Pages, browser: Browser, how: dict[str, Any]) -> None:
    with window(known(pages), browser, "/rules", **how) as page:
        page.get_by_role("button", name="Добавить правило").click()
        expect(page.get_by_role("heading", name="Новое правило")).to_be_visible()
        is_in_order(page)
        page.get_by_role("button", name="Пустая форма: Задачи на этапе").click()
        page.get_by_label("Правило словами").fill("Новая сделка → позвонить")
        page.get_by_label("Этапы 1").fill("Продажи / Новый клинт")
        expect(page.get_by_label("Этапы 2")).to_be_visible()
        page.get_by_label("Текст").fill("Позвонить клиенту")
        page.get_by_label("Кому").fill("manager")
        page.get_by_label("Срок").fill("1 рабочий час")
        page.get_by_label("Срок").blur()
        expect(page.get_by_text("Сейчас это было бы:")).to_be_visible()
        expect(page.get_by_label("То же в файле")).to_have_value(re.compile('text = "Позвонить клиенту"'))
        is_in_order(page)
        page.get_by_role("button", name="Проверить и показать, что изменится").click()
        expect(page.get_by_text("может быть, «Продажи / Новый клиент»?").first).to_be_visible()
        expect(page.get_by_label("Этапы 1")).to_have_attribute("aria-invalid", "true")
        is_in_order(page)
        page.get_by_label("Этапы 1").fill("Продажи / Новый клиент")
        page.get_by_role("button", name="Проверить и показать, что изменится").click()
        expect(page.get_by_role("heading", name="Что изменится")).to_be_visible()
        page.get_by_role("button", name="Править дальше").click()
        expect(page.get_by_label("Текст")).to_have_value("Позвонить клиенту")
        page.get_by_role("button", name="Проверить и показать, что изменится").click()
        page.get_by_role("button", name="Сохранить").click()
        expect(page.get_by_text("Сохранено")).to_be_visible()
    rule = next(one for one in load(pages.bridge.config.path, {}).rules if one.block.startswith("novaya"))
    assert (rule.enabled, rule.dry_run, rule.says) == (True, True, "Новая сделка → позвонить")


def test_a_ladder_is_opened_and_gets_a_step(pages: Pages, browser: Browser) -> None:
    with window(known(pages), browser, "/rules/stage_ladder.brief_awaited/form", viewport=PHONE) as page:
        is_in_order(page)
        page.get_by_label("всерьёз").check()
        page.get_by_role("button", name="Ещё: шаг").click()
        step = page.locator("fieldset.row-of").filter(has=page.locator("#o-steps-4-after"))
        step.get_by_label("Через сколько").fill("15 d")
        step.get_by_role("button", name="+ Руководителю").click()
        step.get_by_label("Текст").fill("Бриф не получен: {Название}")
        is_in_order(page)
        page.get_by_role("button", name="Проверить и показать, что изменится").click()
        added = page.locator("span.plus")
        expect(added).to_have_count(1)
        expect(added).to_have_text('+    { after = "15 d", escalate = { text = "Бриф не получен: {Название}" } },')


def test_what_was_typed_is_not_left_unasked(pages: Pages, browser: Browser) -> None:
    asked: list[str] = []
    with window(known(pages), browser, "/rules/new/stage_creates_tasks") as page:
        page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
        toml = page.get_by_label("То же в файле")
        page.get_by_label("Срок").fill("today")
        page.get_by_label("Срок").blur()
        expect(toml).to_have_value(re.compile('due = "today"'))
        toml.fill((toml.input_value()).replace("today", "tomorrow"))
        page.get_by_role("button", name="Взять в форму").click()
        expect(page.get_by_label("Срок")).to_have_value("tomorrow")
        assert asked == [], "nothing was to be lost by that"
        page.get_by_role("link", name="Карта").click()
        expect(page.get_by_label("Срок")).to_have_value("tomorrow")
    assert asked == ["beforeunload"]
