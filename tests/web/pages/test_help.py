"""«Справка»: the documents as pages, each page leads to its own; keys, widths and targets of all pages in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import AXE, fits_its_width, opened, serious_findings, served
from support.doc_files import ROOT, anchors
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.web.auth.users import Role
from amo_bridge.web.services import help as help_service
from amo_bridge.web.services.help import FIRST, FOR_DEVELOPERS, OF_SUBJECT
from bench.large_store import addresses

NAMES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
SMALL = {"width": 360, "height": 740}
# Those that answer by themselves, or are in front of the log-in.
NO_PAGES = {"help", "signing_in", "connect", "hooks", "intake", "metrics", "unsubscribe", "roistat", "api_v1"}


def test_every_document_is_a_page(pages: Pages, viewer: Visit) -> None:
    listed = viewer.get("/help").text
    for name in NAMES:
        page = viewer.get(f"/help/{name}")
        assert page.status_code == 200, name
        assert f'href="/help/{name}"' in listed
        assert "<script" not in page.text.partition("<article")[2].partition("</article>")[0]
    assert viewer.get("/help/nothing").status_code == 404
    assert viewer.get("/help/..%2FREADME").status_code == 404


def test_a_document_holds_nothing_but_text(
    pages: Pages, admin: Visit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of an own build, say."""
    text = (
        "# T\n\n<script>alert(1)</script> <img src=x onerror=alert(1)>\n\n"
        "[a](javascript:alert(1)) [b](../pyproject.toml) [c](data:text/html,x)\n\n"
        "![d](https://example.com/d.png) ![e](img/../../pyproject.toml)\n"
    )
    (tmp_path / "t.md").write_text(text, "utf-8")
    monkeypatch.setattr(help_service, "folder", lambda: tmp_path)
    monkeypatch.setattr(help_service, "pages", lambda: (help_service.HelpPage("t", "T"),))
    with pages.app.test_request_context():
        html = help_service._rendered.__wrapped__("t", "")
    assert not re.search(r"<(?:script|img src=x)|href=|example\.com", html)
    assert "&lt;script&gt;" in html
    assert admin.get("/help/img/..%2f..%2fpyproject.toml").status_code == 404


def test_links_and_pictures_lead_to_pages_of_the_bridge(pages: Pages, viewer: Visit) -> None:
    """And their anchors are there; what is only in the checkout is no link."""
    broken = []
    for name in NAMES:
        text = viewer.get(f"/help/{name}").text.partition("<article")[2].partition("</article>")[0]
        for href in re.findall(r'(?:href|src)="([^"]+)"', text):
            if href.startswith(("https://", "http://", "mailto:")):
                continue
            path, _, anchor = unquote(href).partition("#")
            target = path.removeprefix("/help/") if path else name
            if path.startswith(("/help/img/", "/help/bench/")):
                broken += [] if viewer.get(path).status_code == 200 else [(name, href)]
            elif target not in NAMES or (anchor and anchor not in anchors(ROOT / "docs" / f"{target}.md")):
                broken.append((name, href))
    assert broken == []
    assert viewer.get("/help/img/..%2Fpages.md").status_code == 404


def test_tables_headings_and_pictures_are_what_they_are(pages: Pages, viewer: Visit) -> None:
    text = viewer.get("/help/pages").text
    assert "<table>" in text
    assert '<h2 id="in-english">' in text
    assert 'src="/help/img/upcoming.png"' in text


def test_every_subject_of_pages_has_its_document(pages: Pages) -> None:
    subjects = {
        rule.endpoint.partition(".")[0]
        for rule in pages.app.url_map.iter_rules()
        if "." in rule.endpoint and "GET" in (rule.methods or ())
    } - NO_PAGES
    assert subjects - set(OF_SUBJECT) == set()
    assert set(OF_SUBJECT.values()) <= set(NAMES)
    assert set(FIRST) | FOR_DEVELOPERS <= set(NAMES)


def test_a_page_leads_to_its_document_and_a_rule_to_its_row(pages: Pages, admin: Visit) -> None:
    assert 'href="/help/rehearsal"' in admin.get("/rehearsals").text
    rule = admin.get("/rules/stage_creates_tasks.new_client").text
    assert 'href="/help/rules#stage_creates_tasks"' in rule
    rows = set(re.findall(r'<tr id="(\w+)"', admin.get("/help/rules").text))
    assert {one.handler.name for one in pages.bridge.config.rules} <= rows


def test_a_text_that_names_a_document_leads_there(pages: Pages, admin: Visit) -> None:
    assert '<a href="/help/pay">docs/pay.md</a>' in admin.get("/reports/pay").text


def test_a_manager_may_read_and_a_stranger_may_not(pages: Pages) -> None:
    assert "Сроки задач" in words_of(pages.visit(Role.MANAGER).get("/help/due-dates"))
    assert pages.stranger().get("/help").status_code == 302


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture
def window(pages: Pages, browser: Browser) -> Iterator[Page]:
    pages.know_account(agency())
    pages.know_deal("ООО «Ромашка», весна-лето 2026 года, договор № 15")
    pages.say("acts", actions='["задача «Связаться с клиентом»"]')
    pages.refuse()
    pages.add_user("Анна", Role.ADMIN)
    with served(pages.app) as url, opened(browser, url, viewport=SMALL, has_touch=True) as context:
        page = context.new_page()
        page.goto("/login")
        page.get_by_label("Имя").fill("Анна")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        expect(page.get_by_role("heading", name="Обзор")).to_be_visible()
        yield page


def test_every_page_fits_a_small_phone_and_can_be_tapped(pages: Pages, window: Page) -> None:
    """360 pixels wide; what is tapped is 24 pixels high or stands apart (WCAG 2.2, target size)."""
    anna = pages.visit(Role.ADMIN)
    whole = [
        path for path in dict.fromkeys(path for _, path in addresses(pages.app)) if b"<html" in anna.get(path).data
    ]
    assert len(whole) > 40
    found = {}
    for path in [*whole, "/help/rules"]:
        window.goto(path)
        if not fits_its_width(window):
            found[path] = ["wider than the screen"]
        window.evaluate(AXE.read_text("utf-8"))
        small = window.evaluate("() => axe.run(document, {runOnly: {type: 'rule', values: ['target-size']}})")
        if nodes := [node["html"][:140] for one in small["violations"] for node in one["nodes"]]:
            found[path] = [*found.get(path, []), *nodes]
    assert found == {}, "\n".join(f"{path}\n   " + "\n   ".join(nodes) for path, nodes in found.items())


def test_keys(window: Page) -> None:
    window.keyboard.press("?")
    dialog = window.get_by_role("dialog", name="Клавиши")
    expect(dialog).to_be_visible()
    assert serious_findings(window) == []
    window.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    window.keyboard.press("/")
    field = window.get_by_role("searchbox", name="Найти сделку")
    expect(field).to_be_focused()
    window.keyboard.type("?/")
    expect(field).to_have_value("?/")
    expect(dialog).to_be_hidden()
