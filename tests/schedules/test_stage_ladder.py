from datetime import UTC, datetime, timedelta

import pytest
from support.builders import NOON, deal, entered, stayed, step_due, task, times

from amo_bridge.dates.due import Due
from amo_bridge.rules.actions import AddTags, CreateTask, JoinAudience, LeaveAudience, MoveDeal, SendLetter, Skip
from amo_bridge.rules.deal import DoneStep, Touch, Touches
from amo_bridge.rules.handler import MARK
from schedules.stage_ladder import StageLadder, stage_ladder

BRIEF = "Продажи / Получение брифа"
POSTPONED = "Продажи / Отложенные"
NEW = "Продажи / Новый клиент"
CALL = {"text": "Позвонить", "to": "manager", "due": "end of day"}
SINCE_NOON = stayed((BRIEF, 0), (NEW, -5))
plan = getattr(stage_ladder, MARK).steps


def options(*steps, **changed):
    facts = {"stages": [BRIEF], "steps": list(steps) or [{"after": "3 d", "tags": ["ждём бриф"]}]}
    return StageLadder.model_validate(facts | changed)


def planned(rule, now=None, when=None):
    """Step → how long after noon it is due."""
    now = now or deal(BRIEF, stays=SINCE_NOON)
    return {step.name: step.due - NOON for step in plan(now, rule, when or times())}


def anchor(now):
    (step,) = plan(now, options(), times())
    return step.anchor


# --- when ------------------------------------------------------------------------------------------------------------


def test_steps_are_counted_from_the_moment_the_deal_came():
    rule = options(
        {"tags": ["сразу"]},
        {"after": "1 h", "tags": ["час"]},
        {"name": "третий день", "after": "3 d", "tags": ["3"]},
        {"after": "10 d", "task": CALL},
    )
    assert planned(rule) == {
        "сразу": timedelta(),
        "1 h": timedelta(hours=1),
        "третий день": timedelta(days=3),
        "10 d": timedelta(days=10),
    }


PAID = NOON - timedelta(hours=2)


@pytest.mark.parametrize(
    ("value", "after"),
    [(PAID, timedelta(hours=-1)), (None, timedelta(hours=1)), (PAID.date(), timedelta(hours=1))],
    ids=["moment", "empty", "a day without its hour"],
)
def test_steps_and_their_tasks_count_from_a_field_if_it_holds_a_moment(value, after):
    rule = options({"after": "1 h", "task": CALL | {"due": "30 minutes"}}, counts_from="Время оплаты")
    now = deal(BRIEF, stays=SINCE_NOON, fields={"Время оплаты": value} if value else {})
    (step,) = plan(now, rule, times())
    assert step.due - NOON == after
    (made,) = stage_ladder(step_due(step.name, step.anchor), now, rule)
    due = made.due.resolve(NOON, times().calendar)
    assert due == (PAID if value is PAID else NOON) + timedelta(minutes=30)


def test_on_another_stage_or_on_one_of_unknown_age_nothing_is_planned():
    assert planned(options(), deal(NEW, stays=stayed((NEW, 0), (BRIEF, -5)))) == {}
    assert planned(options(), deal(BRIEF)) == {}


def test_on_stages_where_the_count_goes_on_it_goes_on():
    rule = options(goes_on=[POSTPONED])
    there = deal(POSTPONED, stays=stayed((POSTPONED, 30), (BRIEF, 0)))
    assert planned(rule, there) == {"3 d": timedelta(days=3)}
    assert anchor(deal(BRIEF, stays=stayed((BRIEF, 0)))) == next(iter(plan(there, rule, times()))).anchor
    assert planned(rule, deal(POSTPONED, stays=stayed((POSTPONED, 30), (NEW, 0)))) == {}


@pytest.mark.parametrize(
    ("existing", "due"),
    [
        pytest.param("skip", {}, id="не трогать"),
        pytest.param("from now", {"1 d": timedelta(days=5), "9 d": timedelta(days=13)}, id="с включения"),
        pytest.param("catch up", {"1 d": timedelta(days=4), "9 d": timedelta(days=9)}, id="просроченное сразу"),
    ],
)
def test_deals_that_were_there_before_the_rule(existing, due):
    rule = options({"after": "1 d", "tags": ["1"]}, {"after": "9 d", "tags": ["9"]}, existing=existing)
    assert planned(rule, when=times(since=96)) == due


