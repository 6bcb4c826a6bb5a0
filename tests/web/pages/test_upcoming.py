"""Upcoming steps, and what a rule by the clock would do about deals that were there before it."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import insert
from support.browser import DESKTOP, PHONE, fits_its_width, opened, serious_findings, served
from support.ladder_deals import NOW, WARMING, begin, two_are_waiting
from support.pages import PASSWORD, Pages, Visit, agency, saved, words_of

from amo_bridge.channels.vendors import unconnected_of
from amo_bridge.config.loader import load
from amo_bridge.storage.tables import schedules, timers
from amo_bridge.web.auth.users import Role

DAY = 86_400


@pytest.fixture
def waiting(pages: Pages) -> Pages:
    """Two deals that have been on «Новый клиент» for five days."""
    two_are_waiting(pages)
    return pages


def plan(pages: Pages, deal: int, due: datetime, anchor: str = "a", rule: str = WARMING, state: str = "open") -> None:
    row = {
        "account": pages.account.key, "deal_id": deal, "rule": rule, "step": "7 d", "anchor": anchor, "since": 0.0,
    }  # fmt: skip
    with pages.office.store.write() as connection:
        connection.execute(insert(timers).values({**row, "due_at": due.timestamp(), "state": state}))


def test_steps_by_day_the_nearest_first(waiting: Pages, viewer: Visit) -> None:
    plan(waiting, 7, NOW + timedelta(days=2))
    plan(waiting, 8, NOW - timedelta(minutes=5))
    page = viewer.get("/upcoming")
    words = words_of(page)
    assert "2 шага" in words
    assert words.index("Сделка вторая") < words.index("Сделка первая")
    assert "пора" in words[: words.index("Сделка вторая")]
    assert "7 дней" in words[words.index("Сделка первая") :]
    assert 'href="/deals/7"' in page.text
    assert f'href="/rules/{WARMING}"' in page.text
    assert "Сделка первая" not in words_of(viewer.get("/upcoming?days=1"))
    assert "Сделка первая" not in words_of(viewer.get("/upcoming?rule=no.such"))


def test_a_step_whose_letter_goes_nowhere_says_so(waiting: Pages, viewer: Visit) -> None:
    nowhere = unconnected_of(waiting.bridge.config)
    other = next(rule.name for rule in waiting.bridge.config.rules if rule.name not in nowhere)
    plan(waiting, 7, NOW + timedelta(days=2))
    plan(waiting, 8, NOW + timedelta(days=2), rule=other)
    words = words_of(viewer.get("/upcoming"))
    assert nowhere[WARMING] == ["почта"]
    assert words.count("не подключено, не уйдёт: почта") == 1
    assert "Каналы не подключены: почта" in words_of(viewer.get(f"/rules/{WARMING}"))
    assert "Каналы не подключены" not in words_of(viewer.get(f"/rules/{other}"))


def test_a_calendar_leads_to_the_days(waiting: Pages, viewer: Visit) -> None:
    plan(waiting, 7, NOW + timedelta(days=2))
    plan(waiting, 8, NOW + timedelta(days=2))
    page = viewer.get("/upcoming?days=30").text
    day = (NOW + timedelta(days=2)).astimezone(waiting.account.zone).date()
    assert re.search(rf'<a href="#d{day}" aria-label="[^"]*: 2">2</a>', page)
    assert f'id="d{day}"' in page
    assert '<table class="calendar">' not in viewer.get("/upcoming?rule=no.such").text


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_day_of_the_calendar_brings_to_its_steps(waiting: Pages, browser: Browser, size: dict[str, int]) -> None:
    for number in range(12):
        plan(waiting, 7, NOW + timedelta(days=2 * number, minutes=5), anchor=str(number))
    waiting.add_user("Вера", Role.VIEWER)
    with served(waiting.app) as url, opened(browser, url, viewport=size) as context:
        page = context.new_page()
        page.goto("/login?next=/upcoming%3Fdays=30")
        page.get_by_label("Имя").fill("Вера")
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Войти").click()
        expect(page.get_by_role("table", name="Сколько шагов по дням")).to_be_visible()
        assert serious_findings(page) == []
        assert fits_its_width(page)
        last = (NOW + timedelta(days=22, minutes=5)).astimezone(waiting.account.zone).date()
        page.locator(f'a[href="#d{last}"]').click()
        expect(page.locator(f"#d{last}")).to_be_in_viewport()


def test_nothing_is_to_come(waiting: Pages, viewer: Visit) -> None:
    assert "Ничего не предстоит" in words_of(viewer.get("/upcoming?days=nonsense"))


def test_nothing_within_the_days_asked_for_and_something_after_them(waiting: Pages, viewer: Visit) -> None:
    due = NOW + timedelta(days=9)
    plan(waiting, 8, due + timedelta(days=300))
    plan(waiting, 7, due)
    page = viewer.get("/upcoming")
    day = due.astimezone(waiting.account.zone).strftime("%d.%m.%Y, %H:%M")
    assert f"За 7 дней ничего Ближайший шаг: {day}, Сделка первая" in words_of(page)
    assert 'href="/deals/7"' in page.text
    assert "Ничего не предстоит" in words_of(viewer.get("/upcoming?rule=no.such"))


def test_what_would_be_done_about_deals_that_were_there_before(waiting: Pages, viewer: Visit) -> None:
    begin(waiting)
    words = words_of(viewer.get(f"/rules/{WARMING}/existing"))
    assert "При выборе «не трогать»: сразу — 0, позже — 0, уже сделано — 0." in words
    assert "не трогать выбрано считать с этого дня сделать пропущенное" in words
    assert "Сделка первая" in words
    assert re.search(r"ничего 7 дней: \d\d\.\d\d\.\d{4}, \d\d:\d\d 7 дней: \d\d\.\d\d\.\d{4}", words), words


def test_the_choice_is_written_after_a_look(waiting: Pages, admin: Visit) -> None:
    begin(waiting)
    page = f"/rules/{WARMING}"
    review = admin.post(f"{page}/switch", {"key": "existing", "value": "catch up"}, page=page)
    assert '+existing = "catch up"' in review.text.replace("&#34;", '"')
    assert "Сделка первая" in words_of(review)
    saved(admin, review)
    rules = {rule.name: rule for rule in load(waiting.bridge.config.path, {}).rules}
    assert rules[WARMING].options.existing == "catch up"  # type: ignore[attr-defined]


@pytest.mark.parametrize("rule", [WARMING, "stage_creates_tasks.new_client"])
def test_there_are_no_other_choices(waiting: Pages, admin: Visit, rule: str) -> None:
    told = {"key": "existing", "value": "all of them"}
    assert admin.post(f"/rules/{rule}/switch", told, page=f"/rules/{rule}").status_code == 400


def test_a_rule_that_is_switched_on_shows_whom_it_would_meet(waiting: Pages, admin: Visit) -> None:
    page = f"/rules/{WARMING}"
    saved(admin, admin.post(f"{page}/switch", {"key": "state", "value": "off"}, page=page))
    review = admin.post(f"{page}/switch", {"key": "state", "value": "live"}, page=page)
    assert "Сделка первая" in words_of(review)


def was_off(pages: Pages, *pause: float | None) -> None:
    """The rule has been on for a month, but for a pause: from so many seconds from now until then."""
    off, on = (None if one is None else NOW.timestamp() + one for one in pause)
    row = {
        "account": pages.account.key, "rule": WARMING, "since": NOW.timestamp() - 30 * DAY, "digest": "",
        "is_planned": 1, "pauses": json.dumps([[off, on]]),
    }  # fmt: skip
    with pages.office.store.write() as connection:
        connection.execute(insert(schedules).values(row))


def test_a_deal_that_came_while_the_rule_was_off_is_shown_as_old(waiting: Pages, admin: Visit) -> None:
    was_off(waiting, -10 * DAY, None)
    page = f"/rules/{WARMING}"
    saved(admin, admin.post(f"{page}/switch", {"key": "state", "value": "off"}, page=page))
    words = words_of(admin.post(f"{page}/switch", {"key": "state", "value": "live"}, page=page))
    assert "При выборе «не трогать»: сразу — 0, позже — 0, уже сделано — 0." in words
    assert re.search(r"Сделка первая .{1,60}? ничего 7 дней: \d", words), words


def test_steps_that_are_done_are_shown_as_done_and_those_that_go_on_with_their_day(
    waiting: Pages, viewer: Visit
) -> None:
    was_off(waiting, -10 * DAY, -8 * DAY)
    stage, since = agency().stage("Продажи / Новый клиент"), NOW - timedelta(days=5)
    plan(waiting, 7, NOW, f"{stage.pipeline_id}.{stage.status_id}@{int(since.timestamp())}", state="fired")
    words = words_of(viewer.get(f"/rules/{WARMING}/existing"))
    assert "сразу — 0" in words
    assert "уже сделано — 1." in words
    assert words.index("Сделка вторая") < words.index("Сделка первая"), "what is done comes last"
    assert "7 дней: уже сделано" in words


def test_what_would_be_done_at_once_is_warned_of(waiting: Pages, admin: Visit) -> None:
    page = f"/rules/{WARMING}"
    with_violation(waiting)
    review = admin.post(f"{page}/switch", {"key": "existing", "value": "catch up"}, page=page)
    words = words_of(review)
    assert "Сразу будет сделано 2 шага. Среди них запись нарушений: 2." in words
    assert "При выборе «сделать пропущенное»: сразу — 2" in words


def with_violation(pages: Pages) -> None:
    """The step after a day writes a violation down."""
    path = pages.bridge.config.path
    told = 'steps = [\n    { after = "1 d", violation = "M7" },'
    before, block, after = path.read_text("utf-8").partition(f"[schedules.{WARMING}]")
    path.write_text(before + block + after.replace("steps = [", told, 1), "utf-8")
    assert not pages.bridge.watch.look(again=True).problems


def test_programs_read_the_same(waiting: Pages) -> None:
    plan(waiting, 7, NOW + timedelta(days=2))
    plan(waiting, 8, NOW + timedelta(days=20))
    secret = waiting.office.api_tokens.issue("программа", Role.VIEWER, "Анна")

    def asked(query: str) -> list[int]:
        answer = waiting.app.test_client().get(
            f"/api/v1/upcoming{query}", headers={"Authorization": f"Bearer {secret}"}
        )
        return [step["deal_id"] for step in answer.json["steps"]]

    assert asked("") == [7]
    assert asked("?days=30") == [7, 8]
    assert asked("?days=30&rule=no.such") == []
