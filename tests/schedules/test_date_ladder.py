from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import ValidationError
from support.builders import NOON, deal, entered, field_changed, stayed, step_due, task, times

from amo_bridge.dates.due import Due
from amo_bridge.dates.offset import Offset, due_after
from amo_bridge.events import ContactDateChanged
from amo_bridge.rules.actions import ChangeTask, CreateTask, FinishTask, MoveDeal, Skip, StartAutoDial, StopAutoDial
from amo_bridge.rules.deal import AttachedFile, Contact, DoneStep, Touch, Touches
from amo_bridge.rules.handler import MARK
from schedules.date_ladder import DateLadder, date_ladder

OFFER = "Продажи / Согласование КП"
NEW = "Продажи / Новый клиент"
WON = "Продажи / Успешно реализовано"
DECISION = "Дата принятия решения"
THURSDAY = date(2026, 12, 10)
ASK = {"text": "Уточнить результат", "to": "manager", "due": "end of day"}
plan = getattr(date_ladder, MARK).steps


def options(*steps, **changed):
    facts = {"dates": [DECISION], "stages": [OFFER], "steps": list(steps) or [{"task": ASK}]}
    return DateLadder.model_validate(facts | changed)


def waiting(value=THURSDAY, on=OFFER, since=0.0, **changed):
    """A deal on the stage since Monday noon, with the date filled."""
    fields = {DECISION: value} if value else {}
    return deal(on, stays=stayed((on, since), (NEW, -5)), **({"fields": fields} | changed))


def planned(rule, now=None, when=None):
    """Step → its moment by Moscow's clocks."""
    when = when or times()
    steps = plan(now or waiting(), rule, when)
    return {step.name: when.calendar.local(step.due).strftime("%d.%m.%Y %H:%M") for step in steps}


def anchors(rule, now):
    return [step.anchor for step in plan(now, rule, times())]


FILE = {"name_starts_with": ["Отчет"]}


def test_a_step_for_want_of_a_file_waits_for_none():
    rule = options({"shift": "18:00", "name": "нет", "without_file": FILE, "task": ASK})
    assert planned(rule) == {"нет": "10.12.2026 18:00"}
    (step,) = plan(waiting(), rule, times())
    event = step_due(step.name, step.anchor)
    (made,) = date_ladder(event, waiting(files=()), rule)
    assert made.text == ASK["text"]
    there = date_ladder(event, waiting(files=(AttachedFile(name="Отчёт.pdf"),)), rule)
    assert isinstance(there, Skip)
    assert "приложен" in there.reason
    again = date_ladder(event, waiting(files=(), own_tasks=(task(made.slot, text=made.text),)), rule)
    assert "ещё открыта" in again.reason


BORN = date(1990, 12, 10)


def of_client(*people, on=OFFER, **changed):
    """A deal whose contacts these are."""
    return deal(on, stays=stayed((on, 0)), **({"contacts": people} | changed))


def person(born=BORN, **changed):
    fields = {"День рождения": born} if born else {}
    return Contact(**({"id": 11, "name": "Анна", "is_main": True, "fields": fields} | changed))


def birthdays(**changed):
    return options(**({"dates": [], "contact_dates": ["День рождения"], "yearly": True} | changed))


# --- when ------------------------------------------------------------------------------------------------------------


def test_steps_before_on_and_after_the_date():
    rule = options(
        {"shift": "- 5 d", "task": ASK},
        {"name": "наступила", "task": ASK},
        {"shift": "+ 1 d", "move_to": NEW},
        {"shift": "+ 7 d + 5 working days", "task": ASK},
    )
    assert planned(rule) == {
        "- 5 d": "05.12.2026 00:00",
        "наступила": "10.12.2026 00:00",
        "+ 1 d": "11.12.2026 00:00",
        "+ 7 d + 5 working days": "24.12.2026 10:00",
    }


def test_what_the_client_sees_waits_for_working_time():
    assert planned(options({"letter": {"template": "решение"}})) == {"в тот же день": "10.12.2026 10:00"}
    assert planned(options({"shift": "22:00", "sms": "Ждём", "hours": "any"})) == {"22:00": "10.12.2026 22:00"}


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(waiting(None), id="дата пуста"),
        pytest.param(waiting("в четверг"), id="не дата"),
        pytest.param(waiting(on=NEW), id="другой этап"),
        pytest.param(deal(OFFER, fields={DECISION: THURSDAY}), id="неизвестно, давно ли она здесь"),
    ],
)
def test_nothing_is_planned(now):
    assert planned(options(), now) == {}


