"""Dispatch: events × rules → verdicts. Rules here are one-liners: it is about who is asked, not about what for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.fakes import BRIEF, MEETING, NEW, NOON, Around, NoOptions, agency, at, clock, record, rule, user

from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.dates.due import Due
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.engine.dispatcher import Dispatcher, EarlyAnswers, EvaluationContext, Verdict
from amo_bridge.engine.people import People
from amo_bridge.engine.resolver import Resolver
from amo_bridge.errors import CrmUncertain
from amo_bridge.events import ClientAnswered, DealMoved, Event, FieldChanged, StageEntered
from amo_bridge.rules.actions import (
    Action,
    AddNote,
    ChangeTask,
    CreateDeal,
    CreateTask,
    Lack,
    MoveDeal,
    RollBack,
    Skip,
    Withheld,
)
from amo_bridge.rules.deal import Deal, Task
from amo_bridge.rules.handler import Judge, Rule

TOMORROW = Due.parse("1 d")
TOLD = DealMoved(at=NOON, deal_id=7)
MOVE = StageEntered(
    at=NOON,
    deal_id=7,
    user_id=user("Иван Петров"),
    stage=agency().stage(MEETING).key,
    stage_name=MEETING,
    from_stage=agency().stage(NEW).key,
    from_stage_name=NEW,
)
DATE = FieldChanged(at=NOON, deal_id=7, field_name="Дата дедлайна", new="31.12.2026")


def dispatcher(rules: Sequence[Rule], *, dry_run: bool = False, now: timedelta = timedelta(0)) -> Dispatcher:
    resolver = Resolver(agency(), People(agency(), {}), CalendarOptions().calendar("Europe/Moscow"))
    return Dispatcher(
        rules, resolver, agency(), clock(NOON + now), dry_run=dry_run, opt_out_tag="без робота"
    )  # fmt: skip


def case(*happened: Event, **changed: Any) -> EvaluationContext:
    now = record(MEETING, **changed)
    deal = Viewer(agency(), "https://agency.amocrm.ru").deal(now)
    return EvaluationContext((TOLD, *happened), "told", now, deal)


def judged(rules: Sequence[Rule], *happened: Event, **how: Any) -> list[Verdict]:
    settings = {key: how.pop(key) for key in ("dry_run", "now") if key in how}
    return dispatcher(rules, **settings).evaluate(case(*(happened or (MOVE,)), **how), Around())


def told(verdicts: Sequence[Verdict]) -> list[tuple[str, str]]:
    return [(verdict.rule.handler.name, verdict.outcome) for verdict in verdicts]


def sets(text: str) -> Judge:
    return lambda event, deal, options: CreateTask(deal_id=deal.id, text=text, to="manager", due=TOMORROW)


def refuses(*missing: str, to: str | None = NEW) -> Judge:
    where = agency().stage(to).key if to else None
    return lambda event, deal, options: RollBack(
        deal_id=deal.id,
        to=where,
        because="перехода",
        missing=tuple(Lack("заполните", name) for name in missing),
        tell="manager",
        due=TOMORROW,
    )


def passes(event: Event, deal: Deal, options: NoOptions) -> Skip:
    return Skip("всё в порядке")


def breaks(event: Event, deal: Deal, options: NoOptions) -> Skip:
    raise ZeroDivisionError


def test_a_rule_hears_only_what_it_listens_to_and_only_when_it_is_on() -> None:
    rules = [
        rule(passes, "of_stages"),
        rule(passes, "of_fields", FieldChanged),
        rule(passes, "of_both", (StageEntered, FieldChanged)),
        rule(passes, "switched_off", enabled=False),
    ]
    assert told(judged(rules, MOVE)) == [("of_stages", "skipped"), ("of_both", "skipped")]
    assert told(judged(rules, DATE)) == [("of_fields", "skipped"), ("of_both", "skipped")]
    assert dispatcher(rules).listens_to(FieldChanged(deal_id=7, field_name="Бюджет"))
    assert not dispatcher(rules).listens_to(DealMoved(deal_id=7))


def test_why_nothing_was_done_is_kept() -> None:
    (verdict,) = judged([rule(passes)])
    assert (verdict.reason, verdict.effects) == ("всё в порядке", ())


def test_a_gate_that_refuses_silences_the_others_about_that_move() -> None:
    found = judged([rule(sets("Готовиться"), "task"), rule(refuses("Бриф"), "gate", gate=True)])
    assert told(found) == [("gate", "acts"), ("task", "skipped")]
    assert found[1].reason == "сделку возвращает правило gate.one"


def test_a_gate_that_lets_pass_silences_nobody() -> None:
    found = judged([rule(sets("Готовиться"), "task"), rule(passes, "gate", gate=True)])
    assert told(found) == [("gate", "skipped"), ("task", "acts")]


def test_rules_about_fields_see_the_deal_where_it_will_be() -> None:
    seen: list[str] = []

    def looks(event: Event, deal: Deal, options: NoOptions) -> Skip:
        seen.append(deal.stage.title)
        return Skip("посмотрело")

    rules = [rule(refuses("Бриф"), "gate", gate=True), rule(looks, "field", FieldChanged)]
    judged(rules, MOVE, DATE)
    judged([rules[1]], MOVE, DATE)
    assert seen == [NEW, MEETING]


def test_two_gates_put_the_deal_back_once_and_explain_everything_at_once() -> None:
    rules = [
        rule(refuses("Бриф", "Бюджет"), "first", gate=True),
        rule(refuses("Бюджет", "Дата первой встречи"), "second", gate=True),
    ]
    first, second = judged(rules)
    assert (first.outcome, second.outcome) == ("acts", "skipped")
    (back,) = first.effects
    assert back.kind == "patch_deal"
    assert back.rolls_back
    (task,) = back.then
    assert "«Бриф», «Бюджет», «Дата первой встречи»" in task.body["text"]
    assert "не хватает: заполните: «Бюджет», «Дата первой встречи»" in second.reason


def test_a_gate_that_knows_no_way_back_only_explains() -> None:
    (verdict,) = judged([rule(refuses("Бриф", to=None), "gate", gate=True)])
    assert [effect.kind for effect in verdict.effects] == ["create_task"]


def test_a_rule_that_breaks_does_not_silence_the_others() -> None:
    found = judged([rule(breaks, "broken"), rule(breaks, "broken_gate", gate=True), rule(sets("Звонок"), "sound")])
    assert told(found) == [("broken_gate", "failed"), ("broken", "failed"), ("sound", "acts")]
    assert found[0].reason == "ошибка в правиле: ZeroDivisionError()"


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param(None, id="nothing, a return was forgotten"),
        pytest.param(True, id="a bool"),
        pytest.param([Skip("?")], id="a list with a Skip"),
        pytest.param(MoveDeal(deal_id=7, to=None), id="a move to nowhere"),  # type: ignore[arg-type]
        pytest.param(MoveDeal(deal_id=7, to="Продажи / Никакой"), id="a stage that is not there"),
        pytest.param(
            CreateTask(deal_id=7, text="?", to="Никто", due=TOMORROW), id="a person who is not there"
        ),
    ],
)  # fmt: skip
def test_a_rule_that_wants_nonsense_fails_alone_and_says_why(nonsense: Any) -> None:
    found = judged([rule(lambda event, deal, options: nonsense, "odd"), rule(sets("Звонок"), "sound")])
    assert told(found) == [("odd", "failed"), ("sound", "acts")]
    assert found[0].reason


@pytest.mark.parametrize("whole", [True, False], ids=["the whole bridge", "one rule"])
def test_a_dry_run_decides_and_does_nothing(whole: bool) -> None:
    rules = [rule(sets("Звонок"), "task", dry_run=not whole), rule(sets("Письмо"), "other")]
    found = judged(rules, dry_run=whole)
    assert told(found) == [("task", "would_act"), ("other", "would_act" if whole else "acts")]
    assert [effect.body["text"] for effect in found[0].effects] == ["Звонок"]


def test_a_gate_on_trial_stops_nobody() -> None:
    rules = [
        rule(refuses("Бриф"), "trial", gate=True, dry_run=True),
        rule(refuses("Бюджет"), "real", gate=True),
        rule(sets("Звонок"), "task"),
    ]
    alone = judged([rules[0], rules[2]])
    assert told(alone) == [("trial", "would_act"), ("task", "acts")]
    both = judged(rules)
    assert told(both) == [("trial", "would_act"), ("real", "acts"), ("task", "skipped")]
    assert "«Бриф»" not in both[1].effects[0].then[0].body["text"]


def test_the_tag_switches_everything_off_however_it_is_spelt() -> None:
    rules = [rule(sets("Звонок"), "task"), rule(refuses("Бриф"), "gate", gate=True), rule(breaks, "broken")]
    found = judged(rules, tags=("vip", " Без  РОБОТА"))
    assert {verdict.reason for verdict in found} == {"на сделке тег «без робота»"}


def test_what_happened_too_long_ago_is_history() -> None:
    rules = [rule(sets("Звонок"), "task", max_lateness=timedelta(hours=2)), rule(sets("Письмо"), "patient")]
    assert told(judged(rules, now=timedelta(hours=2))) == [("task", "acts"), ("patient", "acts")]
    late = judged(rules, now=timedelta(hours=2, seconds=1))
    assert told(late) == [("task", "skipped"), ("patient", "acts")]
    assert "слишком поздно" in late[0].reason


def test_one_change_that_is_two_events_is_acted_on_once() -> None:
    both = rule(sets("Проверить бриф"), "task", (StageEntered, FieldChanged))
    found = judged([both], MOVE, DATE)
    assert told(found) == [("task", "acts"), ("task", "skipped")]
    assert found[1].reason == "решено по другому событию этого же изменения"


def test_two_equal_rules_are_two_rules() -> None:
    found = judged([rule(sets("Звонок"), "one"), rule(sets("Звонок"), "two")])
    assert told(found) == [("one", "acts"), ("two", "acts")]


def test_what_is_so_already_is_no_action() -> None:
    (verdict,) = judged([rule(lambda event, deal, options: MoveDeal(deal_id=7, to=MEETING))])
    assert (verdict.outcome, verdict.reason) == ("skipped", "всё уже так, как надо")


OWN = Task(id=55, text="?", is_completed=False, due=NOON, responsible_user_id=1, slot="0")


def renames(event: Event, deal: Deal, options: NoOptions) -> Any:
    return [ChangeTask(deal_id=7, task_id=own.id, text="Новый") for own in deal.own_tasks] or Skip("нет задач")


def test_a_rule_sees_its_own_tasks_if_it_asks_for_them() -> None:
    around = Around(own_tasks=(OWN,))
    rules = [rule(renames, "asks", needs=["own_tasks"]), rule(renames, "does_not")]
    found = dispatcher(rules).evaluate(case(MOVE), around)
    assert told(found) == [("asks", "acts"), ("does_not", "skipped")]
    assert around.asked == ["asks.one 7"]


def test_a_task_that_says_so_already_is_left_alone() -> None:
    around = Around(own_tasks=(replace(OWN, text="Новый"),))
    (verdict,) = dispatcher([rule(renames, needs=["own_tasks"])]).evaluate(case(MOVE), around)
    assert (verdict.outcome, verdict.reason) == ("skipped", "всё уже так, как надо")


def test_nothing_is_read_for_a_rule_that_does_not_look() -> None:
    around = Around()
    dispatcher([rule(passes, needs=["files", "calls"])]).evaluate(case(MOVE), around)
    assert around.asked == []


class Counted:
    """Judges by ``judge`` and counts how often."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.times = 0

    def __call__(self, event: Event, deal: Deal, options: NoOptions) -> Any:
        self.times += 1
        return self.judge(event, deal, options)


