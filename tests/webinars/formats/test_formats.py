"""Exports of every known kind, read: who was there, for how long, what was clicked. The people are invented."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.webinar_samples import DAY, MOSCOW, SAMPLES, sample

from amo_bridge.webinars.attendees import Attendee, gather
from amo_bridge.webinars.formats import read_export
from amo_bridge.webinars.formats.model import ColumnsUnknown, ExportError

pytestmark = pytest.mark.usefixtures("files_read_here")

EVIL = '=HYPERLINK("http://x")'
BY_INTERVALS = {
    "Анжелика": 68, "Наталья Ёлкина": 61, "Игорь": 110, "Айгуль": 60, "Олена": 15, "Гость": 2, EVIL: 90,
}  # fmt: skip


def people(*names: str) -> dict[str, Attendee]:
    (found,) = gather([sample(name) for name in names]).values()
    assert all(one.held_on == DAY for one in found)
    return {one.name: one for one in found}


@pytest.mark.parametrize(
    ("file", "minutes"),
    [
        ("bizon_report.xlsx", BY_INTERVALS),
        ("bizon_getviewers.json", BY_INTERVALS | {"Игорь": 120}),
        ("zoom_attendee_report.csv", {**BY_INTERVALS, "=HYPERLINK('http://x')": 90} | {EVIL: None}),
        ("generic_cp1251.csv", BY_INTERVALS),
        ("mts_link_stats_users.json", {"Анжелика": 121}),
    ],
)
def test_minutes_are_counted_once_for_each_person(file: str, minutes: dict[str, float | None]) -> None:
    told = {name: one.minutes for name, one in people(file).items() if not one.left_out}
    assert told == {name: value for name, value in minutes.items() if value is not None}


@pytest.mark.parametrize("file", ["bizon_report.xlsx", "bizon_getviewers.json", "generic_cp1251.csv"])
def test_what_was_clicked(file: str) -> None:
    clicked = {name: {button.casefold() for button in one.buttons} for name, one in people(file).items()}
    banner = "баннер" if file.endswith("csv") else "banner"
    assert clicked == {
        "Анжелика": {banner, "help"}, "Наталья Ёлкина": set(), "Игорь": {banner, "tinkoff"}, "Айгуль": set(),
        "Олена": {"gift"}, "Гость": set(), EVIL: {banner},
    }  # fmt: skip


def test_phones_and_mails_come_in_the_form_in_which_they_are_compared() -> None:
    found = people("bizon_report.xlsx")
    assert found["Игорь"].phones == ("+79031112233",), "a numeric cell"
    assert found["Наталья Ёлкина"].phones == ("+79167654321",)
    assert found["Наталья Ёлкина"].mails == ("n.elkina@example.ru",)
    assert found["Айгуль"].phones == ("+77771234567",)


def test_one_phone_with_two_addresses_is_two_people_and_both_are_told() -> None:
    found = people("generic_cp1251.csv")
    assert found["Анжелика"].same_phone == (EVIL,)
    assert found[EVIL].same_phone == ("Анжелика",)


def test_a_banned_person_is_known_as_such() -> None:
    assert [name for name, one in people("bizon_report.xlsx").items() if one.is_banned] == [EVIL]


def test_two_files_about_one_webinar_don_t_double_anybody() -> None:
    found = people("bizon_report.xlsx", "zoom_attendee_report.csv")
    assert found["Анжелика"].minutes == 68
    assert found["Игорь"].minutes == 110


def test_who_did_not_come_is_left_out_and_told() -> None:
    export = sample("zoom_attendee_report.csv")
    assert "Записались и не пришли: 1" in export.remarks
    assert export.title == "Больше чем игрушка"


TABLE = "Кто;Адрес для писем;Сколько смотрел;Когда\nАнна;anna@example.ru;61;13.09.2021\n"


def test_an_unknown_table_asks_for_its_columns_and_is_read_once_they_are_named() -> None:
    with pytest.raises(ColumnsUnknown) as asked:
        read_export("t.csv", TABLE.encode())
    assert asked.value.headers == ("Кто", "Адрес для писем", "Сколько смотрел", "Когда")
    assert asked.value.samples == (("Анна", "anna@example.ru", "61", "13.09.2021"),)
    named = {"name": "Кто", "mail": "адрес для писем", "minutes": "Сколько смотрел", "date": "Когда"}
    export = read_export("t.csv", TABLE.encode(), mappings={asked.value.signature: named})
    assert [(v.name, v.mails, v.minutes, v.came_on) for v in export.visits] == [
        ("Анна", ("anna@example.ru",), 61, DAY)
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251", "koi8-r", "cp866"])
@pytest.mark.parametrize("sign", [";", ",", "\t"])
def test_every_encoding_and_separator_that_people_have(encoding: str, sign: str) -> None:
    lines = [["Имя", "Почта", "Минут", "Дата"], ["Наталья Ёлкина", "n@example.ru", "61", "13.09.2021"]] + [
        ["Анна Петрова, вторая" if sign == ";" else "Анна Петрова", f"a{n}@example.ru", "5", "13.09.2021"]
        for n in range(20)
    ]
    text = "\n".join(sign.join(line) for line in lines)
    export = read_export("t.csv", text.encode(encoding))
    assert export.visits[0].name == "Наталья Ёлкина"
    assert len(export.visits) == 21


def test_minutes_after_midnight_belong_to_the_same_evening() -> None:
    rows = json.loads((SAMPLES / "bizon_getviewers.json").read_text("utf-8"))
    came = 1631548800000 + 4 * 3600 * 1000 + 50 * 60 * 1000  # 23:50 in Moscow
    rows["viewers"] = [{**rows["viewers"][0], "view": came, "viewTill": came + 40 * 60 * 1000}]
    export = read_export("v.json", json.dumps(rows).encode(), zone=MOSCOW)
    (found,) = gather([export]).values()
    assert (found[0].held_on, found[0].minutes) == (DAY, 40)


def test_without_a_date_somebody_must_say_it() -> None:
    export = read_export("t.csv", "Имя;Почта;Минут\nАнна;anna@example.ru;61\n".encode())
    with pytest.raises(ExportError, match="нет даты вебинара"):
        gather([export])
    assert list(gather([export], DAY)) == [DAY]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("anna@example.ru;;-5", "минут на вебинаре «-5»"),
        ("anna@example.ru;;abc", "минут на вебинаре «abc»"),
        ("anna@example.ru;;99999999", "минут на вебинаре «99999999»"),
        ("not-an-email;;61", "почта «not-an-email»"),
        ("not-an-email;123;0", "почта «not-an-email»"),
        ("-;+79161234567;нет", None),
        ("anna@example.ru;;1:02:30", None),
    ],
)
def test_what_can_t_be_read_is_told_of_the_person_and_of_the_file(row: str, said: str | None) -> None:
    export = read_export("t.csv", f"Имя;Почта;Телефон;Минут\nАнна;{row}\n".encode())
    (one,) = gather([export], DAY)[DAY]
    assert one.odd == ((said,) if said else ())
    assert any("не читается: 1" in remark for remark in export.remarks) == (said is not None)


def test_zoom_and_bizon_tell_of_odd_addresses_too() -> None:
    rows = json.loads((SAMPLES / "bizon_getviewers.json").read_text("utf-8"))
    rows["viewers"] = [{**rows["viewers"][0], "email": "нет почты"}]
    export = read_export("v.json", json.dumps(rows).encode(), zone=MOSCOW)
    assert [visit.odd for visit in export.visits] == [{"mail": "нет почты"}]


def test_a_date_that_is_none_is_named() -> None:
    export = read_export("t.csv", "Имя;Почта;Минут;Дата\nАнна;anna@example.ru;61;32.13.2021\n".encode())
    with pytest.raises(ExportError, match=r"t\.csv, строка 2: дата «32\.13\.2021» не читается"):
        gather([export])
    assert list(gather([export], DAY)) == [DAY]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("e.csv", b"  \n", "файл пустой"),
        ("b.csv", b"\x00\x01\x02\xff" * 50, "не похоже ни на книгу Excel"),
        ("j.json", b'{"viewers": [', "JSON не читается"),
        ("d.json", b"[" * 200_000, "JSON"),
        ("l.json", (SAMPLES / "bizon_getlist.json").read_bytes(), "без зрителей"),
        ("o.json", b'{"a": 1}', "незнакомого вида"),
        ("v.json", b'{"viewers": [5]}', "зритель 1: вместо зрителя"),
        ("h.csv", "Имя;Почта;Минут\n".encode(), "ни одного участника"),
        ("c.csv", f"Имя;Почта;Минут\nАнна;{'a' * 20_000};5\n".encode(), "строка 2: в ячейке больше 10000"),
    ],
)
def test_what_can_t_be_taken_is_refused_in_words(name: str, content: bytes, words: str) -> None:
    with pytest.raises(ExportError, match=words) as refused:
        read_export(name, content)
    assert str(refused.value).startswith(name)


@pytest.mark.parametrize(
    ("told", "odd"),
    [
        (b'{"viewers": [{"view": "soon"}, {"view": 1631548800000, "viewTill": 1631552700000}]}', {"came": "soon"}),
        (b'[{"eventSessions": [{"duration": "long"}, {"duration": 3900}]}]', {"minutes": "long"}),
    ],
    ids=["bizon", "mts link"],
)
def test_one_that_can_t_be_read_does_not_cost_the_others(told: bytes, odd: dict[str, str]) -> None:
    first, second = read_export("v.json", told).visits
    assert (first.odd, first.minutes, first.intervals) == (odd, None, ())
    assert sum((end - start).seconds / 60 for start, end in second.intervals) == 65 or second.minutes == 65


def guests(*files: str) -> list[tuple[str, float, int]]:
    """Name, minutes and number of rows of everybody in these tables."""
    texts = (f"Имя;Почта;Минут;Дата\n{file}" for file in files)
    (found,) = gather([read_export("a.csv", text.encode()) for text in texts]).values()
    return sorted((one.name, one.minutes, len(one.places)) for one in found)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (("Гость;;2;13.09.2021", "гость;;2;13.09.2021", "Гость;;2;13.09.2021"), [("Гость", 2, 3)]),
        (("Гость;;2;13.09.2021", "Гость;;3;13.09.2021"), [("Гость", 2, 1), ("Гость", 3, 1)]),
        (("Гость;;2;13.09.2021", "Другой;;2;13.09.2021"), [("Гость", 2, 1), ("Другой", 2, 1)]),
        ((";;2;13.09.2021", ";;2;13.09.2021"), [("", 2, 1), ("", 2, 1)]),
        (("Гость;;0;13.09.2021", "Гость;;0;13.09.2021"), [("Гость", 0, 1), ("Гость", 0, 1)]),
        (("Гость;a@b.ru;2;13.09.2021", "Гость;;2;13.09.2021"), [("Гость", 2, 1), ("Гость", 2, 1)]),
    ],
)
def test_a_guest_of_several_files_is_one_where_that_is_sure(files: tuple[str, ...], told: list[Any]) -> None:
    assert guests(*files) == told


def test_the_exports_of_one_webinar_have_one_guest() -> None:
    (found,) = gather(
        [sample(name) for name in ("bizon_report.xlsx", "bizon_getviewers.json", "generic_cp1251.csv")]
    ).values()
    assert [one.name for one in found].count("Гость") == 1


def test_two_guests_of_one_file_are_not_a_third_one_s_match() -> None:
    two = "Имя;IP;Телефон;Минут;Дата\nГость;10.0.0.1;;2;13.09.2021\nГость;10.0.0.2;;2;13.09.2021"
    one = "Имя;IP;Телефон;Минут;Дата\nГость;10.0.0.1;;2;13.09.2021"
    (found,) = gather([read_export("a.csv", text.encode()) for text in (two, one)]).values()
    assert len(found) == 3
