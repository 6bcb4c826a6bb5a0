"""Rehearsals asked for by programs: begun, looked at, stopped, and refused as on their page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from support.api_client import Program
from support.pages import Pages

from amo_bridge.runtime.rehearsal_jobs import LONGEST

DEED = {
    "at": datetime.now(UTC).isoformat(), "deal": 30000001, "deal_name": "Ромашка", "rule": "stage_ladder.brief_awaited",
    "clause": "A20", "because": "шаг", "does": ["задача «Связаться»"], "trouble": "",
}  # fmt: skip


def test_one_is_asked_for_and_stopped(pages: Pages, master: Program) -> None:
    made = master.ask("POST", "/rehearsals", {"days": 5, "deal_id": 77}).json
    assert (made["state"], made["days"], made["deal_id"], made["asked_by"]) == ("asked", 5, 77, "API: admin программа")
    assert [one["number"] for one in master.get("/rehearsals")["rehearsals"]] == [made["number"]]
    assert master.ask("POST", f"/rehearsals/{made['number']}/stop").json["state"] == "stopped"
    said = [(one.deed, one.who, one.words) for one in pages.office.audit.last(2)]
    assert said == [
        ("rehearsal.stop", "API: admin программа", f"Репетиция № {made['number']} остановлена"),
        ("rehearsal.ask", "API: admin программа", f"Репетиция № {made['number']}: дней 5, сделка 77"),
    ]


def test_what_came_of_one_is_told(pages: Pages, reader: Program) -> None:
    book = pages.account.rehearsals
    number = book.ask(3, None, "Анна")
    book.begin(number)
    assert reader.get(f"/rehearsals/{number}")["deeds"] == []
    book.finish(number, [DEED])
    told = reader.get(f"/rehearsals/{number}")
    assert (told["state"], told["progress"]) == ("done", 1.0)
    (deed,) = told["deeds"]
    assert (deed["deal_id"], deed["rule"], deed["does"]) == (30000001, DEED["rule"], DEED["does"])


@pytest.mark.parametrize("wish", [{}, {"days": 0}, {"days": LONGEST + 1}, {"days": 5, "deal_id": 10**20}])
def test_what_can_not_be_rehearsed_is_told(pages: Pages, master: Program, wish: dict[str, Any]) -> None:
    assert master.ask("POST", "/rehearsals", wish).status_code == 422
    assert pages.account.rehearsals.all() == []


def test_one_at_a_time_and_none_twice(pages: Pages, master: Program) -> None:
    number = master.ask("POST", "/rehearsals", {"days": 5}).json["number"]
    refused = master.ask("POST", "/rehearsals", {"days": 5})
    assert (refused.status_code, "репетиция уже идёт" in refused.json["detail"]) == (409, True)
    master.ask("POST", f"/rehearsals/{number}/stop")
    assert master.ask("POST", f"/rehearsals/{number}/stop").status_code == 409
    assert master.ask("POST", f"/rehearsals/{number + 1}/stop").status_code == 404
    assert master.ask("GET", f"/rehearsals/{number + 1}").status_code == 404
