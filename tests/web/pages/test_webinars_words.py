"""What is asked before an import and before its undo, how far it is, and what it did: in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect
from support.browser import served
from support.pages import PASSWORD, Pages, Visit, words_of
from support.school_pages import OLENA, book_of, drafted, school_pages

from amo_bridge.web.auth.users import Role
from amo_bridge.webinars.imports.model import ImportRow

PLANNED = "Создать в amoCRM 5 сделок и 3 контакта?"


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


def rows(pages: Pages) -> list[ImportRow]:
    return book_of(pages).rows(1)


def mark(pages: Pages, ids: list[int], **values: Any) -> None:
    with pages.office.store.write() as connection:
        book_of(pages).mark(connection, ids, **values)


def those(pages: Pages, what: str) -> list[int]:
    return [kept.id for kept in rows(pages) if kept.row.what == what]


def begin(member: Visit) -> None:
    member.post("/webinars/1/start", page="/webinars/1")


def questions(visit: Visit) -> list[str]:
    return re.findall(r'data-confirm="([^"]*)"', visit.get("/webinars/1").text)


# --- before ------------------------------------------------------------------------------------------------------


def test_an_import_is_asked_about_with_its_totals(pages: Pages, member: Visit) -> None:
    assert questions(member)[0] == PLANNED
    assert PLANNED in words_of(member.get("/webinars/1")), "without a script it can be read"
    begin(member)
    assert book_of(pages).get(1).state == "running", "without a script nothing is asked"


def test_the_totals_follow_what_is_decided(pages: Pages, member: Visit) -> None:
    place = next(kept.number for kept in rows(pages) if kept.waits)
    form = {"what": f"contact-{OLENA}"}
    answer = member.post(
        f"/webinars/1/people/{place}", form, page="/webinars/1", headers={"HX-Request": "true"}
    )  # fmt: skip
    assert 'id="deeds" hx-swap-oob="true"' in answer.text
    assert "Создать в amoCRM 6 сделок и 3 контакта?" in answer.text


def test_one_who_waits_is_one(member: Visit) -> None:
    words = words_of(member.get("/webinars/1"))
    assert "1 человек ждёт решения: Олена . Без решения он не загружается: нажмите у него" in words.replace(
        "Олена.", "Олена ."
    )


def test_nothing_to_write_is_said(member: Visit) -> None:
    drafted(member, "Имя;Почта;Минут;Дата\nГость;;5;13.09.2021\n".encode(), "guests.csv")
    assert "Записывать в amoCRM нечего" in member.get("/webinars/2").text


def test_the_list_tells_how_many_people_each_import_is_about(pages: Pages, member: Visit) -> None:
    assert "13.09.2021 № 1 Черновик людей: 7 " in words_of(member.get("/webinars"))
    begin(member)
    mark(pages, those(pages, "create_person"), state="done")
    assert "13.09.2021 № 1 Загружается людей: 7, записано: 3 " in words_of(member.get("/webinars"))


# --- meanwhile ---------------------------------------------------------------------------------------------------


def test_the_step_is_told_and_how_far_it_is(pages: Pages, member: Visit) -> None:
    begin(member)
    page = member.get("/webinars/1/progress")
    assert "Создаю контакты: 0 из 3. Сделки — следом. Страницу можно закрыть: загрузка продолжится." in words_of(page)
    mark(pages, those(pages, "create_person"), step="deal")
    assert "Загружаю: 2 из 7." in words_of(member.get("/webinars/1/progress")), "two have nothing to be done for them"
    mark(pages, [kept.id for kept in rows(pages)], state="done")
    assert "Всё записано, проверяю." in words_of(member.get("/webinars/1/progress"))


def test_a_pause_says_how_far_it_was(member: Visit) -> None:
    begin(member)
    member.post("/webinars/1/pause", page="/webinars/1")
    page = member.get("/webinars/1")
    assert "На паузе: 2 из 7." in words_of(page)
    assert "every 1s" not in page.text
    assert "<progress" in page.text


def test_an_undo_speaks_of_the_undo(pages: Pages, member: Visit) -> None:
    begin(member)
    mark(pages, those(pages, "create_person"), state="done", deal_id=1, made_contact=1)
    mark(pages, those(pages, "create_deal"), state="done", deal_id=2, before='{"moved": null}')
    with pages.office.store.write() as connection:
        book_of(pages).become_in(connection, 1, ["running"], "done")
    asked = (
        "Отменить загрузку? 3 созданные сделки будут закрыты: удалить их через API нельзя. "
        "2 изменённые сделки станут как были. Что с тех пор меняли люди, останется."
    )
    assert questions(member) == [asked]
    member.post("/webinars/1/undo", page="/webinars/1")
    words = words_of(member.get("/webinars/1/progress"))
    assert "Отменяю: 2 из 7. Страницу можно закрыть: отмена продолжится." in words


def test_an_undo_of_nothing_says_so(pages: Pages, member: Visit) -> None:
    begin(member)
    with pages.office.store.write() as connection:
        book_of(pages).become_in(connection, 1, ["running"], "done")
    assert questions(member) == ["Отменить загрузку? Возвращать нечего."]


# --- after -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "values", "told"),
    [
        ("create_person", {"state": "done"}, "созданы контакт и сделка"),
        ("create_deal", {"state": "done"}, "создана сделка у его контакта"),
        ("create_person", {"state": "undone"}, "сделка закрыта"),
        ("create_deal", {"state": "undone", "before": '{"moved": null}'}, "сделка снова как была"),
        ("create_deal", {"state": "intact"}, "менять было нечего"),
        ("create_person", {"state": "failed"}, "новый контакт и новая сделка"),
    ],
)
def test_what_was_done_is_told_as_done(
    pages: Pages, member: Visit, what: str, values: dict[str, Any], told: str
) -> None:
    begin(member)
    mark(pages, those(pages, what), **values)
    page = words_of(member.get("/webinars/1"))
    assert page.count(told) == len(those(pages, what))
    assert ("новый контакт и новая сделка" in page) == (what == "create_deal" or values["state"] == "failed")


# --- the bridge is away ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["gone", "proxy"])
def test_a_bridge_that_is_gone_is_said_to_be_until_it_is_back(
    pages: Pages, member: Visit, browser: Browser, how: str
) -> None:
    """Its errors on the console are the browser's own: so not ``opened``."""
    begin(member)
    pages.add_user("Ольга", Role.WEBINAR)
    with served(pages.app) as url:
        context = browser.new_context(base_url=url, locale="ru-RU")
        page = context.new_page()
        page.goto("/login?next=/webinars/1")
        page.get_by_label("Имя").fill("Ольга")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        away = page.locator("#away")
        expect(page.locator("#progress")).to_contain_text("Создаю контакты")
        expect(away).to_be_hidden()

        def refuse(route: Route) -> None:
            route.abort() if how == "gone" else route.fulfill(status=502, body="<h1>Bad Gateway</h1>")

        page.route("**/progress", refuse)
        expect(away).to_have_text("Мост не отвечает. Когда он вернётся, загрузка продолжится.")
        expect(page.locator("#progress")).to_contain_text("Создаю контакты")
        page.unroute("**/progress")
        mark(pages, those(pages, "create_person"), step="deal")
        expect(page.locator("#progress")).to_contain_text("Загружаю: 2 из 7")
        expect(away).to_be_hidden()
        context.close()


