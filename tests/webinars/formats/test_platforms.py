"""Exports of webinar platforms by their own headings, in Russian and English. The people and the files are invented."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from support.webinar_samples import DAY, MOSCOW, options

from amo_bridge.webinars import preview
from amo_bridge.webinars.formats.model import Export
from amo_bridge.webinars.formats.reading_process import read_content
from amo_bridge.webinars.formats.table_rows import ReadOptions

GETCOURSE_RU = """ID пользователя;Пользователь;Email;Телефон;Тип пользователя;Был на вебинаре;Просмотр вебинара;\
Перешел по кнопке;Создан
101;Анна Лис;a@b.ru;+79160000001;Ученик;Да;1 ч 05 мин;2;01.09.2021
102;Борис;b@b.ru;;Ученик;Да;65;0;02.09.2021
103;Вера;v@b.ru;;Ученик;Нет;;;03.09.2021
104;Ольга;o@b.ru;;Учитель;Да;120;0;01.01.2020
"""
GETCOURSE_EN = """User ID,User,Email,Attended webinar,Time on webinar,Clicked the button
101,Anna Fox,a@b.ru,Yes,01:05:00,Buy (2)
102,Boris,b@b.ru,Yes,65 min,
103,Vera,v@b.ru,No,,
"""
PRUFFME_RU = """Имя\tФамилия\tE-mail\tРоль\tВремя входа\tВремя выхода\tВремя присутствия\tКонтроль присутствия\t\
Клики по CTA
Анна\tЛис\ta@b.ru\tУчастник\t13.09.2021 19:00\t13.09.2021 20:05\t01:05:00\t5 из 6\t["Купить"]
Борис\tБук\tb@b.ru\tУчастник\t13.09.2021 19:00\t13.09.2021 20:30\t01:05:00\t3 из 6\t[]
Ольга\tМай\to@b.ru\tМодератор\t13.09.2021 18:50\t13.09.2021 21:00\t02:10:00\t6 из 6\t[]
"""
PRUFFME_EN = """First name,Last name,E-mail,Role,Presence time,Presence checks,Clicked offers
Anna,Fox,a@b.ru,Participant,3900 sec,83%,"[{""title"": ""Buy"", ""count"": 2}]"
Boris,Book,b@b.ru,Participant,3900 s,50%,[]
Olga,May,o@b.ru,Moderator,7800 s,100%,[]
"""
ETUTORIUM_RU = """Имя;Фамилия;Email;Телефон;Присутствие на вебинаре;Время на вебинаре, мин;Вовлеченность;\
Клики по баннерам и кнопкам
Анна;Лис;a@b.ru;;Присутствовал;65;80%;{"Купить": 2, "Вопрос": 0}
Борис;Бук;b@b.ru;;Присутствовал;65;45%;{}
Вера;Юг;v@b.ru;;Отсутствовал;0;0%;
"""
ETUTORIUM_EN = """First name,Last name,Email,Attendance,Time in webinar (min),Engagement,Clicks on offers
Anna,Fox,a@b.ru,Attended,65,80,1
Boris,Book,b@b.ru,Attended,65,45,0
Vera,South,v@b.ru,Not attended,,,
"""
MYOWNCONFERENCE_RU = """Вебинар: Секреты\n\nИмя;Email;Роль;Вошел;Вышел;Внимание, %;Клики по объявлению
Анна;a@b.ru;Участник;13.09.2021 19:00:00;13.09.2021 19:35:00;90;Купить
Анна;a@b.ru;Участник;13.09.2021 19:40:00;13.09.2021 20:10:00;90;
Борис;b@b.ru;Участник;13.09.2021 19:00:00;13.09.2021 20:05:00;40;
Ольга;o@b.ru;Ведущий;13.09.2021 18:50:00;13.09.2021 21:05:00;100;
"""
MYOWNCONFERENCE_EN = """Name;Email;Role;Time in;Time out;Attention;Ad clicks
Anna;a@b.ru;Attendee;2021-09-13 19:00;2021-09-13 20:05;90%;3
Boris;b@b.ru;Attendee;2021-09-13 19:00;2021-09-13 20:05;40%;0
Olga;o@b.ru;Presenter;2021-09-13 18:50;2021-09-13 21:05;100%;0
"""
LIVEWEBINAR_EN = """Nickname,Email,Role,Joined,Left,Attention rate,Call to action
Anna,a@b.ru,Attendee,2021-09-13T16:00:00Z,2021-09-13T17:05:00Z,92%,"[""Buy""]"
Boris,b@b.ru,Attendee,2021-09-13T16:00:00Z,2021-09-13T17:05:00Z,15%,[]
Olga,o@b.ru,Co-host,2021-09-13T15:50:00Z,2021-09-13T18:05:00Z,99%,[]
"""
LIVEWEBINAR_RU = """Никнейм;Email;Роль;Присоединился;Покинул;Уровень внимания;Призыв к действию
Анна;a@b.ru;Участник;13.09.2021 19:00;13.09.2021 20:05;92%;Купить
Борис;b@b.ru;Участник;13.09.2021 19:00;13.09.2021 20:05;15%;-
Ольга;o@b.ru;Соведущий;13.09.2021 18:50;13.09.2021 21:05;99%;-
"""
CLICKMEETING_EN = """First name,Last name,Nick,E-mail address,Attendee type,Date of entry,Date of exit,\
Session time,Country,Call to action
Anna,Fox,anna,a@b.ru,Attendee,2021-09-13 19:00:00,2021-09-13 20:05:00,01:05:00,PL,Buy
Boris,Book,bo,b@b.ru,Attendee,2021-09-13 19:00:00,2021-09-13 20:05:00,01:05:00,PL,
Olga,May,olga,o@b.ru,Presenter,2021-09-13 18:50:00,2021-09-13 21:05:00,02:15:00,PL,
"""
CLICKMEETING_RU = """Ник;Имя;Фамилия;Эл. почта;Тип;Вход в комнату;Выход из комнаты;Время в комнате;Призыв к действию
anna;Анна;Лис;a@b.ru;Участник;19:00;20:05;65 мин;да
bo;Борис;Бук;b@b.ru;Участник;23:30;00:35;65 мин;нет
olga;Ольга;Май;o@b.ru;Докладчик;18:50;21:05;135 мин;нет
"""


def previewed(table: str, held_on: date = DAY, **mapped: Any) -> tuple[Export, dict[str, Any]]:
    export = read_content("t.csv", table.encode(), ReadOptions(zone=MOSCOW, held_on=held_on, **mapped))
    (draft,) = preview.as_json([export], preview.offline([export], held_on, options()), held_on)
    return export, draft


@pytest.mark.parametrize(
    ("source", "table", "left_out"),
    [
        ("GetCourse", GETCOURSE_RU, {"v@b.ru", "o@b.ru"}),
        ("GetCourse", GETCOURSE_EN, {"v@b.ru"}),
        ("Pruffme", PRUFFME_RU, {"o@b.ru"}),
        ("Pruffme", PRUFFME_EN, {"o@b.ru"}),
        ("eTutorium", ETUTORIUM_RU, {"v@b.ru"}),
        ("eTutorium", ETUTORIUM_EN, {"v@b.ru"}),
        ("MyOwnConference", MYOWNCONFERENCE_RU, {"o@b.ru"}),
        ("MyOwnConference", MYOWNCONFERENCE_EN, {"o@b.ru"}),
        ("Livewebinar", LIVEWEBINAR_EN, {"o@b.ru"}),
        ("Livewebinar", LIVEWEBINAR_RU, {"o@b.ru"}),
        ("ClickMeeting", CLICKMEETING_EN, {"o@b.ru"}),
        ("ClickMeeting", CLICKMEETING_RU, {"o@b.ru"}),
    ],
)
def test_two_came_for_65_minutes_and_one_of_them_has_clicked(source: str, table: str, left_out: set[str]) -> None:
    export, draft = previewed(table)
    assert export.source == f"отчёт {source}"
    people = {person["emails"][0]: person for person in draft["people"]}
    assert {mail: (one["minutes"], one["class"]) for mail, one in people.items()} == {
        "a@b.ru": (65, "active"), "b@b.ru": (65, "long"),
    }  # fmt: skip
    assert len(people["a@b.ru"]["buttons"]) == 1, "a name, or the one word for a count; nobody's zero"
    assert {mail for one in draft["left_out"] for mail in one["emails"]} == left_out
    assert not any("не читается" in doubt or "неизвестн" in doubt for doubt in draft["doubts"])


@pytest.mark.parametrize(
    ("table", "name"),
    [
        (PRUFFME_RU, "Анна Лис"),
        (CLICKMEETING_EN, "Anna Fox"),
        (CLICKMEETING_RU, "Анна Лис"),
        (LIVEWEBINAR_EN, "Anna"),
        (GETCOURSE_RU, "Анна Лис"),
    ],
)
def test_the_name_is_whole(table: str, name: str) -> None:
    assert previewed(table)[1]["people"][0]["name"] == name


@pytest.mark.parametrize(
    "heading", ["Просмотрено, %", "Просмотрено (%)", "% просмотра", "Процент просмотра", "Attendance (percent)"]
)
def test_a_share_is_no_length(heading: str) -> None:
    _, draft = previewed(f"Имя;Почта;Вход;Выход;{heading}\nА;a@b.ru;19:00;20:05;54\nБ;b@b.ru;19:00;;99\n")
    assert [person["minutes"] for person in draft["people"]] == [65, None]


@pytest.mark.parametrize(
    ("heading", "rows", "minutes"),
    [
        ("Часов;Минут;Секунд", ["1;5;30", "0;65;0"], [65.5, 65]),
        ("Часов;Минут", ["1,5;30", "0;50"], [None, 50]),
        ("Часов;Минут;Секунд", ["1;5;30", ";59;", "2;;"], [65.5, 59, 120]),
        ("Hours;Minutes;Seconds", ["1;5;30", "0;59;0"], [65.5, 59]),
        ("Время, ч;Время, мин", ["1;5", "0;50"], [65, 50]),
        ("ч;мин;сек", ["1;5;30", "0;50;0"], [65.5, 50]),
        ("Минут;Секунд", ["65;30", "5;0"], [65.5, 5]),
        ("Минут;Часов", ["5;1", "50;0"], [65, 50]),
        # The same length twice, in two units.
        ("Время, мин;Время, ч", ["65;1,08", "30;0,5"], [65, 30]),
        ("Минут;Секунд", ["65;3900", "2;120"], [65, 2]),
        ("Часов;Минут", ["1;долго", "0;50"], [None, 50]),
    ],
)
def test_a_length_in_several_columns(heading: str, rows: list[str], minutes: list[float | None]) -> None:
    body = "".join(f"Г{number};g{number}@b.ru;{row}\n" for number, row in enumerate(rows))
    people = previewed(f"Имя;Почта;{heading}\n{body}")[1]["people"]
    assert [person["minutes"] for person in people] == minutes


def test_hours_above_a_merged_heading() -> None:
    table = "Участник;;На вебинаре;;\nИмя;Почта;ч;мин;сек\nА;a@b.ru;1;5;30\n"
    assert [person["minutes"] for person in previewed(table)[1]["people"]] == [65.5]


def test_parts_that_may_be_one_length_told_twice_are_in_doubt() -> None:
    _, draft = previewed("Имя;Почта;Часов;Минут\nА;a@b.ru;1;55\nБ;b@b.ru;0;20\n")
    assert any("«Часов» и «Минут» сложены" in doubt for doubt in draft["doubts"])
    _, draft = previewed("Имя;Почта;Часов;Минут\nА;a@b.ru;1;5\nБ;b@b.ru;0;50\n")
    assert not any("сложены" in doubt for doubt in draft["doubts"])


@pytest.mark.parametrize(
    ("named", "minutes", "left_out"),
    [
        ({}, [65], ["b@b.ru"]),
        ({"minutes": "Время в чате"}, [5], ["b@b.ru"]),
        ({"role": "-"}, [65, 30], []),
        ({"mail": "Почта родителя"}, [65], ["m@b.ru"]),
    ],
)
def test_what_a_person_says_of_a_column_beats_what_it_is_taken_for(
    named: dict[str, str], minutes: list[float], left_out: list[str]
) -> None:
    table = (
        "Имя;Почта;Почта родителя;Минут на вебинаре;Время в чате;Роль\n"
        "А;a@b.ru;p@b.ru;65;5;Слушатель\nБ;b@b.ru;m@b.ru;30;1;Ведущий\n"
    )
    signature = previewed(table)[0].tables[0].signature
    export, draft = previewed(table, mappings={signature: named})
    assert [person["minutes"] for person in draft["people"]] == minutes
    assert [mail for one in draft["left_out"] for mail in one["emails"]] == left_out
    assert any("как вы их назвали" in remark for remark in export.remarks) == bool(named)
