"""Parameters of an address that are not as described are refused in words, not swallowed."""

from __future__ import annotations

import pytest
from support.api_client import Program


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("/reports/overdue?days=9", "days=9: годится 7, 14, 31"),
        ("/reports/overdue?days=x&count=all", "days=x: годится 7, 14, 31; count=all: годится standing, missed"),
        ("/reports/overdue?until=25.11.2026", "until=25.11.2026: годится день, например 2026-11-25"),
        ("/reports/overdue?until=2026-02-30", "until=2026-02-30: годится день, например 2026-11-25"),
        ("/reports/documents?month=all", "month=all: годится месяц, например 2026-11"),
        ("/violations?month=xx", "month=xx: годится месяц, например 2026-11, или all"),
        ("/violations?month=2026-13", "month=2026-13: годится месяц, например 2026-11, или all"),
        ("/upcoming?days=9999", "days=9999: годится целое число от 1 до 366"),
        ("/upcoming?days=0", "days=0: годится целое число от 1 до 366"),
        ("/upcoming?days=-1", "days=-1: годится целое число от 1 до 366"),
        ("/upcoming?days=7.5", "days=7.5: годится целое число от 1 до 366"),
        ("/upcoming?days=" + "9" * 90, "годится целое число от 1 до 366"),
        ("/rules?only=some", "only=some: годится on, off"),
        ("/rules?ony=on", "ony: такого параметра нет; есть q, only"),
        ("/audit?before=x", "before=x: годится целое число от 1 до"),
        ("/webinars/1/people?page=0", "page=0: годится целое число от 1 до"),
        ("/webinars/1/people?state=odd", "state=odd: годится planned, ready"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(master: Program, query: str, words: str) -> None:
    answer = master.ask("GET", query)
    assert (answer.status_code, answer.json["error"]) == (422, "422")
    assert words in answer.json["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "/reports/overdue?days=14&until=2026-11-25&count=missed",
        "/reports/overdue?days=&until=",
        "/violations?month=2026-11&person=Иван",
        "/violations?month=all",
        "/reports/documents",
        "/upcoming?days=366",
        "/rules?only=on&q=бриф",
        "/audit?before=5",
    ],
)
def test_what_fits_is_answered(master: Program, query: str) -> None:
    assert master.ask("GET", query).status_code == 200


def test_the_refusal_speaks_english_to_those_who_do(master: Program) -> None:
    master.speak("en")
    answer = master.ask("GET", "/upcoming?days=x")
    assert answer.json["detail"] == "days=x: what fits is a whole number from 1 to 366"
