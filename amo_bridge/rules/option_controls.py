"""Controls of forms for option types: how each option is filled in, read from the pydantic models.

Nothing is written by hand for a kind, so an agency's own handlers have forms too. A type that is not known here becomes
a field for TOML: it is shown, never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, PlainSerializer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from amo_bridge.dates.calendar import WEEKDAYS, DaySpan, parse_country, parse_timezone, parse_weekday
from amo_bridge.dates.due import Due
from amo_bridge.dates.duration import describe, parse
from amo_bridge.dates.offset import Offset
from amo_bridge.dates.phrase import PhraseType
from amo_bridge.dates.recurrence import Recurrence
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.option_types import AccountName, OptionName, Text, taken

ControlKind = Literal[
    "text", "long text", "name", "choice", "switch", "whole", "number", "due", "offset", "recurrence", "duration",
    "day", "time", "zone", "group", "rows", "pairs", "either", "toml",
]  # fmt: skip
"""name: of something in the account, or of another list; ``names`` says of what. group: a table of options; rows: a
list; pairs: a table whose keys are data; either: one of several; toml: a value in TOML's own words."""
COMPOSITE = ("group", "rows", "pairs", "either")
PHRASES: Mapping[type[PhraseType], ControlKind] = {Due: "due", Offset: "offset", Recurrence: "recurrence"}
COUNTRY = "страна"
NO_DEFAULT: Any = object()
DEEPEST = 8


@dataclass(frozen=True)
class Control:
    """``key``: as TOML has it. ``title``, ``hint``: given by the author of the option (``Field(title=…)``); mostly
    empty. ``default``: as TOML would have it, NO_DEFAULT if there is none to be written. ``parts``: the options of a
    group, a list's element, key and value of pairs, the variants of either. ``before``: what makes of a short form the
    whole one. ``of``: the name of the type, for words; ``name_type``: of an account's name."""

    key: str
    kind: ControlKind
    is_required: bool = False
    title: str = ""
    hint: str = ""
    default: Any = NO_DEFAULT
    names: str = ""
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    parts: tuple[Control, ...] = ()
    before: tuple[Callable[[Any], Any], ...] = ()
    of: str = ""
    name_type: type[AccountName] | None = None

    @property
    def is_composite(self) -> bool:
        return self.kind in COMPOSITE

    def walk(self) -> Iterator[Control]:
        """Itself and all within."""
        yield self
        for part in self.parts:
            yield from part.walk()

    @property
    def is_of_field(self) -> bool:
        """Is it one of the choices of a field that is named beside it?"""
        return self.names == OptionName.kind

    @property
    def may_be_blank(self) -> bool:
        """Does an empty field say something: another thing than the default?"""
        return self.kind in ("text", "long text") and self.default not in (NO_DEFAULT, "")

    def whole(self, value: Any) -> Any:
        """A value as people write it → with nothing left out: a lone text as a list, a text alone as a table."""
        if not self.is_composite:
            return value
        for before in self.before:
            value = before(value)
        return value

    def short(self, value: Any) -> Any:
        """A whole value → as people write it, where nothing is lost."""
        alone = None
        if self.kind == "rows" and isinstance(value, list) and len(value) == 1:
            alone = value[0]
        elif self.kind == "group" and isinstance(value, dict) and len(value) == 1:
            alone = next(iter(value.values()))
        if isinstance(alone, str | dict) and self.before and self.whole(alone) == value:
            return alone
        return value

    def is_default(self, value: Any) -> bool:
        """Would the option be the same if nothing were written?"""
        if self.default is NO_DEFAULT:
            return False
        try:
            if self.kind == "duration":
                return parse(value) == parse(self.default)
            for phrase, kind in PHRASES.items():
                if kind == self.kind:
                    return bool(phrase.parse(value) == phrase.parse(self.default))
        except (TypeError, ValueError, AttributeError):
            return False
        return type(value) is type(self.default) and bool(value == self.default)


@cache
def controls_of(model: type[BaseModel], depth: int = 0) -> tuple[Control, ...]:
    """Of every option that a rule's block may set, in the model's order."""
    elsewhere = dict(taken(model))
    return tuple(
        _of_field(info.alias or name, info, depth) for name, info in model.model_fields.items() if name not in elsewhere
    )


def _of_field(key: str, info: FieldInfo, depth: int) -> Control:
    made = _of_type(key, info.annotation, tuple(info.metadata), depth)
    return replace(
        made,
        key=key,
        is_required=info.is_required(),
        title=info.title or "",
        hint=info.description or "",
        default=_default_of(info),
    )


def _default_of(info: FieldInfo) -> Any:
    value = info.default_factory() if info.default_factory else info.default  # type: ignore[call-arg]
    return NO_DEFAULT if value is PydanticUndefined or value is None else toml_of(value)


