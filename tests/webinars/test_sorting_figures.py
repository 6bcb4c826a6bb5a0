"""What a file does not know it leaves alone; what another kind of file has told it does not empty."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from support.webinar_samples import DAY, attendee, options, sample

from amo_bridge.webinars.attendees import Attendee, gather
from amo_bridge.webinars.formats import read_export
from amo_bridge.webinars.sorting import Figures, sort_by_figures

pytestmark = pytest.mark.usefixtures("files_read_here")

BIZON, ZOOM, TABLE = "отчёт Бизон365 (Excel)", "отчёт Zoom", "таблица"
CLICKED = Figures(DAY, 110, ("Баннер",), (), (BIZON,), (BIZON,))
NAMES = {"Минут на вебинаре": "минуты", "Нажатые кнопки": "кнопки", "Дата вебинара": "дата"}


def told(minutes: float, *tags: str, by: str, **changed: Any) -> Figures:
    return replace(Figures(DAY, minutes, tags, (), (by,), (by,)), **changed)


def one_of(text: str) -> Attendee:
    ((person,),) = gather([read_export("a.csv", text.encode())]).values()
    return person


@pytest.mark.parametrize(
    ("file", "unknown"),
    [
        ("bizon_report.xlsx", ()),
        ("bizon_getviewers.json", ()),
        ("generic_cp1251.csv", ()),
        ("zoom_attendee_report.csv", ("buttons",)),
        ("mts_link_stats_users.json", ("buttons",)),
    ],
)
def test_what_each_platform_knows(file: str, unknown: tuple[str, ...]) -> None:
    (people,) = gather([sample(file)]).values()
    assert {one.unknown for one in people if not one.left_out} == {unknown}


@pytest.mark.parametrize(
    ("text", "unknown", "written"),
    [
        ("Имя;Почта;Минут;Кнопки;Дата\nИ;a@b.ru;5;;13.09.2021", (), {"минуты", "кнопки", "дата"}),
        ("Имя;Почта;Минут;Дата\nИ;a@b.ru;5;13.09.2021", ("buttons",), {"минуты", "дата"}),
        ("Имя;Почта;Минут;Баннер;Дата\nИ;a@b.ru;5;;13.09.2021", (), {"минуты", "кнопки", "дата"}),
        ("Имя;Почта;Минут;Дата\nИ;a@b.ru;abc;13.09.2021", ("minutes", "buttons"), {"дата"}),
        ("Имя;Почта;Минут;Дата\nИ;a@b.ru;;13.09.2021", ("minutes", "buttons"), {"дата"}),
        ("Имя;Почта;Минут;Дата\nИ;a@b.ru;0;13.09.2021", ("buttons",), {"минуты", "дата"}),
    ],
)
def test_a_column_that_is_not_there_is_not_written(text: str, unknown: tuple[str, ...], written: set[str]) -> None:
    person = one_of(text)
    assert person.unknown == unknown
    assert {NAMES[field] for field in Figures.of(person, ()).values(options())} == written


def test_what_one_of_several_files_knows_is_known() -> None:
    zoom, bizon = sample("zoom_attendee_report.csv"), sample("bizon_report.xlsx")
    (people,) = gather([zoom, bizon]).values()
    igor = next(one for one in people if one.name == "Игорь")
    assert (igor.unknown, igor.minutes_by, igor.buttons_by) == ((), (ZOOM, BIZON), (BIZON,))


@pytest.mark.parametrize(
    ("later", "minutes", "tags", "written"),
    [
        (told(70, by=ZOOM, unknown=("buttons",), buttons_by=()), 70, ("Баннер",), {"минуты", "дата"}),
        (told(70, by=TABLE), 70, ("Баннер",), {"минуты", "дата"}),
        (told(70, "Подарок", by=TABLE), 70, ("Баннер", "Подарок"), {"минуты", "кнопки", "дата"}),
        (told(70, "Баннер", by=TABLE), 70, ("Баннер",), {"минуты", "дата"}),
        (told(70, by=BIZON), 70, (), {"минуты", "кнопки", "дата"}),
        (told(70, "Подарок", by=BIZON), 70, ("Подарок",), {"минуты", "кнопки", "дата"}),
        (told(0, "Баннер", by=TABLE), 110, ("Баннер",), {"дата"}),
        (told(0, "Баннер", by=BIZON), 0, ("Баннер",), {"минуты", "кнопки", "дата"}),
        (told(0, by=TABLE, unknown=("minutes", "buttons"), minutes_by=(), buttons_by=()), 110, ("Баннер",), {"дата"}),
    ],
)
def test_a_poorer_file_about_the_same_webinar(
    later: Figures, minutes: float, tags: tuple[str, ...], written: set[str]
) -> None:
    both = later.beside(CLICKED)
    assert (both.minutes, both.tags) == (minutes, tags)
    assert {NAMES[field] for field in both.values(options())} == written


def test_what_two_kinds_of_files_told_neither_empties_alone() -> None:
    both = told(110, "Подарок", by=TABLE).beside(CLICKED)
    assert told(110, "Подарок", by=TABLE).beside(both).tags == ("Баннер", "Подарок")
    assert told(110, by=BIZON).beside(both).tags == ("Баннер", "Подарок")


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (told(110, "Баннер", by=BIZON), ""),
        (told(120, "Баннер", by=BIZON), "минут 110 → 120"),
        (told(60.5, by=BIZON), "минут 110 → 60,5; кнопки: Баннер → нет"),
        (told(110, "Подарок", "Баннер", by=BIZON), "кнопки: Баннер → Подарок, Баннер"),
    ],
)
def test_differences_are_told(later: Figures, words: str) -> None:
    assert later.differences(CLICKED) == words


def test_the_same_buttons_in_another_order_are_no_difference() -> None:
    assert told(110, "Подарок", "Баннер", by=BIZON).differences(replace(CLICKED, tags=("Баннер", "Подарок"))) == ""


@pytest.mark.parametrize(
    ("person", "earlier", "interest"),
    [
        ({"minutes": 70.0, "unknown": ("buttons",)}, CLICKED, "active"),
        ({"minutes": 0.0, "unknown": ("minutes", "buttons")}, replace(CLICKED, tags=()), "long"),
        ({"minutes": 5.0, "minutes_by": (TABLE,), "buttons_by": (TABLE,)}, replace(CLICKED, tags=()), "short"),
        ({"minutes": 60.04, "minutes_by": (TABLE,), "buttons_by": (TABLE,)}, replace(CLICKED, tags=()), "long"),
    ],
)
def test_interest_known_from_an_earlier_file_is_not_forgotten(
    person: dict[str, Any], earlier: Figures, interest: str
) -> None:
    who = attendee(**person)
    both = Figures.of(who, ()).beside(earlier)
    assert sort_by_figures(both, who, options()).interest == interest


def test_figures_kept_before_files_told_their_kind_are_not_emptied() -> None:
    old = Figures(**json.loads('{"minutes": 110, "tags": ["Баннер"]}'), held_on=DAY)
    assert told(70, by=TABLE).beside(old).tags == ("Баннер",)