def test_a_finished_import_begins_with_what_came_of_it(pages: Pages, member: Visit) -> None:
    begin(member)
    mark(pages, [*those(pages, "create_person"), *those(pages, "create_deal")], state="done")
    with book_of(pages).writing() as connection:
        book_of(pages).become_in(connection, 1, ["running"], "done")
    page = words_of(member.get("/webinars/1"))
    told = "Создано сделок: 5; не загружено: 2 (ждут решения: 1, не сопоставить: 1)."
    assert (
        page.index(told)
        < page.index("ждёт решения: Олена")
        < page.index("активность важнее минут")
        < page.index("Не загружаются")
    )
    assert "По плану Загружено" in page
    member.post("/settings/language/en", page="/")
    assert "Deals created: 5; not imported: 2" in words_of(member.get("/webinars/1"))


def test_a_file_that_is_in_another_draft_links_it(pages: Pages, member: Visit) -> None:
    assert "в другом черновике" not in words_of(member.get("/webinars/1"))
    drafted(member)
    page = member.get("/webinars/2")
    assert "Файл people.csv есть и в другом черновике: загрузка № 1" in words_of(page)
    assert 'href="/webinars/1"' in page.text


def test_what_the_contact_got_is_told(pages: Pages, member: Visit) -> None:
    begin(member)
    igor = next(kept for kept in rows(pages) if kept.row.adds)
    mark(pages, [igor.number], state="done", contact_was='{"EMAIL": {"was": [], "added": []}}')
    told = words_of(member.get("/webinars/1"))
    assert f"создана сделка у его контакта; в контакт добавлено: {', '.join(igor.row.adds)}" in told
    assert "Почта и телефоны, которые загрузка добавила в контакты, будут убраны." not in told, "it is under way"
    with book_of(pages).writing() as connection:
        book_of(pages).become_in(connection, 1, ["running"], "done")
    assert "которые загрузка добавила в контакты, будут убраны" in member.get("/webinars/1").text