class Loaded(Around):
    """What rules need is loaded already."""

    def loaded(self, rule: Rule, deal: Deal) -> Deal:
        return replace(deal, **{need: self.what[need] for need in rule.needs})


def looks_at_files(event: Event, deal: Deal, options: NoOptions) -> Skip:
    return Skip(f"файлов: {len(deal.files)}")


def looks_at_calls(event: Event, deal: Deal, options: NoOptions) -> Skip:
    return Skip(f"звонков: {len(deal.calls)}")


def test_early_evaluation_finds_out_what_rules_will_look_at() -> None:
    rules = [
        rule(passes, "cheap first", needs=["files"]),
        rule(looks_at_calls, "looks", needs=["calls", "contacts"]),
        rule(breaks, "broken", needs=["touches"]),
        rule(passes, "no needs"),
    ]
    assert dispatcher(rules).evaluate_early(case(MOVE), EarlyAnswers()) == {"calls", "contacts"}
    late = dispatcher(rules, now=timedelta(days=30))
    assert late.evaluate_early(case(MOVE), EarlyAnswers()) == set()
    assert dispatcher(rules).evaluate_early(case(MOVE, tags=("без робота",)), EarlyAnswers()) == set()


@pytest.mark.parametrize(
    ("judge", "data", "times"),
    [
        pytest.param(passes, Around(), 1, id="it does not look"),
        pytest.param(breaks, Around(), 1, id="it breaks before it looks"),
        pytest.param(looks_at_files, Loaded(files=()), 2, id="it looks, and that is loaded by now"),
        pytest.param(looks_at_files, Around(files=()), 2, id="it looks, and that has to be loaded"),
    ],
)
def test_an_early_answer_is_not_asked_for_again(judge: Judge, data: Around, times: int) -> None:
    counted, answers = Counted(judge), EarlyAnswers()
    engine = dispatcher([rule(counted, needs=["files"])])
    engine.evaluate_early(case(MOVE), answers)
    with_early = engine.evaluate(case(MOVE), data, answers)
    assert counted.times == times
    assert with_early == engine.evaluate(case(MOVE), data)


