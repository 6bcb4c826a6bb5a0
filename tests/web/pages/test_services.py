"""The services page: filled in by people, saved into the deal's field, and worked on by the rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import PHONE, fits_its_width, opened, serious_findings
from support.local_crm import LocalCrm
from support.pages import Visit, token_in, words_of
from support.running_bridge import RunningBridge

from amo_bridge.crm.account import Account
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.secrets import small_state
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION

IVAN = "Иван Петров"
APPROVED = "Продажи / Утвержденный проект"
BLOGGER = "Екатерина Лисицына"


class Desk:
    """A deal on «Утвержденный проект», and a manager who opens its services page."""

    def __init__(self, bridge: RunningBridge, crm: LocalCrm, office: CrmUser) -> None:
        self.bridge, self.crm, self.office = bridge, crm, office
        self.deal = office.new_deal(IVAN, "Ромашка", APPROVED, office.new_contact(IVAN, "Анна"), 90_000)
        bridge.settle(crm)
        self.path = f"/deals/{self.deal}/services"
        self.blogger = self._index_blogger()
        self.manager = self.visit(Role.WEBINAR)

    @property
    def app(self) -> Any:
        return self.bridge.app

    def visit(self, role: Role) -> Visit:
        users = self.app.extensions[EXTENSION].users
        user = users.add(f"Пётр {role}", role)
        visit = Visit(self.app.test_client())
        visit.become(users.sit_down(user.id))
        return visit

    def field(self) -> str:
        self.bridge.settle(self.crm)
        return self.office.value(self.deal, "Услуги") or ""

    def save(self, **rows: str) -> Any:
        page = self.manager.get(self.path)
        told = {name.replace("_", "."): value for name, value in rows.items()}
        data = {"csrf_token": token_in(page), "loaded": loaded(page.text), "do": "save", **told}
        return self.manager.client.post(self.path, data=data)

    def _index_blogger(self) -> int:
        """As the index of contacts knows her."""
        config = self.bridge.config
        account = Account.from_json(
            small_state(config, self.bridge.bridge.environment).accounts.read(config.account.url)["account"]
        )
        rows = self.crm.control("GET", "state?kind=contacts")["tables"]["contacts"].values()
        number = next(int(row["id"]) for row in rows if row["name"] == BLOGGER)
        kind = account.field("Классификация", "contacts").id
        known = MirroredContact(
            id=number, name=BLOGGER, surname="Лисицына", fields={kind: ("блогер",)}, updated_at=datetime.now(UTC)
        )
        store = self.bridge.bridge.resources.store
        key = known_key(store, config.account.url)
        assert key is not None
        with store.write() as connection:
            ContactIndex(AccountStore(store, key)).put(connection, [known], datetime.now(UTC))
        return number


def loaded(page: str) -> str:
    found = re.search(r'name="loaded" value="(\w*)"', page)
    assert found is not None
    return found[1]


@pytest.fixture
def desk(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> Desk:
    return Desk(bridge, sandbox, office)


def test_the_deal_has_a_link_to_its_page(desk: Desk) -> None:
    desk.bridge.settle_at(desk.crm, advance=60)
    assert desk.office.value(desk.deal, "Редактор услуг") == f"{desk.bridge.url}{desk.path}"


def test_the_deals_page_leads_to_it(desk: Desk) -> None:
    path = f"/deals/{desk.deal}"
    assert f'href="{desk.path}"' in desk.manager.get(path).text
    looked = desk.visit(Role.VIEWER).get(path).text
    assert f'href="{desk.path}"' not in looked
    assert f'href="{path}/scripts"' in looked


def test_what_is_saved_stands_in_the_deal_and_the_rules_act_upon_it(desk: Desk) -> None:
    told = desk.save(blogger_0=BLOGGER, platform_0_0="Instagram", service_0_0="Размещение фото")
    assert told.status_code == 302
    assert desk.field() == f"{BLOGGER} (контакт {desk.blogger}):\n— Instagram: Размещение фото"
    linked = [one["id"] for one in desk.office.deal(desk.deal)["_embedded"]["contacts"]]
    assert desk.blogger in linked
    page = words_of(desk.manager.get(desk.path))
    assert "Записывается" not in page
    told_in_journal = [(one.what, one.reason) for one in desk.bridge.journal(desk.deal)]
    assert ("страница моста", "Пётр webinar: поле «Услуги» сохранено") in told_in_journal


ROW = {"platform_0_0": "Instagram", "service_0_0": "Пост"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        pytest.param({"blogger_0": BLOGGER, **ROW, "service_0_0": ""}, "и площадка, и услуга", id="нет услуги"),
        pytest.param({"blogger_0": "Лис"}, "Добавьте хотя бы одну услугу", id="нет услуг"),
        pytest.param({"blogger_0": "", **ROW}, "Назовите блогера", id="нет имени"),
        pytest.param({"blogger_0": BLOGGER, "blogger_1": BLOGGER.upper(), **ROW}, "уже есть выше", id="дважды"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_saved(desk: Desk, rows: dict[str, str], words: str) -> None:
    told = words_of(desk.save(**rows))
    assert words in told
    assert "Не сохранено: поправьте отмеченное" in told
    assert desk.field() == ""


def test_what_was_said_of_an_earlier_saving_does_not_stay(desk: Desk) -> None:
    page = desk.manager.get(desk.path)
    data = {"csrf_token": token_in(page), "loaded": loaded(page.text), "do": "save", "blogger.0": "Лис"}
    part = desk.manager.client.post(desk.path, data=data, headers={"HX-Request": "true"}).text
    assert "Не сохранено" in part
    assert '<div id="notices" aria-live="polite" hx-swap-oob="true"></div>' in part


def test_what_somebody_else_changed_meanwhile_is_not_overwritten_unseen(desk: Desk) -> None:
    page = desk.manager.get(desk.path)
    desk.crm.later()
    desk.office.fill(IVAN, desk.deal, "Услуги", "Громов Максим:\n— Telegram: Пост")
    desk.bridge.settle(desk.crm)
    rows = {"blogger.0": BLOGGER, "platform.0.0": "Instagram", "service.0.0": "Сторис"}
    data = {"csrf_token": token_in(page), "loaded": loaded(page.text), "do": "save", **rows}
    told = desk.manager.client.post(desk.path, data=data)
    assert "изменил кто-то другой" in words_of(told)
    assert "Громов Максим" in words_of(told)
    assert desk.field().startswith("Громов Максим")
    again = desk.manager.client.post(desk.path, data={**data, "loaded": loaded(told.text)})
    assert again.status_code == 302
    assert desk.field().startswith(BLOGGER)


def test_rows_come_and_go_without_scripts_too(desk: Desk) -> None:
    def press(deed: str, **rows: str) -> str:
        page = desk.manager.get(desk.path)
        return desk.manager.client.post(desk.path, data={"csrf_token": token_in(page), "do": deed, **rows}).text

    assert 'name="blogger.1"' in press("add", **{"blogger.0": BLOGGER})
    assert 'name="service.0.1"' in press("line.0", **{"blogger.0": "", "platform.0.0": "", "service.0.0": ""})
    assert BLOGGER not in press("drop.0", **{"blogger.0": BLOGGER})
    six = {f"{part}.0.{row}": "" for part in ("platform", "service") for row in range(6)}
    assert 'name="service.0.6"' not in press("line.0", **{"blogger.0": BLOGGER, **six})


def test_what_could_not_be_read_is_shown_and_kept(desk: Desk) -> None:
    desk.crm.later()
    desk.office.fill(IVAN, desk.deal, "Услуги", "уточнить у клиента")
    desk.bridge.settle(desk.crm)
    assert "уточнить у клиента" in desk.manager.get(desk.path).text
    desk.save(blogger_0=BLOGGER, platform_0_0="Instagram", service_0_0="Сторис", unread="уточнить у клиента")
    assert desk.field().endswith("Не разобрано:\nуточнить у клиента")


def test_bloggers_are_found_by_three_letters(desk: Desk) -> None:
    def found(letters: str) -> str:
        return desk.manager.get(f"{desk.path}/people", query_string={"blogger.0": letters}).text

    assert f'value="{BLOGGER} (контакт {desk.blogger})"' in found("лис")
    assert "option" not in found("ли")
    assert "option" not in found("сок"), "Анна Соколова is a client"


def test_who_may_only_look_does_not_come_in_and_a_forged_form_is_refused(desk: Desk) -> None:
    assert desk.visit(Role.VIEWER).get(desk.path).status_code == 403
    assert desk.manager.client.post(desk.path, data={"do": "save", "blogger.0": "Х"}).status_code == 400
    assert desk.field() == ""


def test_a_deal_that_the_bridge_does_not_know_has_no_page(desk: Desk) -> None:
    assert desk.manager.get("/deals/5/services").status_code == 404


def test_a_dry_run_saves_nothing(desk: Desk) -> None:
    config = desk.bridge.config
    desk.bridge.bridge.config = replace(config, bridge=config.bridge.model_copy(update={"dry_run": True}))
    told = desk.save(blogger_0=BLOGGER, platform_0_0="Instagram", service_0_0="Сторис")
    assert "работает вхолостую" in words_of(told)
    assert desk.field() == ""


# --- in a browser ------------------------------------------------------------------------------------------------


@pytest.fixture
def page(desk: Desk, browser: Browser) -> Iterator[Page]:
    users = desk.app.extensions[EXTENSION].users
    user = users.add("Мария", Role.WEBINAR)
    with desk.bridge.bridge.resources.store.write() as connection:
        users.set_password(connection, user.id, "правильный пароль")
    with opened(browser, desk.bridge.url) as context:
        window = context.new_page()
        window.goto(desk.path)
        window.get_by_label("Имя").fill("Мария")
        window.get_by_label("Пароль").fill("правильный пароль")
        window.get_by_role("button", name="Войти").click()
        yield window


def test_a_manager_writes_the_services_of_two_bloggers(desk: Desk, page: Page) -> None:
    expect(page.get_by_role("heading", name="Услуги: Ромашка")).to_be_visible()
    first = page.get_by_role("group", name="Блогер 1")
    first.get_by_label("Фамилия и имя").press_sequentially("лис")
    chosen = f"{BLOGGER} (контакт {desk.blogger})"
    expect(first.locator("datalist option")).to_have_attribute("value", chosen)
    first.get_by_label("Фамилия и имя").fill(chosen)
    first.get_by_label("Площадка 1").select_option("Instagram")
    first.get_by_label("Услуга 1").fill("Размещение фото")
    first.get_by_role("button", name="Ещё услуга").click()
    expect(first.get_by_label("Услуга 4")).to_be_visible()
    first.get_by_label("Площадка 4").select_option("YouTube")
    first.get_by_label("Услуга 4").fill("Интеграция")
    page.get_by_role("button", name="Добавить блогера").click()
    second = page.get_by_role("group", name="Блогер 2")
    second.get_by_label("Фамилия и имя").fill("Ким Мария")
    second.get_by_label("Площадка 1").select_option("Telegram")
    second.get_by_label("Услуга 1").fill("Пост")
    assert serious_findings(page) == []
    second.get_by_label("Услуга 1").press("Enter")
    expect(page.get_by_text("Услуги сохранены")).to_be_visible()
    assert desk.field() == (
        f"{chosen}:\n— Instagram: Размещение фото\n— YouTube: Интеграция\n\nКим Мария:\n— Telegram: Пост"
    )
    expect(page.get_by_text("Записывается в amoCRM…")).to_be_hidden()


def test_enter_in_a_name_sends_nothing_and_a_blogger_needs_a_service(desk: Desk, page: Page) -> None:
    first = page.get_by_role("group", name="Блогер 1")
    first.get_by_label("Фамилия и имя").fill("Гро")
    sent: list[str] = []
    page.on("request", lambda asked: sent.append(asked.url) if asked.method == "POST" else None)
    first.get_by_label("Фамилия и имя").press("Enter")
    page.get_by_role("button", name="Сохранить").click()
    expect(page.get_by_text("Не сохранено: поправьте отмеченное")).to_be_visible()
    expect(first.get_by_text("Добавьте хотя бы одну услугу")).to_be_visible()
    assert len(sent) == 1, "the button's"
    assert desk.field() == ""


def test_on_a_phone_it_fits(page: Page) -> None:
    page.set_viewport_size(PHONE)
    expect(page.get_by_role("button", name="Добавить блогера")).to_be_visible()
    assert fits_its_width(page)
    assert serious_findings(page) == []
