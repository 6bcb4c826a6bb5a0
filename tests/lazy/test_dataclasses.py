"""Dataclasses whose methods are made when wanted: what is seen of them is what the standard library's show."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import pickle
import sys
import threading
from collections.abc import Callable
from dataclasses import FrozenInstanceError, InitVar, asdict, field, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import pytest
from pydantic import TypeAdapter

from amo_bridge.lazy.dataclasses import dataclass

ROOT = Path(__file__).parents[2]
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


def own_methods(dataclass: Any) -> object:
    @dataclass(frozen=True)
    class Quiet:
        secret: str

        def __repr__(self) -> str:
            return "***"

    return repr(Quiet("x")), Quiet("x") == Quiet("x"), hash(Quiet("x")) == hash(Quiet("x"))


def own_hash(dataclass: Any) -> object:
    @dataclass
    class Counted:
        x: int

        def __hash__(self) -> int:
            return 5

    return hash(Counted(1))


def own_replace(dataclass: Any) -> object:
    @dataclass(frozen=True)
    class Point:
        x: int

    return copy.replace(Point(1), x=2) if sys.version_info >= (3, 13) else None


def value_for_init_alone(dataclass: Any) -> object:
    @dataclass
    class Asked:
        x: int
        more: InitVar[int] = 3

        def __post_init__(self, more: int) -> None:
            self.y = more

    @dataclass
    class Further(Asked):
        z: int = 0

    return Asked(1).y, vars(Further(1, 4, 5)), [one.name for one in fields(Further)]


def attribute_of_a_base(dataclass: Any) -> object:
    @dataclass(frozen=True)
    class Kind:
        kind: ClassVar[str] = "a"
        x: int = 1

    @dataclass(frozen=True)
    class Other(Kind):
        kind = "b"

    return Other(2), Other.kind, list(Other.__dataclass_fields__), Other.__match_args__


def two_bases(dataclass: Any) -> object:
    @dataclass
    class Root:
        x: int = 0
        y: int = 9

    @dataclass
    class Left(Root):
        x: int = 1

    @dataclass
    class Right(Root):
        x: int = 2
        z: int = field(default=5, kw_only=True)

    @dataclass
    class Both(Left, Right):
        w: int = 3

    return Both(), [one.name for one in fields(Both)], Root.__subclasses__() == [Left, Right]


def standard_one_below(dataclass: Any) -> object:
    @dataclasses.dataclass(frozen=True)
    class Below:
        x: int

    @dataclass(frozen=True)
    class Above(Below):
        y: int = 0

    return Above(1), hash(Above(1)) == hash(Above(1)), attempt(lambda: setattr(Above(1), "x", 2))


def standard_one_above(dataclass: Any) -> object:
    @dataclass(frozen=True)
    class Below:
        x: int

    @dataclasses.dataclass(frozen=True)
    class Above(Below):
        y: int = 0

    return Above(1), hash(Above(1)) == hash(Above(1)), attempt(lambda: setattr(Above(1), "x", 2))


def plain_one_above_a_frozen_one(dataclass: Any) -> object:
    @dataclass(frozen=True)
    class Frozen:
        kind: ClassVar[str] = "a"
        x: int = 1

    class Plain(Frozen):
        pass

    plain: Any = Plain(2)
    plain.more, plain.kind = 3, "b"
    del plain.more
    return vars(plain), attempt(lambda: setattr(plain, "x", 1)), attempt(lambda: delattr(plain, "x"))


def field_of_a_model(dataclass: Any) -> object:
    @dataclass(frozen=True)
    class Point:
        x: int
        tags: tuple[str, ...] = ()

    adapter = TypeAdapter(Point)
    return adapter.validate_python({"x": "3", "tags": ["a"]}), adapter.dump_json(Point(1))


def thawed(dataclass: Any) -> object:
    @dataclass(frozen=True)
    class Frozen:
        x: int

    @dataclass
    class Thawed(Frozen):
        y: int

    return Thawed(1, 2)


def frozen_late(dataclass: Any) -> object:
    @dataclass
    class Thawed:
        x: int

    @dataclass(frozen=True)
    class Frozen(Thawed):
        y: int

    return Frozen(1, 2)


def not_annotated(dataclass: Any) -> object:
    @dataclass
    class Wrong:
        x: int
        y = field(default=3)

    return Wrong(1)


def without_a_default_after_one(dataclass: Any) -> object:
    @dataclass
    class Wrong:
        x: int = 1
        y: str

    return Wrong(1, "")


def default_that_all_would_share(dataclass: Any) -> object:
    @dataclass
    class Wrong:
        x: list[int] = []  # noqa: RUF012

    return Wrong()


def frozen_with_a_way_round(dataclass: Any) -> object:
    @dataclass(frozen=True)
    class Wrong:
        x: int

        def __delattr__(self, name: str) -> None:
            pass

    return Wrong(1)


def attempt(look: Callable[[], object]) -> str:
    try:
        return repr(look())
    except (AttributeError, TypeError, ValueError) as error:
        return repr(error)


ALIKE = (
    own_methods, own_hash, own_replace, value_for_init_alone, attribute_of_a_base, two_bases, standard_one_below,
    standard_one_above, plain_one_above_a_frozen_one, field_of_a_model,
)  # fmt: skip
MISTAKES = (
    thawed, frozen_late, not_annotated, without_a_default_after_one, default_that_all_would_share,
    frozen_with_a_way_round,
)  # fmt: skip


@pytest.mark.parametrize("look", [*ALIKE, *MISTAKES])
def test_what_is_seen_is_what_the_standard_library_shows(look: Callable[[Any], object]) -> None:
    shown = attempt(lambda: look(dataclasses.dataclass))
    assert attempt(lambda: look(dataclass)) == shown
    assert ("Error(" in shown.partition(", ")[0]) == (look in MISTAKES), shown


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
    for package in ("amo_bridge", "handlers", "schedules"):
        for path in (ROOT / package).rglob("*.py"):
            if "amo_bridge.lazy.dataclasses import" in path.read_text("utf-8"):
                module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
                for kind in vars(module).values():
                    made += isinstance(kind, type) and is_dataclass(kind) and bool(fields(kind))
    assert made > 300