def test_a_rule_whose_data_is_loaded_is_evaluated_once() -> None:
    counted = Counted(looks_at_files)
    rules = [rule(counted, needs=["files"])]
    (verdict,) = dispatcher(rules).evaluate(case(MOVE), Loaded(files=()))
    assert (verdict.reason, counted.times) == ("файлов: 0", 1)


def test_a_rule_is_left_for_later_if_its_data_is_read_anyway() -> None:
    counted, answers = Counted(looks_at_files), EarlyAnswers()
    engine = dispatcher([rule(looks_at_files, "first", needs=["files"]), rule(counted, "second", needs=["files"])])
    assert engine.evaluate_early(case(MOVE), answers) == {"files"}
    assert counted.times == 0
    engine.evaluate(case(MOVE), Loaded(files=()), answers)
    assert counted.times == 1
    assert engine.evaluate_early(case(MOVE), EarlyAnswers(), expected=["files"]) == {"files"}
    assert counted.times == 1


def test_an_early_answer_about_another_state_of_the_deal_does_not_count() -> None:
    counted, answers = Counted(lambda event, deal, options: Skip(deal.stage.title)), EarlyAnswers()
    rules = [rule(refuses("Бриф"), "gate", gate=True), rule(counted, "field", FieldChanged, needs=["files"])]
    engine = dispatcher(rules)
    engine.evaluate_early(case(MOVE, DATE), answers)
    *_, about_field = engine.evaluate(case(MOVE, DATE), Around(), answers)
    assert (about_field.reason, counted.times) == (NEW, 2), "the gate has rolled the deal back"


