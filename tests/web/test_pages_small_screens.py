"""The config's editor with its line numbers, and long lists on a phone, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from support.browser import DESKTOP, PHONE, fits_its_width, serious_findings, window
from support.pages import Pages, agency

RULE = "stage_creates_tasks.new_client"
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])


def editor(page: Page) -> Locator:
    return page.locator(".CodeMirror")


def fill(page: Page, text: str) -> None:
    editor(page).evaluate("(box, text) => box.CodeMirror.setValue(text)", text)


def chosen(page: Page) -> str:
    """What is marked in the text."""
    return str(editor(page).evaluate("(box) => box.CodeMirror.getSelection()"))


@SIZES
@pytest.mark.parametrize("theme", ["dark"])
def test_the_config_is_edited_with_its_mistakes_beside_their_lines(
    pages: Pages, browser: Browser, size: dict[str, int], theme: str
) -> None:
    pages.know_account(agency())
    text = pages.bridge.config.path.read_text("utf-8")
    wrong = (
        text.replace('stages = ["Продажи / Новый клиент"]', 'stagez = ["Продажи / Новый клиент"]', 1) + "\n[extra]\n"
    )
    line = wrong[: wrong.index("stagez")].count("\n") + 1
    with window(pages, browser, "/config", viewport=size, color_scheme=theme) as page:
        fill(page, wrong)
        # While it is written, and all of them at once.
        expect(page.get_by_role("status").filter(has_text="Строк с ошибками: 3")).to_be_visible()
        page.get_by_role("button", name="Проверить и показать, что изменится").click()
        problem = page.get_by_role("alert").get_by_role("link", name=f"строка {line}", exact=False)
        expect(problem).to_have_text(f"config.toml, строка {line}")
        expect(page.locator(".bad-words").filter(has_text="такого ключа нет")).to_have_count(1)
        assert serious_findings(page) == []
        assert fits_its_width(page)
        problem.click()
        assert chosen(page) == 'stagez = ["Продажи / Новый клиент"]'
        expect(page.locator(".bad-words").filter(has_text="такого ключа нет")).to_be_visible()


def test_names_are_completed_and_the_keyboard_finds_its_way_out(pages: Pages, browser: Browser) -> None:
    pages.know_account(agency())
    with window(pages, browser, "/config") as page:
        fill(page, '[handlers.stage_creates_tasks.x]\nstages = ["Продажи / Новый')
        editor(page).evaluate("(box) => { box.CodeMirror.focus(); box.CodeMirror.execCommand('goDocEnd'); }")
        page.keyboard.press("Control+Space")
        page.locator(".CodeMirror-hint").filter(has_text="Продажи / Новый клиент").first.click()
        assert '"Продажи / Новый клиент' in str(editor(page).evaluate("(box) => box.CodeMirror.getValue()"))
        page.keyboard.type('"]\nta')
        page.keyboard.press("Control+Space")
        expect(page.locator(".CodeMirror-hint").filter(has_text="tasks").first).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("Control+f")
        expect(page.locator(".CodeMirror-dialog")).to_contain_text("Найти:")
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Проверить и показать, что изменится")).to_be_focused()


def test_a_broken_file_leads_to_its_line_too(pages: Pages, browser: Browser) -> None:
    path = pages.bridge.config.path
    path.write_text(f"{path.read_text('utf-8')}\n[extra]\n", "utf-8")
    pages.bridge.watch.look()
    with window(pages, browser, "/config") as page:
        page.get_by_role("alert").get_by_role("link").click()
        assert chosen(page) == "[extra]"


def test_without_scripts_the_config_is_a_plain_field(pages: Pages, browser: Browser) -> None:
    with window(pages, browser, "/config", java_script_enabled=False) as page:
        field = page.get_by_role("textbox", name="Текст настройки")
        expect(field).to_be_visible()
        expect(field).to_have_value(pages.bridge.config.path.read_text("utf-8"))
        expect(page.get_by_text("Ctrl+Пробел")).to_be_hidden()


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
