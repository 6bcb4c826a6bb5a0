"""Planning: open events are judged on fresh reads, and all that follows is written at once or not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, update
from support.fakes import (
    ACCOUNT,
    BRIEF,
    MEETING,
    NEW,
    NOON,
    OFFER,
    URL,
    NoOptions,
    ScriptedCrm,
    agency,
    api_row,
    at,
    clock,
    nobody,
    on_stage,
    record,
    rule,
    rule_engine_with,
    states,
)

from amo_bridge.clock import FixedClock
from amo_bridge.crm.records import DealRecord
from amo_bridge.dates.due import Due
from amo_bridge.engine import recorder
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.event_queue import add_events
from amo_bridge.engine.journal import Entry, Journal
from amo_bridge.engine.processor import EventProcessor
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.errors import CrmUncertain, StoreUnavailable, UnknownName
from amo_bridge.events import DealAdded, DealDeleted, DealMoved, DealUpdated, Event, FileAttached, StageEntered
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.rules.actions import AddNote, CreateTask, MoveDeal, SendLetter, Skip
from amo_bridge.rules.deal import Deal
from amo_bridge.rules.handler import Rule
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events, made, outbox

DEALS, TASKS = "/api/v4/leads", "/api/v4/tasks"


def notes(event: Event, deal: Deal, options: NoOptions) -> AddNote:
    return AddNote(deal_id=deal.id, text=f"{type(event).__name__}: {deal.stage.title}")


ON_MOVES = rule(notes, "notes", StageEntered, clause="A1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store.in_folder(tmp_path)
    opened.prepare()
    return opened


@pytest.fixture
def hands() -> FixedClock:
    return clock()


class World:
    """A store, an amoCRM and the planner between them."""

    def __init__(self, store: Store, hands: FixedClock) -> None:
        self.store = store
        self.crm = ScriptedCrm(rows={DEALS: [], TASKS: []})
        self.hands = hands
        self.mirror = Mirror(AccountStore(store, ACCOUNT))
        self.rules = CurrentRules(rule_engine_with(ON_MOVES))
        self.planner = EventProcessor(
            AccountStore(store, ACCOUNT),
            self.crm,
            self.rules,
            hands,
            nobody(store, self.crm),  # type: ignore[arg-type]
        )

    def use(self, *rules: Rule, **parts: Any) -> None:
        self.rules.replace(rule_engine_with(*rules, **parts))

    def knows(self, *copies: DealRecord) -> None:
        with self.store.write() as connection:
            self.mirror.put(connection, [MirroredDeal(copy, copy.updated_at) for copy in copies], NOON)

    def shows(self, *deals: DealRecord) -> None:
        self.crm.rows[DEALS] = [api_row(deal) for deal in deals]

    def hears(self, *told: Event) -> None:
        with self.store.write() as connection:
            add_events(connection, ACCOUNT, list(told), self.hands.now().timestamp())

    def states(self) -> list[str]:
        with self.store.read() as connection:
            return list(connection.execute(select(events.c.state).order_by(events.c.id)).scalars())

    def texts(self) -> list[str]:
        """The notes that are to be added."""
        with self.store.read() as connection:
            payloads = connection.execute(select(outbox.c.payload).order_by(outbox.c.id)).scalars().all()
        return [payload.partition('"params": {"text": "')[2].partition('"')[0] for payload in payloads]

    def sends_all(self) -> None:
        with self.store.write() as connection:
            connection.execute(update(outbox).values(state="done"))

    def journal(self, deal_id: int = 7) -> list[Entry]:
        return Journal(AccountStore(self.store, ACCOUNT)).of_deal(deal_id)


@pytest.fixture
def world(store: Store, hands: FixedClock) -> World:
    return World(store, hands)


def moved(deal_id: int = 7, seconds: float = 0, to: str = BRIEF, **more: Any) -> DealMoved:
    return DealMoved(at=at(seconds), deal_id=deal_id, **on_stage(to), **more)


def test_a_move_is_judged_and_everything_about_it_is_written_at_once(world: World) -> None:
    world.knows(record(NEW, seconds=-60))
    world.shows(record(BRIEF))
    world.hears(moved())
    assert world.planner.process() == 1
    assert world.states() == ["done"]
    assert world.texts() == [f"StageEntered: {BRIEF}"]
    came, decided = world.journal()
    assert (came.what, came.verdict, came.rule) == ("смена этапа", "came", "")
    assert (decided.rule, decided.clause, decided.verdict) == ("notes.one", "A1", "acts")
    assert decided.what == f"сделка пришла на этап «{BRIEF}» с «{NEW}»"
    assert decided.effects == ((f"примечание «StageEntered: {BRIEF}»", "ready", ""),)
    before = record(NEW, seconds=-60)
    assert world.mirror.get([7])[7] == MirroredDeal(before, before.updated_at).became(record(BRIEF), NOON)
    assert world.planner.process() == 0


def test_what_no_hook_told_of_is_not_called_a_hook(world: World) -> None:
    world.knows(record(NEW, seconds=-60))
    world.shows(record(BRIEF))
    world.hears(moved(caught_up=True))
    world.planner.process()
    came, *_ = world.journal()
    assert came.what == "найдено позже: смена этапа"


def test_the_judgement_is_by_the_deal_as_it_is_not_by_the_hook(world: World) -> None:
    world.knows(record(NEW, seconds=-60))
    world.shows(record(OFFER, seconds=5))
    world.hears(moved(to=BRIEF))
    world.planner.process()
    assert world.texts() == [f"StageEntered: {OFFER}"]


def test_hooks_about_the_same_change_are_judged_once(world: World) -> None:
    world.use(rule(lambda event, deal, options: Skip("нет"), "looks", StageEntered))
    world.knows(record(NEW, seconds=-60))
    world.shows(record(BRIEF))
    world.hears(moved(), DealUpdated(at=NOON, deal_id=7, **on_stage(BRIEF)), moved(seconds=-5, to=MEETING))
    assert world.planner.process() == 3
    assert [entry.verdict for entry in world.journal()] == ["came", "skipped", "came", "came"]
    assert [entry.reason for entry in world.journal()][2:] == ["мост это уже знал", "мост это уже знал"]


def test_what_the_mirror_knows_is_not_read_again(world: World) -> None:
    world.knows(record(BRIEF))
    world.hears(moved())
    assert world.planner.process() == 1
    assert world.crm.asked == []


def test_many_deals_are_read_together(world: World) -> None:
    deals = [record(BRIEF, number) for number in range(1, 151)]
    world.knows(*(record(NEW, deal.id, seconds=-60) for deal in deals))
    world.shows(*deals)
    world.hears(*(moved(deal.id) for deal in deals))
    assert world.planner.process() == 150
    assert len(world.crm.asked) == 1
    assert len(world.texts()) == 150


def test_what_no_rule_waits_for_is_not_read(world: World) -> None:
    world.hears(FileAttached(at=NOON, note_id=1, entity_type="deal", entity_id=7, file_name="КП.pdf"))
    world.planner.process()
    assert world.crm.asked == []
    assert world.journal()[0].reason == "ни одно правило этого не ждёт"


def test_a_deal_that_is_not_there_any_more_is_told(world: World) -> None:
    world.hears(moved())
    assert world.planner.process() == 1
    assert "сделки нет в аккаунте" in world.journal()[0].reason


def test_a_deleted_deal_is_forgotten_and_news_again_when_it_comes_back(world: World) -> None:
    world.knows(record(NEW, seconds=-60))
    world.shows(record(BRIEF))
    world.hears(moved(), DealDeleted(deal_id=7))
    world.use(rule(lambda event, deal, options: Skip("нет"), "looks", StageEntered))
    world.planner.process()
    assert world.mirror.get([7]) == {}


def test_a_later_event_of_a_deal_waits_for_what_the_earlier_one_caused(world: World) -> None:
    world.use(ON_MOVES, rule(notes, "files", FileAttached))
    world.knows(record(NEW, seconds=-60))
    world.shows(record(BRIEF), record(NEW, 8))
    file = FileAttached(at=NOON, note_id=1, entity_type="deal", entity_id=7, file_name="КП.pdf")
    world.hears(moved(), file, replace(file, note_id=2, entity_id=8))
    assert world.planner.process() == 2
    assert world.states() == ["done", "open", "done"]
    assert world.planner.process() == 0
    world.sends_all()
    assert world.planner.process() == 1
    assert world.texts() == [f"StageEntered: {BRIEF}", f"FileAttached: {NEW}", f"FileAttached: {BRIEF}"]


def test_a_later_event_does_not_wait_for_what_goes_out_past_amocrm(world: World) -> None:
    """A dead mail server must not hold up the deal."""
    letters = rule(
        lambda event, deal, options: SendLetter(deal_id=deal.id, template="ждём бриф"), "letters", StageEntered
    )
    world.use(letters, rule(notes, "files", FileAttached))
    world.knows(record(NEW, seconds=-60))
    world.shows(record(BRIEF))
    world.hears(moved())
    assert world.planner.process() == 1
    world.hears(FileAttached(at=NOON, note_id=1, entity_type="deal", entity_id=7, file_name="КП.pdf"))
    assert world.planner.process() == 1
    with world.store.read() as connection:
        kinds = connection.execute(select(outbox.c.kind, outbox.c.state).order_by(outbox.c.id)).all()
    assert [tuple(row) for row in kinds] == [("send_letter", "ready"), ("add_note", "ready")]


def test_a_thing_decided_before_is_not_decided_again(world: World) -> None:
    """An event that is judged again, as after a backup was restored, finds what it caused."""
    world.knows(record(NEW, seconds=-60))
    world.shows(record(BRIEF))
    world.hears(moved())
    world.planner.process()
    world.sends_all()
    world.knows(record(NEW, seconds=-60))
    with world.store.write() as connection:
        connection.execute(update(events).values(state="open"))
    world.planner.process()
    assert len(world.texts()) == 1
    assert (world.journal()[-1].verdict, world.journal()[-1].reason) == ("skipped", "уже сделано раньше")


class Breaking(Viewer):
    """Can't stand deal 13."""

    def deal(self, record: DealRecord, copy: MirroredDeal | None = None) -> Deal:
        if record.id == 13:
            raise ZeroDivisionError
        return super().deal(record, copy)


