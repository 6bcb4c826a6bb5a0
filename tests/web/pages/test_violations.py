"""The ledger of violations on its page and by the API: shown, filtered, exported, forgiven by whoever may."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, words_of

from amo_bridge.engine.violations import Breach
from amo_bridge.web.auth.users import Role

IVAN, MARINA = "Иван Петров", "Марина Котова"
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=70)


def breach(at: datetime, person: str = IVAN, clause: str = "M7", penalty: int | None = 5000) -> Breach:
    return Breach(
        at=at, user_id=101, person=person, clause=clause, deal_id=30000001, deal_name="=1+1",
        rule="stage_ladder.launch", why=f"не запущен, {clause}", penalty=penalty, currency="RUB",
    )  # fmt: skip


@pytest.fixture
def ledger(pages: Pages) -> Pages:
    """Two of this month, and one of another person's from long ago."""
    found = [breach(NOW), breach(NOW, MARINA, "C4", None), breach(LONG_AGO, MARINA)]
    with pages.office.store.write() as connection:
        for number, one in enumerate(found):
            pages.account.violations.record(connection, str(number), one)
    return pages


def month(at: datetime) -> str:
    return f"{at:%Y-%m}"


def states(pages: Pages) -> list[str]:
    return [one.state for one in sorted(pages.account.violations.between(), key=lambda one: one.number)]


def test_this_month_with_everybodys_sum(ledger: Pages, viewer: Visit) -> None:
    page = viewer.get("/violations")
    words = words_of(page)
    assert "Иван Петров 1 0 5 000 ₽" in words.replace("\xa0", " ")
    assert "Марина Котова 1 0 без штрафа" in words
    assert "не запущен, M7" in words
    assert 'href="/deals/30000001"' in page.text
    assert "Простить" not in words, "a viewer looks only"


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("month=all", [3, 1, 2]),
        (f"month={month(LONG_AGO)}", [3]),
        ("month=all&person=марина котова", [3, 2]),
        ("month=all&clause=C4", [2]),
        ("month=all&person=Никто", []),
        ("month=2026-13", [1, 2]),
        ("month=0001-01", [1, 2]),
    ],
)
def test_what_is_asked_for_is_what_the_file_has(ledger: Pages, viewer: Visit, query: str, numbers: list[int]) -> None:
    answer = viewer.get(f"/violations.csv?{query}")
    rows = list(csv.DictReader(StringIO(answer.data.decode("utf-8-sig")), delimiter=";"))
    assert [int(row["Номер"]) for row in rows] == numbers
    assert {row["Название"] for row in rows} <= {"'=1+1"}, "nothing is run by Excel"
    assert ("Таких нарушений нет" in words_of(viewer.get(f"/violations?{query}"))) == (not numbers)


def test_an_empty_ledger_says_what_would_stand_there(pages: Pages, viewer: Visit) -> None:
    words = words_of(viewer.get("/violations"))
    assert "Нарушений ещё не записано" in words
    assert "администратор" in words
    assert "ключом" not in words


def test_forgiven_with_a_reason_and_counted_again(ledger: Pages, admin: Visit) -> None:
    page = "/violations?month=all"
    answer = admin.post("/violations/forgive?month=all", {"number": ["1", "3"], "why": " клиент  просил "}, page=page)
    assert answer.headers["Location"] == page
    words = words_of(admin.get(page)).replace("\xa0", " ")
    assert "Прощено." in words
    assert "прощено, Анна" in words
    assert "клиент просил" in words
    assert "Иван Петров 1 1 без штрафа" in words
    assert states(ledger) == ["forgiven", "counts", "forgiven"]
    admin.post("/violations/restore", {"number": "3", "why": "не просил"}, page=page)
    assert states(ledger) == ["forgiven", "counts", "counts"]
    told = [(deed.who, deed.words) for deed in ledger.office.audit.last(2)]
    assert told == [
        ("Анна", "Нарушения снова учтены: № 3 — не просил"),
        ("Анна", "Нарушения прощены: № 1, 3 — клиент просил"),
    ]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"number": "1", "why": "  "}, "напишите причину"),
        ({"why": "так"}, "Отметьте нарушения"),
        ({"number": "x", "why": "так"}, "Отметьте нарушения"),
        ({"number": "1", "why": "о" * 501}, "не длиннее 500"),
        ({"number": ["1", "77"], "why": "так"}, "нарушений с такими номерами нет: 77"),
    ],
)
def test_what_makes_no_sense_changes_nothing(ledger: Pages, admin: Visit, form: dict[str, Any], words: str) -> None:
    admin.post("/violations/forgive", form, page="/violations")
    assert words in words_of(admin.get("/violations"))
    assert states(ledger) == ["counts"] * 3
    assert ledger.office.audit.last(1) == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.WEBINAR])
def test_only_an_administrator_decides(ledger: Pages, role: Role) -> None:
    visit = ledger.visit(role)
    assert visit.post("/violations/forgive", {"number": "1", "why": "так"}, page="/").status_code == 403
    assert states(ledger) == ["counts"] * 3


def test_programs_read_and_decide(ledger: Pages) -> None:
    client = ledger.app.test_client()
    secret = ledger.office.api_tokens.issue("Ведомость", Role.ADMIN, "Анна")
    headers = {"Authorization": f"Bearer {secret}"}
    told = client.get(f"/api/v1/violations?clause=M7&month={month(NOW)}", headers=headers).json["violations"]
    assert [(one["number"], one["person"], one["penalty"], one["state"]) for one in told] == [(1, IVAN, 5000, "counts")]
    assert len(client.get("/api/v1/violations", headers=headers).json["violations"]) == 3
    body = {"numbers": [1], "why": "болел"}
    told = client.post("/api/v1/violations/forgive", json=body, headers=headers).json["violations"]
    assert [(one["state"], one["decisions"][0]["who"]) for one in told] == [("forgiven", "Ведомость")]
    client.post("/api/v1/violations/restore", json=body, headers=headers)
    assert states(ledger) == ["counts"] * 3
    assert client.post("/api/v1/violations/forgive", json=body | {"why": " "}, headers=headers).status_code == 422
    missing = client.post("/api/v1/violations/forgive", json=body | {"numbers": [77]}, headers=headers)
    assert (missing.status_code, missing.json["detail"]) == (404, "нарушений с такими номерами нет: 77")


# --- in the browser ------------------------------------------------------------------------------------------------


@pytest.fixture
def site(ledger: Pages) -> Iterator[str]:
    ledger.add_user("Анна", Role.ADMIN)
    with served(ledger.app) as address:
        yield address


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_administrator_forgives_by_hand(site: str, browser: Browser, size: dict[str, int]) -> None:
    with opened(browser, site, viewport=size) as context:
        page = context.new_page()
        page.goto("/login?next=/violations")
        page.get_by_label("Имя").fill("Анна")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        page.get_by_label("Месяц").select_option("all")
        page.get_by_role("button", name="Показать").click()
        expect(page.get_by_role("checkbox")).to_have_count(3)
        assert serious_findings(page) == []
        assert fits_its_width(page)
        page.get_by_label("Отметить 1").check()
        page.get_by_label("Причина").fill("клиент просил")
        page.get_by_role("button", name="Простить отмеченное").click()
        expect(page.get_by_text("Прощено.")).to_be_visible()
        expect(page.get_by_text("клиент просил")).to_be_visible()
        assert "month=all" in page.url
        assert serious_findings(page) == []
