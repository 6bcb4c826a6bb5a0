"""«Что сделал мост»: decisions by day, rule, person, channel, ending and words; deals found; by page, file and API."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import Select, insert, text
from sqlalchemy.engine import Connection
from support.api_client import Program
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.clock import FixedClock
from amo_bridge.engine import history
from amo_bridge.engine.history import DecisionFilter, History, Source
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import journal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.services import decisions as service

TUESDAY = datetime(2026, 11, 24, 15, tzinfo=UTC)
IVAN, MARIA = "Иван Петров", "Мария Кузнецова"
ROSE, LILY = 30000001, 30000002
TASKS, WIN_BACK = "stage_creates_tasks.new_client", "lost_deal_is_routed.win_back"


class Day:
    """Two deals, and what rules did about them."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        pages.know_account(agency())
        pages.bridge.clock = pages.account.clock = FixedClock(TUESDAY)
        pages.know_deal("ООО «Ромашка», весна", responsible_user_id=agency().user(IVAN).id)
        pages.know_deal("Лилия", id=LILY, responsible_user_id=agency().user(MARIA).id)

    def acts(self, deal: int, event: int, *states: str, kind: str = "create_task", **more: Any) -> None:
        rule = more.setdefault("rule", TASKS)
        more.setdefault("source", "webhook")
        self.pages.say(
            "acts", deal_id=deal, event_id=event, actions='["задача «Позвонить»"]', **{"at": TUESDAY, **more}
        )
        for number, state in enumerate(states):
            self.pages.refuse(
                key=f"{event} {number}", deal_id=deal, event_id=event, rule=rule, kind=kind, state=state, error=None
            )


@pytest.fixture
def day(pages: Pages) -> Day:
    made = Day(pages)
    pages.say("failed", deal_id=ROSE, event_id=7, at=TUESDAY - timedelta(days=1), reason="ошибка моста")
    made.acts(ROSE, 1, "done")
    made.acts(LILY, 2, "done", "failed", rule=WIN_BACK, clause="A82")
    made.acts(LILY, 3, "ready", kind="send_letter", source="timer")
    made.acts(ROSE, 4, "unsent", kind="send_sms", source=None)
    pages.say("would_act", deal_id=LILY, event_id=5, at=TUESDAY, actions='["тег «сон»"]', source="enquiry")
    pages.say("skipped", deal_id=ROSE, event_id=6, at=TUESDAY, reason="не тот этап")
    return made


def events(pages: Pages, **asked: str) -> list[int | None]:
    """The events of the decisions that are listed, newest first."""
    wish = service.wish_asked_for(pages.account, asked)
    return [one.line.event_id for one in service.decisions_of(pages.account, wish, 50).rows]


