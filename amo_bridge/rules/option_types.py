"""Option types: names of the account, texts, sections that several rules share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from amo_bridge.dates.due import Due
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.deal import Deal, Value


@dataclass(frozen=True)
class FromSection:
    """Marks an option that no rule's block sets: the loader takes it from the section ``[name]``.

    ``services: Annotated[ServicesSection, FromSection("services")]``
    """

    name: str


def taken(model: type[BaseModel]) -> Iterator[tuple[str, FromSection]]:
    """The options that are taken from sections: (option's name, where from)."""
    for name, info in model.model_fields.items():
        for mark in info.metadata:
            if isinstance(mark, FromSection):
                yield name, mark


# Words of the config that must exist in the account: a stage, a field, a person …
#
# Each is a string with a kind, so that ``names_in`` can walk any option model and the start and ``amo-bridge check``
# can compare every one of them with the account, without a handler doing anything for it.


class AccountName(str):
    """A name that the account must know. ``kind`` says of what."""

    kind: ClassVar[str] = ""
    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls.checked, core_schema.str_schema(strict=True, min_length=1, strip_whitespace=True)
        )

    @classmethod
    def checked(cls, text: str) -> Self:
        """The name, if it is one as far as can be told without the account. Raises ValueError (Russian)."""
        return cls(text)


class StageName(AccountName):
    """«Воронка / Этап»; the bare stage is enough when only one pipeline has it."""

    kind = "этап"


class PipelineName(AccountName):
    kind = "воронка"


class FieldName(AccountName):
    """A deal's custom field, or a built-in one: «Бюджет», «Причина отказа» …"""

    kind = "поле"


class CustomFieldName(AccountName):
    """A deal's custom field, such as one that the bridge writes; built-in ones won't do."""

    kind = "своё поле"


class NumberFieldName(CustomFieldName):
    """A deal's custom field that holds a number: of amoCRM's types «Число», «Денежное»."""

    kind = "поле с числом"


class DateFieldName(FieldName):
    """A deal's custom field that holds a date: of amoCRM's types «Дата», «Дата и время», «День рождения»."""

    kind = "поле с датой"


class ContactFieldName(AccountName):
    """A contact's custom field."""

    kind = "поле контакта"


class ContactDateFieldName(ContactFieldName):
    """A contact's custom field that holds a date, as in DateFieldName."""

    kind = "поле контакта с датой"


class TemplateName(AccountName):
    """A letter's template in the folder of ``[mail] templates``: «прогрев/1» is прогрев/1.txt."""

    kind = "шаблон письма"


class EnclosureName(AccountName):
    """A file to go along with letters, in the folder of ``[mail] templates``: «Бриф.docx»."""

    kind = "файл для писем"


class DocumentName(AccountName):
    """A document's template in the folder of ``[mail] templates``: «счёт» is счёт.docx."""

    kind = "шаблон документа"


class SeriesName(AccountName):
    """A series of letters that the config has: ``[series."прогрев"]``."""

    kind = "серия писем"


class LossReasonName(AccountName):
    kind = "причина отказа"


class TaskTypeName(AccountName):
    kind = "тип задачи"


class TagName(AccountName):
    """A deal's tag. It needs not be there: a tag comes into being when it is first put on a deal."""

    kind = "тег"


class UserName(AccountName):
    kind = "пользователь"


class EmployeeName(UserName):
    """A user who may be switched off by now: somebody who has left is to be paid too."""


class PersonName(AccountName):
    """A role of ``[roles]`` or a user's name."""

    kind = "роль или пользователь"


class OptionName(AccountName):
    """A choice of a select field, as a condition compares it. ``field``: of which field; empty while nobody has said.

    In a field that has no choices it is a text like any other."""

    kind = "вариант поля"
    field: str = ""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls.checked, core_schema.str_schema(strict=True))

    @classmethod
    def of(cls, field: str, text: str) -> Self:
        """The choice of this field."""
        option = cls(text)
        option.field = field
        return option