def test_without_stages_a_date_counts_until_the_deal_is_closed():
    assert planned(options(stages=[]), waiting(on=NEW)) == {"в тот же день": "10.12.2026 00:00"}
    assert planned(options(stages=[]), waiting(on=WON)) == {}


def test_a_date_of_the_main_contact():
    other = person(born=date(1980, 1, 5), id=12, is_main=False)
    assert anchors(birthdays(), of_client(person(), other)) == [f"День рождения={year}-12-10" for year in (2026, 2027)]
    assert anchors(birthdays(yearly=False), of_client(person(born=THURSDAY))) == ["День рождения=2026-12-10"]


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(of_client(), id="контакта нет"),
        pytest.param(of_client(person(born=None)), id="дата пуста"),
        pytest.param(of_client(person(is_main=False)), id="не главный"),
        pytest.param(of_client(person(), on=NEW), id="другой этап"),
    ],
)
def test_nothing_is_planned_by_a_contacts_date(now):
    assert planned(birthdays(), now) == {}


def test_some_date_must_be_named():
    with pytest.raises(ValidationError, match="от какой даты"):
        options(dates=[])


def test_another_date_is_counted_anew():
    before, after = (anchors(options(), waiting(value)) for value in (THURSDAY, THURSDAY + timedelta(days=1)))
    assert before != after
    assert anchors(options(), waiting(name="Другое имя")) == before


def test_each_of_several_dates_counts_for_itself():
    rule = options(dates=["Дата оплаты 1", "Дата оплаты 2"], stages=[])
    now = waiting(fields={"Дата оплаты 1": THURSDAY, "Дата оплаты 2": date(2027, 1, 15)})
    assert anchors(rule, now) == ["Дата оплаты 1=2026-12-10", "Дата оплаты 2=2027-01-15"]


@pytest.mark.parametrize(
    ("unit", "paid", "due"),
    [
        ("months", "3", "10.03.2027 00:00"),
        ("days", "30", "09.01.2027 00:00"),
        ("months", "", None),
        ("months", "три", None),
        ("months", "1.5", None),
    ],
)
def test_a_date_computed_from_fields(unit, paid, due):
    rule = options(term={"field": "Оплачено", "unit": unit})
    now = waiting(fields={DECISION: THURSDAY, "Оплачено": paid})
    assert planned(rule, now) == ({"в тот же день": due} if due else {})


SPENT = {"field": "Остаток", "per_day": "Расход"}


@pytest.mark.parametrize(
    ("left", "per_day", "due"),
    [
        ("30000", "1000", "09.01.2027 00:00"),
        ("30 999,99", "1000", "09.01.2027 00:00"),
        ("0", "1000", "10.12.2026 00:00"),
        ("-500", "1000", "10.12.2026 00:00"),
        ("", "1000", None),
        ("30000", "", None),
        ("30000", "0", None),
        ("30000", "-1", None),
        ("много", "1000", None),
        ("NaN", "1000", None),
        ("30000", "0.001", None),
    ],
)
def test_the_day_on_which_the_money_is_spent(left, per_day, due):
    """C5."""
    now = waiting(fields={DECISION: THURSDAY, "Остаток": left, "Расход": per_day})
    assert planned(options(term=SPENT), now) == ({"в тот же день": due} if due else {})


@pytest.mark.parametrize(
    ("left", "acted", "done"),
    [
        (
            "10000",
            24,
            ("в тот же день", "2026-12-18"),
        ),
        ("10000", 24, ("в тот же день", "2026-12-10")),
        ("10000", 24, ("другой", "2026-12-18")),
        ("10000", None, ("в тот же день", "2026-12-18")),
        ("10000", 24 * 61, ("в тот же день", "2026-12-18")),
    ],
)
def test_an_invoice_is_not_asked_for_again_as_the_spending_is_uneven(left, acted, done):
    """C5: the end was the 18th, and is the 20th of December now."""
    acts = () if acted is None else (NOON - timedelta(hours=acted),)
    due = NOON - timedelta(hours=acted or 24)
    steps = (
        DoneStep(done[0], f"{DECISION}={done[1]}", due=due),
        DoneStep("в тот же день", f"{DECISION}=2026-12-20", due=NOON),
    )
    fields = {DECISION: THURSDAY, "Остаток": left, "Расход": "1000"}
    now = waiting(fields=fields, own_steps=steps, own_acts=acts)
    said = date_ladder(step_due("в тот же день", f"{DECISION}=2026-12-20"), now, options(term=SPENT))
    is_same = done == ("в тот же день", "2026-12-18") and acted == 24
    assert isinstance(said, Skip) == is_same
    assert not is_same or "расход немного другой" in said.reason


