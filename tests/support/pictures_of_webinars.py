"""The webinar team's pages for the documents: upload, what would be done, what was done; a part of ``pictures.py``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

from amo_bridge.sandbox.account_start import load_world
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION
from support.browser import DESKTOP, PHONE, opened
from support.local_crm import served
from support.running_bridge import RunningBridge
from support.webinar_samples import ACCOUNT, fill_contacts, school_config

MEMBER, PASSWORD = "Дарья Лебедева", "правильный пароль"
# Somebody for each of the stages; some are in the school's amoCRM already.
ATTENDEES = """Имя;Почта;Телефон;Минут на вебинаре;Нажатые кнопки
Анжелика Белова;a.belova@example.ru;+7 916 123-45-67;68;Рассрочка
Наталья Ёлкина;n.elkina@example.ru;+7 916 765-43-21;96;
Игорь Тихонов;igor@example.ru;+7 903 111-22-33;110;Рассрочка
Айгуль Садыкова;aigul@example.kz;+7 777 123-45-67;42;
Олена Коваль;olena@example.com.ua;+7 926 000-00-01;15;
Пётр Зимин;p.zimin@example.ru;;75;
Гость;;;4;
"""
HELD_ON = "2026-11-24"


@contextmanager
def school_at_work() -> Iterator[RunningBridge]:
    """The school's bridge, and somebody of the webinar team."""
    with tempfile.TemporaryDirectory() as folder, served(load_world(ACCOUNT)) as crm:
        bridge = RunningBridge(school_config(crm.url, Path(folder)))
        try:
            bridge.wait_ready()
            fill_contacts(bridge, crm)
            office = bridge.app.extensions[EXTENSION]
            member = office.users.add(MEMBER, Role.WEBINAR)
            with office.store.write() as connection:
                office.users.set_password(connection, member.id, PASSWORD)
            yield bridge
        finally:
            bridge.stop()


def photographed(browser: Browser, folder: Path) -> None:
    """An import from the file to its report, at a desk; then the same pages on a phone."""
    with school_at_work() as bridge:
        with opened(browser, bridge.url, viewport=DESKTOP) as context:
            page = _logged_in(context.new_page())
            _shoot(page, folder / "webinar-upload.png")
            table = {"name": "участники.csv", "mimeType": "text/csv", "buffer": ATTENDEES.encode()}
            page.get_by_label("Файлы с участниками").set_input_files([table])
            page.get_by_label("Дата вебинара").fill(HELD_ON)
            page.get_by_role("button", name="Прочитать и показать").click()
            page.get_by_role("button", name="Загрузить в amoCRM").wait_for()
            plan = page.url
            _shoot(page, folder / "webinar-plan.png")
            _on_a_phone(browser, bridge.url, plan, folder / "webinar-plan-phone.png")
            page.once("dialog", lambda asked: asked.accept())
            page.get_by_role("button", name="Загрузить в amoCRM").click()
            page.get_by_role("button", name="Отменить загрузку").wait_for()
            _shoot(page, folder / "webinar-report.png")
        _on_a_phone(browser, bridge.url, plan, folder / "webinar-report-phone.png")
        _on_a_phone(browser, bridge.url, "/webinars", folder / "webinar-upload-phone.png")


def _on_a_phone(browser: Browser, url: str, address: str, path: Path) -> None:
    with opened(browser, url, viewport=PHONE) as context:
        page = _logged_in(context.new_page())
        page.goto(address)
        _shoot(page, path)


def _logged_in(page: Page) -> Page:
    page.goto("/login?next=/webinars")
    page.get_by_label("Имя").fill(MEMBER)
    page.get_by_label("Пароль").fill(PASSWORD)
    page.get_by_role("button", name="Войти").click()
    page.get_by_role("heading", name="Вебинары").wait_for()
    return page


def _shoot(page: Page, path: Path) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path)
