"""Every event of the vocabulary goes into JSON and comes back the same."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, timedelta, timezone
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from amo_bridge import events
from amo_bridge.events import DealMoved, DealUpdated, Event, FieldValue, NoteAdded, StageEntered, Unrecognised
from amo_bridge.events.base import fingerprint, from_json, to_json

MOMENT = datetime(2024, 9, 17, 11, 32, 38, tzinfo=UTC)

KINDS = [
    kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
]


def filled(hint: Any) -> Any:
    """Some value of that type which is no default."""
    if isinstance(hint, UnionType):
        return filled(next(option for option in get_args(hint) if option is not type(None)))
    if get_origin(hint) is tuple:
        return tuple(filled(part) for part in get_args(hint) if part is not Ellipsis)
    if is_dataclass(hint):
        return full(hint)
    simple = {int: 42, str: "текст", bool: True, datetime: MOMENT}
    return simple.get(hint, {"id": "1", "список": ["a", {"": "b"}]})


def full(kind: Any) -> Any:
    hints = get_type_hints(kind)
    return kind(**{field.name: filled(hints[field.name]) for field in fields(kind)})


def bare(kind: Any) -> Any:
    hints = get_type_hints(kind)
    needed = [field for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING]
    return kind(**{field.name: filled(hints[field.name]) for field in needed})


@pytest.mark.parametrize("make", [full, bare])
@pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])
def test_round_trip(kind: type[Event], make: Any) -> None:
    event = make(kind)
    back = from_json(json.loads(json.dumps(to_json(event, with_raw=True))))
    assert type(back) is kind
    assert back == event
    assert back.raw == event.raw


def test_shape() -> None:
    event = DealMoved(
        deal_id=5,
        at=datetime(2024, 9, 17, 14, 32, 38, tzinfo=timezone(timedelta(hours=3))),
        name="",
        price=0,
        fields=(FieldValue(field_id=1, name="Город", values=(("Тверь", 8), ("Омск", None))),),
        raw={"id": "5"},
    )
    assert to_json(event) == {
        "type": "DealMoved",
        "at": "2024-09-17T11:32:38+00:00",
        "deal_id": 5,
        "name": "",
        "price": 0,
        "fields": [{"field_id": 1, "name": "Город", "values": [["Тверь", 8], ["Омск", None]]}],
    }
    assert to_json(event, with_raw=True)["raw"] == {"id": "5"}


def test_stage_is_a_pair() -> None:
    told = to_json(StageEntered(deal_id=5, stage=(1, 142)))
    assert told["stage"] == [1, 142]
    assert from_json(told) == StageEntered(deal_id=5, stage=(1, 142))


def test_said_to_be_empty_is_not_the_same_as_not_said() -> None:
    empty, silent = DealUpdated(deal_id=5, name=""), DealUpdated(deal_id=5)
    assert from_json(to_json(empty)) == empty != from_json(to_json(silent))


def test_key_of_a_newer_version_is_passed_over() -> None:
    assert from_json({"type": "NoteAdded", "text": "x", "mood": "good"}) == NoteAdded(text="x")


@pytest.mark.parametrize("told", [{}, {"type": "Robot"}, {"type": "DealMoved"}])
def test_what_is_no_event(told: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"event|restored"):
        from_json(told)


def test_fingerprint_does_not_depend_on_the_order_of_the_body() -> None:
    one, other = Unrecognised(raw={"a": "1", "b": "2"}), Unrecognised(raw={"b": "2", "a": "1"})
    assert fingerprint(one) == fingerprint(other) != fingerprint(Unrecognised(raw={"a": "1"}))


def test_fingerprint_stays_the_same_from_version_to_version() -> None:
    """The inbox of a running bridge holds them: a change here makes every repeated hook look new after an upgrade."""
    assert fingerprint(DealMoved(deal_id=5, status_id=142, at=MOMENT)) == "3a453a6622febb99bc4ed0d1853a08dd"
    assert fingerprint(Unrecognised(root="robots", why="x", raw={"id": "1"})) == "7de2092553a3abe319ea58446898049f"
