"""«Зарплата»: who sees whose lines, what people decide about them, files; in a browser and on a phone (M17)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from python_calamine import CalamineWorkbook
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.clock import FixedClock
from amo_bridge.config.pay import PaySection
from amo_bridge.mirror.facts import STAGE, Fact, FactLog, field_fact, record_facts, stage_value
from amo_bridge.web.auth.users import Role

IVAN, MARIA = "Иван Петров", "Мария Кузнецова"
STARTED, RENEWED, LOST = "Дата дедлайна", "Продажи / Утвержденный проект", "Продажи / Отложенные"
DEAL = 30000001
NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
OCTOBER = "/reports/pay?month=2026-10"
SECTION: dict[str, Any] = {
    "people": [IVAN, MARIA],
    "started": STARTED,
    "salary": 100_000,
    "renewed": {"sum": 10_000, "stages": [RENEWED]},
    "lost": {"sum": 5_000, "stages": [LOST]},
    "logins": {"Маша": MARIA},
}


def pays(pages: Pages, **changed: Any) -> None:
    section = PaySection.model_validate({**SECTION, **changed})
    pages.bridge.config = replace(pages.bridge.config, pay=section)


def happens(pages: Pages, *told: tuple[str, str, datetime], deal: int = DEAL) -> None:
    with pages.office.store.write() as connection:
        record_facts(
            connection, pages.account.key, [Fact(deal, what, "", now, at, None, "hook") for what, now, at in told]
        )


def stage(name: str) -> str:
    known = agency().stage(name)
    return stage_value(known.pipeline_id, known.status_id)


@pytest.fixture
def office(pages: Pages) -> Pages:
    """24 November: Ivan's client of September has renewed on 5 October, Maria's was lost on the 9th."""
    pages.know_account(agency())
    pages.bridge.clock = FixedClock(NOW)
    pages.account.clock = pages.bridge.clock
    pays(pages)
    started = agency().field(STARTED).id
    FactLog(pages.account.account_store).begin([started], NOW - timedelta(days=200), iter(()))
    september = datetime(2026, 9, 1, tzinfo=UTC)
    for deal, who, what, day in ((DEAL, IVAN, RENEWED, 5), (DEAL + 1, MARIA, LOST, 9)):
        pages.know_deal(f"Клиент {deal}", id=deal, responsible_user_id=agency().user(who).id, created_at=september)
        at = datetime(2026, 10, day, 12, tzinfo=UTC)
        began = (field_fact(started), str(int(september.timestamp())), september)
        happens(pages, began, (STAGE, stage(what), at), deal=deal)
    return pages


def words(visit: Visit, address: str = OCTOBER) -> str:
    return words_of(visit.get(address)).replace("\xa0", " ")


def said(pages: Pages) -> list[tuple[str, str]]:
    return [(one.deed, one.words) for one in reversed(pages.office.audit.last(9))]


def test_an_administrator_sees_everybody_with_the_evidence(office: Pages, admin: Visit) -> None:
    told = words(admin)
    assert "октябрь 2026 не закрыта" in told
    assert f"{IVAN} 100,000 10,000 0 0 0 0 0 0 110 000 ₽" in told.replace("100 000 10 000", "100,000 10,000")
    assert f"Клиент продлил 05.10.2026 10 000 ₽ Клиент {DEAL} этап «{RENEWED}» 05.10.2026 15:00" in told
    assert f"Клиент потерян 09.10.2026 -5 000 ₽ Клиент {DEAL + 1}" in told.replace("−", "-")
    assert f'href="/deals/{DEAL}"' in admin.get(OCTOBER).text


@pytest.mark.parametrize(
    ("login", "sees", "hidden"),
    [
        ("Маша", "Клиент потерян", IVAN),
        ("маша", "Клиент потерян", IVAN),
        ("Пётр", "Ведомость видит руководитель", MARIA),
    ],
)
def test_a_manager_sees_his_own_if_the_config_says_who_he_is(office: Pages, login: str, sees: str, hidden: str) -> None:
    visit = office.visit(Role.VIEWER, login)
    told = words(visit)
    assert sees in told
    assert hidden not in told
    assert "Записать поправку" not in told
    answer = visit.get("/reports/pay.csv?month=2026-10")
    assert answer.status_code == (404 if login == "Пётр" else 200)
    assert hidden not in answer.get_data().decode("utf-8-sig")
    for deed in ("correct", "close", "reopen"):
        assert visit.post(f"/reports/pay/{deed}?month=2026-10", page="/").status_code == 403


def test_a_dispute_is_a_comment_on_ones_own_line(office: Pages, admin: Visit) -> None:
    maria = office.visit(Role.VIEWER, "Маша")
    address = "/reports/pay/comment?month=2026-10"
    own, others = f"lost|{DEAL + 1}|2026-10-09", f"renewed|{DEAL}|2026-10-05"
    maria.post(address, {"line": own, "words": " клиент  вернулся "}, page=OCTOBER)
    maria.post(address, {"line": others, "words": "и мне"}, page=OCTOBER)
    assert "Такой строки в ведомости больше нет" in words(maria)
    maria.post(address, {"line": own, "words": " "}, page=OCTOBER)
    assert "Напишите, с чем вы не согласны" in words(maria)
    assert "клиент вернулся" in words(admin)
    assert "и мне" not in words(admin)
    assert said(office) == [
        ("pay.comment", f"Ведомость за 2026-10, {MARIA}, Клиент потерян: комментарий — клиент вернулся")
    ]


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ({"amount": "-5 000", "why": "опоздал"}, -5_000),
        ({"amount": "−100", "why": "опоздал"}, -100),
        ({"amount": "700", "why": "премия", "deal": str(DEAL)}, 700),
        ({"amount": "700", "why": " "}, None),
        ({"amount": "0", "why": "так"}, None),
        ({"amount": "7.5", "why": "так"}, None),
        ({"amount": "٧", "why": "так"}, None),
        ({"amount": "9" * 14, "why": "так"}, None),
        ({"amount": "700", "why": "так", "person": "1"}, None),
        ({"amount": "700", "why": "так", "deal": "x"}, None),
        ({"amount": "700", "why": "о" * 501}, None),
    ],
)
def test_corrections_have_an_author_a_reason_and_a_sum(
    office: Pages, admin: Visit, form: dict[str, str], wanted: int | None
) -> None:
    person = {"person": str(agency().user(IVAN).id)}
    admin.post("/reports/pay/correct?month=2026-10", {**person, **form}, page=OCTOBER)
    told = words(admin)
    assert (f"{form['why']} — Анна" in told) == (wanted is not None)
    assert [deed for deed, _ in said(office)] == (["pay.correct"] if wanted else [])


def close(admin: Visit) -> None:
    page = admin.get(OCTOBER).text
    total = page.split('name="total" value="')[1].split('"')[0]
    admin.post("/reports/pay/close?month=2026-10", {"total": total}, page=OCTOBER)


def test_closed_frozen_and_reopened_with_a_trace(office: Pages, admin: Visit) -> None:
    close(admin)
    told = words(admin)
    assert "октябрь 2026 закрыта" in told
    assert "Закрыта: Анна." in told
    assert "Что изменилось с закрытия" not in told
    # The lost client turns out to have come back within October.
    happens(office, (STAGE, stage(RENEWED), datetime(2026, 10, 12, tzinfo=UTC)), deal=DEAL + 1)
    told = words(admin).replace("−", "-")
    assert "Что изменилось с закрытия" in told
    assert f"{MARIA} Клиент потерян -5 000 ₽ —" in told
    assert f"{MARIA} Клиент продлил — 10 000 ₽" in told
    assert f"{MARIA} 100 000 0 -5 000" in told, "the sheet itself stays"
    correction = {"person": str(agency().user(IVAN).id), "amount": "1", "why": "так"}
    admin.post("/reports/pay/correct?month=2026-10", correction, page=OCTOBER)
    assert "закрыта: сначала откройте её снова" in words(admin)
    admin.post("/reports/pay/reopen?month=2026-10", {"why": " "}, page=OCTOBER)
    assert "Напишите, зачем" in words(admin)
    admin.post("/reports/pay/reopen?month=2026-10", {"why": "клиент вернулся"}, page=OCTOBER)
    told = words(admin)
    assert "открыта снова: Анна" in told
    assert f"{MARIA} 100 000 10 000 0" in told
    assert said(office) == [
        ("pay.close", f"Ведомость за 2026-10 закрыта: {IVAN} 110 000 ₽, {MARIA} 95 000 ₽".replace(" ₽", "\xa0₽")
         .replace("0 000", "0\xa0000").replace("5 000", "5\xa0000")),
        ("pay.reopen", "Ведомость за 2026-10 снова открыта: клиент вернулся"),
    ]  # fmt: skip


def test_what_is_closed_is_what_was_seen(office: Pages, admin: Visit) -> None:
    admin.post("/reports/pay/close?month=2026-10", {"total": "0"}, page=OCTOBER)
    assert "с тех пор изменилась" in words(admin)
    admin.post("/reports/pay/close", {"total": "0"}, page="/reports/pay")
    assert "Месяц ещё не кончился" in words(admin)
    assert said(office) == []


def test_files_have_every_line(office: Pages, admin: Visit) -> None:
    table = admin.get("/reports/pay.csv?month=2026-10").get_data().decode("utf-8-sig")
    assert f"{IVAN};Клиент продлил;10000;RUB;05.10.2026;{DEAL};Клиент {DEAL};" in table
    book = CalamineWorkbook.from_filelike(BytesIO(admin.get("/reports/pay.xlsx?month=2026-10").get_data()))
    assert book.get_sheet_by_index(0).to_python()[1] == [IVAN, 100_000, 10_000, 0, 0, 0, 0, 0, 0, 110_000]
    assert book.get_sheet_by_index(1).to_python()[2][:3] == [IVAN, "Клиент продлил", 10_000]


@pytest.mark.parametrize("asked", ["month=2026-13", "month=2099-01", ""])
def test_nonsense_is_the_month_that_is_running(office: Pages, admin: Visit, asked: str) -> None:
    told = words(admin, f"/reports/pay?{asked}")
    assert "ноябрь 2026 месяц идёт" in told
    assert "Закрыть месяц" not in told


def test_what_is_missing_says_what_to_do(office: Pages, admin: Visit, tmp_path: Path) -> None:
    office.bridge.config = replace(office.bridge.config, pay=None)
    assert "Раздела [pay] в настройке нет" in words(admin)
    assert "/reports/pay" not in admin.get("/").text
    new = Pages.in_folder(tmp_path / "new")
    pays(new)
    assert "Мост ещё не знакомился с аккаунтом" in words(new.visit(Role.ADMIN))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_in_a_browser(office: Pages, browser: Browser, size: dict[str, int]) -> None:
    office.add_user("Анна", Role.ADMIN)
    with served(office.app) as url, opened(browser, url, viewport=size) as context:
        page = context.new_page()
        page.goto("/login")
        page.get_by_label("Имя").fill("Анна")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        page.goto(OCTOBER)
        expect(page.get_by_role("heading", name=IVAN)).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
        page.get_by_text("Не согласен").first.click()
        page.get_by_label("Комментарий к строке").first.fill("не так")
        page.get_by_role("button", name="Записать", exact=True).first.click()
        expect(page.get_by_text("Комментарий записан.")).to_be_visible()
        page.get_by_label("Сумма, с минусом — удержать").fill("-100")
        page.get_by_label("Причина").fill("опоздал")
        page.get_by_role("button", name="Записать поправку").click()
        expect(page.get_by_text("опоздал — Анна")).to_be_visible()
        page.get_by_role("button", name="Закрыть месяц").click()
        expect(page.get_by_text("Ведомость закрыта")).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
