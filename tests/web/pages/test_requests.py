"""«Запросы к amoCRM»: the last thousand of all processes, without anything personal, for administrators alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

import pytest
from sqlalchemy import Engine, event, func, select
from support.api_client import Program
from support.pages import Pages, Visit, words_of

from amo_bridge.engine.metrics import MOST_KEPT, RequestBuffer, RequestLog, masked, on_behalf_of
from amo_bridge.storage.tables import sent_requests

DEALS = "https://agency.amocrm.ru/api/v4/leads"


def sent(pages: Pages, url: str = DEALS, status: int | None = 200, why: str = "поиск пропущенного") -> None:
    with on_behalf_of(why):
        pages.bridge.meters.sent.add("GET", url, status, 0.1234)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (f"{DEALS}/7?with=contacts", "/api/v4/leads/7?with"),
        (f"{DEALS}?query=%2B79161234567&page=2", "/api/v4/leads?query&page"),
        (f"{DEALS}?filter%5Bid%5D%5B%5D=1&filter%5Bid%5D%5B%5D=2", "/api/v4/leads?filter[id][]"),
        ("https://drive.amocrm.ru/download/Паспорт Иванова.pdf", "drive.amocrm.ru/…"),
    ],
)
def test_nothing_personal_is_kept(url: str, kept: str) -> None:
    assert masked(url) == kept


def test_an_admin_sees_what_was_asked_and_why(pages: Pages, admin: Visit, master: Program) -> None:
    sent(pages)
    sent(pages, f"{DEALS}/8", 404, "create_task: a.b")
    sent(pages, f"{DEALS}/9", None, "")
    words = words_of(admin.get("/requests"))
    assert "GET /api/v4/leads 200 123 поиск пропущенного" in words
    assert "GET /api/v4/leads/9 нет ответа" in words
    told = master.get("/requests")["requests"]
    assert [one["path"] for one in told] == ["/api/v4/leads/9", "/api/v4/leads/8", "/api/v4/leads"]
    assert told[1] | {"at": ""} == {
        "at": "", "method": "GET", "path": "/api/v4/leads/8", "status": 404, "milliseconds": 123,
        "why": "create_task: a.b",
    }  # fmt: skip


def test_failed_ones_and_words(pages: Pages, admin: Visit, master: Program) -> None:
    sent(pages)
    sent(pages, f"{DEALS}/8", 500, "create_task: a.b")
    assert [one["status"] for one in master.get("/requests?failed=1")["requests"]] == [500]
    assert [one["status"] for one in master.get("/requests?text=create_task")["requests"]] == [500]
    assert "Таких запросов среди последних нет" in words_of(admin.get("/requests?text=нет"))


def test_only_an_admin(viewer: Visit) -> None:
    assert viewer.get("/requests").status_code == 403


def test_before_the_first_request(admin: Visit) -> None:
    assert "Мост ещё ничего не спрашивал" in words_of(admin.get("/requests"))


def test_the_newest_thousand_stay(pages: Pages) -> None:
    log = RequestLog(pages.account.account_store, RequestBuffer())
    for number in range(MOST_KEPT + 200):
        log._buffer.add("GET", f"{DEALS}/{number}", 200, 0)
        if number % 300 == 0:
            log.keep()
    log.keep()
    found = log.last(MOST_KEPT * 2)
    assert [found[0].path, found[-1].path] == [f"/api/v4/leads/{MOST_KEPT + 199}", "/api/v4/leads/200"]
    with pages.office.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(sent_requests)).scalar() == MOST_KEPT


def test_what_a_process_wrote_down_late_stands_where_it_happened(pages: Pages) -> None:
    ours, others = RequestBuffer(), RequestBuffer()
    others.add("GET", f"{DEALS}/1", 200, 0)
    ours.add("GET", f"{DEALS}/2", 200, 0)
    for buffer in (ours, others):
        RequestLog(pages.account.account_store, buffer).keep()
    found = RequestLog(pages.account.account_store, RequestBuffer()).last(10)
    assert [one.path for one in found] == ["/api/v4/leads/2", "/api/v4/leads/1"]


def test_on_a_full_disk_what_there_was_is_shown_and_the_worker_goes_on(pages: Pages, admin: Visit) -> None:
    sent(pages)
    admin.get("/requests")
    sent(pages, f"{DEALS}/2")
    engine = pages.office.store.engine
    with full_disk(engine):
        RequestLog(pages.account.account_store, pages.bridge.meters.sent).keep_now_and_then()
        words = words_of(admin.get("/requests"))
    assert "GET /api/v4/leads 200" in words
    assert "/api/v4/leads/2" not in words
    assert "GET /api/v4/leads/2 200" in words_of(admin.get("/requests")), "nothing is lost"


def test_what_can_not_be_written_at_all_does_not_end_the_worker(pages: Pages) -> None:
    buffer = RequestBuffer()
    buffer.add("GET", f"{DEALS}/1", cast(int, object()), 0)
    RequestLog(pages.account.account_store, buffer).keep_now_and_then()
    assert buffer.take() == []


@contextmanager
def full_disk(engine: Engine) -> Iterator[None]:
    def refuse(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("INSERT INTO sent_requests"):
            raise sqlite3.OperationalError("database or disk is full")

    event.listen(engine, "before_cursor_execute", refuse)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", refuse)


def test_what_could_not_be_kept_is_kept_later_in_its_order(pages: Pages) -> None:
    buffer = RequestBuffer()
    buffer.add("GET", f"{DEALS}/1", 200, 0)
    rows = [replace(buffer.take()[0], path="/old")]
    buffer.add("GET", f"{DEALS}/2", 200, 0)
    buffer.put_back(rows)
    assert [one.path for one in buffer.take()] == ["/old", "/api/v4/leads/2"]
