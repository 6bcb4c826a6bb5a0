"""Daily reports by a button: who is sent his report, whose press counts, and that the message follows the report."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from support.daily_office import HEAD, IVAN, MARIA, MONDAY_EVENING, NUMBERS, PLAN, Agency
from support.fakes import NOON, user

from amo_bridge.channels.daily_reports import CHANGED, NO_PLAN
from amo_bridge.engine.daily_reports import DailyReports, Sums
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import Store

HOUR = timedelta(hours=1)


@pytest.fixture
def agency(store: Store) -> Iterator[Agency]:
    stand_ins = StandIns(["telegram", "max"], live=False)
    with serving(stand_ins):
        made = Agency(store, stand_ins)
        made.call(NOON + HOUR)
        made.sell(NOON + HOUR, 1_000)
        yield made


def sent(agency: Agency) -> list[dict[str, Any]]:
    return agency.telegram.sent


# --- asking -----------------------------------------------------------------------------------------------------------


def test_each_person_is_sent_his_report_once(agency: Agency) -> None:
    for minutes in (0, 5, 10):
        agency.at(MONDAY_EVENING + timedelta(minutes=minutes))
    (message,) = sent(agency)
    assert message["chat_id"] == NUMBERS[IVAN]
    space = "\N{NO-BREAK SPACE}"
    assert message["text"] == (
        f"<b>Отчёт за день</b>\n23.11.2026\n✅ Сумма продаж – 1{space}000{space}₽\n✅ Кол-во продаж – 1 шт\n"
        f"✅ Кол-во дозвонов – 1 шт\nПлан на завтра:\n{PLAN}\n\n"
        "Другой план — ответом на это сообщение.\n"
        f'<a href="https://bridge.example/reports/daily/{agency.report.number}">Открыть</a>'
    )
    assert list(message["buttons"]) == ["Подтвердить"]
    assert agency.notices == []


def test_by_max_where_that_is_the_persons_way(agency: Agency) -> None:
    agency.ways[IVAN] = {"max": NUMBERS[IVAN]}
    agency.at(MONDAY_EVENING)
    assert (len(agency.max.sent), sent(agency)) == (1, [])
    agency.press(IVAN, way="max")
    assert agency.report.confirmed_by == "Иван Петров, MAX"
    assert agency.answers == ["Отчёт подтверждён"]


def test_quiet_hours_put_it_off(agency: Agency) -> None:
    agency.ways[IVAN] = {"telegram": NUMBERS[IVAN], "quiet": "17:00-19:00"}
    agency.at(MONDAY_EVENING)
    assert sent(agency) == []
    agency.at(MONDAY_EVENING + HOUR)
    assert len(sent(agency)) == 1


@pytest.mark.parametrize("cause", ["quiet hours", "Telegram is down"])
def test_nobody_is_late_with_a_report_that_has_not_reached_him(agency: Agency, cause: str) -> None:
    agency.section |= {"violation": "S2"}
    if cause == "quiet hours":
        agency.ways[IVAN] = {"telegram": NUMBERS[IVAN], "quiet": "17:00-21:00"}
    else:
        agency.stand_ins.faults.add("limited", vendor="telegram", count=None)  # type: ignore[union-attr]
    for minutes in range(0, 180, 10):
        agency.at(MONDAY_EVENING + timedelta(minutes=minutes))
    assert (sent(agency), agency.put) == ([], [])
    agency.stand_ins.faults.clear()  # type: ignore[union-attr]
    agency.at(MONDAY_EVENING + 3 * HOUR)
    agency.begin()
    for minutes in (5, 59):
        agency.at(MONDAY_EVENING + 3 * HOUR + timedelta(minutes=minutes))
    assert (len(sent(agency)), agency.put) == (1, [])
    for minutes in (66, 90):
        agency.at(MONDAY_EVENING + 3 * HOUR + timedelta(minutes=minutes))
    assert [kind for kind, _ in agency.put] == ["notify"]
    agency.at(MONDAY_EVENING + 6 * HOUR)
    assert [kind for kind, _ in agency.put] == ["notify", "notify", "record_violation"]


def test_a_notice_in_the_messages_place_begins_the_time_too(agency: Agency) -> None:
    agency.ways[IVAN] = {"mail": "ivan@agency.ru"}
    for minutes in (0, 61):
        agency.at(MONDAY_EVENING + timedelta(minutes=minutes))
    assert [text[:17] for _, text in agency.notices] == ["23.11.2026\n✅ Сумм", "Отчёт за 23.11.20"]


@pytest.mark.parametrize("cause", ["no messenger", "blocked"])
def test_whoever_has_no_button_gets_a_notice_with_the_link_once(agency: Agency, cause: str) -> None:
    if cause == "blocked":
        agency.telegram.blocked.add(NUMBERS[IVAN])
    else:
        agency.ways[IVAN] = {"mail": "ivan@agency.ru"}
    for minutes in (0, 5, 12):
        agency.at(MONDAY_EVENING + timedelta(minutes=minutes))
    ((whom, text),) = agency.notices
    assert whom == user(IVAN)
    assert "✅ Кол-во продаж – 1 шт" in text
    assert agency.put[0][1]["url"].endswith(f"/reports/daily/{agency.report.number}")


def test_a_dead_messenger_is_tried_again_and_a_lost_answer_sends_a_second_one_that_works(agency: Agency) -> None:
    agency.stand_ins.faults.add("limited", vendor="telegram")  # type: ignore[union-attr]
    agency.at(MONDAY_EVENING)
    assert (sent(agency), agency.buttons.is_put_off) == ([], True)
    agency.stand_ins.faults.add("lost_answer", vendor="telegram")  # type: ignore[union-attr]
    agency.after(minutes=1)
    agency.begin()
    agency.after(minutes=1)
    agency.after(minutes=1)
    assert len(sent(agency)) == 2
    agency.press(IVAN)
    assert agency.report.is_confirmed


# --- pressing ---------------------------------------------------------------------------------------------------------


def test_a_press_confirms_and_the_message_says_so(agency: Agency) -> None:
    agency.at(MONDAY_EVENING)
    agency.clock.advance(timedelta(minutes=5))
    agency.press(IVAN)
    report = agency.report
    assert (report.confirmed_by, report.confirmed_at) == ("Иван Петров, Telegram", agency.clock.now())
    assert agency.answers == ["Отчёт подтверждён"]
    (message,) = sent(agency)
    assert "Подтверждён 23.11 в 18:05: Иван Петров, Telegram." in message["text"]
    assert message["buttons"] == {}


def test_a_second_press_and_the_same_one_again_change_nothing(agency: Agency) -> None:
    agency.at(MONDAY_EVENING)
    data = next(iter(sent(agency)[0]["buttons"].values()))
    agency.press(IVAN, data)
    agency.press(IVAN, data, key="again")
    agency.press(IVAN, data)
    assert agency.answers == ["Отчёт подтверждён", "Уже подтверждён: Иван Петров, Telegram"]
    assert [one.what for one in agency.report.changes] == ["made", "confirmed"]


def test_a_press_after_the_page_is_answered(agency: Agency) -> None:
    agency.at(MONDAY_EVENING)
    data = next(iter(sent(agency)[0]["buttons"].values()))
    assert agency.confirm() == "done"
    agency.press(IVAN, data)
    assert agency.answers == ["Уже подтверждён: Иван Петров, ivan"]
    assert "Иван Петров, ivan." in sent(agency)[0]["text"]


@pytest.mark.parametrize(
    ("who", "answer"),
    [
        (MARIA, "Этот отчёт подтверждает Иван Петров: ничего не изменено"),
        (HEAD, "Этот отчёт подтверждает Иван Петров: ничего не изменено"),
        ("кто-то", "Мост вас не знает: ваш номер 99 не вписан в [people]"),
    ],
)
def test_nobody_confirms_for_another(agency: Agency, who: str, answer: str) -> None:
    agency.at(MONDAY_EVENING)
    agency.press(who)
    assert agency.answers == [answer]
    assert not agency.report.is_confirmed
    assert list(sent(agency)[0]["buttons"]) == ["Подтвердить"]


@pytest.mark.parametrize(
    "data", ["dr:999:1", "dr:1", "dr:1:x", "dr:-1:1", "dr:1:1:1", f"dr:{'9' * 20}:1", "ap:1:y", "x"]
)
def test_a_button_that_is_none_of_ours_does_nothing(agency: Agency, data: str) -> None:
    agency.at(MONDAY_EVENING)
    agency.press(IVAN, data)
    assert agency.answers == ["Эта кнопка больше не действует"]
    assert not agency.report.is_confirmed


def test_other_figures_are_put_in_the_messages_place_and_an_old_press_does_not_count(agency: Agency) -> None:
    agency.at(MONDAY_EVENING)
    old = next(iter(sent(agency)[0]["buttons"].values()))
    agency.sell(MONDAY_EVENING, 500, deal_id=31)
    agency.after(minutes=11)
    (message,) = sent(agency)
    assert "✅ Кол-во продаж – 2 шт" in message["text"]
    agency.press(IVAN, old)
    assert agency.answers == [CHANGED]
    agency.press(IVAN, key="seen")
    confirmed = agency.report.confirmed
    assert confirmed is not None
    assert confirmed.sums == Sums(1_500, 2, 1)


def test_without_a_plan_the_button_asks_for_one(agency: Agency) -> None:
    agency.section |= {"plan": ""}
    agency.at(MONDAY_EVENING)
    assert "Напишите план на завтра ответом на это сообщение или на странице отчёта" in sent(agency)[0]["text"]
    agency.press(IVAN)
    assert agency.answers == [NO_PLAN]
    with agency.store.write() as connection:
        DailyReports(agency.store, agency.clock).set_plan(connection, agency.report.number, "Звонить", "Иван")
    agency.after(minutes=1)
    assert "План на завтра:\nЗвонить" in sent(agency)[0]["text"]
    agency.press(IVAN, key="again")
    assert agency.report.is_confirmed


def test_a_press_that_waited_an_hour_does_not_count(agency: Agency) -> None:
    agency.at(MONDAY_EVENING)
    agency.is_dry = True
    agency.press(IVAN)
    agency.is_dry = False
    agency.after(hours=2)
    assert not agency.report.is_confirmed
    agency.press(IVAN, key="again")
    assert agency.report.is_confirmed


# --- the plan, as an answer in words ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["telegram", "max"])
def test_an_answer_to_the_report_is_its_plan_and_the_message_follows(agency: Agency, way: Any) -> None:
    agency.ways[IVAN] = {way: NUMBERS[IVAN]}
    agency.section["plan"] = ""
    agency.at(MONDAY_EVENING)
    (message,) = agency.stand_ins[way].sent  # type: ignore[index]
    assert "Напишите план на завтра ответом на это сообщение" in message["text"]
    assert agency.reply(IVAN, " Прозвонить 80 ", way=way) == "План на завтра записан. Подтвердите отчёт кнопкой под ним"
    assert agency.report.changes[-1].who == f"{IVAN}, {'Telegram' if way == 'telegram' else 'MAX'}"
    agency.after(minutes=1)
    assert "План на завтра:\nПрозвонить 80\n" in message["text"]
    agency.press(IVAN, way=way)
    assert (agency.report.is_confirmed, agency.report.plan) == (True, "Прозвонить 80")


def test_the_same_update_counts_once_and_an_edited_answer_is_the_plan_then(agency: Agency) -> None:
    agency.at(MONDAY_EVENING)
    assert agency.reply(IVAN, "Раз", key="telegram:update:1").startswith("План на завтра записан")
    assert agency.reply(IVAN, "Раз", key="telegram:update:1") == ""
    assert agency.reply(IVAN, "Раз", key="telegram:update:2") == "План на завтра уже такой"
    assert agency.reply(IVAN, "Два", key="telegram:update:3").startswith("План на завтра записан")
    assert [one.plan for one in agency.report.changes] == [PLAN, "Раз", "Два"]


def test_after_the_confirmation_an_answer_is_a_correction(agency: Agency) -> None:
    agency.section["tell"] = [MARIA]
    agency.at(MONDAY_EVENING)
    agency.press(IVAN)
    agency.after(minutes=1)
    assert agency.reply(IVAN, "Другое") == "План на завтра изменён; отчёт уже подтверждён, поэтому это исправление"
    agency.after(minutes=1)
    assert [one.plan for one in agency.report.corrections] == ["Другое"]
    assert "исправление\nПлан на завтра:\nДругое" in agency.notices[-1][1]


@pytest.mark.parametrize(
    ("who", "text", "more", "said"),
    [
        (MARIA, "Чужой план", {}, f"Это отчёт другого человека, план пишет {IVAN}: ничего не изменено"),
        ("Кто-то", "Чужой план", {}, "Мост вас не знает: ваш номер 99 не вписан в [people]"),
        (IVAN, " ", {}, "План на завтра — только словами: пришлите текст"),
        (IVAN, "о" * 1001, {}, "План длиннее 1000 знаков и не записан: сократите его"),
        (IVAN, "План", {"late": 2}, "Мост не работал, когда вы ответили: ничего не записано, ответьте ещё раз"),
        (IVAN, "План", {"message": "123456"}, "На это сообщение словами не ответить: нажмите кнопку под ним"),
    ],
)
def test_what_is_no_plan_is_refused_and_said_to_be(
    agency: Agency, who: str, text: str, more: dict[str, Any], said: str
) -> None:
    agency.at(MONDAY_EVENING)
    assert agency.reply(who, text, **more).startswith(said)
    assert agency.report.plan == PLAN


def test_an_answer_that_the_bot_can_not_answer_is_kept_all_the_same(agency: Agency) -> None:
    agency.at(MONDAY_EVENING)
    agency.stand_ins.faults.add("limited", vendor="telegram", path="*sendMessage")  # type: ignore[union-attr]
    assert agency.reply(IVAN, "Прозвонить 80") == ""
    assert agency.report.plan == "Прозвонить 80"
