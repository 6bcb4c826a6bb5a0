"""The webinar team's pages in a real browser: upload, plan, decisions, import, report, undo; and what is refused."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings
from support.local_crm import LocalCrm, served
from support.pages import PASSWORD, Pages, Visit, words_of
from support.running_bridge import RunningBridge, wait_until
from support.webinar_samples import ACCOUNT, SAMPLES, fill_contacts, school_config

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION
from amo_bridge.webinars.formats import read_export
from amo_bridge.webinars.formats.model import Export
from amo_bridge.webinars.imports import drafts

REPORT = SAMPLES / "bizon_report.xlsx"


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
    """A bridge that knows everybody in the account, and somebody of the webinar team."""
    fill_contacts(bridge, sandbox)
    office = bridge.app.extensions[EXTENSION]
    member = office.users.add("Дарья", Role.WEBINAR)
    with office.store.write() as connection:
        office.users.set_password(connection, member.id, PASSWORD)
    return bridge


@pytest.fixture
def page(browser: Browser, at_work: RunningBridge) -> Iterator[Page]:
    with opened(browser, at_work.url) as context:
        page = context.new_page()
        page.on("dialog", lambda asked: asked.accept())
        log_in(page)
        yield page


@pytest.fixture
def member(at_work: RunningBridge) -> Visit:
    """The same person without a screen."""
    visit = Visit(at_work.app.test_client())
    users = at_work.app.extensions[EXTENSION].users
    visit.become(users.sit_down(users.add("Ольга", Role.WEBINAR).id))
    return visit


def log_in(page: Page) -> None:
    page.goto("/login?next=/webinars")
    page.get_by_label("Имя").fill("Дарья")
    page.get_by_label("Пароль").fill(PASSWORD)
    page.get_by_role("button", name="Войти").click()
    expect(page.get_by_role("heading", name="Вебинары")).to_be_visible()


def upload(page: Page, *files: Path) -> None:
    page.goto("/webinars")
    page.get_by_label("Файлы с участниками").set_input_files(list(files))
    page.get_by_role("button", name="Прочитать и показать").click()


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))


def test_upload_look_decide_import_report_undo(page: Page, office: CrmUser) -> None:
    upload(page, REPORT)
    expect(page.get_by_role("heading", name="Вебинар 13.09.2021 «Больше чем игрушка»")).to_be_visible()
    expect(page.get_by_text("активность важнее минут")).to_be_visible()
    expect(row(page, "Олена")).to_contain_text("телефон у нескольких контактов")
    expect(row(page, "Гость")).to_contain_text("нет ни почты, ни телефона")
    assert not any(office.deals_on(stage) for stage in office.stages), "nothing is written by looking"
    olena = row(page, "Олена")
    olena.get_by_text("Решить иначе").click()
    olena.get_by_label("Что делать: Олена").select_option("new")
    olena.get_by_role("button", name="Решить").click()
    expect(row(page, "Олена")).to_contain_text("новый контакт и новая сделка")
    page.get_by_role("button", name="Загрузить в amoCRM").click()
    expect(page.get_by_role("button", name="Отменить загрузку")).to_be_visible()
    expect(row(page, "Анжелика")).to_contain_text("сделано")
    assert len([deal for stage in office.stages for deal in office.deals_on(stage)]) == 5
    with page.expect_download() as download:
        page.get_by_role("link", name="Отчёт (CSV)").click()
    told = Path(download.value.path()).read_text("utf-8-sig")
    assert told.startswith("Строка;Имя;"), "the titles come first, for filters and programs"
    assert "'=HYPERLINK" in told
    assert "/leads/detail/" in told
    page.get_by_role("button", name="Отменить загрузку").click()
    expect(page.locator(".chip").get_by_text("Отменено").first).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("listitem").filter(has_text="загрузка вебинара № 1")).to_contain_text("Отменено")
    page.goto("/webinars/1")
    lost = office.deals_on("Вебинары / Закрыто и не реализовано")
    assert len(lost) == 5


def test_the_same_file_again_is_told_of(page: Page) -> None:
    upload(page, REPORT)
    page.get_by_role("button", name="Загрузить в amoCRM").click()
    expect(page.get_by_role("button", name="Отменить загрузку")).to_be_visible()
    expect(row(page, "Олена")).to_contain_text("ждёт решения")
    expect(page.locator("#sums")).to_contain_text("1 человек ждёт решения: Олена.")
    upload(page, REPORT)
    expect(page.get_by_text("уже загружен (загрузка № 1)")).to_be_visible()
    page.get_by_role("link", name="Показать его").click()
    expect(row(page, "Анжелика")).to_have_count(0)
    expect(row(page, "Олена")).to_contain_text("Решить иначе")
    page.goto("/webinars/2")
    expect(row(page, "Анжелика")).to_contain_text("уже загружен: загрузка № 1")


def test_people_are_found_by_stage_standing_and_name(page: Page) -> None:
    upload(page, REPORT)
    expect(row(page, "Анжелика")).to_be_visible()
    page.get_by_label("Кто это").select_option("unmatched")
    expect(row(page, "Анжелика")).to_have_count(0)
    expect(row(page, "Гость")).to_be_visible()
    page.get_by_label("Кто это").select_option("")
    page.get_by_label("Имя, почта, телефон").fill("ёлкина")
    expect(row(page, "Гость")).to_have_count(0)
    expect(row(page, "Наталья Ёлкина")).to_be_visible()


def test_an_unknown_table_is_explained_once(page: Page, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text("Кто;Адрес;Смотрел;Когда\nАнна;anna@example.ru;61;13.09.2021\n", "utf-8")
    upload(page, table)
    expect(page.get_by_text("Что значат столбцы этой таблицы?")).to_be_visible()
    expect(page.get_by_role("cell", name="anna@example.ru"), "one sees what is in the columns").to_be_visible()
    page.get_by_role("button", name="Прочитать и показать").click()
    expect(page.get_by_role("alert")).to_contain_text("Назовите хотя бы столбец с почтой или с телефоном")
    named = {"Имя": "Кто", "Почта": "Адрес", "Минут на вебинаре": "Смотрел", "Дата вебинара": "Когда"}
    for label, title in named.items():
        page.get_by_label(label, exact=True).select_option(title)
    page.get_by_role("button", name="Прочитать и показать").click()
    expect(row(page, "Анна")).to_contain_text("смотрел 61 мин, больше 60")
    upload(page, table)
    expect(row(page, "Анна")).to_be_visible()


DOUBTFUL = """Имя;Почта;Роль;Вход;Выход
Ольга;olga@school.ru;Ведущий;19:00;21:00
Анна;anna@example.ru;Участник;19:00;20:10
Борис;boris@example.ru;Участник;19:00;
Вера;vera@example.ru;Участник;19:05;
"""


def test_upload_doubts_decide_import_undo(page: Page, office: CrmUser, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text(DOUBTFUL, "utf-8")
    page.goto("/webinars")
    page.get_by_label("Дата вебинара, если её нет в файле").fill("2021-09-13")
    page.get_by_label("Файлы с участниками").set_input_files(table)
    page.get_by_role("button", name="Прочитать и показать").click()
    doubts = page.locator("#doubts")
    expect(doubts).to_contain_text("минуты неизвестны у 2 из 3: Борис, Вера")
    expect(doubts).to_contain_text("в списке ведущие, они не загружаются: Ольга")
    expect(row(page, "Ольга")).to_contain_text("ведущий или организатор: Ведущий")
    expect(row(page, "Борис")).to_contain_text("сколько смотрел, неизвестно: выберите этап")
    asked = page.get_by_role("button", name="Загрузить в amoCRM").locator("xpath=..").get_attribute("data-confirm")
    assert asked is not None
    assert "минуты неизвестны у 2 из 3" in asked, "the button says what is in doubt before it writes"
    page.get_by_label("Сколько смотрели 2 человека, неизвестно").select_option("short")
    page.get_by_role("button", name="Решить обо всех таких").click()
    expect(row(page, "Вера")).to_contain_text("этап выбран вручную")
    page.get_by_role("button", name="Загрузить в amoCRM").click()
    expect(page.get_by_role("button", name="Отменить загрузку")).to_be_visible()
    assert len(office.deals_on("Вебинары / Был на вебинаре более часа")) == 1
    assert len(office.deals_on("Вебинары / Был на вебинаре менее часа")) == 2
    page.get_by_role("button", name="Отменить загрузку").click()
    expect(page.locator(".chip").get_by_text("Отменено").first).to_be_visible()
    assert len(office.deals_on("Вебинары / Закрыто и не реализовано")) == 3


def test_an_answer_about_columns_is_seen_changed_and_forgotten(page: Page, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text("Кто;Адрес;Был дома;Смотрел сам;Когда\nАнна;anna@example.ru;5;61;13.09.2021\n", "utf-8")
    upload(page, table)
    expect(page.get_by_text("Что значат столбцы этой таблицы?")).to_be_visible()
    for label, title in {"Почта": "Адрес", "Минут на вебинаре": "Был дома", "Дата вебинара": "Когда"}.items():
        page.get_by_label(label, exact=True).select_option(title)
    page.get_by_role("button", name="Прочитать и показать").click()
    page.wait_for_url("**/webinars/1")
    expect(page.get_by_text("смотрел 5 мин, не больше 60")).to_be_visible()
    page.goto("/webinars")
    answers = page.locator("section[aria-labelledby=answers]")
    answers.locator("summary").click()
    answers.get_by_label("Минут на вебинаре", exact=True).select_option("Смотрел сам")
    answers.get_by_role("button", name="Изменить ответ").click()
    expect(page.get_by_text("Ответ изменён")).to_be_visible()
    upload(page, table)
    page.wait_for_url("**/webinars/2")
    expect(page.get_by_text("смотрел 61 мин, больше 60")).to_be_visible()
    page.goto("/webinars")
    page.locator("section[aria-labelledby=answers] summary").click()
    page.get_by_role("button", name="Забыть ответ").click()
    expect(page.get_by_text("такую таблицу мост спросит снова")).to_be_visible()
    upload(page, table)
    expect(page.get_by_text("Что значат столбцы этой таблицы?")).to_be_visible()


def test_a_table_that_is_understood_is_shown_and_put_right(page: Page, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    rows = "Анна;anna@example.ru;5;61;Ведущий;13.09.2021\n"
    table.write_text(f"Имя;Почта;Минут;Минут у экрана;Роль;Дата\n{rows}", "utf-8")
    page.goto("/webinars")
    page.get_by_label("Показать, как мост понял столбцы").check()
    page.get_by_label("Файлы с участниками").set_input_files(table)
    page.get_by_role("button", name="Прочитать и показать").click()
    expect(page.get_by_text("Так мост понял столбцы")).to_be_visible()
    expect(page.get_by_label("Минут на вебинаре", exact=True)).to_have_value("Минут")
    page.get_by_label("Минут на вебинаре", exact=True).select_option("Минут у экрана")
    page.get_by_label("Роль", exact=True).select_option("")
    page.get_by_role("button", name="Прочитать и показать").click()
    page.wait_for_url("**/webinars/1")
    expect(page.get_by_text("смотрел 61 мин, больше 60")).to_be_visible()
    upload(page, table)
    page.wait_for_url("**/webinars/2")
    expect(page.get_by_text("смотрел 61 мин, больше 60"), "remembered for all tables like it").to_be_visible()


def test_the_page_says_how_far_a_file_is_read(member: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def reading(name: str, content: bytes, *, progress: Callable[[int, int], None], **how: Any) -> Export:
        said.append(member.get("/webinars/reading/k1").text)
        progress(12_000, 100_000)
        said.append(member.get("/webinars/reading/k1").text)
        return read_export(name, content, **how)

    monkeypatch.setattr(drafts, "read_export", reading)
    files = {"files": (io.BytesIO(REPORT.read_bytes()), "a.xlsx"), "reading": "k1"}
    assert member.post("/webinars", files, page="/webinars").status_code == 302
    assert said == ["", "строк прочитано: 12\u00a0000 из 100\u00a0000"]
    assert member.get("/webinars/reading/k1").status_code == 204, "forgotten when it is over"


@pytest.mark.parametrize("theme", ["dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everybody_can_read_it(browser: Browser, at_work: RunningBridge, theme: str, size: dict[str, int]) -> None:
    with opened(browser, at_work.url, viewport=size, color_scheme=theme) as context:
        page = context.new_page()
        log_in(page)
        assert serious_findings(page) == []
        assert fits_its_width(page)
        upload(page, REPORT)
        expect(row(page, "Анжелика")).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)


# --- refused, in words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("../../etc/passwd", b"\x00\x01\x02\xff" * 50, "не похоже ни на книгу Excel"),
        ("empty.csv", b"", "файл пустой"),
        ("bomb.json", b"[" * 100_000, "JSON"),
        ("error.csv", b"<!DOCTYPE html><html><body>502, bad gateway</body></html>", "это веб-страница (HTML)"),
        ("scan.pdf.csv", b"%PDF-1.4 1 0 obj<<>>endobj; a, b", "это документ PDF, а не таблица"),
        ("no-date.csv", "Имя;Почта;Минут\nАнна;a@example.ru;5\n".encode(), "нет даты вебинара"),
    ],
)
def test_a_file_that_can_t_be_taken(member: Visit, name: str, content: bytes, words: str) -> None:
    told = member.post("/webinars", {"files": (io.BytesIO(content), name)})
    assert told.status_code == 200
    assert words in words_of(told)


def test_nothing_chosen(member: Visit) -> None:
    assert "не выбран ни один файл" in words_of(member.post("/webinars"))


def test_a_forged_form_is_refused(member: Visit) -> None:
    assert member.client.post("/webinars/1/start").status_code == 400


@pytest.mark.parametrize("deed", ["start", "undo", "drop", "pause", "resume"])
def test_an_import_that_is_not_there(member: Visit, deed: str) -> None:
    assert member.get("/webinars/99").status_code == 404
    told = member.post(f"/webinars/99/{deed}", page="/webinars", follow_redirects=True)
    assert told.status_code == 404


def test_what_no_form_of_ours_sends(member: Visit) -> None:
    told = member.post("/webinars", {"files": (io.BytesIO(REPORT.read_bytes()), "r.xlsx")}, follow_redirects=True)
    assert told.status_code == 200
    assert member.post("/webinars/1/people/1", {"what": "contact-x"}, page="/webinars/1").status_code == 400
    assert member.post("/webinars/1/people/1", {"interest": "rich"}, page="/webinars/1").status_code == 400
    said = member.post("/webinars/1/people/1", {"what": "contact-5"}, page="/webinars/1", follow_redirects=True)
    assert "контакта 5 мост не знает" in words_of(said)


def test_what_can_t_be_decided_any_more_is_told_on_the_page_anew(page: Page, member: Visit) -> None:
    upload(page, REPORT)
    expect(row(page, "Анжелика")).to_be_visible()
    member.post("/webinars/1/start", page="/webinars/1")
    wait_until(lambda: "Отменить загрузку" in member.get("/webinars/1").text, "it has run meanwhile")
    row(page, "Анжелика").get_by_text("Решить иначе").click()
    row(page, "Анжелика").get_by_role("button", name="Решить").click()
    expect(page.get_by_text("сделано, решать больше нечего")).to_be_visible()
    assert page.get_by_role("heading", level=1).count() == 1, "no page within the page"


def test_whoever_is_not_of_the_team_sees_nothing(at_work: RunningBridge, pages_of: Callable[[Role], Visit]) -> None:
    assert pages_of(Role.VIEWER).get("/webinars").status_code == 403


@pytest.fixture
def pages_of(at_work: RunningBridge) -> Callable[[Role], Visit]:
    def visit(role: Role) -> Visit:
        users = at_work.app.extensions[EXTENSION].users
        made = Visit(at_work.app.test_client())
        made.become(users.sit_down(users.add(str(role), role).id))
        return made

    return visit


def test_the_menu_leads_here_only_where_there_are_webinars(pages: Pages, member: Visit) -> None:
    assert 'href="/webinars"' in member.get("/").text
    assert 'href="/webinars"' not in pages.visit(Role.WEBINAR).get("/").text


def test_a_config_without_webinars_says_so(pages: Pages) -> None:
    assert pages.visit(Role.WEBINAR).get("/webinars").status_code in (200, 503)
