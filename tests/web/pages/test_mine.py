"""«Мои задачи и нарушения»: a person sees what is his own, a head anybody's, a manager nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser
from sqlalchemy import insert
from support.api_client import Program
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.clock import FixedClock
from amo_bridge.config.channels import PersonSection
from amo_bridge.config.model import DailyReportSection, PoliciesSection
from amo_bridge.engine.daily_reports import DailyReports, Sums
from amo_bridge.engine.policies import Policies
from amo_bridge.engine.shift_starts import ShiftStarts
from amo_bridge.engine.violations import Breach
from amo_bridge.rules.option_types import UserName
from amo_bridge.storage.tables import tasks
from amo_bridge.web.auth.users import Role

IVAN, MARIA = "Иван Петров", "Мария Кузнецова"
NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
DEAL = 30000001


def task(pages: Pages, number: int, who: str, text: str, due: datetime, *, is_done: bool = False) -> None:
    row = {
        "account": pages.account.key, "task_id": number, "entity_type": "deal", "entity_id": DEAL, "created_by": 0,
        "responsible_user_id": agency().user(who).id, "task_type_id": 1, "text": text, "is_completed": is_done,
        "due_at": due.timestamp(), "created_at": 1.0, "updated_at": 1.0,
    }  # fmt: skip
    with pages.office.store.write() as connection:
        connection.execute(insert(tasks).values(row))


def breaks(pages: Pages, who: str, why: str, at: datetime) -> None:
    breach = Breach(
        at=at, user_id=agency().user(who).id, person=who, clause="A10", deal_id=DEAL, deal_name="Ромашка", rule="r",
        why=why, penalty=500, currency="RUB",
    )  # fmt: skip
    with pages.office.store.write() as connection:
        pages.account.violations.record(connection, f"{who} {why}", breach)


@pytest.fixture
def office(pages: Pages) -> Pages:
    """Tuesday; «ivan» is how Ivan logs in."""
    pages.know_account(agency())
    pages.bridge.clock = FixedClock(NOW)
    people = {UserName(IVAN): PersonSection(login="Ivan")}
    pages.bridge.config = replace(
        pages.bridge.config,
        daily_report=DailyReportSection(),
        policies=PoliciesSection(people=(UserName(IVAN),)),
        channels=replace(pages.bridge.config.channels, people=people),
    )
    pages.know_deal("ООО «Ромашка»", id=DEAL)
    task(pages, 1, IVAN, "Позвонить завтра", NOW + timedelta(days=1))
    task(pages, 2, IVAN, "Позвонить вчера", NOW - timedelta(days=1))
    task(pages, 3, IVAN, "Уже сделано", NOW, is_done=True)
    task(pages, 4, MARIA, "Чужое дело", NOW)
    breaks(pages, IVAN, "опоздал со звонком", NOW - timedelta(days=3))
    breaks(pages, IVAN, "давнее", NOW - timedelta(days=200))
    breaks(pages, MARIA, "чужое нарушение", NOW)
    store, clock = pages.account.account_store, pages.bridge.clock
    ivan, maria = (agency().user(name) for name in (IVAN, MARIA))
    with pages.office.store.write() as connection:
        both = [(one.id, one.name, Sums(1, 1, 1)) for one in (ivan, maria)]
        DailyReports(store, clock).make(connection, NOW.date(), NOW, "план", both)
        Policies(store, clock).publish(connection, "1", "Звонки", "# Звонки", "Анна", is_file=False)
    (policy,) = Policies(store, clock).all()
    with pages.office.store.write() as connection:
        Policies(store, clock).enrol(connection, policy, [ivan], NOW, NOW + timedelta(days=3))
    return pages


def test_a_person_sees_his_own_and_the_late_first(office: Pages) -> None:
    words = words_of(office.visit(Role.VIEWER, "ivan").get("/mine"))
    assert "2 задачи · 1 просрочена" in words
    assert words.index("Позвонить вчера") < words.index("Позвонить завтра")
    assert "ООО «Ромашка»" in words
    assert "1 нарушение: 500 ₽" in words.replace("\xa0", " ")
    assert "опоздал со звонком" in words
    assert "Отчёт за 24.11.2026: подтвердить" in words
    assert "Прочитать: Звонки" in words
    for hidden in ("Чужое дело", "чужое нарушение", "давнее", "Уже сделано"):
        assert hidden not in words


def test_whoever_is_nobody_in_amocrm_is_told_what_to_do(office: Pages) -> None:
    words = words_of(office.visit(Role.VIEWER, "boris").get("/mine"))
    assert "Мост не знает, кто вы в amoCRM" in words
    assert 'login = "boris"' in words


def test_only_a_head_looks_at_others(office: Pages) -> None:
    maria = agency().user(MARIA).id
    assert office.visit(Role.VIEWER, "ivan").get(f"/mine?person={maria}").status_code == 403
    head = office.visit(Role.HEAD, "olga")
    assert "Чужое дело" in words_of(head.get(f"/mine?person={maria}"))
    assert head.get("/mine?person=1").status_code == 404


def test_a_manager_sees_his_own_and_nothing_else(office: Pages) -> None:
    manager = office.visit(Role.MANAGER, "ivan")
    first = manager.get("/")
    assert (first.status_code, first.location) == (302, "/mine")
    page = manager.get("/mine")
    assert f'href="{office.bridge.config.account.url}/leads/detail/{DEAL}"' in page.text, "the deal as amoCRM has it"
    assert words_of(page).count("Что сделал мост") == 0
    for path in ("/done", "/rules", "/violations", f"/deals/{DEAL}", "/reports/overdue", "/reports/daily", "/audit"):
        assert manager.get(path).status_code == 403, path
    reports = DailyReports(office.account.account_store, office.bridge.clock)
    by_person = {one.person: one.number for one in reports.between(NOW.date(), NOW.date())}
    assert manager.get(f"/reports/daily/{by_person[IVAN]}").status_code == 200
    assert manager.get(f"/reports/daily/{by_person[MARIA]}").status_code == 403
    text = words_of(manager.get("/policies/1"))
    assert "Звонки" in text
    assert IVAN in text


def test_what_a_manager_sees_leads_to_nothing_closed(office: Pages) -> None:
    """From page to page, as a person clicks; nothing of others is met on the way."""
    manager = office.visit(Role.MANAGER, "ivan")
    seen: dict[str, str] = {}
    waiting = ["/mine", "/reports/pay"]
    while waiting:
        path = waiting.pop()
        answer = manager.get(path)
        is_document = path.startswith("/help")
        seen[path] = str(answer.status_code) if answer.status_code != 200 else "" if is_document else answer.text
        if not seen[path] or seen[path].isdecimal():
            continue
        found = re.findall(r'(?:href|action|hx-get)="(/[^"#]*)', answer.text)
        posts = set(re.findall(r'method="post" action="(/[^"#]*)', answer.text))
        waiting += [one for one in {*found} - posts - {*seen, *waiting, "/"} if not one.startswith("/static/")]
    assert {path: told for path, told in seen.items() if told.isdecimal()} == {}
    assert {"/help", "/policies/1"} <= set(seen)
    assert [path for path, told in seen.items() if "чужое" in told.lower() or MARIA in told] == []


def test_a_manager_who_was_not_asked_about_a_text_is_told_nothing_of_readers(office: Pages) -> None:
    text = words_of(office.visit(Role.MANAGER, "maria").get("/policies/1"))
    assert "Кто прочитал" not in text
    assert "никого не спросили" not in text


def test_the_same_by_the_api(office: Pages, reader: Program) -> None:
    told = reader.get(f"/reports/people/{agency().user(IVAN).id}")
    assert [(one["text"], one["is_late"], one["deal_name"]) for one in told["tasks"]] == [
        ("Позвонить вчера", True, "ООО «Ромашка»"),
        ("Позвонить завтра", False, "ООО «Ромашка»"),
    ]
    assert [one["why"] for one in told["violations"]] == ["опоздал со звонком"]
    assert (told["unconfirmed"], told["unread"][0]["title"]) == (["2026-11-24"], "Звонки")
    assert reader.ask("GET", "/reports/people/1").status_code == 404


def test_nothing_to_do_is_said(office: Pages, admin: Visit) -> None:
    page = words_of(admin.get(f"/mine?person={agency().user('Павел Смирнов').id}"))
    assert "Открытых задач нет" in page
    assert "Нарушений нет" in page


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_in_a_browser(office: Pages, browser: Browser, size: dict[str, int]) -> None:
    office.add_user("ivan", Role.MANAGER)
    with served(office.app) as site, opened(browser, site, viewport=size) as context:
        page = context.new_page()
        page.goto("/login")
        page.get_by_label("Имя").fill("ivan")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        page.wait_for_url("**/mine")
        assert serious_findings(page) == []
        assert fits_its_width(page)


def test_whoever_was_renamed_in_amocrm_still_comes_to_his_own_page(office: Pages) -> None:
    office.know_account_renamed(agency(), IVAN, "Иван Сидоров")
    words = words_of(office.visit(Role.MANAGER, "ivan").get("/mine"))
    assert "Позвонить вчера" in words


def test_the_person_himself_confirms_that_he_is_at_work_once(office: Pages) -> None:
    starts = ShiftStarts(office.account.account_store, office.account.clock)
    people = [(agency().user(who).id, who) for who in (IVAN, MARIA)]
    with office.office.store.write() as connection:
        starts.make(connection, NOW.date(), NOW - timedelta(minutes=5), people)
    head, ivan = office.visit(Role.HEAD, "elena"), office.visit(Role.MANAGER, "ivan")
    assert "Не начата и не подтверждена." in words_of(head.get(f"/mine?person={agency().user(MARIA).id}"))
    assert head.post("/mine/shift", page="/mine").status_code == 403
    assert "Смена: 24.11.2026, 17:55" in words_of(ivan.get("/mine"))
    assert "Смена начата в 18:00." in words_of(ivan.post("/mine/shift", page="/mine", follow_redirects=True))
    assert "Подтверждать нечего" in words_of(ivan.post("/mine/shift", page="/mine", follow_redirects=True))
    found = {one.person: (one.begun_at, one.begun_by) for one in starts.between(NOW.date(), NOW.date())}
    assert found == {IVAN: (NOW, f"{IVAN}, ivan"), MARIA: (None, "")}


def test_a_manager_sees_what_the_bridge_did_with_his_deals(office: Pages) -> None:
    """Yesterday's and today's; he goes to amoCRM from here, for the journal of deals is not his."""
    office.know_deal("Ромашка", responsible_user_id=agency().user(IVAN).id)
    office.know_deal("Лилия", id=DEAL + 1, responsible_user_id=agency().user(MARIA).id)
    office.say("acts", deal_id=DEAL, at=NOW - timedelta(days=1), what="смена этапа", actions='["задача «Позвонить»"]')
    office.say("acts", deal_id=DEAL, at=NOW - timedelta(days=3), actions='["задача «Давно»"]')
    office.say("acts", deal_id=DEAL + 1, at=NOW, actions='["задача «Не моя»"]')
    page = office.visit(Role.MANAGER, "ivan").get("/mine")
    words = words_of(page)
    assert "вчера и сегодня 23.11.2026, 18:00 Ромашка задача «Позвонить» сделано смена этапа · A10" in words
    assert "Давно" not in words
    assert "Не моя" not in words
    assert f"leads/detail/{DEAL}" in page.text
    assert f'"/deals/{DEAL}"' in office.visit(Role.HEAD).get(f"/mine?person={agency().user(IVAN).id}").text


def test_a_program_says_that_somebody_is_at_work(office: Pages, reader: Program) -> None:
    """Once, of today, and it is kept who said so."""
    store, clock = office.account.account_store, office.bridge.clock
    kept, ivan, head = ShiftStarts(store, clock), agency().user(IVAN), Program(office, Role.HEAD)
    with office.office.store.write() as connection:
        kept.make(connection, NOW.date() - timedelta(days=1), NOW - timedelta(days=1, hours=8), [(ivan.id, IVAN)])
        kept.make(connection, NOW.date(), NOW - timedelta(hours=1), [(ivan.id, IVAN)])
    (today,) = reader.get("/shifts")["shifts"]
    assert (today["person"], today["begun_at"], today["begun_by"], today["is_late"]) == (IVAN, None, "", False)
    yesterday, again = reader.get("/shifts?days=2")["shifts"]
    assert (yesterday["day"], again) == ("2026-11-23", today)
    assert reader.get("/shifts?day=2026-11-20")["shifts"] == []
    assert reader.ask("GET", "/shifts?days=32").status_code == 422
    begin = f"/shifts/{today['number']}/begin"
    assert reader.ask("POST", begin).status_code == 403
    assert head.ask("POST", f"/shifts/{yesterday['number']}/begin").status_code == 409
    assert head.ask("POST", "/shifts/999/begin").status_code == 404
    begun = head.ask("POST", begin).get_json()
    assert (begun["begun_at"], begun["is_late"]) == ("2026-11-24T15:00:00Z", True)
    assert begun["begun_by"].startswith(f"{IVAN}, ")
    assert head.ask("POST", begin).status_code == 409
    assert "на смене 24.11.2026: отмечено программой" in office.visit(Role.ADMIN).get("/audit").text