def test_a_rule_that_looks_at_what_it_did_not_ask_for_fails_and_says_what_to_do() -> None:
    def looks(event: Event, deal: Deal, options: NoOptions) -> Skip:
        return Skip("открытых задач нет" if not deal.open_tasks else "есть открытые задачи")

    (verdict,) = dispatcher([rule(looks, needs=["own_tasks"])]).evaluate(case(MOVE), Around(own_tasks=()))
    assert verdict.outcome == "failed"
    assert "needs={'open_tasks'}" in verdict.reason


def test_amocrm_s_trouble_is_not_the_rule_s_failure() -> None:
    class Silent(Around):
        def load(self, rule: Rule, deal: Deal) -> Deal:
            raise CrmUncertain("no answer")

    with pytest.raises(CrmUncertain):
        dispatcher([rule(renames, needs=["own_tasks"])]).evaluate(case(MOVE), Silent())


def test_a_date_that_is_empty_is_told_as_the_reason() -> None:
    due = Due.parse("field: Дата дедлайна")
    (verdict,) = judged([rule(lambda e, d, o: CreateTask(deal_id=7, text="?", to="manager", due=due))])
    assert verdict.outcome == "failed"
    assert "поле «Дата дедлайна» не заполнено" in verdict.reason


KEYS: list[tuple[Event, Event, bool]] = [
    (MOVE, StageEntered(**{**vars(MOVE), "user_id": None, "from_stage": None}), True),
    (MOVE, StageEntered(**{**vars(MOVE), "at": at(1)}), False),
    (MOVE, StageEntered(**{**vars(MOVE), "stage": agency().stage(BRIEF).key}), False),
    (MOVE, StageEntered(**{**vars(MOVE), "deal_id": 8}), False),
    (DATE, FieldChanged(**{**vars(DATE), "user_id": 5}), True),
    (DATE, FieldChanged(**{**vars(DATE), "new": "01.01.2027"}), False),
    (DATE, FieldChanged(**{**vars(DATE), "old": "01.01.2026"}), False),
    (DATE, FieldChanged(**{**vars(DATE), "field_name": "Дедлайн проекта"}), False),
    (DATE, FieldChanged(**{**vars(DATE), "at": at(60)}), False),
]