class Text(AccountName):
    """A text with places to fill in: «Позвонить по сделке {Название}». Every place is a deal's field.

    ``{Этап}`` and ``{Ссылка}`` are the deal's stage and address in amoCRM, ``{Страница}`` its page of the bridge.
    """

    kind = "текст"
    PLACE: ClassVar[re.Pattern[str]] = re.compile(r"\{([^{}]+)\}")
    OWN_PLACES: ClassVar[frozenset[str]] = frozenset({"Этап", "Ссылка", "Страница"})
    LATER_PLACES: ClassVar[frozenset[str]] = frozenset()
    """Places that the engine fills when it carries the action out; no field is meant."""

    @classmethod
    def checked(cls, text: str) -> Self:
        left = cls.PLACE.sub("", text)
        if "{" in left or "}" in left:
            raise ValueError(
                f"«{text}»: место для подстановки пишется {{Название поля}}, а здесь скобка лишняя или пусто"
            )
        for name in cls.PLACE.findall(text):
            if name.startswith("new.") and name not in cls.LATER_PLACES:
                told = " и ".join(f"{{{place}}}" for place in sorted(cls.LATER_PLACES))
                raise ValueError(f"{{{name}}} здесь не подставить; " + (f"есть {told}" if told else "новой сделки нет"))
        return cls(text)

    @property
    def field_names(self) -> list[str]:
        return [
            name for name in self.PLACE.findall(self) if name not in self.OWN_PLACES and name not in self.LATER_PLACES
        ]

    def value_for(self, deal: Deal) -> Value | None:
        """As ``for_deal``; but a text that is one field's place and nothing else is the field's own value: a date stays
        a date, and an empty one is None."""
        alone = self.PLACE.fullmatch(self)
        return deal.value(alone[1]) if alone and self.field_names else self.for_deal(deal)

    def for_deal(self, deal: Deal) -> str:
        """The text with the deal's values; an empty field becomes «—», so that nobody reads a broken sentence."""
        known = {"Этап": deal.stage.title, "Ссылка": deal.url, "Страница": deal.page}

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name in self.LATER_PLACES:
                return match[0]
            return known.get(name) or deal.text(name) or "—"

        return self.PLACE.sub(fill, self)


class TextWithNewDeal(Text):
    """A text that may also hold ``{new.url}`` and ``{new.id}``: the deal that this very decision creates."""

    LATER_PLACES = frozenset({"new.url", "new.id"})


class NoticeText(Text):
    """A text for our own people, which may also hold ``{Телефон}``: the client's phone."""

    LATER_PLACES = frozenset({"Телефон"})


def names_in(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], AccountName]]:
    """Every account name in an option model (or list, mapping), with its path; fields named by due phrases too.

    What a rule takes from a section of its own is not the rule's."""
    if type(value) in PLAIN:
        return
    if isinstance(value, AccountName):
        yield path, value
    elif isinstance(value, Due):
        for name in value.fields:
            yield path, DateFieldName(name)
    elif isinstance(value, BaseModel):
        for name in _own_options(type(value)):
            yield from names_in(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, AccountName):
                yield (*path, str(key)), key
            if option := _option_written(key, item):
                yield (*path, str(key)), option
            yield from names_in(item, (*path, str(key)))
    elif isinstance(value, list | tuple | set | frozenset):
        for number, item in enumerate(value):
            yield from names_in(item, (*path, number))


PLAIN = frozenset({str, int, float, bool, type(None)})
"""What most options are, and no name."""


@lru_cache(maxsize=512)
def _own_options(model: type[BaseModel]) -> tuple[str, ...]:
    elsewhere = dict(taken(model))
    return tuple(name for name in model.model_fields if name not in elsewhere)


def _option_written(key: object, item: object) -> OptionName | None:
    """The choice that a table «field → text» writes into a field; None for a text that is filled in later."""
    is_plain = isinstance(item, Text) and not Text.PLACE.search(item)
    return OptionName.of(key, str(item)) if is_plain and isinstance(key, FieldName | CustomFieldName) else None


Rename = Callable[[AccountName], "str | None"]
"""A name of the config → what the account calls it now; None: the same."""


