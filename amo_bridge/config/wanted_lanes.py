"""Which ways out past amoCRM the enabled rules want, as far as their options tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from amo_bridge.engine.effects import Lane
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.options import (
    AudienceSpec,
    Deeds,
    EscalationSpec,
    FolderSpec,
    LetterSpec,
    NoticeSpec,
    ViolationSpec,
)

SHAPES: Mapping[type[BaseModel], Lane] = {
    LetterSpec: "mail",
    NoticeSpec: "notices",
    EscalationSpec: "notices",
    AudienceSpec: "audiences",
    ViolationSpec: "ledger",
    FolderSpec: "storage",
}


def lanes_wanted(rules: Iterable[Rule]) -> dict[Lane, list[str]]:
    """Lane → the names of the enabled rules that want it."""
    found: dict[Lane, list[str]] = {}
    for rule in rules:
        if rule.enabled:
            for lane in dict.fromkeys(_lanes(rule.options)):
                found.setdefault(lane, []).append(rule.name)
    return found


def _lanes(value: Any) -> Iterator[Lane]:
    if isinstance(value, BaseModel):
        if type(value) in SHAPES:
            yield SHAPES[type(value)]
        if isinstance(value, Deeds):
            yield from _of_deeds(value)
        for name in type(value).model_fields:
            yield from _lanes(getattr(value, name))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _lanes(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _lanes(one)


def _of_deeds(deeds: Deeds) -> Iterator[Lane]:
    """Those deeds that have no shape of their own."""
    if deeds.sms:
        yield "sms"
    if deeds.auto_dial:
        yield "dial"
    if deeds.start_series:
        yield "mail"