@pytest.mark.parametrize("few", [0, 5000])
def test_few_effects_and_many_are_asked_for_in_another_way_and_found_alike(
    day: Day, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    day.acts(ROSE, 8, "dropped")
    day.acts(ROSE, 9, "unsent", "done", rule=WIN_BACK)
    monkeypatch.setattr(history, "FEW", few)
    assert events(day.pages, ending="unsent") == [9, 8, 4]
    assert events(day.pages, ending="unsent", person=str(agency().user(IVAN).id), rule=WIN_BACK) == [9]
    assert events(day.pages, ending="at_work") == [3]
    assert events(day.pages, ending="unsent", to="2026-11-23") == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"from": "2026-11-23", "to": "2026-11-24"}, [5, 4, 3, 2, 1, 7]),
        ({"from": "2026-11-24", "to": "2026-11-23"}, [5, 4, 3, 2, 1, 7]),
        ({"from": "2026-11-23"}, [5, 4, 3, 2, 1, 7]),
        ({"to": "2026-11-23"}, [7]),
        ({"from": "вчера", "to": "99"}, [5, 4, 3, 2, 1]),
        ({"to": "9999-12-31"}, [5, 4, 3, 2, 1]),
        ({"from": "0001-01-01", "to": "0001-01-01"}, [5, 4, 3, 2, 1]),
        ({"text": '"'}, []),
        ({"rule": WIN_BACK}, [2]),
        ({"person": str(agency().user(MARIA).id)}, [5, 3, 2]),
        ({"person": "никто"}, [5, 4, 3, 2, 1]),
        ({"ending": "done"}, [1]),
        ({"ending": "trouble"}, [2]),
        ({"ending": "trouble", "from": "2026-11-20"}, [2, 7]),
        ({"ending": "at_work"}, [3]),
        ({"ending": "unsent"}, [4]),
        ({"ending": "would_act"}, [5]),
        ({"ending": "чем-то"}, [5, 4, 3, 2, 1]),
        ({"channel": "mail"}, [3]),
        ({"channel": "crm"}, [2, 1]),
        ({"source": "webhook"}, [2, 1]),
        ({"source": "timer"}, [3]),
        ({"source": "enquiry", "ending": "would_act"}, [5]),
        ({"source": "unknown"}, [4]),
        ({"source": "unknown", "from": "2026-11-20"}, [4, 7]),
        ({"source": "api"}, []),
        ({"source": "кто-то"}, [5, 4, 3, 2, 1]),
        ({"text": "ромашка"}, [4, 1]),
        ({"text": "весна РОМАШКА"}, [4, 1]),
        ({"text": str(LILY)}, [5, 3, 2]),
        ({"text": "100%"}, []),
        ({"text": "нет такой"}, []),
        ({"text": "лилия", "ending": "trouble"}, [2]),
    ],
)
def test_what_is_asked_for_is_listed(day: Day, asked: dict[str, str], found: list[int]) -> None:
    assert events(day.pages, **asked) == found


def test_a_page_says_the_deal_its_person_the_rule_and_the_ending(day: Day, viewer: Visit) -> None:
    words = words_of(viewer.get("/done"))
    assert "ООО «Ромашка», весна" in words
    assert "Лилия Мария Кузнецова A82 задача «Позвонить»" in words
    assert "частично" in words
    assert "сделало бы: тег «сон»" in words
    assert "Всего: 5." in words
    assert "этап · наступил срок" in words
    assert "не тот этап" not in words