@pytest.mark.parametrize(
    ("ends", "acted", "is_same"),
    [
        pytest.param([(10, 10), (15, 5)], [10], False, id="15-е пропущено как близкое к 10-му"),
        pytest.param([(10, 10), (15, 5)], [9.9], False, id="сделано чуть позже срока"),
        pytest.param([(10, 10), (15, 5)], [10, 5], True, id="о 15-м сказано"),
        pytest.param([(10, 10), (17, 5)], [10, 5], True, id="о 17-м сказано"),
        pytest.param([(15, 10), (10, 5)], [10], True, id="о 15-м сказано раньше"),
    ],
)
def test_small_top_ups_do_not_put_the_invoice_off_for_ever(ends, acted, is_same):
    """C5: the end is the 20th of December now; (its day before, how many days ago the step for it fell due)."""
    steps = tuple(
        DoneStep("в тот же день", f"{DECISION}=2026-12-{day}", due=NOON - timedelta(days=ago)) for day, ago in ends
    )
    acts = tuple(NOON - timedelta(days=ago) for ago in acted)
    fields = {DECISION: THURSDAY, "Остаток": "10000", "Расход": "1000"}
    now = waiting(fields=fields, own_tasks=(), own_steps=steps, own_acts=acts)
    said = date_ladder(step_due("в тот же день", f"{DECISION}=2026-12-20"), now, options(term=SPENT))
    assert isinstance(said, Skip) == is_same


@pytest.mark.parametrize("term", [{"field": "Остаток"}, {**SPENT, "unit": "days"}])
def test_a_term_is_counted_in_one_way(term):
    with pytest.raises(ValidationError, match="нужно одно"):
        options(term=term)


@pytest.mark.parametrize("name", ["Остаток", "Расход"])
def test_another_sum_or_spending_moves_the_task(name):
    fields = {DECISION: THURSDAY, "Остаток": "30000", "Расход": "1000"}
    now = waiting(fields=fields, own_tasks=(task(SLOT),))
    (action,) = date_ladder(field_changed(name), now, options(term=SPENT))
    assert action.due.resolve(NOON, times().calendar) == datetime(2027, 1, 11, 16, 0, tzinfo=UTC)


def test_a_month_after_the_31st_is_the_last_day():
    rule = options(term={"field": "Оплачено", "unit": "months"})
    now = waiting(fields={DECISION: date(2026, 12, 31), "Оплачено": "2"})
    assert planned(rule, now) == {"в тот же день": "28.02.2027 00:00"}


def test_too_late_for_a_step_when_it_came_to_the_stage():
    """Three days before the date it came, five days before it was due."""
    came_late = waiting(since=24 * 14)
    step = {"shift": "- 5 d", "task": ASK}
    assert planned(options(step), came_late) == {}
    assert planned(options(step | {"on_arrival": True}), came_late) == {"- 5 d": "07.12.2026 12:00"}


def test_moving_among_the_stages_where_the_date_counts_is_no_arrival():
    now = deal(OFFER, stays=stayed((OFFER, 24 * 16), (NEW, 0)), fields={DECISION: THURSDAY})
    assert planned(options({"shift": "- 5 d", "task": ASK}, stages=[NEW, OFFER]), now) == {"- 5 d": "05.12.2026 00:00"}


@pytest.mark.parametrize(("existing", "due"), [("from now", {}), ("catch up", {"в тот же день": "13.12.2026 12:00"})])
def test_what_was_due_before_the_rule_was_switched_on(existing, due):
    assert planned(options(existing=existing), when=times(since=24 * 20)) == due


def test_a_date_that_comes_every_year():
    born = waiting(date(1990, 12, 10), since=-24 * 400)
    assert [step.anchor[-10:] for step in plan(born, options(yearly=True), times())] == [
        "2025-12-10",
        "2026-12-10",
        "2027-12-10",
    ]
    leap = waiting(date(1992, 2, 29), since=-24 * 400)
    assert [step.anchor[-10:] for step in plan(leap, options(yearly=True), times())] == ["2026-02-28", "2027-02-28"]
    later = times(now=24 * 365)
    assert [step.anchor[-10:] for step in plan(leap, options(yearly=True), later)][-1] == "2028-02-29"