def with_names(value: Any, rename: Rename) -> Any:
    """The option model (or list, mapping) with every account name renamed; what is the same is not copied.

    What a rule takes from a section is renamed too: it is the rule's own copy."""
    match value:
        case Text():
            return type(value)(Text.PLACE.sub(lambda found: f"{{{_renamed_place(value, found[1], rename)}}}", value))
        case OptionName():
            new = rename(value)
            # The field may have been renamed too.
            field = rename(FieldName(value.field)) or value.field
            return type(value).of(field, new or str(value))
        case AccountName():
            return value if (new := rename(value)) is None else type(value)(new)
        case Due():
            return _due_with_names(value, rename)
        case BaseModel():
            fields = {name: getattr(value, name) for name in type(value).model_fields}
            changed = {name: new for name, old in fields.items() if (new := with_names(old, rename)) != old}
            return value.model_copy(update=changed) if changed else value
        case Mapping():
            return {
                with_names(key, rename) if isinstance(key, AccountName) else key: _with_option(key, item, rename)
                for key, item in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return type(value)(with_names(item, rename) for item in value)
    return value


def _with_option(key: object, item: Any, rename: Rename) -> Any:
    option = _option_written(key, item)
    new = rename(option) if option is not None else None
    return with_names(item, rename) if new is None else type(item)(new)


def _renamed_place(text: Text, place: str, rename: Rename) -> str:
    return (rename(FieldName(place)) or place) if place in text.field_names else place


def _due_with_names(due: Due, rename: Rename) -> Due:
    phrase = quoted = due.phrase
    for name in due.fields:
        if new := rename(DateFieldName(name)):
            phrase, quoted = phrase.replace(name, new), quoted.replace(name, f"«{new}»")
    if phrase == due.phrase:
        return due
    try:
        return Due.parse(phrase)
    except ValueError:
        # The new name has signs of its own, such as a plus.
        return Due.parse(quoted)


# The base of everything that is read from the config: nothing is guessed, nothing is passed over.

_EXACT = ("bool", "int", "float", "timedelta")


def _be_exact(schema: Any, own: type) -> None:
    """Not the setting ``strict``: that would also refuse TOML's lists where an option is a tuple. Models within see to
    themselves."""
    if isinstance(schema, dict):
        kind = schema.get("type")
        if kind == "model" and schema["cls"] is not own and issubclass(schema["cls"], Strict):
            return
        if kind in _EXACT:
            schema["strict"] = True
        for part in schema.values():
            _be_exact(part, own)
    elif isinstance(schema, list | tuple):
        for part in schema:
            _be_exact(part, own)


_BUILT: ContextVar[frozenset[type]] = ContextVar("built", default=frozenset())
"""What is being built just now: it may hold itself."""


class Strict(BaseModel):
    """An unknown key is an error, and ``"yes"`` is a text, not a switch: pydantic would take it for true."""

    # Built when something is read by it: of all that is shipped, a config names a few.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if not cls.__pydantic_complete__ and cls not in _BUILT.get():
            # Built for itself, and taken as it is by everything around it: else each of fifty options would have all
            # that a task or a letter is made of worked out anew.
            mark = _BUILT.set(_BUILT.get() | {cls})
            try:
                cls.model_rebuild(raise_errors=False)
            finally:
                _BUILT.reset(mark)
        schema = handler(source)
        _be_exact(schema, cls)
        return schema


# --- addresses of servers ---------------------------------------------------------------------------------------------

_BASE_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?", re.IGNORECASE)


def _base_url(text: str) -> str:
    text = text.strip().rstrip("/")
    if not _BASE_URL.fullmatch(text):
        raise ValueError(f"«{text}» — не адрес: нужен полный, который начинается с https://")
    return text


BaseUrl = Annotated[str, AfterValidator(_base_url)]


# One thing or several: ``to = "head"`` and ``to = ["head", "manager"]`` mean what they say.

T = TypeVar("T")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


OneOrMore = Annotated[tuple[T, ...], BeforeValidator(_as_list), Field(min_length=1)]
"""At least one. In TOML a lone text or table needs no brackets."""

Named = Annotated[str, Field(min_length=1)]