def test_what_came_when_the_rule_was_on_already_is_counted_whatever_is_said_of_the_rest():
    for existing in ("skip", "from now", "catch up"):
        assert planned(options(existing=existing), when=times(since=0)) == {"3 d": timedelta(days=3)}


@pytest.mark.parametrize(
    ("step", "waits"),
    [
        pytest.param({"letter": {"template": "ждём бриф"}}, True, id="письмо"),
        pytest.param({"sms": "Ждём бриф"}, True, id="SMS"),
        pytest.param({"auto_dial": "start"}, True, id="дозвон"),
        pytest.param({"auto_dial": "stop"}, False, id="конец дозвона"),
        pytest.param({"task": CALL}, False, id="задача"),
        pytest.param({"task": CALL, "hours": "working"}, True, id="задача, которой сказано ждать"),
        pytest.param(
            {"letter": {"template": "ждём бриф"}, "hours": "any"}, False, id="письмо, которому сказано не ждать"
        ),
    ],
)
def test_what_the_client_sees_waits_for_working_time(step, waits):
    """Five days from Monday noon is a Saturday; work begins on Monday at 10:00 Moscow time."""
    opening = datetime(2026, 11, 30, 7, 0, tzinfo=UTC) - NOON
    assert planned(options({"after": "5 d", **step})) == {"5 d": opening if waits else timedelta(days=5)}


def test_two_steps_of_one_name_and_a_name_too_long_to_remember_are_refused():
    with pytest.raises(ValueError, match="два шага называются «3 d»"):
        options({"after": "3 d", "tags": ["a"]}, {"after": "3 d", "tags": ["b"]})
    with pytest.raises(ValueError, match="дайте ему name покороче"):
        options({"after": "1 рабочий час, до 11:00 следующего рабочего дня, если после 20:00", "tags": ["a"]})


# --- what ------------------------------------------------------------------------------------------------------------


def judged(step, now=None, **changed):
    now = now or deal(BRIEF, stays=SINCE_NOON)
    return stage_ladder(
        step_due("3 d", anchor(deal(BRIEF, stays=SINCE_NOON))), now, options({"after": "3 d", **step}, **changed)
    )


def test_a_step_does_all_that_it_says():
    said = judged({"task": CALL, "tags": ["ждём"], "letter": {"template": "ждём бриф"}, "move_to": NEW})
    assert [type(action) for action in said] == [AddTags, CreateTask, SendLetter, MoveDeal]
    assert said[1] == CreateTask(deal_id=7, text="Позвонить", to="manager", due=Due.parse("end of day"), slot="3 d")


def test_a_task_that_is_still_open_is_not_set_again_but_the_rest_is_done():
    now = deal(BRIEF, stays=SINCE_NOON, own_tasks=(task("3 d"),))
    assert isinstance(judged({"task": CALL}, now), Skip)
    assert [type(action) for action in judged({"task": CALL, "tags": ["ждём"]}, now)] == [AddTags]
    finished = deal(BRIEF, stays=SINCE_NOON, own_tasks=(task("3 d", is_completed=True),))
    assert len(judged({"task": CALL}, finished)) == 1