def test_pages_follow_each_other_and_none_is_left_out(day: Day, viewer: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amo_bridge.web.pages.done.A_PAGE", 2)
    seen, path = [], "/done"
    while path:
        page = viewer.get(path)
        seen += re.findall(r'<td class="tight"><time>', page.text)
        older = re.search(r'href="([^"]*before=\d+[^"]*)">Раньше', page.text)
        path = older[1].replace("&amp;", "&") if older else ""
    assert len(seen) == 5


def test_too_many_deals_are_told(day: Day, viewer: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_DEALS", 1)
    day.pages.know_deal("Лилия вторая", id=LILY + 1)
    assert "слишком много сделок" in words_of(viewer.get("/done?text=лилия"))
    assert "слишком много сделок" not in words_of(viewer.get("/done?text=вторая"))


@pytest.mark.parametrize("path", ["/done", "/done?rule=r", "/done/list", "/done.csv"])
def test_an_account_that_was_never_met_has_an_empty_page(pages: Pages, viewer: Visit, path: str) -> None:
    with pages.office.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM accounts")
    answer = viewer.get(path)
    assert answer.status_code == 200
    assert "<td" not in answer.text


def test_the_file_holds_the_same_and_no_formulas(day: Day, viewer: Visit) -> None:
    day.pages.know_deal("=cmd|calc", responsible_user_id=agency().user(IVAN).id)
    answer = viewer.get("/done.csv?from=2026-11-23&to=2026-11-24")
    lines = answer.get_data().decode("utf-8-sig").splitlines()
    assert lines[0].startswith("Когда;Сделка;Название;Ответственный;Правило")
    assert len(lines) == 7
    assert "24.11.2026 18:00:00;30000002;Лилия;Мария Кузнецова;" in lines[1]
    assert [line.rsplit(";", 1)[1] for line in lines[2:4]] == [
        "неизвестно: запись старше этого признака", "наступил срок",
    ]  # fmt: skip
    assert "'=cmd|calc" in answer.text


def test_the_api_tells_the_same(day: Day) -> None:
    reader = Program(day.pages, Role.VIEWER)
    told = reader.get("/overview/decisions?ending=trouble&from=2026-11-20")
    assert told["total"] == 2
    first = told["decisions"][0]
    assert (first["deal_name"], first["person"], first["outcome"]) == ("Лилия", MARIA, "partly")
    assert [one["state"] for one in first["effects"]] == ["done", "failed"]
    assert first["source"] == "webhook"
    assert [one["deal_id"] for one in reader.get("/overview/decisions?source=timer")["decisions"]] == [LILY]
    part = reader.get("/overview/decisions?most=2")
    assert [one["id"] for one in reader.get(f"/overview/decisions?before={part['next_before']}")["decisions"]][:1] == [
        part["next_before"] - 1
    ]
    for wrong in ("ending=never", "from=yesterday", "most=501", "channel=pigeon", "source=?", "nothing=1"):
        assert reader.ask("GET", f"/overview/decisions?{wrong}").status_code == 422


# --- deals found by words ---------------------------------------------------------------------------------------------


@pytest.fixture
def client(day: Day) -> MirroredContact:
    one = MirroredContact(
        id=9, name="Анна Соколова", surname="Соколова", phones=("+79161234567",), mails=("anna@example.com",),
        deal_ids=(LILY,),
    )  # fmt: skip
    store = day.pages.account.account_store
    with store.write() as connection:
        ContactIndex(store).put(connection, [one], TUESDAY)
    return one


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("ромаш", [ROSE]),
        ("8 (916) 123-45-67", [LILY]),
        ("Anna@Example.com", [LILY]),
        ("соко", [LILY]),
        ("со", []),
        ("л", [LILY]),
        ("никого", []),
        ("", []),
        ("_", []),
    ],
)
def test_deals_are_found_by_name_and_client(day: Day, client: MirroredContact, words: str, found: list[int]) -> None:
    told = Program(day.pages, Role.VIEWER).ask("GET", "/deals", query_string={"text": words}).json
    assert [one["deal_id"] for one in told["deals"]] == found
    page = day.pages.visit(Role.VIEWER).get("/deals/", query_string={"deal": words})
    assert page.status_code == 200
    assert all(f"/deals/{number}" in page.text for number in found)
    assert ("Таких сделок мост не знает" in page.text) is (not found)


@pytest.mark.parametrize("words", [str(ROSE), f"№ {ROSE}", f"https://x.amocrm.ru/leads/detail/{ROSE}", "777"])
def test_a_number_leads_to_its_deal(day: Day, viewer: Visit, words: str) -> None:
    answer = viewer.get("/deals/", query_string={"deal": words})
    assert answer.location.endswith(f"/deals/{re.findall(r'[0-9]+', words)[-1]}")


def test_a_number_that_is_a_phone_too_shows_both(day: Day, client: MirroredContact, viewer: Visit) -> None:
    day.pages.know_deal("С телефоном", id=79161234567)
    page = viewer.get("/deals/?deal=79161234567")
    assert page.status_code == 200
    assert "/deals/79161234567" in page.text
    assert f"/deals/{LILY}" in page.text


def test_a_name_is_found_as_it_is_now(day: Day) -> None:
    day.pages.know_deal("Василёк", id=LILY)
    assert service.find_deals(day.pages.account, "лилия", 9) == []
    assert service.find_deals(day.pages.account, "василек", 9) == [LILY]


# --- the store --------------------------------------------------------------------------------------------------------


def plan_of(connection: Connection, query: Select[Any]) -> str:
    """How the database carries it out."""
    dialect = connection.dialect
    told = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    explain = "EXPLAIN" if dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    return " ".join(str(one) for one in connection.exec_driver_sql(f"{explain} {told}"))