@pytest.mark.parametrize(("one", "other", "same"), KEYS)
def test_the_same_thing_has_the_same_key_whoever_told_of_it(one: Event, other: Event, same: bool) -> None:
    assert (one.event_key(case().queue_key) == other.event_key(case().queue_key)) is same


def test_a_new_deal_s_followers_count_as_one_action() -> None:
    note = AddNote(deal_id=7, text="{new.url}")
    new = CreateDeal(deal_id=7, name="Лютик", to=NEW, responsible="manager", then=(note,))
    (verdict,) = judged([rule(lambda event, deal, options: new)])
    (made,) = verdict.effects
    assert [follow.kind for follow in made.then] == ["add_note"]
    assert made.all_words == [
        "новая сделка «Лютик» на этапе «Продажи / Новый клиент»",
        "примечание «адрес новой сделки»",
    ]


def withholds(*actions: Action) -> Judge:
    return lambda event, deal, options: Withheld("нет подтверждения", actions)


def test_what_a_gate_withholds_is_heard_by_no_other_rule() -> None:
    again = CreateTask(deal_id=7, text="Снова", to="manager", due=TOMORROW)
    gate = rule(withholds(again), "proof", FieldChanged, gate=True)
    first, second, other = judged([rule(sets("Готовиться"), "task", FieldChanged), gate, rule(passes)], DATE, MOVE)
    assert told([first, second, other]) == [("proof", "acts"), ("task", "skipped"), ("rule", "skipped")]
    assert second.reason == "не считается (proof.one): нет подтверждения"
    assert other.reason == "всё в порядке", "another event of the same change counts"


def test_a_gate_that_withholds_and_does_nothing_says_why() -> None:
    verdicts = judged([rule(withholds(), "proof", gate=True), rule(sets("Готовиться"), "task")])
    assert [one.reason for one in verdicts] == ["нет подтверждения", "не считается (proof.one): нет подтверждения"]


def test_a_dry_gate_withholds_nothing() -> None:
    verdicts = judged([rule(withholds(), "proof", gate=True, dry_run=True), rule(sets("Готовиться"), "task")])
    assert told(verdicts) == [("proof", "skipped"), ("task", "acts")]


@pytest.mark.parametrize("reason", ["", "автоответ, а не клиент"])
def test_what_is_no_answer_of_the_client_is_heard_by_no_rule(reason: str) -> None:
    event = ClientAnswered(at=NOON, deal_id=7, by="mail", no_answer=reason)
    (verdict,) = judged([rule(passes, "answer", ClientAnswered)], event)
    assert verdict.reason == (reason or "всё в порядке")
