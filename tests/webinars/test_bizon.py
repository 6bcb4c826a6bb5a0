"""Bizon365's API and what is remembered of its reports: pages, refusals in words, pauses that grow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import responses
from responses import matchers
from support.bizon_server import TOKEN, WEBINAR
from support.webinar_samples import MOSCOW

from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.web.webhooks import webinar_in
from amo_bridge.webinars import bizon
from amo_bridge.webinars.bizon import GIVE_UP_AFTER, PATH, Bizon, BizonError, BizonReports
from amo_bridge.webinars.formats import read_export

pytestmark = pytest.mark.usefixtures("files_read_here")

API = "https://online.bizon365.ru"
VIEWER = {"username": "Анна", "email": "anna@example.ru", "webinarId": WEBINAR}


def answer(mocked: responses.RequestsMock, skip: int, **body: Any) -> None:
    asked = {"webinarId": WEBINAR, "skip": str(skip), "limit": str(bizon.A_PAGE)}
    match = [matchers.query_param_matcher(asked), matchers.header_matcher({"X-Token": TOKEN})]
    mocked.get(API + PATH, json={"errors": [], **body}, match=match)


@pytest.mark.parametrize("has_total", [True, False])
def test_all_pages_are_read(has_total: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bizon, "A_PAGE", 2)
    total = {"total": 3} if has_total else {}
    with responses.RequestsMock() as mocked:
        answer(mocked, 0, viewers=[VIEWER, VIEWER | {"email": "boris@example.ru"}], **total)
        answer(mocked, 2, viewers=[VIEWER | {"email": "vera@example.ru"}], **total)
        content = Bizon(API + "/", TOKEN).viewers(WEBINAR)
    export = read_export("отчёт.json", content, zone=MOSCOW)
    assert [visit.mails for visit in export.visits] == [
        ("anna@example.ru",), ("boris@example.ru",), ("vera@example.ru",),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param({"status": 401}, "не принял токен", id="токен"),
        pytest.param({"status": 403, "body": "<html>"}, "не принял токен", id="токен, страница"),
        pytest.param({"status": 404}, "ещё не готов", id="нет отчёта"),
        pytest.param({"status": 502, "body": "<html>"}, "(502)", id="лежит"),
        pytest.param({"status": 302, "headers": {"Location": "https://evil.example/"}}, "(302)", id="переадресация"),
        pytest.param({"body": "<!doctype html>"}, "похоже на страницу", id="страница"),
        pytest.param({"json": []}, "незнакомого вида", id="не объект"),
        pytest.param({"json": {"errors": ["нет доступа"], "viewers": []}}, "нет доступа", id="ошибка словами"),
        pytest.param({"json": {"errors": []}}, "нет зрителей", id="без зрителей"),
        pytest.param({"body": requests.ReadTimeout("долго")}, "не отвечает (ReadTimeout)", id="молчит"),
    ],
)
def test_why_there_is_no_report(said: dict[str, Any], told: str) -> None:
    with responses.RequestsMock() as mocked:
        mocked.get(API + PATH, **said)
        with pytest.raises(BizonError) as error:
            Bizon(API, TOKEN).viewers(WEBINAR)
        assert len(mocked.calls) == 1, "the token goes nowhere else"
    assert told in str(error.value)
    assert TOKEN not in str(error.value)


def test_too_often_says_when() -> None:
    with responses.RequestsMock() as mocked:
        mocked.get(API + PATH, status=429, headers={"Retry-After": "120"})
        with pytest.raises(BizonError) as error:
            Bizon(API, TOKEN).viewers(WEBINAR)
    assert error.value.retry_after == 120


def test_without_a_token_nobody_is_asked() -> None:
    with pytest.raises(BizonError, match="токен Бизон365 не задан"):
        Bizon(API, "").viewers(WEBINAR)


# --- what is remembered ----------------------------------------------------------------------------------------------


class Hands:
    """A clock that is set."""

    def __init__(self) -> None:
        self.time = datetime(2026, 9, 9, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def later(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def test_pauses_grow_to_an_hour_and_after_three_days_a_person_decides(store: Store) -> None:
    clock = Hands()
    reports = BizonReports(AccountStore(store, 1), clock)
    reports.report_ready(WEBINAR)
    pauses = []
    while (report := reports.due()) is not None:
        reports.later(report, "лежит")
        (told,) = reports.all()
        pauses.append(told.due_at - clock.now().timestamp())
        clock.later(pauses[-1])
    assert pauses[:4] == [30, 60, 120, 240]
    assert max(pauses) == 3600
    assert sum(pauses) >= GIVE_UP_AFTER
    assert reports.all()[0].state == "failed"
    reports.try_again(WEBINAR)
    assert reports.due() is not None


def test_the_vendor_s_pause_is_kept_if_it_is_longer(store: Store) -> None:
    clock = Hands()
    reports = BizonReports(AccountStore(store, 1), clock)
    reports.report_ready(WEBINAR)
    report = reports.due()
    assert report is not None
    reports.later(report, "реже", retry_after=600)
    clock.later(599)
    assert reports.due() is None
    clock.later(2)
    assert reports.due() is not None


def test_a_report_told_of_twice_is_taken_once_and_other_accounts_have_their_own(store: Store) -> None:
    clock = Hands()
    reports, others = BizonReports(AccountStore(store, 1), clock), BizonReports(AccountStore(store, 2), clock)
    reports.report_ready(WEBINAR)
    report = reports.due()
    assert report is not None
    reports.taken(report, [7])
    reports.report_ready(WEBINAR)
    reports.try_again()
    assert (reports.due(), others.due()) == (None, None)
    assert [(one.state, one.imports) for one in reports.all()] == [("taken", (7,))]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"event": "report_ready", "webinarId": "1:a*2021-09-13T19:00:00", "len": 90}', "1:a*2021-09-13T19:00:00"),
        (b"webinarId=1%3Aa%2A2021-09-13T19%3A00%3A00&len=90", "1:a*2021-09-13T19:00:00"),
        (b"", ""),
        (b"{", ""),
        (b'{"webinarId": 7}', ""),
        (b'{"webinarId": "a\\nb"}', ""),
        (b"webinarId=" + b"1" * 201, ""),
        (b"\xff\xfe", ""),
    ],
)
def test_which_report_a_hook_speaks_of(body: bytes, found: str) -> None:
    assert webinar_in(body) == found
