"""A task that a rule set is closed by the bridge once it has lost its reason, with that reason as its result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.fakes import ACCOUNT, BRIEF, LOST, MEETING, NEW, NOON, OFFER, Around, agency, clock, record, rule

from amo_bridge.crm.records import DealRecord
from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.dates.due import Due
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.dispatcher import Dispatcher, EvaluationContext, Verdict
from amo_bridge.engine.people import People
from amo_bridge.engine.resolver import Resolver
from amo_bridge.engine.task_ends import EndingTask, EndingTasks, FieldEnd, TaskEnds, ends_of, forget_ends
from amo_bridge.events import DealUpdated, Event, FieldChanged, FileAttached, StageEntered
from amo_bridge.mirror.tasks import MirroredTask, TaskRows
from amo_bridge.rules.actions import (
    Action,
    AddNote,
    CreateTask,
    FieldFilled,
    FileThere,
    FinishTask,
    Lack,
    MoveDeal,
    RollBack,
    Skip,
    TaskEnd,
)
from amo_bridge.rules.deal import Deal
from amo_bridge.rules.handler import Options, Rule
from amo_bridge.rules.registry import shipped
from amo_bridge.storage.database import AccountStore, Store, insert_new
from amo_bridge.storage.tables import made

RULES_PAGE = Path(__file__).parents[2] / "docs" / "rules.md"
KEY = {name: agency().stage(name).key for name in (NEW, MEETING, BRIEF, OFFER, LOST)}
NEW_KEY = KEY[NEW]
DATE = "Дата дедлайна"
FIELD = FieldEnd(DATE, agency().field(DATE).id, was_filled=False)
WAS_FILLED = FIELD._replace(was_filled=True)
CONTRACT, OFFER_FILE = FileThere(None, ("Договор",)), FileThere("КП {Название}")

came = {name: StageEntered(at=NOON, deal_id=7, stage=KEY[name], stage_name=name, from_stage=NEW_KEY) for name in KEY}
filled = FieldChanged(at=NOON, deal_id=7, field_name=DATE, old=None, new="12.12.2026")
other = FieldChanged(at=NOON, deal_id=7, field_name="Бюджет", old=None, new="1")
hook = DealUpdated(at=NOON, deal_id=7)


def file(name: str) -> FileAttached:
    return FileAttached(at=NOON, note_id=1, file_name=name, entity_type="deal", entity_id=7)


def deal_on(stage: str, **changed: Any) -> Deal:
    return Viewer(agency(), "https://agency.amocrm.ru").deal(record(stage, **changed))


STAGE, DEAL = TaskEnds((NEW_KEY,), leaves=True), TaskEnds((NEW_KEY,), leaves=False)
BOTH = TaskEnds((NEW_KEY, KEY[MEETING]), leaves=True)
FILLED = {DATE: ({"value": int(NOON.timestamp())},)}


@pytest.mark.parametrize(
    ("ends", "stage", "event", "reason"),
    [
        (STAGE, MEETING, came[MEETING], "Сделка ушла с этапа «Новый клиент»"),
        (STAGE, LOST, came[LOST], "Сделка закрыта: «Закрыто и не реализовано»"),
        (STAGE, MEETING, hook, "Сделка ушла с этапа «Новый клиент»"),
        (STAGE, NEW, other, None),
        (BOTH, MEETING, came[MEETING], None),
        (BOTH, BRIEF, came[BRIEF], "Сделка ушла с этапа «Новый клиент»"),
        (DEAL, MEETING, came[MEETING], None),
        (DEAL, LOST, came[LOST], "Сделка закрыта: «Закрыто и не реализовано»"),
        # A task that was set for a closed deal is not ended by that.
        (TaskEnds((KEY[LOST],), leaves=True), LOST, came[LOST], None),
        (TaskEnds((KEY[LOST],), leaves=True), NEW, came[NEW], "Сделка ушла с этапа «Закрыто и не реализовано»"),
        (replace(DEAL, fields=(FIELD,)), NEW, filled, f"Поле «{DATE}» заполнено"),
        (replace(DEAL, fields=(WAS_FILLED,)), NEW, filled, f"Поле «{DATE}» заполнено"),
        # What the bridge itself has filled is told by no event of its own.
        (replace(DEAL, fields=(FIELD,)), NEW, hook, f"Поле «{DATE}» заполнено"),
        (replace(DEAL, fields=(WAS_FILLED,)), NEW, other, None),
        # The field has another name by now.
        (replace(DEAL, fields=(FIELD._replace(name="Дедлайн"),)), NEW, filled, f"Поле «{DATE}» заполнено"),
        (replace(DEAL, files=(CONTRACT,)), NEW, file("Договор 17.pdf"), "Файл «Договор 17.pdf» приложен"),
        (replace(DEAL, files=(CONTRACT,)), NEW, file("Счёт.pdf"), None),
        (replace(DEAL, files=(OFFER_FILE,)), NEW, file("КП Ромашка.pdf"), "Файл «КП Ромашка.pdf» приложен"),
        (replace(DEAL, files=(CONTRACT,)), LOST, came[LOST], "Сделка закрыта: «Закрыто и не реализовано»"),
    ],
)  # fmt: skip
def test_each_kind_of_end(ends: TaskEnds, stage: str, event: Event, reason: str | None) -> None:
    deal = deal_on(stage, fields={DATE: (int(NOON.timestamp()),)} if ends.fields else {})
    reached = TaskEnds.of_json(ends.to_json()).reached(deal, [event], agency())
    assert (reached and reached[0]) == reason


def test_an_emptied_field_ends_nothing() -> None:
    emptied = replace(filled, old="12.12.2026", new=None)
    assert replace(DEAL, fields=(FIELD, WAS_FILLED)).reached(deal_on(NEW), [emptied], agency()) is None


# --- what is stored with a task ---------------------------------------------------------------------------------------


class OnStages(Options):
    stages: tuple[str, ...] = ()
    goes_on: tuple[str, ...] = ()


def set_by(handler: str = "stage left", *, stages: Sequence[str] = (), goes_on: Sequence[str] = ()) -> Rule:
    plain = rule(lambda event, deal, options: [])
    return replace(
        plain,
        handler=replace(plain.handler, tasks_until=handler),
        options=OnStages(stages=tuple(stages), goes_on=tuple(goes_on)),
    )


def task(*until: TaskEnd) -> CreateTask:
    return CreateTask(deal_id=7, text="Позвонить", to="manager", due=Due.parse("1 d"), until=until or None)


@pytest.mark.parametrize(
    ("of", "action", "others", "ends"),
    [
        (set_by(), task(), [], TaskEnds((NEW_KEY,), leaves=True)),
        (set_by("deal closed"), task(), [], TaskEnds((NEW_KEY,), leaves=False)),
        (set_by(), task("deal closed"), [], TaskEnds((NEW_KEY,), leaves=False)),
        (set_by("deal closed"), task("stage left"), [], TaskEnds((NEW_KEY,), leaves=True)),
        (set_by(), task("never"), [], None),
        # The deal moves by the same decision: the task is for the stage where it will be.
        (set_by(), task(), [MoveDeal(deal_id=7, to=MEETING)], TaskEnds((KEY[MEETING],), leaves=True)),
        # From one stage of the rule to another is no leaving.
        (set_by(stages=[MEETING, NEW]), task(), [], TaskEnds((NEW_KEY, KEY[MEETING]), leaves=True)),
        (set_by(stages=[NEW], goes_on=[MEETING]), task(), [], TaskEnds((NEW_KEY, KEY[MEETING]), leaves=True)),
        (set_by(stages=[NEW]), task(), [MoveDeal(deal_id=7, to=MEETING)], TaskEnds((KEY[MEETING],), leaves=True)),
        (set_by(), task(FieldFilled(DATE)), [], TaskEnds((NEW_KEY,), leaves=False, fields=(FIELD,))),
        (
            set_by(),
            task("stage left", FieldFilled("Бюджет"), CONTRACT),
            [],
            TaskEnds((NEW_KEY,), leaves=True, fields=(FieldEnd("Бюджет", None, True),), files=(CONTRACT,)),
        ),
    ],
)  # fmt: skip
def test_what_ends_a_task_is_known_when_it_is_set(
    of: Rule, action: CreateTask, others: list[Action], ends: TaskEnds | None
) -> None:
    got = ends_of(action, [action, *others], of, deal_on(NEW, price=5), agency())
    assert (
        got
        and replace(got, stages=tuple(sorted(got.stages)))
        == (replace(ends, stages=tuple(sorted(ends.stages))) if ends else None)
        if ends
        else got is None
    )


def test_the_docs_say_what_ends_the_tasks_of_each_kind_of_rule() -> None:
    shipped_ones = {**shipped("handlers"), **shipped("schedules")}
    told = dict(
        re.findall(r"^\| `(\w+)` \| `(stage left|deal closed|never)` \|", RULES_PAGE.read_text("utf-8"), re.MULTILINE)
    )
    assert told == {name: shipped_ones[name].tasks_until for name in told}
    left_out = {name for name, handler in shipped_ones.items() if handler.tasks_until != "deal closed"} - set(told)
    assert not left_out


# --- who closes it, and when not --------------------------------------------------------------------------------------


def says_nothing(event: Event, deal: Deal, options: Options) -> Skip:
    return Skip("не мой этап")


def adds_note(event: Event, deal: Deal, options: Options) -> AddNote:
    return AddNote(deal_id=7, text="Пришла")


def fails(event: Event, deal: Deal, options: Options) -> Skip:
    raise RuntimeError("сломано")


def closes_it(event: Event, deal: Deal, options: Options) -> FinishTask:
    return FinishTask(deal_id=7, task_id=1, result="Закрыто правилом")


def refuses(event: Event, deal: Deal, options: Options) -> RollBack:
    lack = Lack("заполните", "Бриф")
    return RollBack(deal_id=7, to=NEW_KEY, because="перехода", missing=(lack,), tell="manager", due=Due.parse("1 d"))


OPEN = [EndingTask(1, "rule.one", STAGE)]


def judged(
    *rules: Rule,
    tasks: Sequence[EndingTask] = OPEN,
    on: str = MEETING,
    dry: bool = False,
    events: tuple[Event, ...] = (),
    before: DealRecord | None = None,
    **changed: Any,
) -> list[Verdict]:
    resolver = Resolver(agency(), People(agency(), {}), CalendarOptions().calendar("Europe/Moscow"))
    dispatcher = Dispatcher(rules, resolver, agency(), clock(), dry_run=dry, opt_out_tag="без робота")
    now = record(on, **changed)
    deal = Viewer(agency(), "https://agency.amocrm.ru").deal(now)
    context = EvaluationContext(events or (hook, came[on]), "told", now, deal, before=before, ending_tasks=tasks)
    return dispatcher.evaluate(context, Around())


def closed(verdicts: list[Verdict], outcome: str = "acts") -> list[tuple[str, int, str]]:
    return [
        (verdict.rule.name, effect.body["id"], effect.body["result"]["text"])
        for verdict in verdicts
        if verdict.outcome == outcome
        for effect in verdict.effects
        if effect.kind == "change_task"
    ]


BY_STAGE = ("rule.one", 1, "Сделка ушла с этапа «Новый клиент»")


@pytest.mark.parametrize(
    "rules",
    [
        [rule(says_nothing)],
        [rule(adds_note)],
        [rule(fails)],
        [rule(says_nothing, enabled=False)],
        [rule(says_nothing, "another")],
        [],
    ],
    ids=["had nothing to do", "does something else", "fails", "switched off", "gone from the config", "no rules"],
)
def test_it_is_closed_by_the_rule_that_set_it_whatever_became_of_that(rules: list[Rule]) -> None:
    assert closed(judged(*rules)) == [BY_STAGE]


def test_what_the_rule_does_besides_is_one_decision_with_it() -> None:
    (verdict,) = judged(rule(adds_note))
    assert [effect.kind for effect in verdict.effects] == ["add_note", "change_task"]


def test_a_failing_rule_keeps_its_line_in_the_journal_and_another_key() -> None:
    failed, ended = judged(rule(fails))
    assert (failed.outcome, ended.outcome) == ("failed", "acts")
    assert failed.event_key != ended.event_key


@pytest.mark.parametrize(
    ("rules", "switches"),
    [
        ([rule(says_nothing, dry_run=True)], {}),
        ([rule(says_nothing)], {"dry": True}),
    ],
    ids=["the rule is dry", "the bridge is dry"],
)
def test_a_dry_run_closes_nothing_and_says_what_it_would(rules: list[Rule], switches: dict[str, Any]) -> None:
    verdicts = judged(*rules, **switches)
    assert (closed(verdicts), closed(verdicts, "would_act")) == ([], [BY_STAGE])


@pytest.mark.parametrize(
    ("rules", "changed"),
    [
        ([rule(says_nothing)], {"on": NEW}),
        ([rule(says_nothing)], {"tags": ("без робота",)}),
        ([rule(says_nothing)], {"tasks": []}),
        ([rule(refuses, "gate", gate=True), rule(says_nothing)], {}),
    ],
    ids=["still there", "opted out", "none is open", "the deal is rolled back"],
)
def test_it_stays(rules: list[Rule], changed: dict[str, Any]) -> None:
    assert not closed(judged(*rules, **changed))


def test_a_move_that_the_gates_have_not_judged_yet_ends_nothing() -> None:
    """Another event of the deal is judged first, on a fresh read: the deal may still be rolled back."""
    assert not closed(judged(rule(says_nothing), events=(other,), before=record(NEW)))
    assert not closed(judged(rule(says_nothing), events=(other,), before=None))
    assert closed(judged(rule(says_nothing), events=(other,), before=record(MEETING))) == [BY_STAGE]


def test_what_a_rule_closes_by_itself_is_not_closed_twice() -> None:
    assert closed(judged(rule(closes_it, "closer"), rule(says_nothing))) == [("closer.one", 1, "Закрыто правилом")]


# --- in the store -----------------------------------------------------------------------------------------------------

MADE = [
    {"rule": "rule.one", "deal_id": 7, "entity_id": 1, "until": STAGE.to_json()},
    {"rule": "rule.one", "deal_id": 7, "entity_id": 2, "until": STAGE.to_json()},
    {"rule": "rule.one", "deal_id": 7, "entity_id": 3, "until": None},
    {"rule": "rule.two", "deal_id": 8, "entity_id": 4, "until": DEAL.to_json()},
    {"rule": "rule.two", "deal_id": 7, "entity_id": 6, "until": DEAL.to_json()},
    {"rule": "rule.two", "deal_id": 7, "entity_id": 10, "until": DEAL.to_json()},
]


@pytest.fixture
def filled_store(store: Store) -> Store:
    """Task 2 is finished, 3 has no end, 4 is another deal's, 5 a person's, 6 on deal 9's card, 10 on a contact's."""
    with store.write() as connection:
        more = {"account": ACCOUNT, "kind": "create_task", "slot": "", "at": 0.0}
        insert_new(connection, made, [{**row, **more} for row in MADE])
        of_deal = {1: 7, 2: 7, 3: 7, 4: 8, 5: 7, 6: 9}
        mirrored = [
            MirroredTask(id=number, entity_type="deal", entity_id=deal, is_completed=number == 2)
            for number, deal in of_deal.items()
        ]
        mirrored.append(MirroredTask(id=10, entity_type="contact", entity_id=9))
        TaskRows(ACCOUNT).put(connection, mirrored)
    return store


def test_open_tasks_with_an_end_are_read_for_many_deals_at_once(filled_store: Store) -> None:
    found = EndingTasks.read(AccountStore(filled_store, ACCOUNT), [7, 8, 9])
    assert {deal: [task.task_id for task in found.of(deal)] for deal in (7, 8, 9)} == {7: [1, 10], 8: [4], 9: [6]}
    assert found.of(8)[0] == EndingTask(4, "rule.two", DEAL)


def test_a_task_on_another_deal_ends_with_that_deal() -> None:
    task = CreateTask(deal_id=9, text="Позвонить", to="manager", due=Due.parse("1 d"), until=("stage left",))
    ends = ends_of(task, [task], rule(says_nothing), deal_on(NEW), agency())
    assert ends is not None
    assert ends.reached(deal_on(MEETING), [came[MEETING]], agency()) is None
    assert ends.reached(deal_on(LOST), [came[LOST]], agency()) == (
        f"Сделка закрыта: «{deal_on(LOST).stage.name}»",
        came[LOST],
    )


def test_what_the_bridge_has_closed_is_not_closed_again_before_the_mirror_knows(filled_store: Store) -> None:
    with filled_store.write() as connection:
        forget_ends(connection, ACCOUNT, [1])
    found = EndingTasks.read(AccountStore(filled_store, ACCOUNT), [7, 8])
    assert [[task.task_id for task in found.of(deal)] for deal in (7, 8)] == [[10], [4]]
