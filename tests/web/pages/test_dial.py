"""«Дозвон»: who is called when next and why; stopped by hand, and told what became of a call that nobody knows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import event, insert
from support.api_client import Program
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.channels.dial_log import DialLog
from amo_bridge.config.channels import OnlinePbxSection
from amo_bridge.storage.tables import dial_calls, dials
from amo_bridge.web.auth.users import Role

NOW = datetime.now(UTC)


@pytest.fixture
def dialling(pages: Pages) -> Pages:
    """Two dials that run: one waits, one does not know about its last call."""
    config = pages.bridge.config
    connected = replace(config.channels, onlinepbx=OnlinePbxSection(domain="a.onpbx.ru"))
    pages.bridge.config = replace(config, channels=connected)
    pages.know_account(agency())
    for number, state in enumerate(("waiting", "undecided")):
        deal = pages.know_deal(f"Ромашка {number}", id=30000001 + number)
        add(pages, dials, **dial_row(number, deal.id, state))
        call = {"dial_id": number + 1, "deal_id": deal.id, "ref": f"dial-{number}", "vendor": "onlinepbx"}
        outcome = "unknown" if state == "undecided" else "client"
        who = {"user_id": agency().user("Иван Петров").id, "extension": "101", "phone": "+79161234567"}
        add(pages, dial_calls, **call, **who, asked_at=NOW.timestamp(), state=outcome, is_applied=True)
    return pages


def dial_row(number: int, deal_id: int, state: str) -> dict[str, Any]:
    stage = agency().stage("Продажи / Новый клиент")
    return {
        "outbox_id": number, "key": f"k{number}", "rule": "r", "deal_id": deal_id, "pipeline_id": stage.pipeline_id,
        "status_id": stage.status_id, "started_at": NOW.timestamp(), "state": state,
        "next_at": (NOW + timedelta(hours=1)).timestamp(), "why": "клиент не ответил, раз: 1",
        "user_id": agency().user("Иван Петров").id,
    }  # fmt: skip


def add(pages: Pages, table: Any, **values: Any) -> None:
    with pages.office.store.write() as connection:
        connection.execute(insert(table).values(account=pages.account.key, **values))


def log_of(pages: Pages) -> DialLog:
    return DialLog(pages.account.account_store)


def test_it_shows_whom_when_and_why(dialling: Pages, viewer: Visit) -> None:
    words = words_of(viewer.get("/dial"))
    assert "Ромашка 0" in words
    assert words.index("Ромашка 1") < words.index("Ромашка 0"), "what waits for a person stands first"
    assert "Иван Петров" in words
    assert "клиент не ответил, раз: 1" in words
    assert "Остановить" not in words, "a viewer decides nothing"
    assert "+7916" not in viewer.get("/dial").text


def test_without_an_exchange_it_says_how_to_connect_one(pages: Pages, viewer: Visit) -> None:
    pages.know_account(agency())
    assert "АТС не подключена" in words_of(viewer.get("/dial"))
    assert 'href="/dial"' not in viewer.get("/").text


def test_a_viewer_stops_nothing(dialling: Pages, viewer: Visit) -> None:
    for address in ("/dial/stop-all", "/dial/1/stop", "/dial/calls/2/talked"):
        assert viewer.post(address, page="/").status_code == 403
    assert [dial.state for dial in log_of(dialling).running()] == ["waiting", "undecided"]


def test_the_admin_stops_one_and_the_journal_says_who(dialling: Pages, admin: Visit) -> None:
    admin.post("/dial/1/stop")
    dial = log_of(dialling).get(1)
    assert dial is not None
    assert dial.state == "ended"
    assert "остановил(а)" in dial.why
    entries = dialling.account.journal.of_deal(dial.deal_id)
    assert any("остановил(а)" in entry.reason for entry in entries)
    assert "Окончен за две недели" in words_of(admin.get("/dial"))
    assert admin.post("/dial/99/stop").status_code == 404


def test_a_program_stops_as_a_person_does(dialling: Pages, master: Program, admin: Visit) -> None:
    master.ask("POST", "/dials/1/stop")
    dial = log_of(dialling).get(1)
    assert dial is not None
    assert dial.why.startswith("остановил(а) API: ")
    (entry,) = dialling.account.journal.of_deal(dial.deal_id)
    assert entry.reason == f"окончен: {dial.why}"
    assert f"Сделка {dial.deal_id}: автодозвон остановлен" in words_of(admin.get("/audit"))
    assert master.ask("POST", "/dials/1/stop").status_code == 200
    admin.post("/dial/1/stop")
    assert log_of(dialling).get(1) == dial, "who came first has stopped it"
    assert len(dialling.account.journal.of_deal(dial.deal_id)) == 1


def test_the_deals_of_all_dials_are_read_at_once(dialling: Pages, viewer: Visit) -> None:
    queries: list[str] = []
    event.listen(dialling.office.store.engine, "before_cursor_execute", lambda *told: queries.append(told[2]))
    viewer.get("/dial")
    assert len([query for query in queries if "FROM deals" in query]) == 1


def test_the_admin_stops_all_and_goes_on(dialling: Pages, admin: Visit) -> None:
    admin.post("/dial/stop-all")
    assert log_of(dialling).is_stopped
    assert "Дозвон остановлен: новых звонков нет." in words_of(admin.get("/dial"))
    admin.post("/dial/resume-all")
    assert not log_of(dialling).is_stopped


def test_a_person_says_what_nobody_knows_once(dialling: Pages, admin: Visit) -> None:
    assert "менеджер не взял трубку" in words_of(admin.get("/dial"))
    admin.post("/dial/calls/2/talked")
    call = log_of(dialling).call(2)
    assert call is not None
    assert (call.state, call.is_applied) == ("talked", False)
    admin.post("/dial/calls/2/client")
    assert log_of(dialling).call(2) == call
    assert admin.post("/dial/calls/2/nonsense").status_code == 404


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_in_a_browser_it_fits_and_is_decided(dialling: Pages, browser: Browser, size: dict[str, int]) -> None:
    dialling.add_user("Анна", Role.ADMIN)
    with served(dialling.app) as url, opened(browser, url, viewport=size) as context:
        page = context.new_page()
        page.goto("/login?next=/dial")
        page.get_by_label("Имя").fill("Анна")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        expect(page.get_by_role("heading", name="Дозвон")).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
        page.get_by_role("button", name="поговорили").click()
        expect(page.get_by_text("Записано, дозвон идёт дальше.")).to_be_visible()
        page.goto("/channels")
        expect(page.get_by_role("heading", name="автодозвон")).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
    call = log_of(dialling).call(2)
    assert call is not None
    assert call.state == "talked"


def test_programs_see_stop_and_decide_too(dialling: Pages, master: Program) -> None:
    told = master.get("/dials")
    assert [(dial["deal_id"], dial["state"]) for dial in told["dials"]] == [
        (30000001, "waiting"),
        (30000002, "undecided"),
    ]
    assert "phone" not in told["dials"][0]["calls"][0]
    assert master.ask("POST", "/dials/calls/2", {"state": "nonsense"}).status_code == 422
    assert master.ask("POST", "/dials/calls/2", {"state": "client"}).status_code == 200
    assert master.ask("POST", "/dials/calls/2", {"state": "talked"}).status_code == 409
    assert master.ask("PUT", "/dials/switch", {"is_stopped": True}).json["is_stopped"]
    assert [dial["id"] for dial in master.ask("POST", "/dials/1/stop").json["dials"]] == [2]
    assert master.ask("POST", "/dials/77/stop").status_code == 404
    dial = next(one for one in master.get("/channels")["channels"] if one["channel"] == "dial")
    assert dial["vendor"] == "onlinepbx"
