"""Deciding about people of a draft: whom one may choose, what is refused, where the keyboard goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import NOWHERE, PASSWORD, Pages, Visit, words_of
from support.school_pages import IGOR, NATALIA, OLENA, SECOND_CARD, book_of, drafted, school_pages
from werkzeug.test import TestResponse

from amo_bridge.web.auth.users import Role


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    made = school_pages(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def member(pages: Pages) -> Visit:
    visit = pages.visit(Role.WEBINAR, "Дарья")
    drafted(visit)
    return visit


@pytest.fixture
def page(browser: Browser, pages: Pages, member: Visit) -> Iterator[Page]:
    pages.add_user("Ольга", Role.WEBINAR)
    with served(pages.app) as url, opened(browser, url) as context:
        page = context.new_page()
        log_in(page)
        page.goto("/webinars/1")
        yield page


def log_in(page: Page) -> None:
    page.goto("/login?next=/webinars")
    page.get_by_label("Имя").fill("Ольга")
    page.get_by_label("Пароль").fill(PASSWORD)
    page.get_by_role("button", name="Войти").click()
    expect(page.get_by_role("heading", name="Вебинары")).to_be_visible()


def place_of(pages: Pages, name: str) -> int:
    return next(kept.number for kept in book_of(pages).rows(1) if kept.row.person.name == name)


def cell(visit: Visit, pages: Pages, name: str, query: str = "") -> str:
    """The row of the person, as it is written."""
    body = visit.get(f"/webinars/1{query}").text
    found = re.search(rf'<tr id="row-{place_of(pages, name)}">.*?</tr>', body, re.DOTALL)
    assert found is not None
    return unescape(found[0])


def decide(visit: Visit, pages: Pages, name: str, query: str = "", **form: str) -> TestResponse:
    return visit.post(f"/webinars/1/people/{place_of(pages, name)}{query}", form, page="/webinars/1")


# --- whom one may choose -----------------------------------------------------------------------------------------


def test_those_who_may_be_meant_are_told_by_name_with_what_is_known_of_them(pages: Pages, member: Visit) -> None:
    olena = cell(member, pages, "Олена")
    for number in (OLENA, SECOND_CARD):
        assert f'href="{NOWHERE}/contacts/detail/{number}"' in olena
        assert f'<option value="contact-{number}">' in olena
    assert "+380501234567, o.koval@example.com" in olena
    assert f"это Олена, контакт {OLENA}" in olena
    assert f">это контакт {SECOND_CARD}<" in olena, "a contact without a name has its number"


def test_after_a_choice_all_the_others_may_be_chosen_still(pages: Pages, member: Visit) -> None:
    decide(member, pages, "Олена", what=f"contact-{OLENA}")
    olena = cell(member, pages, "Олена")
    assert f'<option value="contact-{OLENA}" selected>' in olena
    assert f'<option value="contact-{SECOND_CARD}">' in olena
    assert f'href="{NOWHERE}/contacts/detail/{SECOND_CARD}"' in olena
    decide(member, pages, "Олена", what=f"contact-{SECOND_CARD}")
    assert book_of(pages).row(1, place_of(pages, "Олена")).contact_id == SECOND_CARD


CARD = f"{NOWHERE}/contacts/detail/{OLENA}"


@pytest.mark.parametrize("typed", [str(OLENA), f" № {OLENA} ", CARD, f"{CARD.removeprefix('http://')}/"])
def test_somebody_known_is_taken_for_another(pages: Pages, member: Visit, typed: str) -> None:
    assert f"контакт {IGOR}</a> Игорь Петрович" in cell(member, pages, "Игорь")
    decide(member, pages, "Игорь", what="other", contact=typed)
    igor = cell(member, pages, "Игорь")
    assert f"контакт {OLENA}</a> Олена" in igor
    assert f'<option value="contact-{OLENA}" selected>' in igor
    assert book_of(pages).row(1, place_of(pages, "Игорь")).contact_id == OLENA


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "Нужен номер контакта или ссылка"),
        ("Олена", "Нужен номер контакта или ссылка"),
        (f"{NOWHERE}/leads/detail/{OLENA}", "Нужен номер контакта или ссылка"),
        (f"https://other.amocrm.ru/contacts/detail/{OLENA}", "ссылка на другой аккаунт"),
        ("http://[", "Нужен номер контакта или ссылка"),
        ("40999999", "контакта 40999999 мост не знает"),
        ("9" * 30, "Нужен номер контакта или ссылка"),
    ],
)
def test_what_names_no_contact_changes_nothing_and_is_said(pages: Pages, member: Visit, typed: str, told: str) -> None:
    before = book_of(pages).rows(1)
    answer = decide(member, pages, "Игорь", what="other", contact=typed)
    assert answer.status_code == 302
    assert told in words_of(member.get(answer.location))
    assert book_of(pages).rows(1) == before


def test_whoever_left_neither_mail_nor_phone_can_not_be_decided_about_and_is_told_why(
    pages: Pages, member: Visit
) -> None:
    guest = cell(member, pages, "Гость")
    assert "<form" not in guest
    assert "Решить иначе нельзя: без почты и телефона" in guest


# --- without a script, one comes back to where one was -----------------------------------------------------------


def test_the_filter_and_the_row_are_kept(pages: Pages, member: Visit) -> None:
    place = place_of(pages, "Олена")
    assert f'action="/webinars/1/people/{place}?page=1&standing=doubtful"' in cell(
        member, pages, "Олена", "?standing=doubtful"
    )
    answer = decide(member, pages, "Олена", "?page=1&standing=doubtful", what="skip")
    assert answer.location == f"/webinars/1?page=1&standing=doubtful#row-{place}"


# --- in a browser ------------------------------------------------------------------------------------------------


def test_the_keyboard_goes_on_from_the_row_that_was_decided(page: Page, pages: Pages) -> None:
    olena = page.locator(f"#row-{place_of(pages, 'Олена')}")
    expect(olena.get_by_label("Номер или ссылка")).to_be_hidden()
    olena.locator("summary").focus()
    page.keyboard.press("Enter")
    olena.get_by_label("Что делать: Олена").select_option("new")
    olena.get_by_role("button", name="Решить").focus()
    page.keyboard.press("Enter")
    expect(olena).to_contain_text("новый контакт и новая сделка")
    expect(olena.locator("summary")).to_be_focused()
    expect(page.locator("#decided")).to_have_text("Олена: новый контакт и новая сделка")
    assert page.locator("#decided").get_attribute("role") == "status"


def test_from_a_row_that_is_filtered_out_now_it_goes_to_what_is_left(page: Page, pages: Pages) -> None:
    page.get_by_label("Кто это").select_option("doubtful")
    expect(page.locator(f"#row-{place_of(pages, 'Игорь')}")).to_have_count(0)
    olena = page.locator(f"#row-{place_of(pages, 'Олена')}")
    olena.locator("summary").click()
    olena.get_by_label("Что делать: Олена").select_option("skip")
    olena.get_by_role("button", name="Решить").click()
    expect(olena).to_have_count(0)
    expect(page.locator("#people")).to_be_focused()


def test_a_mistyped_contact_is_told_beside_what_was_typed(page: Page, pages: Pages) -> None:
    igor = page.locator(f"#row-{place_of(pages, 'Игорь')}")
    igor.locator("summary").click()
    igor.get_by_label("Что делать: Игорь").select_option("other")
    igor.get_by_label("Номер или ссылка").fill("Олена")
    igor.get_by_role("button", name="Решить").click()
    expect(igor).to_contain_text("Нужен номер контакта или ссылка")
    expect(igor.get_by_label("Номер или ссылка")).to_have_value("Олена")
    expect(igor.get_by_label("Номер или ссылка")).to_be_focused()
    igor.get_by_label("Номер или ссылка").fill(str(NATALIA))
    page.keyboard.press("Enter")
    expect(igor).to_contain_text("Наталья Ёлкина")
    expect(igor.locator("summary")).to_be_focused()


@pytest.mark.parametrize("theme", ["dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everybody_can_read_the_choice(
    browser: Browser, pages: Pages, member: Visit, theme: str, size: dict[str, int]
) -> None:
    pages.add_user("Ольга", Role.WEBINAR)
    with served(pages.app) as url, opened(browser, url, viewport=size, color_scheme=theme) as context:
        page = context.new_page()
        log_in(page)
        page.goto("/webinars/1")
        for name in ("Олена", "Игорь"):
            form = page.locator(f"#row-{place_of(pages, name)}")
            form.locator("summary").click()
            form.get_by_label(f"Что делать: {name}").select_option("other")
        assert serious_findings(page) == []
        assert fits_its_width(page)
