"""A deal's line of time: what comes next, what was done, what nothing followed from folded together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import insert
from support.api_client import Program
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.pages import PASSWORD, Pages, Visit, agency, words_of

from amo_bridge.storage.tables import timers
from amo_bridge.web.auth.users import Role

DEAL = 30000001
BEGAN = datetime(2026, 11, 24, 10, 0, 5, tzinfo=UTC)
RULE = "stage_ladder.warming"


@pytest.fixture
def office(pages: Pages) -> Pages:
    """Four events to which no rule answered, one act, one more event, a step tomorrow and one of another deal."""
    pages.know_account(agency())
    pages.know_deal("ООО «Ромашка»")
    pages.know_deal("Чужая", id=DEAL + 1)
    told = ["came"] * 4 + ["acts", "came"]
    for number, verdict in enumerate(told, 1):
        at = BEGAN + timedelta(seconds=number)
        reason = "мост это уже знал" if verdict == "came" else ""
        actions = '["задача «Связаться»"]' if verdict == "acts" else "[]"
        rule = None if verdict == "came" else RULE
        pages.say(verdict, at=at, event_id=number, what=f"событие {number}", reason=reason, actions=actions, rule=rule)
    due = (datetime.now(UTC) + timedelta(days=1)).timestamp()
    row = {"account": pages.account.key, "rule": RULE, "step": "3 d", "due_at": due, "since": due, "anchor": "a"}
    with pages.office.store.write() as connection:
        connection.execute(insert(timers), [{**row, "deal_id": DEAL}, {**row, "deal_id": DEAL + 1}])
    return pages


def test_what_nothing_followed_from_is_folded_and_has_its_seconds(office: Pages, viewer: Visit) -> None:
    words = words_of(viewer.get(f"/deals/{DEAL}"))
    assert "24.11.2026, 13:00:06 — 24.11.2026, 13:00:09 4 события без действий" in words
    assert words.index("событие 6") < words.index("событие 5") < words.index("4 события без действий")
    assert "24.11.2026, 13:00:10" in words
    assert words.count("без действий") == 1, "one alone is not folded twice"


def test_what_comes_next_stands_first(office: Pages, viewer: Visit, reader: Program) -> None:
    page = viewer.get(f"/deals/{DEAL}")
    part = page.text.partition('id="coming-title"')[2].partition("</section>")[0]
    assert part.count("<li>") == 1
    assert f"/rules/{RULE}" in part
    assert words_of(page).index("Что будет дальше") < words_of(page).index("событие 6")
    told = reader.get(f"/upcoming?deal={DEAL}")
    assert (told["total"], [one["deal_id"] for one in told["steps"]]) == (1, [DEAL])
    assert reader.get("/upcoming")["total"] == 2


def test_nothing_to_come_says_nothing(pages: Pages, viewer: Visit) -> None:
    pages.know_deal("ООО «Ромашка»")
    assert "Что будет дальше" not in words_of(viewer.get(f"/deals/{DEAL}"))


def test_the_overview_calls_a_deal_by_its_name(office: Pages, viewer: Visit) -> None:
    office.say("acts", actions='["задача «Связаться»"]')
    assert "ООО «Ромашка»" in words_of(viewer.get("/"))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_in_a_browser(office: Pages, browser: Browser, size: dict[str, int]) -> None:
    office.add_user("Мария", Role.HEAD)
    with served(office.app) as site, opened(browser, site, viewport=size) as context:
        page = context.new_page()
        page.goto(f"/login?next=/deals/{DEAL}")
        page.get_by_label("Имя").fill("Мария")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        page.get_by_text("4 события без действий").click()
        expect(page.get_by_text("событие 2")).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