def test_a_poisonous_event_is_put_off_and_the_others_go_on(
    world: World, hands: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MAX_ATTEMPTS", 3)
    world.use(ON_MOVES, viewer=Breaking(agency(), URL))
    world.knows(*(record(NEW, number, seconds=-60) for number in (7, 13)))
    world.shows(record(BRIEF, 7), record(BRIEF, 13))
    world.hears(moved(13), moved(13, 1), moved(7))
    assert world.planner.process() == 1
    assert world.states() == ["open", "open", "done"]
    assert world.planner.process() == 0
    for _ in range(2):
        hands.advance(timedelta(hours=1))
        world.planner.process()
    with world.store.read() as connection:
        row = connection.execute(select(events).order_by(events.c.id)).first()
    assert row is not None
    assert (row.state, row.attempts, row.error) == ("failed", 3, "ZeroDivisionError: ")
    # What could not be judged is not lost: the next event of the deal finds the same change.
    world.use(ON_MOVES)
    hands.advance(timedelta(hours=1))
    assert world.planner.process() == 1
    assert world.texts() == [f"StageEntered: {BRIEF}"] * 2


def test_an_event_that_this_version_can_not_read_is_put_off_and_its_deal_waits(world: World, hands: FixedClock) -> None:
    world.knows(record(NEW, 7, seconds=-60), record(NEW, 8, seconds=-60))
    world.shows(record(BRIEF, 7), record(BRIEF, 8))
    world.hears(moved(8), moved(8, seconds=-1), moved(7))
    with world.store.write() as connection:
        connection.execute(update(events).where(events.c.id == 1).values(body='{"type": "OfTomorrow"}'))
    assert world.planner.process() == 1
    assert world.planner.process() == 0
    assert world.states() == ["open", "open", "done"]
    for _ in range(recorder.MAX_ATTEMPTS):
        hands.advance(timedelta(hours=1))
        world.planner.process()
    assert world.states() == ["failed", "done", "done"]


def test_a_stage_that_the_account_s_copy_does_not_know_is_waited_for(world: World, hands: FixedClock) -> None:
    stages = tuple(stage for stage in agency().stages if stage.title != BRIEF)
    old = replace(agency(), stages=stages)
    known = rule_engine_with(ON_MOVES)

    def of(account: Any) -> RuleEngine:
        return replace(known, account=account, viewer=Viewer(account, URL))

    world.rules.replace(of(old))
    world.knows(record(NEW, seconds=-60))
    world.shows(record(BRIEF))
    world.hears(moved())
    assert world.planner.process() == 0
    assert world.planner.found_unknown_name
    assert world.states() == ["open"]
    world.rules.replace(of(agency()))
    hands.advance(timedelta(minutes=1))
    assert world.planner.process() == 1
    assert world.texts() == [f"StageEntered: {BRIEF}"]


@pytest.mark.parametrize("trouble", [CrmUncertain("no answer"), StoreUnavailable("disk full")])
def test_while_amocrm_or_the_store_is_silent_nothing_is_lost_and_nobody_blamed(
    world: World, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    asks = rule(lambda event, deal, options: Skip(f"{len(deal.own_tasks)}"), "asks", StageEntered, needs=["own_tasks"])
    world.use(ON_MOVES, asks)
    world.knows(record(NEW, seconds=-60))
    world.shows(record(BRIEF))
    world.hears(moved())
    with world.store.write() as connection:
        made_before = {"account": ACCOUNT, "rule": "asks.one", "deal_id": 7, "slot": "0", "kind": "create_task"}
        connection.execute(made.insert(), {**made_before, "entity_id": 55, "at": 0.0})

    def silent(*_: Any, **__: Any) -> None:
        raise trouble

    whole = world.crm.get
    monkeypatch.setattr(world.crm, "get", lambda path, params=None: whole(path, params) if DEALS in path else silent())
    with pytest.raises(type(trouble)):
        world.planner.process()
    assert world.states() == ["open"]
    assert world.journal() == []
    monkeypatch.undo()
    assert world.planner.process() == 1
    assert world.texts() == [f"StageEntered: {BRIEF}"]


def test_a_rule_finds_the_tasks_it_set_by_their_marks(world: World) -> None:
    seen: list[tuple[str, bool]] = []

    def looks(event: Event, deal: Deal, options: NoOptions) -> Skip:
        seen.extend((task.slot, task.is_completed) for task in deal.own_tasks)
        return Skip("посмотрело")

    world.use(rule(looks, "own", needs=["own_tasks"]), rule(looks, "other", needs=["own_tasks"]))
    rows = [("own.one", "a", 51), ("own.one", "b", 52), ("own.one", "deleted since", 53), ("third.one", "c", 54)]
    with world.store.write() as connection:
        for name, slot, number in rows:
            made_row = {"account": ACCOUNT, "rule": name, "deal_id": 7, "slot": slot, "kind": "create_task"}
            connection.execute(made.insert(), {**made_row, "entity_id": number, "at": 0.0})
    world.crm.rows[TASKS] = [
        {"id": 51, "is_completed": False, "entity_id": 7, "entity_type": "leads"},
        {"id": 52, "is_completed": True, "entity_id": 7, "entity_type": "leads"},
        {"id": 54, "is_completed": True, "entity_id": 7, "entity_type": "leads"},
    ]
    world.knows(record(NEW, seconds=-60))
    world.shows(record(BRIEF))
    world.hears(moved())
    world.planner.process()
    assert seen == [("a", False), ("b", True)]


def test_a_rule_is_evaluated_once_on_each_state_of_its_data(world: World) -> None:
    """Early and, where it looked, once more on what was read for all deals of the batch."""
    evaluated: list[tuple[str, int]] = []

    def counted(name: str, *needs: str, looks: bool = True) -> Rule:
        def judge(event: Event, deal: Deal, options: NoOptions) -> Skip:
            evaluated.append((name, deal.id))
            return Skip(f"{len(deal.own_tasks)}" if looks else "не то")

        return rule(judge, name, needs=needs)

    world.use(counted("looks", "own_tasks"), counted("too", "own_tasks"), counted("does not", "calls", looks=False))
    world.knows(record(NEW, seconds=-60), record(NEW, deal_id=8, seconds=-60))
    world.shows(record(BRIEF), record(BRIEF, deal_id=8))
    world.hears(moved(), moved(8))
    world.planner.process()
    times = {name: [deal for who, deal in evaluated if who == name] for name, _ in evaluated}
    assert times == {"looks": [7, 8, 7, 8], "too": [7, 8], "does not": [7, 8]}


def test_a_rule_that_goes_round_in_circles_is_held_back(world: World, hands: FixedClock) -> None:
    world.use(rule(notes, "circles", StageEntered, most_per_hour=3))
    world.knows(record(NEW, seconds=-60))
    verdicts = []
    for number in range(5):
        stage = (BRIEF, MEETING)[number % 2]
        world.shows(record(stage, seconds=number))
        world.hears(moved(seconds=number, to=stage))
        world.planner.process()
        world.sends_all()
        verdicts.append(world.journal()[-1].verdict)
    assert verdicts == ["acts", "acts", "acts", "held", "held"]
    hands.advance(timedelta(hours=1, seconds=1))
    world.shows(record(OFFER, seconds=60))
    world.hears(moved(seconds=60, to=OFFER))
    world.planner.process()
    assert world.journal()[-1].verdict == "acts"


def test_what_the_journal_shows_of_a_dry_run_and_of_a_failure(world: World) -> None:
    def breaks(event: Event, deal: Deal, options: NoOptions) -> Skip:
        raise UnknownName("этапа", "Нет такого")

    back = rule(lambda event, deal, options: MoveDeal(deal_id=7, to=NEW), "dry", dry_run=True)
    world.use(back, rule(breaks, "broken"))
    world.knows(record(NEW, seconds=-60))
    world.shows(record(BRIEF))
    world.hears(moved())
    world.planner.process()
    _, dry, broken = world.journal()
    assert (dry.verdict, dry.effects) == ("would_act", ((f"этап → «{NEW}»", "dry", ""),))
    assert broken.verdict == "failed"
    assert "Нет такого" in broken.reason
    assert states(world.store) == []


def test_a_new_deal_of_ours_is_judged_like_anybody_s(world: World) -> None:
    due = Due.parse("1 d")
    first = rule(lambda event, deal, options: CreateTask(deal_id=deal.id, text="?", to="manager", due=due), "first")
    world.use(first)
    world.shows(record(NEW, 900, created_at=at(-1)))
    world.hears(DealAdded(at=at(-30), deal_id=900, user_id=0, **on_stage(NEW)))
    world.planner.process()
    assert states(world.store) == ["ready"]
    (_, decided) = world.journal(900)
    assert decided.what == f"новая сделка на этапе «{NEW}»"


def test_a_mass_move_asks_the_store_no_more_often_than_a_small_one(world: World) -> None:
    """A query for each judged event (the explanations of roll-backs) was a quarter of what a storm cost."""
    world.use(ON_MOVES, rule(lambda event, deal, options: Skip("пусть"), "lets", StageEntered, gate=True))
    asked: list[str] = []
    event.listen(world.store.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    counts = []
    for deal_ids in (range(100, 103), range(200, 290)):
        world.knows(*(record(NEW, deal_id=number) for number in deal_ids))
        world.shows(*(record(BRIEF, deal_id=number, seconds=5) for number in deal_ids))
        stage = on_stage(BRIEF)
        world.hears(*(DealMoved(at=at(5), deal_id=number, **stage) for number in deal_ids))
        asked.clear()
        assert world.planner.process() == len(deal_ids)
        counts.append(len(asked))
    assert counts[0] == counts[1]
    assert len(world.texts()) == 93
