"""W2: active, long or short; activity wins over minutes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from support.webinar_samples import attendee, options, sample

from amo_bridge.webinars.attendees import gather
from amo_bridge.webinars.sorting import rule_in_words, sort_person

pytestmark = pytest.mark.usefixtures("files_read_here")


@pytest.mark.parametrize(
    ("buttons", "minutes", "interest", "tags"),
    [
        (("banner",), 3, "active", ("Баннер",)),
        (("tinkoff", "рассрочка от банка Тинькофф"), 120, "active", ("рассрочка",)),
        (("help",), 61, "active", ("Служба заботы о клиентах",)),
        (("Инстаграмм",), 0, "active", ("Инстаграм",)),
        (("мастер–классы",), 0, "active", ("Мастер-классы",)),
        (("gift", "banner"), 0, "active", ("Подарок", "Баннер")),
        (("unheard of",), 0, "active", ("unheard of",)),
        ((), 61, "long", ()),
        ((), 60.5, "long", ()),
        ((), 60, "short", ()),
        ((), 0, "short", ()),
    ],
)
def test_who_goes_where(buttons: tuple[str, ...], minutes: float, interest: str, tags: tuple[str, ...]) -> None:
    found = sort_person(attendee(buttons=buttons, minutes=minutes), options())
    assert (found.interest, found.tags) == (interest, tags)


@pytest.mark.parametrize(
    ("changed", "buttons", "minutes", "interest"),
    [
        ({"long_minutes": 45}, (), 46, "long"),
        ({"other_buttons": False}, ("unheard of",), 10, "short"),
        ({"other_buttons": False}, ("gift",), 10, "active"),
    ],
)
def test_names_and_limits_are_the_agency_s(
    changed: dict[str, Any], buttons: tuple[str, ...], minutes: float, interest: str
) -> None:
    assert sort_person(attendee(buttons=buttons, minutes=minutes), options(**changed)).interest == interest


def test_a_button_that_nobody_named_is_told_of() -> None:
    assert sort_person(attendee(buttons=("unheard of",)), options()).unknown == ("unheard of",)


@pytest.mark.parametrize("file", ["bizon_report.xlsx", "bizon_getviewers.json", "generic_cp1251.csv"])
def test_the_samples_are_sorted_as_the_regulation_says(file: str) -> None:
    (people,) = gather([sample(file)]).values()
    assert {one.name[:8]: sort_person(one, options()).interest for one in people} == {
        "Анжелика": "active", "Наталья ": "long", "Игорь": "active", "Айгуль": "short", "Олена": "active",
        "Гость": "short", "=HYPERLI": "active",
    }  # fmt: skip


def test_the_rule_is_told_in_words() -> None:
    assert "активность важнее минут" in rule_in_words(options())
    assert "больше 45 минут" in rule_in_words(options(long_minutes=45))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"deal_name": "{почта}, {адрес}"}, "можно подставить только"),
        ({"deal_name": "Вебинар"}, "назывались бы одинаково"),
        ({"buttons": {"А": ("x",), "Б": ("X",)}}, "названа и у"),
        ({"long_minutes": 0}, "long_minutes"),
    ],
)
def test_a_wrong_section_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        options(**changed)


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ({"почта": "a@b.ru", "имя": "Анна"}, "a@b.ru, Анна"),
        ({"почта": "a@b.ru", "имя": ""}, "a@b.ru"),
        ({"почта": "", "имя": "Анна"}, "Анна"),
    ],
)
def test_a_deal_s_name(told: dict[str, str], name: str) -> None:
    assert options().name_of_deal(told) == name