def test_silence_is_not_read(store: Store) -> None:
    """Of a journal that is mostly silence only what came to something is looked at."""
    mine = AccountStore(store, 1)
    row = {"account": 1, "at": 5.0, "what": "этап", "rule": "r", "deal_id": 7, "event_id": 1}
    with mine.write() as connection:
        rows = [{**row, "verdict": "acts" if number % 50 == 0 else "skipped"} for number in range(2000)]
        connection.execute(insert(journal), rows)
        if store.engine.dialect.name == "postgresql":
            connection.execute(text("ANALYZE journal"))
    with mine.read() as connection:
        query = History(mine)._matching(connection, DecisionFilter(since=0, until=9)).order_by(journal.c.id.desc())
        plan = plan_of(connection, query.limit(50))
    assert "journal_loud" in plan
    assert "Seq Scan" not in plan
    assert "TEMP B-TREE" not in plan
    assert History(mine).count(DecisionFilter(since=0, until=9), 100) == 40


@pytest.mark.parametrize("source", ["timer", "unknown"])
def test_a_rare_source_is_found_without_reading_the_others(store: Store, source: Source) -> None:
    mine = AccountStore(store, 1)
    row = {"account": 1, "at": 5.0, "what": "этап", "rule": "r", "deal_id": 7, "event_id": 1, "verdict": "acts"}
    rare = None if source == "unknown" else source
    with mine.write() as connection:
        rows = [{**row, "source": rare if number % 500 == 0 else "webhook"} for number in range(2000)]
        connection.execute(insert(journal), rows)
        if store.engine.dialect.name == "postgresql":
            connection.execute(text("ANALYZE journal"))
    wanted = DecisionFilter(since=0, until=9, source=source)
    with mine.read() as connection:
        assert "journal_loud_source" in plan_of(connection, History(mine)._matching(connection, wanted).limit(50))
    assert History(mine).count(wanted, 100) == 4
    assert History(mine).count(replace(wanted, source="webhook"), 5000) == 1996


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_in_a_browser(day: Day, browser: Browser, size: dict[str, int]) -> None:
    day.pages.add_user("Мария", Role.VIEWER)
    with served(day.pages.app) as site, opened(browser, site, viewport=size) as context:
        page = context.new_page()
        page.goto("/login?next=/done")
        page.get_by_label("Имя").fill("Мария")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        expect(page.get_by_text("ООО «Ромашка», весна").first).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
        page.get_by_label("Чем кончилось").select_option("trouble")
        expect(page.get_by_text("Всего: 1.")).to_be_visible()
        page.get_by_role("link", name="Лилия").click()
        expect(page.get_by_role("heading", name="Лилия")).to_be_visible()
        page.goto("/deals/?deal=ромашка")
        expect(page.get_by_role("link", name="ООО «Ромашка», весна")).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)


def test_the_list_is_drawn_anew_by_what_is_chosen(day: Day, viewer: Visit) -> None:
    section = re.search(r'<section class="card" id="decisions"([^>]*)>', viewer.get("/done").text)
    assert section is not None
    assert 'hx-include="form.filters"' in section[1]
    assert 'hx-get="/done/list"' in section[1], "the filter of the page's first drawing is not kept"


def test_an_undoing_counts_as_done(day: Day) -> None:
    day.pages.say("undone", deal_id=ROSE, event_id=4, at=TUESDAY, reason="Анна: не будет отправлено")
    assert events(day.pages, ending="done") == [4, 1]


@pytest.mark.parametrize("who", ["Анна", "API: отчёты"])
def test_the_file_says_what_was_taken_back_as_the_page_does(day: Day, viewer: Visit, who: str) -> None:
    day.pages.say("undone", deal_id=ROSE, event_id=4, at=TUESDAY, reason=f"{who}: этап → «Ж»: как было")
    viewer.post("/settings/language/en", page="/")
    told = f"{who}: stage → «Ж»: as it was"
    for path in ("/done", "/done.csv"):
        assert told in html.unescape(viewer.get(f"{path}?from=2026-11-23&to=2026-11-24").get_data(as_text=True)), path


def test_another_day_keeps_whatever_else_is_chosen(day: Day, viewer: Visit) -> None:
    maria = agency().user(MARIA).id
    for path in (f"/done?person={maria}&ending=trouble", f"/done/list?person={maria}&ending=trouble"):
        told = viewer.get(path).text
        assert f"/done?person={maria}&amp;ending=trouble&amp;from=2026-11-23&amp;to=2026-11-23" in told, path
