"""A script opened from a task: the deal's own data, and nothing that a client typed becomes part of the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings
from support.local_crm import LocalCrm
from support.pages import PASSWORD, Visit, words_of
from support.running_bridge import RunningBridge

from amo_bridge.config.account_fit import unknown_names
from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.storage.secrets import small_state
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION

IVAN = "Иван Петров"


@pytest.fixture
def viewer(bridge: RunningBridge) -> Visit:
    users = bridge.app.extensions[EXTENSION].users
    visit = Visit(bridge.app.test_client())
    visit.become(users.sit_down(users.add("Вера", Role.VIEWER).id))
    return visit


@pytest.fixture
def deal(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> int:
    number = office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", office.new_contact(IVAN, "Анна"), 1)
    office.fill(IVAN, number, "Целевая аудитория", "<b>мамы</b>")
    bridge.settle(sandbox)
    return number


def test_it_has_the_deals_data_in_it(viewer: Visit, deal: int) -> None:
    page = viewer.get(f"/deals/{deal}/scripts/first-call")
    assert "Первый звонок: Ромашка" in words_of(page)
    assert "Меня зовут Иван Петров" in words_of(page)
    assert "(Записано: <b>мамы</b>.)" in words_of(page)
    assert "<b>мамы" not in page.text


def test_a_secret_field_is_not_shown(
    bridge: RunningBridge, sandbox: LocalCrm, deal: int, start_bridge: Callable[..., RunningBridge]
) -> None:
    bridge.stop()
    own = bridge.config.bridge.model_copy(update={"secret_fields": ("Целевая аудитория",)})
    again = start_bridge(replace(bridge.config, bridge=own)).wait_ready()
    visit = Visit(again.app.test_client())
    users = again.app.extensions[EXTENSION].users
    visit.become(users.sit_down(users.add("Олег", Role.VIEWER).id))
    page = words_of(visit.get(f"/deals/{deal}/scripts/first-call"))
    assert "(Записано: •••.)" in page
    assert "мамы" not in page


def test_all_scripts_are_listed(viewer: Visit, deal: int) -> None:
    page = viewer.get(f"/deals/{deal}/scripts")
    assert f"/deals/{deal}/scripts/brief-reminder" in page.text


@pytest.mark.parametrize(
    "path",
    ["/deals/5/scripts/first-call", "/deals/{deal}/scripts/..%2F..%2FREADME", "/deals/{deal}/scripts/нет"],
)
def test_what_is_not_there_is_not_found(viewer: Visit, deal: int, path: str) -> None:
    assert viewer.get(path.format(deal=deal)).status_code == 404


def test_who_is_not_logged_in_sees_nothing(bridge: RunningBridge, deal: int) -> None:
    told = Visit(bridge.app.test_client()).get(f"/deals/{deal}/scripts/first-call")
    assert told.status_code == 302


def in_folder(config: Config, folder: Path) -> Config:
    return replace(config, bridge=config.bridge.model_copy(update={"scripts": str(folder)}))


def test_the_check_names_the_script_and_the_nearest_field(
    bridge: RunningBridge, tmp_path: Path, start_bridge: Callable[..., RunningBridge]
) -> None:
    (tmp_path / "call.txt").write_text('Тема: x\n\n{{ поле["Тип клеента"] }}', "utf-8")
    config = bridge.config
    kept = small_state(config, bridge.bridge.environment).accounts.read(config.account.url)["account"]
    (told,) = unknown_names(in_folder(config, tmp_path), Account.from_json(kept))
    assert "[bridge] scripts: скрипт «call»:" in told
    assert "«Тип клиента»?" in told
    (gone,) = unknown_names(in_folder(config, tmp_path / "нет"), Account.from_json(kept))
    assert "папки со скриптами" in gone


# --- in a browser ------------------------------------------------------------------------------------------------

# What a client may well have typed: a phone's screen is not as wide as this.
LONG = "https://example.ru/" + "оченьдлиннаяссылка" * 9


@pytest.fixture
def own_scripts(tmp_path: Path) -> Path:
    """A folder with a script of all kinds of blocks."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "call.txt").write_text(
        "Тема: {{ сделка.название }}\n\n# Узнать\n\n"
        '- Для кого? ({{ поле["Целевая аудитория"] }})\n\n- Когда?\n\nСпасибо!\n',
        "utf-8",
    )
    return folder


@pytest.fixture
def at_work(config: Config, own_scripts: Path, start_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    """A bridge with these scripts, and somebody who may look at them."""
    bridge = start_bridge(in_folder(config, own_scripts)).wait_ready()
    users = bridge.app.extensions[EXTENSION].users
    user = users.add("Вера", Role.VIEWER)
    with bridge.bridge.resources.store.write() as connection:
        users.set_password(connection, user.id, PASSWORD)
    return bridge


@pytest.fixture
def long_deal(at_work: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> int:
    number = office.new_deal(IVAN, LONG, "Продажи / Новый клиент", office.new_contact(IVAN, "Анна"), 1)
    office.fill(IVAN, number, "Целевая аудитория", LONG)
    at_work.settle(sandbox)
    return number


def come_in(page: Page, path: str) -> None:
    """The page asked for, by way of the log-in."""
    page.goto(path)
    page.get_by_label("Имя").fill("Вера")
    page.get_by_label("Пароль").fill(PASSWORD)
    page.get_by_role("button", name="Войти").click()


@pytest.mark.parametrize("theme", ["dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everybody_can_read_a_script(
    browser: Browser, at_work: RunningBridge, own_scripts: Path, long_deal: int, theme: str, size: dict[str, int]
) -> None:
    with opened(browser, at_work.url, viewport=size, color_scheme=theme) as context:
        page = context.new_page()
        come_in(page, f"/deals/{long_deal}/scripts")
        expect(page.get_by_role("heading", name="Скрипты: ")).to_be_visible()
        is_readable(page, "the list")
        page.get_by_role("link", name="call").click()
        expect(page.get_by_role("heading", name="Узнать")).to_be_visible()
        expect(page.get_by_role("article").get_by_role("listitem")).to_have_count(2)
        is_readable(page, "a script")
        (own_scripts / "call.txt").write_text("Тема: x\n\n{{ 1 / 0 }}\n", "utf-8")
        page.reload()
        expect(page.get_by_role("alert")).to_contain_text("В скрипте ошибка")
        is_readable(page, "a broken script")
        (own_scripts / "call.txt").unlink()
        page.goto(f"/deals/{long_deal}/scripts")
        expect(page.get_by_text("Скриптов нет")).to_be_visible()
        is_readable(page, "no scripts")


def is_readable(page: Page, what: str) -> None:
    assert serious_findings(page) == [], what
    assert fits_its_width(page), what


def test_the_keyboard_leads_from_the_list_to_a_script_and_back(
    browser: Browser, at_work: RunningBridge, long_deal: int
) -> None:
    with opened(browser, at_work.url) as context:
        page = context.new_page()
        come_in(page, f"/deals/{long_deal}/scripts")
        page.get_by_role("link", name="call").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Узнать")).to_be_visible()
        page.get_by_role("link", name="Другие скрипты").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Скрипты: ")).to_be_visible()
