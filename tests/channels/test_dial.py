"""Auto-dial: whom it calls when, what stops it, and that a call whose answer was lost is never asked for again."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, update
from support.dial_office import ELENA, IVAN, OLGA, STAGE, DialOffice, moscow
from support.fakes import ACCOUNT, MEETING, agency, errors, states, user

from amo_bridge.channels.dial import DialPort
from amo_bridge.channels.dial_log import EndedCall, report_call
from amo_bridge.config.channels import DialSection
from amo_bridge.config.model import Absence
from amo_bridge.errors import ChannelRefused, ChannelUncertain
from amo_bridge.mirror.deals import Mirror
from amo_bridge.rules.option_types import UserName
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import deals, dial_calls, dials


@pytest.fixture
def office(store: Store) -> DialOffice:
    return DialOffice(store, moscow(23, 10))


# --- a fortnight ------------------------------------------------------------------------------------------------------


def test_a_manager_who_rejects_is_called_in_half_an_hour_and_then_every_hour(office: DialOffice) -> None:
    office.exchange.script = ["manager"] * 4 + ["talked 90"]
    office.start()
    office.pass_time(hours=8)
    assert office.times == ["23.11 10:00", "23.11 10:30", "23.11 11:30", "23.11 12:30", "23.11 13:30"]
    assert office.dial().why == "поговорили, тишина до 25.11"


def test_a_client_who_never_answers_is_called_every_hour_in_working_time_only(office: DialOffice) -> None:
    office.options = DialSection(a_day=20)
    office.start()
    office.until(moscow(24, 12, 30))
    assert office.times == [f"23.11 {hour}:00" for hour in range(10, 19)] + [
        "24.11 10:00",
        "24.11 11:00",
        "24.11 12:00",
    ]
    notes = [body["params"]["text"] for body in office.follows() if "note_type" in body]
    assert notes == ["Автодозвон: клиент не ответил, звонков подряд: 3"]


def test_a_fortnight_with_talks_holidays_restarts_and_an_exchange_that_loses_answers(store: Store) -> None:
    # 31 December and the first ten days of January are holidays; Wednesday the 23rd is the start.
    office = DialOffice(store, moscow(23, 17, 30, month=12))
    office.exchange.script = [
        "manager", "lost manager", "talked 5", "lost talked 120",
        "client", "talked 40",
        "client",
    ]  # fmt: skip
    office.start()
    for day in range(24, 32):
        office.until(moscow(day, 13, 20, month=12))
        office.restart()
    for day in range(1, 14):
        office.until(moscow(day, 13, 20, month=1).replace(year=2027))
        office.restart()
    assert office.calls == [
        "23.12 17:30 101 manager",
        "23.12 18:00 101 manager",
        "24.12 10:00 101 talked",
        "24.12 11:00 101 talked",
        # Silent for the rest of Thursday and all of Friday.
        "28.12 10:00 101 client",
        "28.12 11:00 101 talked",
        # Silent on the 29th; Wednesday the 30th is a working day.
        "30.12 10:00 101 client",
        "30.12 11:00 101 client",
        "30.12 12:00 101 client",
        "30.12 13:00 101 client",
        "30.12 14:00 101 client",
        "30.12 15:00 101 client",
        "30.12 16:00 101 client",
        "30.12 17:00 101 client",
        # Eight a day; then it is New Year.
        *(f"11.01 {hour}:00 101 client" for hour in range(10, 18)),
        *(f"12.01 {hour}:00 101 client" for hour in range(10, 18)),
        *(f"13.01 {hour}:00 101 client" for hour in range(10, 14)),
    ]
    assert len({order.ref for order in office.exchange.asked}) == len(office.exchange.asked)


# --- outcomes, one by one ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "second", "why"),
    [
        (["manager"], "23.11 10:30", "менеджер не взял трубку, ещё раз через 30 мин"),
        (["client"], "23.11 11:00", "клиент не ответил, раз: 1; ещё раз через 1 ч"),
        (["talked 9"], "23.11 11:00", "клиент не ответил, раз: 1; ещё раз через 1 ч"),
        (["talked 10"], "25.11 10:00", "поговорили, тишина до 25.11"),
        (["lost client"], "23.11 11:00", "клиент не ответил, раз: 1; ещё раз через 1 ч"),
        (["lost talked 30"], "25.11 10:00", "поговорили, тишина до 25.11"),
        (["refused"], "23.11 11:00", "АТС отказала: нет денег"),
        (["busy"], "23.11 10:02", None),
    ],
)
def test_what_comes_after_a_call(office: DialOffice, script: list[str], second: str, why: str | None) -> None:
    office.exchange.script = list(script)
    office.start()
    office.pass_time(minutes=6)
    assert why is None or office.dial().why == why
    office.until(moscow(26, 9))
    assert second in office.times[:2]


def test_misses_of_manager_and_client_are_counted_apart(office: DialOffice) -> None:
    office.exchange.script = ["manager", "client", "manager", "manager", "talked 60"]
    office.start()
    office.pass_time(hours=8)
    assert office.times == ["23.11 10:00", "23.11 10:30", "23.11 11:30", "23.11 12:00", "23.11 13:00"]


def test_a_number_that_does_not_exist_ends_it_with_a_task(office: DialOffice) -> None:
    office.exchange.script = ["wrong"]
    office.start()
    office.pass_time(hours=5)
    assert len(office.calls) == 1
    assert (office.dial().state, office.dial().why) == ("ended", "номера клиента не существует")
    (task,) = office.follows()
    assert "Проверьте телефон клиента" in task["text"]


# --- a lost answer ----------------------------------------------------------------------------------------------------


def test_what_nobody_knows_is_decided_by_a_person(office: DialOffice) -> None:
    office.exchange.script = ["vanished", "talked 60"]
    office.start()
    office.pass_time(hours=4)
    assert office.calls == ["23.11 10:00 101 unknown"]
    assert office.exchange.looks == 5
    assert office.dial().state == "undecided"
    (task,) = office.follows()
    assert "Решите на странице «Дозвон»" in task["text"]
    (call,) = office.log.calls_of([office.dial().id])[office.dial().id]
    with office.store.write() as connection:
        assert office.log.decide(connection, call.id, "manager", "anna", office.hands.now())
        assert not office.log.decide(connection, call.id, "talked", "boris", office.hands.now())
    office.pass_time(minutes=1)
    assert office.calls[1:] == ["23.11 14:01 101 placed"]
    assert any("решил(а) anna" in line for line in office.journal())


def test_a_request_that_was_taken_and_never_called_is_unknown_too(office: DialOffice) -> None:
    office.exchange.script = ["silent"]
    office.start()
    office.pass_time(hours=2)
    assert office.calls == ["23.11 10:00 101 unknown"]


def test_an_exchange_whose_silence_is_a_refusal(office: DialOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(office.exchange), "silence_is_refusal", True)
    office.exchange.script = ["silent", "vanished"]
    office.start()
    office.pass_time(hours=3)
    assert office.calls == ["23.11 10:00 101 manager", "23.11 10:30 101 unknown"], "a lost answer is no silence"


@pytest.mark.parametrize("error", [ChannelRefused("Wrong parameters"), ChannelUncertain("502"), KeyError("stats")])
def test_a_history_that_answers_with_errors_is_no_silence(
    office: DialOffice, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(type(office.exchange), "silence_is_refusal", True)
    office.exchange.script = ["talked 60"]
    office.exchange.fails(error)
    office.start()
    office.pass_time(hours=3)
    assert office.calls == ["23.11 10:00 101 placed"]
    assert office.dial().why.startswith("история АТС не отвечает: ")
    office.exchange.fails(None)
    office.pass_time(minutes=15)
    assert office.calls == ["23.11 10:00 101 talked"]


def test_a_history_that_fails_for_a_day_is_a_persons_business(office: DialOffice) -> None:
    office.exchange.script = ["talked 60"]
    office.exchange.fails(ChannelRefused("Wrong parameters"))
    office.start()
    office.pass_time(hours=25)
    assert (office.calls, office.dial().state) == (["23.11 10:00 101 unknown"], "undecided")
    assert any("история АТС не отвечает: Wrong parameters" in line for line in office.journal())


def test_a_presumed_refusal_is_asked_about_until_the_history_answers(
    office: DialOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(office.exchange), "silence_is_refusal", True)
    # They talk for longer than the history's silence is waited for.
    office.exchange.script = ["talked 1500"]
    office.start()
    office.pass_time(minutes=20)
    assert office.calls == ["23.11 10:00 101 manager"]
    office.exchange.fails(ChannelRefused("Wrong parameters"))
    office.pass_time(hours=2)
    assert len(office.calls) == 1
    assert office.dial().why == "история АТС не отвечает: Wrong parameters"
    office.exchange.fails(None)
    office.pass_time(hours=1)
    assert office.calls == ["23.11 10:00 101 talked"]
    assert office.dial().why == "поговорили, тишина до 25.11"


def test_a_new_exchange_does_not_judge_the_old_ones_calls(office: DialOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    office.exchange.script = ["silent"]
    office.start()
    monkeypatch.setattr(type(office.exchange), "vendor", "zadarma")
    monkeypatch.setattr(type(office.exchange), "silence_is_refusal", True)
    office.exchange.known.clear()
    office.restart()
    office.pass_time(hours=2)
    assert (office.calls, office.dial().state) == (["23.11 10:00 101 unknown"], "undecided")
    assert office.exchange.looks == 0, "it knows nothing of another exchange's calls"
    assert any("звонок заказан у [onlinepbx]" in line for line in office.journal())


def test_each_call_of_which_nobody_knows_is_told(office: DialOffice) -> None:
    office.exchange.script = ["vanished", "vanished"]
    office.start()
    office.pass_time(hours=2)
    (call,) = office.log.calls_of([office.dial().id])[office.dial().id]
    with office.store.write() as connection:
        assert office.log.decide(connection, call.id, "manager", "anna", office.hands.now())
    office.pass_time(minutes=1)
    office.pass_time(hours=2)
    assert office.dial().state == "undecided"
    assert len([body for body in office.follows() if "Решите на странице «Дозвон»" in body["text"]]) == 2


def test_a_process_that_dies_while_it_asks_never_asks_again(office: DialOffice) -> None:
    office.exchange.script = ["talked 60"]
    ask = office.exchange.call

    def die(order: Any) -> str:
        ask(order)
        raise KeyboardInterrupt

    office.exchange.call = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        office.start()
    office.exchange.call = ask  # type: ignore[method-assign]
    office.restart()
    office.pass_time(hours=6)
    assert office.calls == ["23.11 10:00 101 talked"]


def test_an_exchange_that_is_down_is_waited_for(office: DialOffice) -> None:
    office.exchange.script = ["down", "down", "talked 60"]
    office.start()
    assert office.calls == []
    office.pass_time(hours=5)
    assert office.calls == ["23.11 10:02 101 talked"]
    assert office.dial().day_calls == 1, "what was never asked for does not count"


def test_a_history_that_is_down_keeps_nobody_from_hearing_webhooks(office: DialOffice) -> None:
    office.start()
    office.exchange.is_reachable = False
    office.pass_time(minutes=5)
    assert webhook(office, talked=True, seconds=30)
    office.round()
    assert office.dial().why == "поговорили, тишина до 25.11"


# --- webhooks ---------------------------------------------------------------------------------------------------------


def webhook(office: DialOffice, *, key: str = "", ref: str = "", talked: bool, seconds: int = 0) -> bool:
    call = EndedCall(key or "u-dial-1-1-1", ref, "+79161234567", "101", talked, seconds, "" if talked else "занято")
    with office.store.write() as connection:
        return report_call(connection, ACCOUNT, call, office.hands.now())


def test_a_webhook_settles_the_call_at_once_and_its_repeat_nothing(office: DialOffice) -> None:
    office.exchange.script = ["talked 60", "client"]
    office.start()
    office.hands.advance(timedelta(seconds=70))
    assert webhook(office, talked=True, seconds=60)
    office.round()
    assert office.dial().why == "поговорили, тишина до 25.11"
    lines = office.journal()
    assert webhook(office, talked=True, seconds=60)
    office.round()
    assert office.journal() == lines


@pytest.mark.parametrize("known_by", [{"key": "u-dial-1-1-1"}, {"key": "x", "ref": "dial-1-1-1"}, {"key": "pbx-77"}])
def test_it_is_known_by_the_exchanges_name_ours_or_by_numbers_and_time(
    office: DialOffice, known_by: dict[str, str]
) -> None:
    office.exchange.gives_ref = known_by["key"] != "pbx-77"
    office.start()
    office.hands.advance(timedelta(seconds=70))
    assert webhook(office, talked=True, seconds=60, **known_by)
    office.round()
    assert office.calls == ["23.11 10:00 101 talked"]


def test_a_webhook_about_another_call_is_none_of_ours(office: DialOffice) -> None:
    office.start()
    other = EndedCall("pbx-9", "", "+79990000000", "101", True, 60, "")
    with office.store.write() as connection:
        assert not report_call(connection, ACCOUNT, other, office.hands.now())


def test_without_a_talk_the_history_tells_whose_fault_it_was(office: DialOffice) -> None:
    office.exchange.script = ["manager"]
    office.start()
    office.hands.advance(timedelta(seconds=20))
    assert webhook(office, talked=False)
    office.pass_time(minutes=5)
    assert office.calls == ["23.11 10:00 101 manager"]


def test_a_webhook_is_believed_when_the_history_stays_silent(office: DialOffice) -> None:
    office.exchange.script = ["silent"]
    office.start()
    assert webhook(office, talked=False)
    office.pass_time(hours=1, minutes=10)
    assert office.calls[0] == "23.11 10:00 101 client"


def test_a_late_webhook_settles_what_was_given_up(office: DialOffice) -> None:
    office.exchange.script = ["vanished"]
    office.start()
    office.pass_time(hours=2)
    assert office.dial().state == "undecided"
    assert webhook(office, key="late", ref="dial-1-1-1", talked=True, seconds=300)
    office.pass_time(hours=6)
    assert (office.calls, office.dial().state) == (["23.11 10:00 101 talked"], "waiting")


def test_a_late_webhook_without_a_talk_is_judged_as_well(office: DialOffice) -> None:
    office.exchange.script = ["vanished", "talked 60"]
    office.start()
    office.pass_time(hours=2)
    assert office.dial().state == "undecided"
    assert webhook(office, key="late", ref="dial-1-1-1", talked=False)
    office.pass_time(hours=2)
    assert [call.split()[3] for call in office.calls] == ["client", "talked"]
    assert office.dial().state == "waiting"


@pytest.mark.parametrize("answer", ["", "u-dial-1-1-1"])
def test_a_webhook_that_is_faster_than_the_answer_stays(office: DialOffice, answer: str) -> None:
    ask = office.exchange.call

    def slow(order: Any) -> str:
        ask(order)
        assert webhook(office, key="w", ref=order.ref, talked=True, seconds=60)
        return answer

    office.exchange.call = slow  # type: ignore[method-assign]
    office.start()
    assert office.calls == ["23.11 10:00 101 talked"]


def test_a_webhook_that_comes_while_the_history_is_asked_stays(office: DialOffice) -> None:
    office.exchange.script = ["client"]
    find = office.exchange.find

    def slow(call: Any) -> Any:
        found = find(call)
        assert webhook(office, key="w", ref=call.ref, talked=True, seconds=60)
        return found

    office.start()
    office.exchange.find = slow  # type: ignore[method-assign]
    office.pass_time(minutes=2)
    assert office.calls == ["23.11 10:00 101 talked"]


# --- one bad part -----------------------------------------------------------------------------------------------------


def test_calls_are_numbered_on_when_old_ones_are_forgotten(office: DialOffice) -> None:
    office.client(8, "+7 916 000-00-08", responsible_user_id=user(ELENA))
    office.start()
    office.pass_time(hours=2, minutes=30)
    assert len(office.calls) == 3
    with office.store.write() as connection:
        connection.execute(dial_calls.delete().where(dial_calls.c.ref == "dial-1-1-1"))
    office.pass_time(hours=1)
    office.start(8)
    assert [order.ref for order in office.exchange.asked] == [
        "dial-1-1-1", "dial-1-1-2", "dial-1-1-3", "dial-1-1-4", "dial-1-2-1",
    ]  # fmt: skip


def test_a_dial_that_fails_stops_no_other_one(office: DialOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    office.client(8, "+7 916 000-00-08", responsible_user_id=user(ELENA))
    whom = DialPort._whom

    def broken(port: DialPort, dial: Any, *more: Any) -> Any:
        if dial.deal_id == 7:
            raise ZeroDivisionError("odd client")
        return whom(port, dial, *more)

    monkeypatch.setattr(DialPort, "_whom", broken)
    office.start(7)
    office.start(8)
    assert [order.phone for order in office.exchange.asked] == ["+79160000008"]
    assert office.dial(7).why.startswith("ошибка моста, попробует через час: ZeroDivisionError")
    assert any("ошибка моста" in line for line in office.journal(7))
    monkeypatch.undo()
    office.pass_time(hours=1, minutes=1)
    assert "+79161234567" in [order.phone for order in office.exchange.asked]


def test_a_dial_that_can_not_go_on_stops_no_other_one(office: DialOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    office.client(8, "+7 916 000-00-08", responsible_user_id=user(ELENA))
    move_on = DialPort._move_on

    def broken(port: DialPort, connection: Any, dial: Any, *more: Any) -> None:
        if dial.deal_id == 7:
            raise ZeroDivisionError("odd dial")
        move_on(port, connection, dial, *more)

    monkeypatch.setattr(DialPort, "_move_on", broken)
    office.start(7)
    office.start(8)
    office.pass_time(minutes=10)
    assert office.dial(7).why.startswith("ошибка моста, попробует через час: ZeroDivisionError")
    assert office.dial(8).why.startswith("клиент не ответил")
    monkeypatch.undo()
    office.pass_time(hours=1, minutes=1)
    assert "звонок в 10:00: клиент не ответил (занято)" in office.journal(7)


def test_calls_of_long_ago_are_not_read(store: Store) -> None:
    """What each round asks for is found by the index of calls by which a dial has not gone on."""
    office = DialOffice(store, moscow(23, 10))
    queries: list[tuple[str, Any]] = []
    event.listen(store.engine, "before_cursor_execute", lambda *told: queries.append((told[2], told[3])))
    office.log.unapplied()
    office.log.in_flight()
    office.log.to_look_for(office.hands.now())
    office.log.doubt_interrupted()
    hot = [one for one in queries if "dial_calls" in one[0]]
    is_sqlite = store.engine.dialect.name == "sqlite"
    plans = []
    old = [
        {"account": ACCOUNT, "dial_id": number, "deal_id": number, "ref": f"old-{number}", "vendor": "onlinepbx",
         "user_id": 1, "extension": "101", "phone": "+79161234567", "asked_at": 0.0, "state": "talked",
         "is_applied": True}
        for number in range(2000)
    ]  # fmt: skip
    with store.write() as connection:
        connection.execute(insert(dial_calls), old)
        if not is_sqlite:
            # Of an empty table all indexes cost the same.
            connection.exec_driver_sql("ANALYZE dial_calls")
    with store.read() as connection:
        for query, values in hot:
            explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
            plan = connection.exec_driver_sql(f"{explain} {query}", values).all()
            plans.append(" ".join(str(row) for row in plan))
    assert len(plans) == 4
    assert [plan for plan in plans if "dial_calls_open" not in plan] == []


def test_a_call_whose_dial_is_forgotten_is_done_with(office: DialOffice) -> None:
    office.start()
    with office.store.write() as connection:
        connection.execute(dials.delete())
    office.pass_time(hours=2)
    assert office.log.unapplied() == []


# --- when and whom ----------------------------------------------------------------------------------------------------


def test_one_call_per_manager_at_a_time(office: DialOffice) -> None:
    office.client(8, "+7 916 000-00-08")
    office.client(9, "+7 916 000-00-09", responsible_user_id=user(ELENA))
    office.exchange.script = ["talked 600"] * 3
    for deal in (7, 8, 9):
        office.start(deal)
    assert office.times == ["23.11 10:00", "23.11 10:00"], "Ivan's first, and Elena's"
    office.pass_time(hours=1)
    rung = {order.phone: order.extension for order in office.exchange.asked}
    assert rung == {"+79161234567": "101", "+79160000008": "101", "+79160000009": "102"}
    with office.store.read() as connection:
        spans = connection.execute(
            dial_calls.select().where(dial_calls.c.extension == "101").order_by(dial_calls.c.id)
        ).all()
    assert spans[1].asked_at >= spans[0].settled_at


def test_an_absent_manager_is_replaced_by_his_deputy(office: DialOffice) -> None:
    away = Absence.model_validate({"from": date(2026, 11, 23), "to": date(2026, 11, 24), "deputy": ELENA})
    office.absences = {UserName(IVAN): (away,)}
    office.exchange.script = ["client"]
    office.options = DialSection(client_retry=timedelta(hours=23))
    office.start()
    office.until(moscow(25, 11))
    assert [call.split()[2] for call in office.calls] == ["102", "102", "101"]


def test_without_a_deputy_it_waits_for_the_manager(office: DialOffice) -> None:
    away = [
        Absence.model_validate({"from": date(2026, 11, 23), "to": date(2026, 11, 23), "deputy": other})
        for other in (ELENA, IVAN)
    ]
    office.absences = {UserName(IVAN): (away[0],), UserName(ELENA): (away[1],)}
    office.start()
    assert office.dial().why == f"«{IVAN}» отсутствует, заместителя нет"
    office.until(moscow(24, 10, 1))
    assert office.times == ["24.11 10:00"]


def test_a_manager_without_an_extension_is_told_of(office: DialOffice) -> None:
    office.people = {}
    office.start()
    assert office.calls == []
    assert office.dial().why == f'у «{IVAN}» нет номера АТС (extension): впишите в [people."{IVAN}"]'


@pytest.mark.parametrize(
    ("zone", "first"),
    [
        ("МСК+4", "23.11 10:00"),
        ("Asia/Vladivostok", "23.11 10:00"),
        ("UTC+2", "23.11 11:00"),
        ("чепуха", "23.11 10:00"),
    ],
)
def test_the_clients_own_clock_counts(office: DialOffice, zone: str, first: str) -> None:
    field = agency().fields("contacts")[0].name
    office.options = DialSection.model_validate({"client_zone": field})
    office.contact_field(field, zone)
    office.start()
    office.pass_time(hours=1, minutes=1)
    assert office.times[:1] == [first]


def test_without_the_field_of_the_clients_clock_nobody_is_called_at_night(office: DialOffice) -> None:
    office.options = DialSection.model_validate({"client_zone": "Пояс"})
    office.start()
    assert (office.calls, office.dial().state) == ([], "waiting")
    words = "поля контакта «Пояс» нет в аккаунте"
    assert office.dial().why == f"часов клиента не узнать: {words}; поправьте client_zone в [dial]"
    office.stop()
    assert office.dial().state == "ended", "the channel itself goes on"
    office.options = DialSection()
    office.start(key="again")
    assert len(office.calls) == 1


def test_in_the_far_east_the_afternoon_is_too_late(store: Store) -> None:
    office = DialOffice(store, moscow(23, 15))
    field = agency().fields("contacts")[0].name
    office.options = DialSection.model_validate({"client_zone": field})
    office.contact_field(field, "Asia/Vladivostok")
    office.start()
    assert office.dial().why == "у клиента сейчас не время для звонков"
    office.until(moscow(24, 10, 1))
    assert office.times == ["24.11 10:00"]


def test_a_foreign_number_is_a_task_and_no_call(office: DialOffice) -> None:
    office.client(7, "+7 701 123 45 67", "+380501234567")
    office.start()
    office.pass_time(hours=3)
    assert (office.calls, office.dial().state) == ([], "ended")
    (task,) = office.follows()
    assert task["text"] == "Номер клиента зарубежный, автодозвон его не набирает. Свяжитесь с клиентом сами: Ольга"
    assert task["responsible_user_id"] == user(IVAN)


def test_a_russian_number_among_foreign_ones_is_dialled(office: DialOffice) -> None:
    office.client(7, "+7 701 123 45 67", OLGA)
    office.start()
    assert [order.phone for order in office.exchange.asked] == ["+79161234567"]


def test_a_client_without_a_telephone_is_asked_for_once_and_called_when_it_is_there(office: DialOffice) -> None:
    office.client(7)
    office.start()
    office.pass_time(hours=3)
    assert [body["text"][:40] for body in office.follows()] == ["Автодозвон ждёт: у клиента нет телефона."]
    office.client(7, OLGA)
    office.pass_time(hours=1)
    assert len(office.calls) == 1


def test_so_many_calls_a_day_and_no_more(office: DialOffice) -> None:
    office.options = DialSection(a_day=2, client_retry=timedelta(minutes=10))
    office.start()
    office.until(moscow(24, 10, 30))
    assert office.times == ["23.11 10:00", "23.11 10:10", "24.11 10:00", "24.11 10:10"]


# --- what ends it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"status_id": 143}, "сделка ушла на этап"),
        ({"status_id": agency().stage(MEETING).status_id}, "сделка ушла на этап"),
        ({"tags": ("Без робота",)}, "на сделке тег «без робота»"),
        ({"tags": ("не звонить",)}, "тег «не звонить»: не звонить"),
    ],
)
def test_what_the_deal_says_ends_it(office: DialOffice, change: dict[str, Any], why: str) -> None:
    office.start()
    office.change(**change)
    office.pass_time(hours=3)
    assert len(office.calls) == 1
    assert office.dial().state == "ended"
    assert office.dial().why.startswith(why)


def test_a_contact_that_opted_out_is_not_called(office: DialOffice) -> None:
    office.client(7, OLGA, tags=("Не звонить",))
    office.start()
    assert (office.calls, office.dial().state) == ([], "ended")


def test_leaving_the_stage_ends_it_before_the_next_call_is_due(office: DialOffice) -> None:
    office.exchange.script = ["talked 60"]
    office.start()
    office.pass_time(minutes=5)
    moved = {"account": ACCOUNT, "deal_id": 7, "pipeline_id": STAGE.pipeline_id, "status_id": 142}
    with office.store.write() as connection:
        connection.execute(
            deals.insert().values(**moved, stage_since=0, updated_at=0, read_at=0, record="{}", came_by="[]")
        )
    office.round()
    assert (office.dial().state, office.dial().why) == ("ended", "сделка ушла с этапа")
    assert Mirror is not None


def test_a_talk_by_hand_ends_it(office: DialOffice) -> None:
    office.start()
    office.pass_time(minutes=40)
    office.talk()
    office.pass_time(hours=2)
    assert len(office.calls) == 1
    assert office.dial().why == "с клиентом поговорили 23.11 в 10:40 без автодозвона"


def test_a_manager_who_rejects_and_calls_himself_ends_it(office: DialOffice) -> None:
    office.exchange.script = ["manager"]
    office.start()
    office.pass_time(minutes=4)
    office.talk()
    office.pass_time(hours=2)
    assert (len(office.calls), office.dial().state) == (1, "ended")


@pytest.mark.parametrize(("ago", "uniq"), [(1, "w-7"), (-60, "u-dial-1-1-1")])
def test_the_note_of_our_own_talk_is_no_talk_by_hand(office: DialOffice, ago: float, uniq: str) -> None:
    office.exchange.script = ["talked 60"]
    office.start()
    office.pass_time(minutes=3)
    office.talk(ago, uniq=uniq)
    office.until(moscow(25, 10, 1))
    assert office.times == ["23.11 10:00", "25.11 10:00"]


def test_a_short_call_by_hand_is_no_talk(office: DialOffice) -> None:
    office.start()
    office.pass_time(minutes=40)
    office.talk(seconds=5)
    office.pass_time(hours=1)
    assert len(office.calls) == 2


# --- the outbox, switches ---------------------------------------------------------------------------------------------


def test_it_is_started_once_and_stopped_by_a_rule(office: DialOffice) -> None:
    office.start()
    office.start(key="again")
    assert states(office.store.store) == ["done", "unsent"]
    assert errors(office.store.store)[1] == "автодозвон по сделке уже идёт"
    office.stop("клиент ответил")
    assert (office.dial().state, office.dial().why) == ("ended", "клиент ответил")
    office.stop("ещё раз")
    assert errors(office.store.store)[-1] == "автодозвон не шёл"
    office.pass_time(hours=5)
    assert len(office.calls) == 1


def test_a_new_entry_of_the_stage_is_a_new_dial(office: DialOffice) -> None:
    office.start()
    office.stop()
    office.pass_time(minutes=5)
    office.start(key="second entry")
    assert len(office.calls) == 2


@pytest.mark.parametrize("switch", ["enabled", "dry run", "page"])
def test_every_switch_stops_all_calls_and_says_so(office: DialOffice, switch: str) -> None:
    if switch == "enabled":
        office.options = DialSection(enabled=False)
    office.dry_run = switch == "dry run"
    if switch == "page":
        with office.store.write() as connection:
            office.log.stop_all(connection, is_stopped=True)
    office.start()
    office.pass_time(hours=3)
    assert office.calls == []
    assert any(word in office.dial().why for word in ("выключен", "прогон", "остановлен"))
    office.options, office.dry_run = DialSection(), False
    with office.store.write() as connection:
        office.log.stop_all(connection, is_stopped=False)
    office.pass_time(minutes=1)
    assert len(office.calls) == 1


def test_stopping_all_stops_the_round_that_runs(office: DialOffice) -> None:
    office.client(8, "+7 916 000-00-08", responsible_user_id=user(ELENA))
    with office.store.write() as connection:
        office.log.stop_all(connection, is_stopped=True)
    office.start(7)
    office.start(8)
    with office.store.write() as connection:
        office.log.stop_all(connection, is_stopped=False)
    ask = office.exchange.call

    def stopped(order: Any) -> str:
        with office.store.write() as connection:
            office.log.stop_all(connection, is_stopped=True)
        return ask(order)

    office.exchange.call = stopped  # type: ignore[method-assign]
    office.round()
    assert len(office.calls) == 1
    assert office.dial(8).why == "дозвон остановлен на странице «Дозвон»"


@pytest.mark.parametrize("is_all", [True, False])
def test_a_dial_stopped_while_it_is_decided_on_is_not_called(
    office: DialOffice, monkeypatch: pytest.MonkeyPatch, is_all: bool
) -> None:
    whom = DialPort._whom

    def slow(port: DialPort, dial: Any, *more: Any) -> Any:
        found = whom(port, dial, *more)
        with office.store.write() as connection:
            if is_all:
                office.log.stop_all(connection, is_stopped=True)
            else:
                office.log.end(connection, dial.id, "остановил(а) anna", office.hands.now())
        return found

    monkeypatch.setattr(DialPort, "_whom", slow)
    office.start()
    assert (office.exchange.asked, office.journal()) == ([], [])


def test_the_journal_tells_each_step(office: DialOffice) -> None:
    office.exchange.script = ["manager", "talked 60"]
    office.start()
    office.pass_time(hours=1)
    assert office.journal() == [
        "звоним: «Иван Петров», потом клиент Ольга; звонок 1-й",
        "звонок в 10:00: менеджер не взял трубку (занято)",
        "звоним: «Иван Петров», потом клиент Ольга; звонок 2-й",
        "звонок в 10:30: поговорили, 60 с",
    ]


def test_a_late_word_about_an_earlier_call_keeps_the_silence(office: DialOffice) -> None:
    office.exchange.script = ["vanished", "client"]
    office.start()
    office.pass_time(hours=2)
    dial = office.dial()
    with office.store.write() as connection:
        connection.execute(update(dial_calls).values(state="manager", is_applied=False))
    office.pass_time(minutes=1)
    assert len(office.calls) == 2, "a person let it go on"
    with office.store.write() as connection:
        connection.execute(
            update(dial_calls)
            .where(dial_calls.c.ref == "dial-1-1-1")
            .values(state="talked", seconds=90, told_by="webhook", is_applied=False)
        )
    office.pass_time(hours=5)
    assert (len(office.calls), office.dial().id) == (2, dial.id)
