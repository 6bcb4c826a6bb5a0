"""Somebody whom an import has left out is decided about afterwards: just he is imported, once, and taken back with the
others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.api_client import Program
from support.browser import opened, serious_findings
from support.local_crm import LocalCrm, served
from support.pages import PASSWORD, Pages, Visit, words_of
from support.running_bridge import RunningBridge, wait_until
from support.school_pages import OLENA, book_of, drafted, school_pages
from support.webinar_samples import ACCOUNT, SAMPLES, fill_contacts, school_config
from werkzeug.test import TestResponse

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION
from amo_bridge.webinars.imports.model import ImportRow

REPORT = SAMPLES / "bizon_report.xlsx"


# --- with a bridge at work ---------------------------------------------------------------------------------------


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The school's amoCRM."""
    with served(load_world(ACCOUNT)) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    return school_config(sandbox.url, tmp_path / "data")


@pytest.fixture
def at_work(bridge: RunningBridge, sandbox: LocalCrm) -> RunningBridge:
    fill_contacts(bridge, sandbox)
    office = bridge.app.extensions[EXTENSION]
    member = office.users.add("Дарья", Role.WEBINAR)
    with office.store.write() as connection:
        office.users.set_password(connection, member.id, PASSWORD)
    return bridge


def deals(office: CrmUser) -> list[str]:
    return [row["name"] for stage in office.stages for row in office.deals_on(stage)]


def contacts(office: CrmUser) -> int:
    return len(office._rows("/api/v4/contacts", "contacts"))


def test_on_the_page_of_an_import_that_has_run(browser: Browser, at_work: RunningBridge, office: CrmUser) -> None:
    with opened(browser, at_work.url) as context:
        page = context.new_page()
        page.on("dialog", lambda asked: asked.accept())
        loaded(page)
        expect(page.locator("#sums")).to_contain_text("1 человек ждёт решения: Олена. Нажмите у него «Решить иначе»")
        assert serious_findings(page) == []
        assert page.get_by_text("Решить иначе", exact=False).count() == 3, "of the banned one too, and in the banner"
        known, before = contacts(office), deals(office)
        page.get_by_role("link", name="Показать его").click()
        page.get_by_role("row").filter(has_text="Олена").locator("summary").click()
        page.get_by_label("Что делать: Олена").select_option("new")
        page.get_by_role("button", name="Решить").click()
        expect(page.get_by_text("Таких участников нет")).to_be_visible()
        page.goto("/webinars/1")
        expect(page.get_by_role("row").filter(has_text="Олена")).to_contain_text("созданы контакт и сделка")
        expect(page.locator("#sums")).not_to_contain_text("ждёт решения")
        assert (contacts(office) - known, len(deals(office)) - len(before)) == (1, 1), "nobody else was touched"
        page.get_by_role("button", name="Отменить загрузку").click()
        expect(page.locator(".chip").get_by_text("Отменено").first).to_be_visible()
        assert len(office.deals_on("Вебинары / Закрыто и не реализовано")) == len(before) + 1
    words = [one.words for one in at_work.app.extensions[EXTENSION].audit.last(9)]
    assert any(one.endswith(": новый контакт") for one in words)


def loaded(page: Page) -> None:
    """The report, carried out."""
    page.goto("/login?next=/webinars")
    page.get_by_label("Имя").fill("Дарья")
    page.get_by_label("Пароль").fill(PASSWORD)
    page.get_by_role("button", name="Войти").click()
    page.get_by_label("Файлы с участниками").set_input_files([REPORT])
    page.get_by_role("button", name="Прочитать и показать").click()
    page.get_by_role("button", name="Загрузить в amoCRM").click()
    expect(page.get_by_role("button", name="Отменить загрузку")).to_be_visible()


def test_by_the_api_for_a_contact_and_only_once(at_work: RunningBridge, office: CrmUser) -> None:
    team = Program(at_work, Role.WEBINAR)
    with REPORT.open("rb") as file:
        team.ask("POST", "/webinars", data={"files": (file, "r.xlsx")})
    team.ask("POST", "/webinars/1/start")
    wait_until(lambda: team.get("/webinars/1")["state"] == "done", "it has run")
    known, before = contacts(office), len(deals(office))
    (olena,) = team.get("/webinars/1/people?standing=doubtful")["attendees"]
    there, said = f"/webinars/1/people/{olena['place']}", {"what": "contact", "contact_id": olena["choices"][0]}
    assert team.ask("PUT", there, said).json["plan"] == "create_deal"
    wait_until(lambda: team.get("/webinars/1")["counts"].get("done") == before + 1, "he is imported")
    wait_until(lambda: team.get("/webinars/1")["state"] == "done", "and it is over again")
    assert (contacts(office), len(deals(office))) == (known, before + 1)
    again = team.ask("PUT", there, {"what": "new"})
    assert (again.status_code, "сделано, решать больше нечего" in again.json["detail"]) == (409, True)
    assert len(deals(office)) == before + 1


