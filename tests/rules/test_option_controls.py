"""Controls from option types: whatever a handler's author wrote, there is a field for it, with words for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from amo_bridge.rules import Due, Duration, OneOrMore, Options, Recurrence, SmsOption, StageName, TaskSpec, Text, Until
from amo_bridge.rules.option_controls import NO_DEFAULT, Control, controls_of
from amo_bridge.rules.option_words import CHOICES, KINDS, OPTIONS, in_words_of_form, kind_words
from amo_bridge.rules.registry import shipped

SHIPPED = {**shipped("handlers"), **shipped("schedules")}


class Strange(Options):
    """Of everything one."""

    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    text: Text = Field(title="Слова", description="Что сказать")
    due: Due = Due.parse("end of day")
    every: Recurrence | None = None
    pause: Duration = timedelta(hours=24)
    loud: bool | None = None
    many: Annotated[int, Field(ge=1, le=9)] = 3
    way: Literal["up", "down"] = "up"
    task: OneOrMore[TaskSpec] | None = None
    sms: SmsOption | None = None
    until: Until | None = None
    values: Mapping[str, Text | int | float | bool] = Field(default_factory=dict)
    pair: tuple[int, str] | None = None
    anything: Any = None


KINDS_OF = {
    "stages": "rows", "text": "long text", "due": "due", "every": "recurrence", "pause": "duration", "loud": "switch",
    "many": "whole", "way": "choice", "task": "rows", "sms": "group", "until": "rows", "values": "pairs",
    "pair": "toml", "anything": "toml",
}  # fmt: skip


def control(key: str) -> Control:
    return next(one for one in controls_of(Strange) if one.key == key)


def test_every_option_has_a_control_and_the_unknown_is_toml() -> None:
    assert {one.key: one.kind for one in controls_of(Strange)} == KINDS_OF
    assert [one.key for one in controls_of(Strange) if one.is_required] == ["stages", "text"]
    assert (control("text").title, control("text").hint) == ("Слова", "Что сказать")
    assert (control("many").least, control("many").most, control("many").default) == (1, 9, 3)
    assert control("loud").default is NO_DEFAULT
    assert [one.kind for one in control("until").parts[0].parts] == ["choice", "group", "group"]


@pytest.mark.parametrize(
    ("key", "short", "whole"),
    [
        ("task", {"text": "а"}, [{"text": "а"}]),
        ("sms", "а", {"text": "а"}),
        ("until", "never", ["never"]),
        ("stages", ["а"], ["а"]),
        ("sms", {"text": "а", "service": True}, {"text": "а", "service": True}),
    ],
)
def test_a_short_form_is_known_and_is_written_again(key: str, short: object, whole: object) -> None:
    assert control(key).whole(short) == whole
    assert control(key).short(whole) == short


@pytest.mark.parametrize(
    ("key", "value", "is_default"),
    [
        ("due", "конец дня", True), ("due", "today", False), ("pause", "1 d", True), ("pause", "2 d", False),
        ("many", 3, True), ("many", True, False), ("way", "up", True), ("loud", False, False), ("values", {}, True),
    ],
)  # fmt: skip
def test_what_says_no_more_than_the_default(key: str, value: object, is_default: bool) -> None:
    assert control(key).is_default(value) is is_default


def all_of(controls: tuple[Control, ...]) -> Iterator[Control]:
    for one in controls:
        yield one
        yield from all_of(one.parts)


def test_the_shipped_kinds_need_no_toml_and_have_words() -> None:
    controls = [one for handler in SHIPPED.values() for one in all_of(controls_of(handler.options))]
    assert not [one.key for one in controls if one.kind == "toml"]
    keys = {one.key for one in controls if one.key not in ("", "key", "value")}
    assert keys <= OPTIONS.keys(), f"say them in option_words.py: {sorted(keys - OPTIONS.keys())}"
    named = {choice for one in controls if one.kind == "choice" and len(one.choices) < 8 for choice in one.choices}
    assert named <= CHOICES.keys(), f"say them in option_words.py: {sorted(named - CHOICES.keys())}"
    assert KINDS.keys() == SHIPPED.keys(), "a kind has a title and a sentence in option_words.py"


def test_an_own_kind_is_told_by_its_own_words() -> None:
    assert kind_words("deal_gets_gift", "Клиенту исполнился год → подарок.") == (
        "Deal gets gift",
        "Клиенту исполнился год → подарок.",
    )


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("обязательный ключ не задан, допишите его", "обязательно: заполните"),
        ("нужно одно: unit (месяцы) или per_day", "нужно одно: «В чём срок» (месяцы) или «Поле расхода в день»"),
        ("файла «task.to» нет в docs/when.md [roles] amoCRM", "файла «task.to» нет в docs/when.md [roles] amoCRM"),
    ],
)
def test_the_loader_s_words_as_they_stand_beside_a_form(problem: str, words: str) -> None:
    assert in_words_of_form(problem) == words