def toml_of(value: Any) -> Any:
    """An option's value as TOML has it; NO_DEFAULT for what TOML can't say."""
    match value:
        case time():
            return f"{value:%H:%M}"
        case bool() | int() | float() | datetime() | date():
            return value
        case str():
            return str(value)
        case timedelta():
            return describe(value)
        case Decimal():
            return float(value)
        case PhraseType():
            return value.phrase
        case DaySpan():
            return str(value)
        case BaseModel():
            told = {info.alias or name: (getattr(value, name), info) for name, info in type(value).model_fields.items()}
            return {key: toml_of(one) for key, (one, info) in told.items() if one is not None and one != info.default}
        case Mapping():
            return {str(key): toml_of(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [toml_of(item) for item in value]
    return NO_DEFAULT


def _of_type(key: str, annotation: Any, metadata: Sequence[Any], depth: int) -> Control:
    annotation, metadata = _bare(annotation, tuple(metadata))
    branches = _branches(annotation)
    if len(branches) == 1:
        made = _of_one(key, *_bare(branches[0], metadata), depth)
    else:
        made = Control(key, "either", parts=tuple(_variants(branches, depth)))
    before = tuple(one.func for one in metadata if isinstance(one, BeforeValidator))
    inner = _bare(branches[0], ())[1] if len(branches) == 1 else ()
    before += tuple(one.func for one in inner if isinstance(one, BeforeValidator) and one.func not in before)
    return replace(made, before=before) if made.is_composite else made  # type: ignore[arg-type]


def _bare(annotation: Any, metadata: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Without Annotated; what that says is added to the metadata."""
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        for one in more:
            metadata += tuple(one.metadata) if isinstance(one, FieldInfo) else (one,)
    return annotation, metadata


def _branches(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, UnionType):
        return [one for one in get_args(annotation) if one is not NoneType]
    return [annotation]


def _variants(branches: Sequence[Any], depth: int) -> Iterator[Control]:
    for branch in branches:
        yield _of_type("", branch, (), depth + 1)


def _of_one(key: str, annotation: Any, metadata: tuple[Any, ...], depth: int) -> Control:
    origin, args = get_origin(annotation), get_args(annotation)
    if (known := _by_its_reader(key, metadata)) is not None:
        return known
    if origin is Literal and all(isinstance(one, str) for one in args):
        return Control(key, "choice", choices=args)
    if origin in (tuple, list, set, frozenset) and len([one for one in args if one is not Ellipsis]) == 1:
        return Control(key, "rows", parts=(_of_type("", args[0], (), depth + 1),))
    if isinstance(origin, type) and issubclass(origin, Mapping) and len(args) == 2:
        pair = (_of_type("key", args[0], (), depth + 1), _of_type("value", args[1], (), depth + 1))
        # A key is one field, whatever else it could be.
        if not pair[0].is_composite:
            return Control(key, "pairs", parts=pair)
    if isinstance(annotation, type):
        return _of_class(key, annotation, metadata, depth)
    return Control(key, "toml")


def _by_its_reader(key: str, metadata: Sequence[Any]) -> Control | None:
    """Of a type that is known by the function that reads it, or by being written as a text."""
    readers = [one.func for one in metadata if isinstance(one, BeforeValidator | AfterValidator)]
    if parse_timezone in readers:
        return Control(key, "zone")
    if parse_country in readers:
        return Control(key, "name", names=COUNTRY)
    if parse_weekday in readers:
        return Control(key, "choice", choices=tuple(WEEKDAYS))
    if readers and any(isinstance(one, PlainSerializer) and one.func is str for one in metadata):
        return Control(key, "text")
    return None


def _of_class(key: str, known: type[Any], metadata: Sequence[Any], depth: int) -> Control:
    least, most = _limit(metadata, "ge", "gt"), _limit(metadata, "le", "lt")
    if issubclass(known, BaseModel):
        parts = controls_of(known, depth + 1) if depth < DEEPEST else ()
        return Control(key, "group" if parts else "toml", parts=parts, of=known.__name__)
    if issubclass(known, Text):
        return Control(key, "long text", names=known.kind, of=known.__name__, name_type=known)
    if issubclass(known, AccountName):
        return Control(key, "name", names=known.kind, of=known.__name__, name_type=known)
    for phrase, kind in PHRASES.items():
        if issubclass(known, phrase):
            return Control(key, kind)
    simple: tuple[tuple[type, ControlKind], ...] = (
        (timedelta, "duration"), (bool, "switch"), (int, "whole"), (float, "number"), (Decimal, "number"),
        (str, "text"), (date, "day"), (time, "time"),
    )  # fmt: skip
    found: ControlKind = next((kind for one, kind in simple if issubclass(known, one)), "toml")
    return Control(key, found, least=least, most=most)


def _limit(metadata: Sequence[Any], *names: str) -> float | None:
    found = (getattr(one, name, None) for one in metadata for name in names)
    return next((float(limit) for limit in found if limit is not None), None)


# --- which control a value belongs to ---------------------------------------------------------------------------------


def variant_of(control: Control, value: Any) -> Control | None:
    """Of an «either», the variant that the value is; None if it is none of them."""
    return next((one for one in control.parts if _fits(one, value)), None)


def _fits(control: Control, value: Any) -> bool:
    match control.kind:
        case "group":
            return isinstance(value, dict) and value.keys() <= {part.key for part in control.parts}
        case "pairs":
            return isinstance(value, dict)
        case "rows":
            return isinstance(value, list)
        case "switch":
            return isinstance(value, bool)
        case "whole":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "choice":
            return value in control.choices
    return isinstance(value, str)