def test_two_steps_of_one_name_are_refused():
    with pytest.raises(ValueError, match="два шага называются «в тот же день»"):
        options({"task": ASK}, {"move_to": NEW})


# --- what ------------------------------------------------------------------------------------------------------------

DUE = step_due("в тот же день", f"{DECISION}=2026-12-10")


def test_the_step_is_done():
    assert date_ladder(DUE, waiting(own_tasks=()), options()) == [
        CreateTask(
            deal_id=7, text="Уточнить результат", to="manager", due=Due.parse("end of day"),
            slot=f"в тот же день@{DECISION}",
        )
    ]  # fmt: skip
    assert date_ladder(DUE, waiting(own_tasks=()), options({"move_to": NEW})) == [MoveDeal(deal_id=7, to=NEW)]


@pytest.mark.parametrize(
    ("now", "changed", "reason"),
    [
        pytest.param(waiting(date(2026, 12, 11)), {}, "изменилась или очищена", id="дата изменилась"),
        pytest.param(waiting(None), {}, "изменилась или очищена", id="дата очищена"),
        pytest.param(waiting(on=NEW), {}, "не считается", id="ушла"),
        pytest.param(waiting(), {"when": {"tag": "срочно"}}, "условие: есть тег", id="условие правила"),
        pytest.param(waiting(), {"steps": [{"shift": "+ 1 d", "task": ASK}]}, "больше нет", id="шага больше нет"),
        pytest.param(
            waiting(own_tasks=(task(f"в тот же день@{DECISION}"),)), {}, "ещё открыта", id="задача ещё открыта"
        ),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(now, changed, reason):
    said = date_ladder(DUE, now, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


@pytest.mark.parametrize(
    ("now", "acts"),
    [
        pytest.param(of_client(person(), own_tasks=()), True, id="тот же день"),
        pytest.param(of_client(person(born=date(1990, 12, 11)), own_tasks=()), False, id="дату исправили"),
        pytest.param(of_client(person(is_main=False), own_tasks=()), False, id="главный контакт другой"),
    ],
)
def test_a_birthday_is_still_the_main_contacts_when_it_comes(now, acts):
    said = date_ladder(step_due("в тот же день", "День рождения=2026-12-10"), now, birthdays())
    assert isinstance(said, list) if acts else "изменилась" in said.reason


TOUCHED = Touches([Touch(kind="call", direction="out", at=NOON + timedelta(hours=1), seconds=95)])
LONG_AGO = Touches([Touch(kind="call", direction="out", at=NOON - timedelta(hours=1), seconds=95)])


@pytest.mark.parametrize(
    ("touched", "touches", "acts"),
    [
        pytest.param(False, Touches(), True, id="никто не работал, а шаг для таких"),
        pytest.param(False, LONG_AGO, True, id="работали, но до этой даты"),
        pytest.param(False, TOUCHED, False, id="работали"),
        pytest.param(True, TOUCHED, True, id="работали, а шаг для таких"),
        pytest.param(True, LONG_AGO, False, id="работали до этой даты"),
    ],
)
def test_a_step_may_ask_whether_anybody_was_in_touch_since_the_date(touched, touches, acts):
    rule = options({"auto_dial": "start", "touched": touched})
    said = date_ladder(DUE, waiting(own_tasks=(), touches=touches), rule)
    assert said == [StartAutoDial(deal_id=7)] if acts else "с клиентом" in said.reason


# --- the date changes ------------------------------------------------------------------------------------------------

SLOT = f"в тот же день@{DECISION}"
LATER = date(2026, 12, 24)


def test_a_changed_date_moves_the_open_task():
    now = waiting(LATER, own_tasks=(task(SLOT),))
    (action,) = date_ladder(field_changed(DECISION), now, options())
    assert action == ChangeTask(deal_id=7, task_id=55, due=due_after(LATER, Offset.parse(""), Due.parse("end of day")))
    calendar = times().calendar
    assert action.due.resolve(NOON, calendar) == datetime(2026, 12, 24, 16, 0, tzinfo=UTC)


def test_an_emptied_date_closes_the_open_task_unless_told_to_keep_it():
    now = waiting(None, own_tasks=(task(SLOT),))
    (action,) = date_ladder(field_changed(DECISION, None), now, options())
    assert action == FinishTask(deal_id=7, task_id=55, result=f"Поле «{DECISION}» очищено, задача снята")
    assert isinstance(date_ladder(field_changed(DECISION, None), now, options(when_emptied="keep")), Skip)


@pytest.mark.parametrize(
    ("event", "now", "reason"),
    [
        pytest.param(field_changed("Бюджет"), waiting(own_tasks=(task(SLOT),)), "не это поле", id="другое поле"),
        pytest.param(field_changed(DECISION), waiting(own_tasks=()), "открытых задач", id="задачи нет"),
        pytest.param(
            field_changed(DECISION),
            waiting(own_tasks=(task(SLOT, is_completed=True),)),
            "открытых задач",
            id="выполнена",
        ),
        pytest.param(
            field_changed(DECISION), waiting(own_tasks=(task("0"),)), "открытых задач", id="задача другого шага"
        ),
    ],
)
def test_a_change_that_concerns_no_task(event, now, reason):
    said = date_ladder(event, now, options())
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_a_changed_term_moves_the_task_too():
    rule = options(term={"field": "Оплачено", "unit": "months"})
    now = waiting(fields={DECISION: THURSDAY, "Оплачено": "2"}, own_tasks=(task(SLOT),))
    (action,) = date_ladder(field_changed("Оплачено"), now, rule)
    assert action.due.resolve(NOON, times().calendar) == datetime(2027, 2, 10, 16, 0, tzinfo=UTC)


def test_leaving_the_stages_undoes_what_has_to_be_undone():
    rule = options({"auto_dial": "start"}, on_leave={"auto_dial": "stop"})
    gone = deal(NEW, own_steps=(DoneStep("в тот же день", f"{DECISION}=2026-12-10"),))
    assert date_ladder(entered(NEW, OFFER), gone, rule) == [StopAutoDial(deal_id=7)]
    assert isinstance(date_ladder(entered(NEW, OFFER), deal(NEW), rule), Skip)


# --- the contact's date changes, or he has several deals --------------------------------------------------------------

GREETING = step_due("в тот же день", "День рождения=2026-12-10")
GREETED = "в тот же день@День рождения"


def corrected(name="День рождения"):
    return ContactDateChanged(deal_id=7, contact_id=11, field_name=name, old="09.12.1990")


def congratulated(born=BORN, due=datetime(2026, 12, 9, 16, 0, tzinfo=UTC), **changed):
    """A deal whose task to congratulate is open."""
    return of_client(person(born=born), own_tasks=(task(GREETED, due=due, **changed),))


@pytest.mark.parametrize(
    ("born", "was_due", "due"),
    [
        pytest.param(BORN, datetime(2026, 12, 9, 16, tzinfo=UTC), (2026, 12, 10), id="в этом году"),
        pytest.param(date(1990, 12, 29), datetime(2027, 1, 12, 16, tzinfo=UTC), (2026, 12, 29), id="через новый год"),
        pytest.param(date(1992, 2, 29), datetime(2029, 2, 20, 16, tzinfo=UTC), (2029, 2, 28), id="29 февраля"),
    ],
)
def test_a_corrected_birthday_moves_the_open_task_to_its_nearest_day(born, was_due, due):
    (moved,) = date_ladder(corrected(), congratulated(born, was_due), birthdays())
    assert moved.due.resolve(NOON, times().calendar) == datetime(*due, 16, 0, tzinfo=UTC)


def test_a_date_of_the_contact_that_comes_once_moves_the_task_to_itself():
    (moved,) = date_ladder(corrected(), congratulated(THURSDAY), birthdays(yearly=False))
    assert moved.due.resolve(NOON, times().calendar) == datetime(2026, 12, 10, 16, 0, tzinfo=UTC)


def test_an_emptied_date_of_the_contact_closes_the_task_unless_told_to_keep_it():
    (closed,) = date_ladder(corrected(), congratulated(None), birthdays())
    assert closed == FinishTask(deal_id=7, task_id=55, result="Поле «День рождения» очищено, задача снята")
    assert isinstance(date_ladder(corrected(), congratulated(None), birthdays(when_emptied="keep")), Skip)


@pytest.mark.parametrize(
    ("event", "now", "reason"),
    [
        pytest.param(corrected("Дата договора"), congratulated(), "не это поле", id="другое поле"),
        pytest.param(field_changed("День рождения"), congratulated(), "не это поле", id="поле сделки с тем же именем"),
        pytest.param(corrected(), congratulated(is_completed=True), "открытых задач", id="поздравили"),
        pytest.param(corrected(), of_client(person(), own_tasks=()), "открытых задач", id="задачи нет"),
    ],
)
def test_a_change_of_the_contact_that_concerns_no_task(event, now, reason):
    said = date_ladder(event, now, birthdays())
    assert isinstance(said, Skip)
    assert reason in said.reason


@pytest.mark.parametrize(
    ("other", "acts"),
    [
        pytest.param(DoneStep(GREETING.step, GREETING.anchor, 6), False, id="сделка старше"),
        pytest.param(DoneStep(GREETING.step, GREETING.anchor, 8), True, id="сделка моложе"),
        pytest.param(DoneStep(GREETING.step, "День рождения=2025-12-10", 6), True, id="в прошлом году"),
        pytest.param(DoneStep("накануне", GREETING.anchor, 6), True, id="другой шаг"),
    ],
)
def test_of_a_contacts_deals_the_oldest_stands_for_all(other, acts):
    now = of_client(person(), own_tasks=(), contact_steps=(other,))
    said = date_ladder(GREETING, now, birthdays(once_per_contact=True))
    assert isinstance(said, list) if acts else "сделка старше" in said.reason
    assert isinstance(date_ladder(GREETING, now, birthdays()), list), "each deal for itself"


@pytest.mark.parametrize("changed", [{"when": {"tag": "клиент"}}, {"dates": [DECISION]}])
def test_once_per_contact_goes_with_his_dates_alone(changed):
    with pytest.raises(ValidationError, match="без when"):
        birthdays(once_per_contact=True, **changed)


# --- every contact, and what a changed date ends ---------------------------------------------------------------------

SECOND = person(id=12, name="Пётр Лев", is_main=False)
OF_EVERY = {"of_contacts": "every"}


def test_every_contact_has_steps_of_its_own():
    found = plan(of_client(person(), SECOND), birthdays(**OF_EVERY), times())
    assert {step.anchor for step in found if "2026" in step.anchor} == {
        "День рождения#11=2026-12-10",
        "День рождения#12=2026-12-10",
    }


@pytest.mark.parametrize(
    ("on", "text", "contact"), [("contact", "Поздравить", 12), ("deal", "Поздравить (Пётр Лев)", None)]
)
def test_the_task_stands_on_the_card_of_whose_day_it_is(on, text, contact):
    step = {"name": "день", "task": {"text": "Поздравить", "to": "manager", "due": "end of day", "on": on}}
    rule = birthdays(steps=[step], **OF_EVERY)
    now = of_client(person(), SECOND, own_tasks=())
    (act,) = date_ladder(step_due("день", "День рождения#12=2026-12-10"), now, rule)
    assert (act.text, act.contact_id, act.slot) == (text, contact, "день@День рождения#12")


@pytest.mark.parametrize(("older", "acts"), [(6, False), (8, True)])
def test_once_per_contact_looks_at_that_contacts_deals(older, acts):
    event = step_due("в тот же день", "День рождения#12=2026-12-10")
    done = (DoneStep(event.step, event.anchor, older),)
    now = of_client(person(), SECOND, own_tasks=(), people_steps=done)
    said = date_ladder(event, now, birthdays(once_per_contact=True, **OF_EVERY))
    assert isinstance(said, list) if acts else "сделка старше" in said.reason


def test_a_changed_day_moves_the_task_of_that_contact_alone():
    open_tasks = (task("в тот же день@День рождения#11", id=1), task("в тот же день@День рождения#12", id=2))
    now = of_client(person(), SECOND, own_tasks=open_tasks)
    event = ContactDateChanged(
        at=NOON, deal_id=7, contact_id=12, field_name="День рождения", old="01.12.1990", new="10.12.1990"
    )
    (moved,) = date_ladder(event, now, birthdays(**OF_EVERY))
    assert (type(moved), moved.task_id) == (ChangeTask, 2)


@pytest.mark.parametrize(("when_changed", "kind"), [("move", ChangeTask), ("close", FinishTask)])
def test_a_changed_date_moves_or_ends_the_open_task(when_changed, kind):
    rule = options({"name": "наступила", "task": ASK}, when_changed=when_changed)
    now = waiting(own_tasks=(task(f"наступила@{DECISION}"),))
    (act,) = date_ladder(field_changed(DECISION), now, rule)
    assert isinstance(act, kind)