# --- what may be, and what not: nobody is at work ----------------------------------------------------------------


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    made = school_pages(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def member(pages: Pages) -> Visit:
    """Somebody of the team who has begun an import."""
    visit = pages.visit(Role.WEBINAR, "Дарья")
    drafted(visit)
    begin(visit)
    return visit


def begin(visit: Visit, number: int = 1) -> None:
    assert visit.post(f"/webinars/{number}/start", page="/webinars").status_code == 302


def person(pages: Pages, name: str, number: int = 1) -> ImportRow:
    return next(kept for kept in book_of(pages).rows(number) if kept.row.person.name == name)


def decide(visit: Visit, pages: Pages, name: str, number: int = 1, **form: str) -> str:
    """What is said of it."""
    place = person(pages, name, number).number
    told: TestResponse = visit.post(
        f"/webinars/{number}/people/{place}", form, page="/webinars", follow_redirects=True
    )  # fmt: skip
    return words_of(told)


def carried_out(pages: Pages, number: int = 1) -> None:
    """As the worker leaves it."""
    book = book_of(pages)
    with book.writing() as connection:
        book.mark(connection, [kept.id for kept in book.rows(number) if kept.state == "ready"], state="done")
    assert book.finish(number, "running", "done", 5.0)


def test_while_it_runs(pages: Pages, member: Visit) -> None:
    others = [kept for kept in book_of(pages).rows(1) if kept.row.person.name != "Олена"]
    decide(member, pages, "Олена", what=f"contact-{OLENA}")
    olena = person(pages, "Олена")
    assert (olena.state, olena.step, olena.contact_id) == ("ready", "contact", OLENA)
    assert [kept for kept in book_of(pages).rows(1) if kept.row.person.name != "Олена"] == others


def test_a_finished_one_goes_on_and_what_gets_lost_is_looked_for_from_now_on(pages: Pages, member: Visit) -> None:
    book_of(pages).become(1, ["running"], "running", started_at=1.0)
    carried_out(pages)
    decide(member, pages, "Олена", what="new")
    job = book_of(pages).get(1)
    assert (job.state, job.started_at, job.finished_at) == ("running", None, None)


def test_a_paused_one_stays_paused(pages: Pages, member: Visit) -> None:
    book_of(pages).become(1, ["running"], "paused", started_at=1.0)
    decide(member, pages, "Олена", what="new")
    assert person(pages, "Олена").state == "ready"
    assert (book_of(pages).get(1).state, book_of(pages).get(1).started_at) == ("paused", 1.0)


def test_it_is_not_over_while_somebody_was_decided_about(pages: Pages, member: Visit) -> None:
    """The worker has counted, then a person decides, then the worker says that all is done."""
    carried_out(pages)
    decide(member, pages, "Олена", what="new")
    assert not book_of(pages).finish(1, "running", "done", 6.0)
    assert book_of(pages).get(1).state == "running"


def test_leaving_out_begins_nothing_and_may_be_thought_better_of(pages: Pages, member: Visit) -> None:
    carried_out(pages)
    decide(member, pages, "Олена", what="skip")
    assert (book_of(pages).get(1).state, book_of(pages).counts(1).waiting) == ("done", 0)
    assert person(pages, "Олена").row.why == "пропущен вручную"
    decide(member, pages, "Олена", what="new")
    assert person(pages, "Олена").state == "ready"


@pytest.mark.parametrize("state", ["undoing", "undone"])
def test_an_import_that_is_taken_back_stays_so(pages: Pages, member: Visit, state: str) -> None:
    book_of(pages).become(1, ["running"], state)
    assert "этого с ней сделать нельзя" in decide(member, pages, "Олена", what="new")
    assert person(pages, "Олена").state == "skipped"
    assert 'class="decide"' not in member.get("/webinars/1").text


def test_who_was_imported_is_not_decided_about(pages: Pages, member: Visit) -> None:
    carried_out(pages)
    before = book_of(pages).rows(1)
    assert "сделано, решать больше нечего" in decide(member, pages, "Игорь", what="skip")
    assert book_of(pages).rows(1) == before


def test_who_was_imported_from_the_same_file_again_is_not_made_twice(pages: Pages, member: Visit) -> None:
    carried_out(pages)
    drafted(member)
    decide(member, pages, "Олена", number=2, what="new")
    begin(member, 2)
    told = "этим участником уже занималась загрузка № 2"
    assert told in decide(member, pages, "Олена", what="new"), "at work on her"
    carried_out(pages, 2)
    assert told in decide(member, pages, "Олена", what="plan"), "done"
    assert person(pages, "Олена").state == "skipped"
    book_of(pages).become(2, ["done"], "undone")
    with book_of(pages).writing() as connection:
        book_of(pages).mark(connection, [person(pages, "Олена", 2).id], state="undone")
    assert told not in decide(member, pages, "Олена", what="new"), "taken back"
    assert person(pages, "Олена").state == "ready"


def test_without_a_mail_and_a_phone_there_is_nothing_to_decide(pages: Pages, member: Visit) -> None:
    carried_out(pages)
    for what in ("new", f"contact-{OLENA}"):
        assert "нет ни почты, ни телефона" in decide(member, pages, "Гость", what=what)
    place = person(pages, "Гость").number
    told = Program(pages, Role.WEBINAR).ask("PUT", f"/webinars/1/people/{place}", {"what": "new"})
    assert told.status_code == 422
