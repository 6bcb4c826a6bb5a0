"""Dataclasses whose methods are made when wanted: what is seen of them is what the standard library's show."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
import threading
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, field, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from amo_bridge import config, crm, engine, events, intake, rules
from amo_bridge.lazy.dataclasses import dataclass

T = TypeVar("T")


@dataclass(frozen=True)
class Point:
    """A point."""

    kind: ClassVar[str] = "point"
    x: int
    y: int = 0
    tags: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def length(self) -> float:
        return float(self.x + self.y)


@dataclass(frozen=True)
class Named(Point):
    y: int = 7
    name: str = field(default="", kw_only=True)


@dataclass
class Basket(Generic[T]):
    items: list[T] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size = len(self.items)


@dataclass(frozen=True, order=True)
class Version:
    major: int
    minor: int = 0


@dataclass(frozen=True, kw_only=True)
class Base:
    at: int | None = None


@dataclass(frozen=True, kw_only=True)
class Moved(Base):
    deal: int


class Undecorated(Named):
    def __init__(self, x: int) -> None:
        super().__init__(x, name="undecorated")


def test_methods_are_made_with_the_first_use() -> None:
    @dataclass(frozen=True)
    class Fresh:
        x: int

    before = vars(Fresh)["__init__"]
    assert not inspect.isfunction(before)
    assert Fresh(1).x == 1
    assert inspect.isfunction(vars(Fresh)["__init__"])
    assert inspect.isfunction(vars(Fresh)["__eq__"])


@pytest.mark.parametrize(
    "look",
    [
        lambda kind: kind(1) == kind(1),
        lambda kind: hash(kind(1)) == hash(kind(1)),
        lambda kind: repr(kind(1)).endswith("Fresh(x=1)"),
        lambda kind: [one.name for one in fields(kind)] == ["x"],
        is_dataclass,
        lambda kind: kind.__match_args__ == ("x",),
        lambda kind: list(inspect.signature(kind).parameters) == ["x"],
        lambda kind: kind(x=1).x == 1,
        lambda kind: asdict(kind(1)) == {"x": 1},
        lambda kind: replace(kind(1), x=2).x == 2,
        lambda kind: copy.copy(kind(1)) == kind(1),
    ],
)
def test_whatever_is_asked_first_finds_it_made(look: Callable[[Any], bool]) -> None:
    @dataclass(frozen=True)
    class Fresh:
        x: int

    assert look(Fresh)


def test_a_value_that_nobody_has_made_by_its_class_is_compared_all_the_same() -> None:
    @dataclass(frozen=True)
    class Fresh:
        x: int

    one, other = object.__new__(Fresh), object.__new__(Fresh)
    for value in (one, other):
        object.__setattr__(value, "x", 1)
    assert one == other
    assert {one, other} == {one}


def test_fields_are_inherited_in_their_order_with_their_defaults() -> None:
    assert [one.name for one in fields(Named)] == ["x", "y", "tags", "name"]
    assert Named(1) == Named(1, 7, ("other",), name="")
    assert Named(1, 2, name="a") != Named(1, 2, name="b")
    assert Named(1) != Point(1, 7), "equal are only values of one class"
    assert (Point.y, Named.y, Named.tags, Point.kind) == (0, 7, (), "point")
    assert repr(Named(1, name="a")) == "Named(x=1, y=7, tags=(), name='a')"
    assert Moved(deal=5) == Moved(deal=5, at=None)
    with pytest.raises(TypeError):
        Moved(5)  # type: ignore[misc]


def test_a_class_that_is_derived_by_hand_asks_by_super() -> None:
    assert Undecorated(3) == Undecorated(3)
    assert (Undecorated(3).y, Undecorated(3).name) == (7, "undecorated")


def test_a_frozen_one_is_frozen_and_may_still_be_hashed() -> None:
    point = Named(1)
    with pytest.raises(FrozenInstanceError, match="'x'"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x  # type: ignore[misc]
    assert point.length == 8.0
    assert len({Named(1), Named(1), Point(1)}) == 2


def test_one_that_may_change_is_not_hashed_and_makes_its_own_defaults() -> None:
    one, other = Basket[int](), Basket[int]()
    one.items.append(1)
    assert (one.items, other.items, one.size) == ([1], [], 0)
    assert not hasattr(Basket, "items")
    with pytest.raises(TypeError):
        hash(one)


def test_order_is_by_the_fields() -> None:
    assert sorted([Version(2), Version(1, 5), Version(1)]) == [Version(1), Version(1, 5), Version(2)]


def test_positions_are_matched() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_they_go_through_pickle() -> None:
    assert pickle.loads(pickle.dumps(Named(1, name="a"))) == Named(1, name="a")


def test_a_class_with_methods_of_its_own_in_their_place_keeps_them() -> None:
    @dataclass(frozen=True)
    class Quiet:
        secret: str

        def __repr__(self) -> str:
            return "***"

    assert repr(Quiet("x")) == "***"
    assert Quiet("x") == Quiet("x")
    assert hash(Quiet("x")) == hash(Quiet("x"))


def test_mistakes_are_the_standard_library_s() -> None:
    @dataclass
    class Wrong:
        x: int = 1
        y: str  # type: ignore[misc]

    with pytest.raises(TypeError, match="non-default argument 'y'"):
        Wrong(1, "")


def test_threads_that_want_a_class_first_all_find_it_whole() -> None:
    for _ in range(50):

        @dataclass(frozen=True)
        class Fresh:
            x: int
            y: int = 2

        begin = threading.Barrier(4)
        found: list[object] = []

        def use(kind: Any = Fresh, begin: threading.Barrier = begin, found: list[object] = found) -> None:
            begin.wait(5)
            found.append((kind(1), kind(1) == kind(1), hash(kind(1)) == hash(kind(1))))

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert found == [(Fresh(1), True, True)] * 4


def test_every_shipped_one_can_be_made() -> None:
    """A mistake in a class that few use would be told late."""
    made = 0
    for package in (config, crm, engine, events, intake, rules):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for kind in vars(importlib.import_module(found.name)).values():
                made += isinstance(kind, type) and is_dataclass(kind) and bool(fields(kind))
    assert made > 300
