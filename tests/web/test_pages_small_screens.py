"""The config's editor with its line numbers, and long lists on a phone, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from support.browser import DESKTOP, PHONE, fits_its_width, serious_findings, window
from support.pages import Pages, agency

RULE = "stage_creates_tasks.new_client"
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])


def editor(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Текст настройки")


def scrolled(page: Page) -> list[float]:
    """How far the text and its numbers are."""
    parts = [page.locator(part) for part in ("textarea.code", ".line-numbers")]
    return [float(part.evaluate("(part) => part.scrollTop")) for part in parts]


def scrolled_to(page: Page, top: int) -> list[float]:
    """How far the text and its numbers are when the text was scrolled there."""
    # Who listens first hears of it first: the page's own listener has done its work when this one is called.
    wait = "new Promise((heard) => { field.addEventListener('scroll', heard, {once: true}); field.scrollTop = top; })"
    editor(page).evaluate(f"(field, top) => {wait}.then(() => null)", top)
    return scrolled(page)


def chosen(page: Page) -> str:
    """What is marked in the text."""
    return str(editor(page).evaluate("(field) => field.value.slice(field.selectionStart, field.selectionEnd)"))


def test_every_line_has_its_number_and_they_go_with_the_text(pages: Pages, browser: Browser) -> None:
    lines = pages.bridge.config.path.read_text("utf-8").count("\n") + 1
    with window(pages, browser, "/config") as page:
        numbers = page.locator(".line-numbers")
        expect(numbers).to_have_text("\n".join(str(one) for one in range(1, lines + 1)), use_inner_text=True)
        expect(numbers).to_have_attribute("aria-hidden", "true")
        assert scrolled_to(page, 700) == [700, 700]
        text_at, numbers_at = scrolled_to(page, 10**6)
        assert text_at == numbers_at > 700, "down to the last line"
        editor(page).press("Control+End")
        page.keyboard.type("\n# ещё\n")
        expect(numbers).to_contain_text(f"{lines}\n{lines + 1}\n{lines + 2}", use_inner_text=True)


@SIZES
def test_a_problem_leads_to_its_line(pages: Pages, browser: Browser, size: dict[str, int]) -> None:
    text = pages.bridge.config.path.read_text("utf-8")
    wrong = text.replace('stages = ["Продажи / Новый клиент"]', 'stagez = ["Продажи / Новый клиент"]', 1)
    line = wrong[: wrong.index("stagez")].count("\n") + 1
    with window(pages, browser, "/config", viewport=size) as page:
        editor(page).fill(wrong)
        page.get_by_role("button", name="Проверить и показать, что изменится").click()
        problem = page.get_by_role("alert").get_by_role("link", name=f"строка {line}", exact=False)
        expect(problem).to_have_text(f"config.toml, строка {line}")
        assert serious_findings(page) == []
        assert fits_its_width(page)
        for _ in range(2):
            problem.click()
            expect(editor(page)).to_be_focused()
            assert chosen(page) == 'stagez = ["Продажи / Новый клиент"]'
            text_at, numbers_at = scrolled(page)
            assert text_at == numbers_at
            field = editor(page).bounding_box()
            assert field is not None
            height = float(editor(page).evaluate("(field) => parseFloat(getComputedStyle(field).lineHeight)"))
            on_screen = field["y"] + (line - 1) * height - text_at
            assert 0 < on_screen < size["height"] / 2, "above a phone's keyboard"


def test_a_broken_file_leads_to_its_line_too(pages: Pages, browser: Browser) -> None:
    path = pages.bridge.config.path
    path.write_text(f"{path.read_text('utf-8')}\n[extra]\n", "utf-8")
    pages.bridge.watch.look()
    with window(pages, browser, "/config") as page:
        page.get_by_role("alert").get_by_role("link").click()
        assert chosen(page) == "[extra]"


def test_rules_are_short_on_a_phone_and_say_more_when_asked(pages: Pages, browser: Browser) -> None:
    pages.know_account(agency())
    pages.say("skipped", reason="не тот этап")
    with window(pages, browser, "/rules", viewport=PHONE, has_touch=True) as page:
        row = page.locator("tr").filter(has=page.locator(f'a[href="/rules/{RULE}"]'))
        expect(row.get_by_role("link")).to_be_visible()
        expect(row.get_by_text("включено")).to_be_visible()
        more = row.get_by_text("не тот этап")
        expect(more).to_be_hidden()
        expect(row.get_by_text(RULE)).to_be_hidden()
        many = len(pages.bridge.config.rules)
        assert page.evaluate("document.documentElement.scrollHeight") < 130 * many
        row.locator("summary").tap()
        expect(more).to_be_visible()
        expect(row.get_by_text(RULE)).to_be_visible()
        assert fits_its_width(page)
        assert serious_findings(page) == []
        row.locator("summary").tap()
        expect(more).to_be_hidden()


def test_on_a_wide_screen_rules_hide_nothing(pages: Pages, browser: Browser) -> None:
    pages.say("skipped", reason="не тот этап")
    with window(pages, browser, "/rules") as page:
        expect(page.get_by_text("не тот этап")).to_be_visible()
        expect(page.locator("summary").first).to_be_hidden()


@pytest.mark.parametrize("path", ["/", f"/rules/{RULE}"])
def test_a_decision_begins_with_one_line_on_a_phone(pages: Pages, browser: Browser, path: str) -> None:
    pages.say("acts", actions='["задача «Связаться»"]')
    with window(pages, browser, path, viewport=PHONE) as page:
        row = page.locator("tr").filter(has_text="задача «Связаться»")
        boxes = [row.locator(part).bounding_box() for part in ("time", 'a[href^="/deals/"]', ".chip")]
        middles = [box["y"] + box["height"] / 2 for box in boxes if box]
        assert len(middles) == 3
        assert max(middles) - min(middles) < 8, "the moment, the deal and what came of it"
