"""Debian's Chromium, driven by Playwright: what a person would see and do, and what axe finds fault with."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from werkzeug.serving import make_server

from amo_bridge.web.auth.users import Role
from support.pages import PASSWORD, Pages
from support.running_bridge import Silent

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(__file__).parent / "vendor" / "axe-4.14.1.min.js"
DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
PATIENCE = 20_000
SERIOUS = ("serious", "critical")
# A busy machine takes longer than Playwright's own 5 seconds.
expect.set_options(timeout=PATIENCE)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with an empty profile; skips the test where there is none."""
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass(frozen=True)
class SharedBrowser:
    """One browser for many tests. ``loop``: the event loop that Playwright keeps running in this thread between calls.

    While a loop is marked as running, ``asyncio.run()`` of any other test in this thread is refused. So the mark stands
    only while a test uses the browser: Playwright looks for it in each call, and its own code sets it the same way.
    """

    browser: Browser
    loop: asyncio.AbstractEventLoop

    @contextmanager
    def in_use(self) -> Iterator[Browser]:
        asyncio._set_running_loop(self.loop)
        try:
            yield self.browser
        finally:
            asyncio._set_running_loop(None)


@contextmanager
def shared_chromium() -> Iterator[SharedBrowser]:
    """A browser for many tests; what it is used in is ``in_use()``."""
    with chromium() as browser:
        shared = SharedBrowser(browser, asyncio.get_running_loop())
        asyncio._set_running_loop(None)
        try:
            yield shared
        finally:
            asyncio._set_running_loop(shared.loop)


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The app at an address of its own."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def opened(browser: Browser, base_url: str, **how: Any) -> Iterator[BrowserContext]:
    """A window with cookies of its own. Its errors, and requests to anywhere else than ``base_url``, fail the test."""
    troubles: list[str] = []
    context = browser.new_context(base_url=base_url, locale="ru-RU", **{"viewport": DESKTOP, **how})
    context.set_default_timeout(PATIENCE)
    context.on("weberror", lambda error: troubles.append(f"script: {error.error}"))
    context.on("console", lambda told: troubles.append(f"console: {told.text}") if _is_trouble(told) else None)
    context.on(
        "request", lambda asked: troubles.append(f"outside: {asked.url}") if _is_outside(asked, base_url) else None
    )
    try:
        yield context
    finally:
        context.close()
    assert troubles == []


def _is_trouble(told: Any) -> bool:
    """Chromium also reports every answer of 4xx, which a test may well have asked for."""
    return told.type == "error" and "the server responded with a status of" not in told.text


def _is_outside(asked: Any, base_url: str) -> bool:
    return not asked.url.startswith((base_url, "data:", "blob:"))


def serious_findings(page: Page) -> list[str]:
    """What axe says about the page as it is just now: its rule, and where."""
    # Asked for through the debugger: the page's own policy lets no strange script in.
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:160]} {node['failureSummary'][:300]}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


def fits_its_width(page: Page) -> bool:
    """Nothing has to be scrolled sideways to be read."""
    return bool(page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth"))


@contextmanager
def window(pages: Pages, browser: Browser, path: str, **how: Any) -> Iterator[Page]:
    """Where an admin has come to ``path``."""
    pages.add_user("Анна", Role.ADMIN)
    with served(pages.app) as url, opened(browser, url, **how) as context:
        page = context.new_page()
        page.goto(f"/login?next={path}")
        page.get_by_label("Имя").fill("Анна")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        page.wait_for_url(f"**{path}")
        yield page
