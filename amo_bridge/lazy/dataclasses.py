"""The decorator ``dataclass``: as the standard library's, but a class's methods are made when wanted.

It takes half a millisecond a class, a third of what a short command takes. What is seen of a class, its fields, their
defaults, equality, order and errors, is the standard library's: it makes them, for a class that has the same fields.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(kind: type | None = None, /, **options: bool) -> Any:
        """As the standard library's."""
        return _decorated(kind, options) if kind is not None else lambda kind: _decorated(kind, options)


_OF_BASES = ("__dataclass_fields__", "__dataclass_params__")
_MADE = ("__init__", "__repr__", "__eq__", "__match_args__", *_OF_BASES)
if sys.version_info >= (3, 13):
    _MADE = (*_MADE, "__replace__")
_IF_FROZEN = ("__hash__",)
_IF_ORDERED = ("__lt__", "__le__", "__gt__", "__ge__")
_NOT_MADE = ("__hash__", "__setattr__", "__delattr__", "__slots__")
_KNOWN_OPTIONS = {"frozen", "kw_only", "order"}
# One for all: making a class's methods asks for those of its bases.
_lock = threading.RLock()


class _Wanted:
    """Stands in a class for something that is not made yet."""

    def __init__(self, kind: type, name: str, make: Callable[[], None]) -> None:
        self._kind = kind
        self._name = name
        self._make = make

    def __get__(self, instance: object, owner: type) -> Any:
        self._make()
        # Of this class, and not the nearest: a subclass may ask by way of super().
        made = vars(self._kind)[self._name]
        return made.__get__(instance, owner) if hasattr(made, "__get__") else made


def _decorated(kind: type, options: dict[str, bool]) -> type:
    is_frozen = options.get("frozen", False)
    names = [*_MADE, *(_IF_FROZEN if is_frozen else ()), *(_IF_ORDERED if options.get("order") else ())]
    if not options.keys() <= _KNOWN_OPTIONS or not vars(kind).keys().isdisjoint((*names, *_NOT_MADE)):
        # A class with methods of its own in their place: rare, and the standard library knows what then holds.
        return dataclasses.dataclass(**options)(kind)
    annotations = inspect.get_annotations(kind)
    own = {name: vars(kind).get(name, getattr(kind, name, dataclasses.MISSING)) for name in annotations}
    # One that is not annotated is a mistake, of which the standard library tells.
    own |= {name: value for name, value in vars(kind).items() if isinstance(value, dataclasses.Field)}
    for name, value in own.items():
        if isinstance(value, dataclasses.Field):
            if value.default is dataclasses.MISSING:
                delattr(kind, name)
            else:
                setattr(kind, name, value.default)

    def make() -> None:
        with _lock:
            if isinstance(vars(kind)["__init__"], _Wanted):
                made = _same_fields(kind, annotations, own, options)
                # The first last: whoever finds it made finds everything made.
                for name in reversed(names):
                    setattr(kind, name, vars(made)[name])

    for name in names:
        setattr(kind, name, _Wanted(kind, name, make))
    if is_frozen:
        _freeze(kind)
    else:
        kind.__hash__ = None  # type: ignore[assignment]
    return kind


def _same_fields(kind: type, annotations: dict[str, Any], own: dict[str, Any], options: dict[str, bool]) -> type:
    """A dataclass with the fields of the class, inherited ones too. What it has can stand in the class: no method of
    those asks which class it was made for."""
    # Not the bases themselves: they would count it among their subclasses.
    bases = tuple(
        type(base.__name__, (), {name: getattr(base, name) for name in _OF_BASES})
        for base in kind.__mro__[1:]
        if dataclasses.is_dataclass(base)
    )
    namespace = {name: value for name, value in own.items() if value is not dataclasses.MISSING}
    # A class without a docstring would be given its signature for one, which takes longer than all its methods.
    namespace |= {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__name__}
    namespace["__annotations__"] = annotations
    if hasattr(kind, "__post_init__"):
        namespace["__post_init__"] = None
    return dataclasses.dataclass(**options)(type(kind.__name__, bases, namespace))


def _freeze(kind: type) -> None:
    def is_refused(value: object, name: str) -> bool:
        return type(value) is kind or any(field.name == name for field in dataclasses.fields(kind))

    def __setattr__(self: object, name: str, value: object) -> None:
        if is_refused(self, name):
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(kind, self).__setattr__(name, value)  # type: ignore[arg-type]

    def __delattr__(self: object, name: str) -> None:
        if is_refused(self, name):
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(kind, self).__delattr__(name)  # type: ignore[arg-type]

    kind.__setattr__ = __setattr__  # type: ignore[assignment, method-assign]
    kind.__delattr__ = __delattr__  # type: ignore[assignment, method-assign]
