"""``make pictures``: the pages of a bridge at work on the local amoCRM, photographed for the documents.

``python tests/support/pictures.py docs/img``; any other folder gets every page, both themes, desktop and phone.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from amo_bridge.config.loader import load
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION
from support import pictures_of_webinars
from support.browser import DESKTOP, PHONE, chromium, opened
from support.local_crm import served as served_crm
from support.running_bridge import ENVIRONMENT, EXAMPLE, RunningBridge

PASSWORD = "правильный пароль"
PEOPLE = ("Анна Смирнова", Role.ADMIN), ("Вера Орлова", Role.WEBINAR), ("Глеб Ильин", Role.VIEWER)
CLIENTS = ("Ромашка", "Север", "Кофе и книги", "Студия «Точка»", "Мир роз", "Альпина")
FIRST, MEETING, BRIEF = "Продажи / Новый клиент", "Продажи / Встреча назначена", "Продажи / Бриф получен"
KNOWN = {"Клиент (бренд)": "Ромашка", "Основной продукт": "Букеты", "Тип клиента": "Прямой клиент"}
LOST = "Продажи / Закрыто и не реализовано"
DOCUMENTED = ("overview", "rules", "rule-form", "map", "settings", "script-form", "deal", "upcoming")
DOCUMENTED_PHONE = ("overview", "deal", "script")


@contextmanager
def bridge_at_work() -> Iterator[tuple[RunningBridge, int]]:
    """A bridge with a day's work behind it, and the number of the deal to look at."""
    with tempfile.TemporaryDirectory() as folder, served_crm(load_world()) as crm:
        path = Path(folder) / "config.toml"
        text = EXAMPLE.read_text("utf-8").replace("https://example.amocrm.ru", crm.url)
        path.write_text(text, "utf-8")
        for texts in ("letters", "scripts"):
            shutil.copytree(EXAMPLE.parent / texts, path.parent / texts)
        bridge = RunningBridge(load(path, {}), ENVIRONMENT)
        try:
            bridge.wait_ready()
            yield bridge, a_day(CrmUser(crm.url), bridge, crm)
        finally:
            bridge.stop()


def a_day(office: CrmUser, bridge: RunningBridge, crm: Any) -> int:
    """People work; returns the deal that most happens to."""
    manager = "Иван Петров"
    deals = [
        office.new_deal(manager, name, FIRST, office.new_contact(manager, f"Клиент {name}"), 60_000) for name in CLIENTS
    ]
    bridge.settle(crm)
    crm.later()
    office.move(manager, deals[0], MEETING)
    bridge.settle(crm)
    crm.later()
    for deal in deals[:4]:
        for field, value in KNOWN.items():
            office.fill(manager, deal, field, value)
    bridge.settle(crm)
    crm.later()
    for deal in deals[:4]:
        office.move(manager, deal, BRIEF)
        office.fill(manager, deal, "Дата дедлайна", int(office.now().timestamp()) + 14 * 86400)
    bridge.settle(crm)
    crm.later()
    for deal in deals[:2]:
        office.attach(manager, deal, "Коммерческое предложение Ромашка.pdf")
    bridge.settle(crm)
    crm.later()
    office.move(manager, deals[5], LOST)
    bridge.settle(crm)
    return deals[0]


def first_admin(page: Page, bridge: RunningBridge) -> None:
    users = bridge.app.extensions[EXTENSION].users
    for login, role in PEOPLE:
        user = users.add(login, role)
        with bridge.app.extensions[EXTENSION].store.write() as connection:
            users.set_password(connection, user.id, PASSWORD)
    log_in(page)


def log_in(page: Page) -> None:
    page.goto("/login")
    page.get_by_label("Имя").fill(PEOPLE[0][0])
    page.get_by_label("Пароль").fill(PASSWORD)
    page.get_by_role("button", name="Войти").click()
    page.get_by_role("heading", name="Обзор").wait_for()


def pages_of(deal: int) -> dict[str, str]:
    return {
        "overview": "/",
        "rules": "/rules",
        "rule": "/rules/stage_creates_tasks.new_client",
        "deal": f"/deals/{deal}",
        "upcoming": "/upcoming?days=30",
        "rehearsals": "/rehearsals",
        "violations": "/violations",
        "reports": "/reports/overdue",
        "failed": "/failed",
        "connection": "/connection",
        "config": "/config",
        "map": "/map",
        "settings": "/settings/calendar",
        "texts": "/texts",
        "script-form": "/texts/scripts/first-call",
        "script": f"/deals/{deal}/scripts/first-call",
        "users": "/users",
        "audit": "/audit",
        "api": "/api",
    }


def every_page(browser: Browser, bridge: RunningBridge, deal: int, folder: Path) -> None:
    """All of them, as long as they are, in both themes and both sizes."""
    for theme in ("light", "dark"):
        for size, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
            with opened(browser, bridge.url, viewport=viewport, color_scheme=theme) as context:
                page = context.new_page()
                log_in(page)
                for name, address in pages_of(deal).items():
                    shoot(page, address, folder / f"{name}-{size}-{theme}.png", full_page=True)


def for_documents(browser: Browser, bridge: RunningBridge, deal: int, folder: Path) -> None:
    """Those that the documents show."""
    form = "/rules/new/file_sets_tasks?like=file_sets_tasks.contract"
    addresses = {**pages_of(deal), "rule-form": form}
    for viewport, theme, names, ending in (
        (DESKTOP, "light", DOCUMENTED, ""),
        (PHONE, "dark", DOCUMENTED_PHONE, "-phone"),
    ):
        with opened(browser, bridge.url, viewport=viewport, color_scheme=theme) as context:
            page = context.new_page()
            log_in(page)
            for name in names:
                shoot(page, addresses[name], folder / f"{name}{ending}.png")


def shoot(page: Page, address: str, path: Path, **how: bool) -> None:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path, **how)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with bridge_at_work() as (bridge, deal), chromium() as browser:
        with opened(browser, bridge.url) as context:
            first_admin(context.new_page(), bridge)
        shoot_all = for_documents if folder.name == "img" else every_page
        shoot_all(browser, bridge, deal, folder)
        pictures_of_webinars.photographed(browser, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