@pytest.mark.parametrize(
    ("event", "now", "changed", "reason"),
    [
        pytest.param(None, deal(NEW, stays=stayed((NEW, 30), (BRIEF, 0))), {}, "сделка ушла", id="ушла"),
        pytest.param(None, deal(BRIEF), {}, "сделка ушла", id="неизвестно, давно ли она здесь"),
        pytest.param(None, deal(BRIEF, stays=stayed((BRIEF, 40), (NEW, 30), (BRIEF, 0))), {}, "заново", id="вернулась"),
        pytest.param(None, None, {"when": {"tag": "срочно"}}, "условие: есть тег", id="условие правила"),
        pytest.param(
            None, None, {"steps": [{"after": "3 d", "tags": ["a"], "when": {"tag": "срочно"}}]}, "условие шага",
            id="условие шага",
        ),
        pytest.param(None, None, {"steps": [{"after": "4 d", "tags": ["a"]}]}, "больше нет", id="шага больше нет"),
        pytest.param(entered(BRIEF), deal(BRIEF), {}, "наступают по часам", id="пришла сюда"),
        pytest.param(entered(NEW, BRIEF), deal(NEW), {}, "ничего не делает", id="ушла, а на уходе делать нечего"),
        pytest.param(
            entered(POSTPONED, BRIEF), deal(POSTPONED), {"goes_on": [POSTPONED]}, "счёт идёт", id="счёт идёт и там"
        ),
    ],
)  # fmt: skip
def test_nothing_is_done_and_the_reason_is_told(event, now, changed, reason):
    there = deal(BRIEF, stays=SINCE_NOON)
    said = stage_ladder(event or step_due("3 d", anchor(there)), now or there, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_leaving_the_stage_undoes_what_has_to_be_undone():
    rule = options({"after": "3 d", "audiences": {"join": ["VK"]}}, on_leave={"audiences": {"leave": ["VK"]}})
    there = deal(BRIEF, stays=SINCE_NOON)
    assert stage_ladder(step_due("3 d", anchor(there)), there, rule) == [JoinAudience(deal_id=7, audience="VK")]
    gone = deal(NEW, own_steps=(DoneStep("3 d", anchor(there)),))
    assert stage_ladder(entered(NEW, BRIEF), gone, rule) == [LeaveAudience(deal_id=7, audience="VK")]
    too_soon = stage_ladder(entered(NEW, BRIEF), deal(NEW), rule)
    assert isinstance(too_soon, Skip)
    assert "отменять нечего" in too_soon.reason


@pytest.mark.parametrize(("hours_ago", "acts"), [(-1, True), (1, False)], ids=["раньше", "после прихода"])
def test_a_step_may_ask_whether_anybody_was_in_touch_since_the_deal_came(hours_ago, acts):
    touches = Touches([Touch(kind="call", direction="out", at=NOON + timedelta(hours=hours_ago), seconds=95)])
    there = deal(BRIEF, stays=SINCE_NOON, touches=touches, own_tasks=())
    said = judged({"escalate": {"text": "Клиент ждёт больше часа"}, "touched": False}, there)
    assert isinstance(said, list) == acts


@pytest.mark.parametrize(
    ("kind", "seconds_later", "acts"),
    [
        pytest.param("move", 0, True, id="the move that brought it"),
        pytest.param("move", 1, True, id="that move, as the events list dates it"),
        pytest.param("mail", 0, True, id="what came in the same second"),
        pytest.param("mail", 1, False, id="a letter after it"),
        pytest.param("move", 3600, False, id="a person put it elsewhere and back"),
        pytest.param("task", 60, False, id="a task that was done there"),
    ],
)
def test_the_move_that_began_the_count_is_no_touch(kind, seconds_later, acts):
    touches = Touches([Touch(kind=kind, direction="", at=NOON + timedelta(seconds=seconds_later), user_id=101)])
    there = deal(BRIEF, stays=SINCE_NOON, touches=touches, own_tasks=())
    assert isinstance(judged({"escalate": {"text": "3 дня без движения"}, "touched": False}, there), list) == acts
    assert isinstance(judged({"escalate": {"text": "Работают"}, "touched": True}, there), list) != acts


@pytest.mark.parametrize(("seconds", "acts"), [(0, True), (95, False), (None, True)])
def test_a_call_that_nobody_answered_is_no_work_on_the_client(seconds, acts):
    touches = Touches([Touch(kind="call", direction="out", at=NOON + timedelta(hours=1), seconds=seconds)])
    there = deal(BRIEF, stays=SINCE_NOON, touches=touches, own_tasks=())
    assert isinstance(judged({"escalate": {"text": "Клиент ждёт"}, "touched": False}, there), list) == acts


@pytest.mark.parametrize(
    ("kind", "seconds", "acts"),
    [("call", 95, False), ("call", 0, True), ("mail", None, False), ("task", None, True), ("move", None, True)],
)
def test_a_step_may_say_what_it_takes_for_contact(kind, seconds, acts):
    """M3: a recorded talk is contact; a task that was ticked off is none."""
    touches = Touches([Touch(kind=kind, direction="", at=NOON + timedelta(hours=1), seconds=seconds)])
    there = deal(BRIEF, stays=SINCE_NOON, touches=touches, own_tasks=())
    talking = ["call", "mail", "chat", "sms"]
    step = {"escalate": {"text": "Не связались за час"}, "touched": False, "touched_by": talking}
    assert isinstance(judged(step, there), list) == acts
