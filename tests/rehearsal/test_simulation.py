"""A rehearsal: the days to come, played on a copy by the very rules, and nothing of it is real."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from support.local_crm import LocalCrm
from support.running_bridge import EXAMPLE, RunningBridge, config_for

from amo_bridge.channels.audience_log import AudienceLog
from amo_bridge.config.advertising import AudiencesSection
from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.intake.enquiries import EnquiryRepository
from amo_bridge.intake.model import Enquiry
from amo_bridge.rehearsal.known_state import NOTHING, recalled, without_texts
from amo_bridge.rehearsal.results import SimulatedAction, by_day
from amo_bridge.rehearsal.simulation import TOKEN, Play, rehearsing
from amo_bridge.rehearsal.snapshot import Source, example, from_account
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore

MOSCOW = ZoneInfo("Europe/Moscow")
# A Monday noon in Moscow.
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
IVAN = "Иван Петров"
NEW = "Продажи / Новый клиент"
BRIEF = "Продажи / Получение брифа"
PREPAYMENT = "file_sets_tasks.prepayment"
LADDER = "stage_ladder.brief_awaited"


@pytest.fixture
def agency() -> Config:
    return load(EXAMPLE, {})


def played(config: Config, source: Source, folder: Path, days: float) -> list[SimulatedAction]:
    with rehearsing(config, source.world, folder, source.taken_at, source.known) as play:
        play.until(source.taken_at + timedelta(days=days))
        return play.actions()


def of_rule(deeds: list[SimulatedAction], rule: str, deal: int) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (f"{one.at.astimezone(MOSCOW):%d.%m %H:%M}", one.does)
        for one in deeds
        if (one.rule, one.deal_id) == (rule, deal)
    ]


def example_of(config: Config) -> Source:
    return example(START).with_rules_on_since(config, START)


def first_on(source: Source, stage: str) -> int:
    """The oldest deal of a stage."""
    pipeline, _, name = stage.partition(" / ")
    pipelines = {row["id"]: row["name"] for row in source.world.table("pipelines").values()}
    wanted = next(
        (row["pipeline_id"], row["id"])
        for row in source.world.table("statuses").values()
        if (pipelines[row["pipeline_id"]], row["name"]) == (pipeline, name)
    )
    deals = source.world.table("leads").values()
    return min(int(row["id"]) for row in deals if (row["pipeline_id"], row["status_id"]) == wanted)


def test_a_month_of_the_example(agency: Config, tmp_path: Path) -> None:
    source = example_of(agency)
    deeds = played(agency, source, tmp_path, 30)
    days = [day for day, _ in of_rule(deeds, LADDER, first_on(source, BRIEF))]
    # Day 5 is a Saturday and the Monday after it a holiday, day 10 is a Thursday.
    assert days == ["05.03 12:00", "08.03 12:00", "10.03 10:00", "12.03 12:00"]
    assert deeds == sorted(deeds, key=lambda deed: deed.at)


def test_series_of_letters_are_played_to_their_end(agency: Config, tmp_path: Path) -> None:
    source = example_of(agency)
    deal = first_on(source, NEW)
    deeds = played(agency, source, tmp_path, 30)
    assert [day for day, _ in of_rule(deeds, "stage_ladder.warming", deal)] == ["10.03 10:00"]
    letters = of_rule(deeds, "series_sends_letters.series", deal)
    assert [day for day, _ in letters] == ["10.03 10:10", "14.03 11:00", "19.03 11:00"]
    assert "письмо клиенту «утепляющая/1»" in letters[0][1][0]
    assert letters[0][1][0].endswith("(канал не подключён)"), "no mail server stands in the example"
    told = [words for deed in deeds for words in deed.does if words.startswith(("задача", "этап"))]
    assert told
    assert not [words for words in told if "не подключён" in words]


def test_the_same_account_gives_the_same_calendar(agency: Config, tmp_path: Path) -> None:
    one = played(agency, example_of(agency), tmp_path / "one", 12)
    assert one == played(agency, example_of(agency), tmp_path / "other", 12)
    assert one


def test_only_moments_at_which_something_is_due_are_stopped_at(agency: Config, tmp_path: Path) -> None:
    source = example_of(agency)
    stops: list[datetime] = []
    with rehearsing(agency, source.world, tmp_path, source.taken_at, source.known) as play:
        play.until(START + timedelta(days=30), stops.append)
        assert play.hands.now() == START + timedelta(days=30)
    assert 0 < len(stops) < 100
    assert stops == sorted(stops)


def test_dry_rules_act_here_and_those_that_are_off_are_silent(agency: Config, tmp_path: Path) -> None:
    rules = tuple(
        replace(rule, dry_run=True, enabled=rule.name != "stage_creates_tasks.new_client") for rule in agency.rules
    )
    deeds = played(replace(agency, rules=rules), example_of(agency), tmp_path, 4)
    assert LADDER in {deed.rule for deed in deeds}
    assert "stage_creates_tasks.new_client" not in {deed.rule for deed in deeds}


def test_days_have_their_names_and_stand_in_order(agency: Config, tmp_path: Path) -> None:
    titles = [title for title, _ in by_day(played(agency, example_of(agency), tmp_path, 4), MOSCOW)]
    assert titles[0] == "пн 02.03.2026"
    assert len(titles) == len(set(titles))


# --- a real account ------------------------------------------------------------------------------------------------


@pytest.fixture
def at_work(sandbox: LocalCrm, config: Config, start_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    sandbox.control("POST", "clock", {"set": START.timestamp(), "freeze": True})
    return start_bridge(config).wait_ready()


@pytest.fixture
def deal(at_work: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> int:
    """A deal whose brief is awaited since Monday noon; four days have passed, the first step is done."""
    made = office.new_deal(IVAN, "Ромашка", BRIEF, office.new_contact(IVAN, "Анна"), 1000)
    at_work.settle(sandbox)
    at_work.settle_at(sandbox, advance=4 * 86400)
    return made


def source_of(sandbox: LocalCrm, config: Config, deal: int | None = None) -> Source:
    client = CrmClient(sandbox.url, LongLivedToken("sandbox-token"), LocalRateLimiter(5000))
    now = datetime.fromtimestamp(sandbox.world.clock.now(), UTC)
    return from_account(client, now, recalled(config, now, deal), deal)


@pytest.mark.parametrize("alone", [False, True])
def test_what_was_done_is_not_done_again_and_the_rest_is_counted_from_the_real_beginning(
    alone: bool, sandbox: LocalCrm, config: Config, at_work: RunningBridge, deal: int, tmp_path: Path
) -> None:
    source = source_of(sandbox, config, deal if alone else None)
    deeds = of_rule(played(config, source, tmp_path / "rehearsal", 26), LADDER, deal)
    assert len(deeds) == 3, deeds
    assert deeds[-1][0].startswith("12.03"), "ten days after the real beginning"


def test_the_real_account_and_its_bridge_hear_nothing_of_it(
    sandbox: LocalCrm, config: Config, at_work: RunningBridge, office: CrmUser, deal: int, tmp_path: Path
) -> None:
    tasks, journal = office.tasks(deal), at_work.journal(deal)
    source = source_of(sandbox, config)
    sandbox.forget_requests()
    assert played(config, source, tmp_path / "rehearsal", 26)
    assert sandbox.requests() == {}
    assert (office.tasks(deal), at_work.journal(deal)) == (tasks, journal)


def test_a_rule_that_was_just_switched_on_leaves_old_deals_alone_unless_it_is_told_otherwise(
    sandbox: LocalCrm, office: CrmUser, tmp_path: Path
) -> None:
    config = config_for(sandbox.url, tmp_path / "never-run")
    made = office.new_deal(IVAN, "Старая", BRIEF, office.new_contact(IVAN, "Анна"), 1000)
    sandbox.later()
    source = source_of(sandbox, config)
    assert source.known == NOTHING
    assert not of_rule(played(config, source, tmp_path / "one", 12), LADDER, made)
    since = source.taken_at - timedelta(days=1)
    again = source_of(sandbox, config).with_rules_on_since(config, since)
    assert len(of_rule(played(config, again, tmp_path / "two", 14), LADDER, made)) == 4


def test_what_rules_wait_with_comes_along(
    sandbox: LocalCrm, config: Config, at_work: RunningBridge, office: CrmUser, tmp_path: Path
) -> None:
    """A76: the contract is there, the kind of payment is not; filled in the rehearsal, it counts there."""
    deal = office.new_deal(IVAN, "Ромашка", "Продажи / Утвержденный проект", office.new_contact(IVAN, "Анна"), 1000)
    office.attach(IVAN, deal, "Договор 12.pdf")
    at_work.settle(sandbox)
    source = source_of(sandbox, config)
    assert [row["rule"] for row in source.known["waiting"]] == [PREPAYMENT]
    with rehearsing(config, source.world, tmp_path / "rehearsal", source.taken_at, source.known) as play:
        play.until(source.taken_at + timedelta(hours=1))
        filled = {"field_id": office.fields["Тип оплаты"], "values": [{"value": "Предоплата"}]}
        requests.patch(
            f"{play.url}/api/v4/leads/{deal}",
            json={"custom_fields_values": [filled]},
            headers={"Authorization": f"Bearer {TOKEN}", "X-Sandbox-Person": str(office.users[IVAN])},
            timeout=30,
        ).raise_for_status()
        play.until(source.taken_at + timedelta(hours=2))
        done = [one for one in play.actions(deal) if one.rule == PREPAYMENT]
    assert len(done) == 1
    assert "Запросить подтверждение оплаты" in str(done[0].does)


def test_a_masked_snapshot_tells_nothing_that_people_have_written() -> None:
    known = {**NOTHING, "made": [{"rule": "a", "text": "Позвонить Анне"}], "waiting": [{"event": "Договор Анны.pdf"}]}
    assert without_texts(known) == {**NOTHING, "made": [{"rule": "a", "text": None}]}


def enquiry(key: str, name: str, phone: str, at: datetime, **more: Any) -> dict[str, Any]:
    """As the store of a bridge keeps one."""
    body = {"source": "tilda", "key": key, "name": name, "phones": [phone], "text": "Сколько стоит?"}
    settled = {"state": "done", "contact_id": None, "deal_id": None, **more}
    return {
        "kind": "enquiry", "source": "tilda", "key": key, "received_at": at.timestamp(),
        "body": json.dumps(body), **settled,
    }  # fmt: skip


def rehearsed(
    config: Config, source: Source, folder: Path, rows: list[dict[str, Any]], days: int
) -> list[SimulatedAction]:
    known = {**source.known, "enquiries": rows}
    with rehearsing(config, source.world, folder, source.taken_at, known, days=days) as play:
        play.until(source.taken_at + timedelta(days=days))
        return play.actions()


def asked(deeds: list[SimulatedAction]) -> list[tuple[str, str]]:
    """When enquiries were answered, and how."""
    return [
        (f"{one.at.astimezone(MOSCOW):%a %d.%m %H:%M}", one.does[0])
        for one in deeds
        if one.rule.startswith("enquiry_becomes_deal")
    ]


def test_enquiries_of_the_week_before_come_once_more(agency: Config, tmp_path: Path) -> None:
    source = example_of(agency)
    thursday = START - timedelta(days=4)
    rows = [
        enquiry("1", "Анна Иванова", "+79161230001", thursday),
        enquiry("2", "Анна Иванова", "+79161230001", thursday + timedelta(hours=1)),
        enquiry("3", "Пётр", "+79161230002", START - timedelta(days=20)),
    ]
    deeds = rehearsed(agency, source, tmp_path, rows, 7)
    (first, again) = asked(deeds)
    assert first[0] == "Thu 05.03 12:00", "a week later at the same time"
    assert "сделка «Анна Иванова, Тильда»" in first[1]
    assert again[0] == "Thu 05.03 13:00"
    assert "примечание" in again[1]
    made = {one.deal_id for one in deeds if one.rule.startswith("enquiry_becomes_deal")}
    assert len(made - {0}) == 1
    assert source.deal_names()[max(made)] == "Анна Иванова, Тильда"
    assert not [one for one in deeds if one.trouble], deeds


def test_who_has_a_deal_by_his_enquiry_has_one_in_the_rehearsal_too(agency: Config, tmp_path: Path) -> None:
    source = example_of(agency)
    deal = first_on(source, NEW)
    row = enquiry("1", "Анна", "+79161230001", START - timedelta(days=4), deal_id=deal)
    ((_, does),) = asked(rehearsed(agency, source, tmp_path, [row], 7))
    assert "примечание" in does


def test_an_enquiry_under_way_is_judged_at_once(agency: Config, tmp_path: Path) -> None:
    row = enquiry("1", "Анна", "+79161230001", START - timedelta(minutes=1), state="new")
    told = asked(rehearsed(agency, example_of(agency), tmp_path, [row], 7))
    assert [when for when, _ in told] == ["Mon 02.03 12:00"]


def test_what_only_its_vendor_knows_stays_out(agency: Config, tmp_path: Path) -> None:
    row = enquiry("1", "Анна", "+79161230001", START - timedelta(days=4))
    row["body"] = json.dumps({**json.loads(row["body"]), "fetch": "GET /v25.0/1"})
    assert asked(rehearsed(agency, example_of(agency), tmp_path, [row], 7)) == []


def test_the_store_of_the_bridge_tells_of_its_enquiries(
    sandbox: LocalCrm, config: Config, at_work: RunningBridge, deal: int
) -> None:
    store = at_work.bridge.resources.store
    key = known_key(store, config.account.url)
    assert key is not None
    repository = EnquiryRepository(AccountStore(store, key), at_work.bridge.clock)
    now = sandbox.world.clock.now()
    with store.write() as connection:
        for number, days in enumerate((1, 40, 200)):
            one = Enquiry(source="tilda", key=str(number), name="Анна", text="Сколько стоит?")
            repository.add(connection, one, request_id=None, received_at=now - days * 86400, state="done")
    assert [row["key"] for row in source_of(sandbox, config).known["enquiries"]] == ["0", "1"]
    assert source_of(sandbox, config, deal).known["enquiries"] == []


def test_people_may_take_part(agency: Config, tmp_path: Path) -> None:
    source = example_of(agency)
    deal = first_on(source, BRIEF)
    with rehearsing(agency, source.world, tmp_path, source.taken_at, source.known) as play:
        play.until(START + timedelta(days=4))
        _move(play, source, deal)
        play.until(START + timedelta(days=20))
        done = [one for one in play.actions(deal) if one.rule == LADDER]
    # The first step, and what is done on leaving: the audiences are left.
    assert [step.because for step in done][1:] == [done[1].because]
    assert len(done) == 2


def _move(play: Play, source: Source, deal: int) -> None:
    """Somebody moves the deal on by hand, in the account itself."""
    office = CrmUser(play.url)
    office.fill(IVAN, deal, "Дата первой встречи", int(play.hands.now().timestamp()))
    office.move(IVAN, deal, "Продажи / Встреча назначена")


def test_it_says_who_would_join_and_leave_which_audience_when(agency: Config, tmp_path: Path) -> None:
    source = example_of(agency)
    deal = first_on(source, BRIEF)
    section = AudiencesSection(consent="Должность")  # type: ignore[arg-type]
    config = replace(agency, channels=replace(agency.channels, audiences=section))
    with rehearsing(config, source.world, tmp_path, source.taken_at, source.known) as play:
        play.until(START + timedelta(days=4))
        _move(play, source, deal)
        play.until(START + timedelta(days=5))
        told = [(one.at, does) for one in play.actions(deal) for does in one.does if "аудитори" in does]
        counts = AudienceLog(play.store).counts()
    joined = [does for _, does in told if "включён" in does]
    left = [does for _, does in told if "исключён" in does]
    assert len(joined) == len(left) == 3
    assert not any("никуда" in does for _, does in told), "the channel is connected"
    assert counts["VK"].get("in") is None, "nothing is uploaded"
