"""Words of the config that must exist in the account: a stage, a field, a person …

Each is a string with a kind, so that ``names_in`` can walk any option model and the start and ``amo-bridge check`` can
compare every one of them with the account, without a handler doing anything for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from amo_bridge.deal import Deal
from amo_bridge.due import Due


class AccountName(str):
    """A name that the account must know. ``kind`` says of what."""

    kind: ClassVar[str] = ""
    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(strict=True, min_length=1, strip_whitespace=True)
        )


class StageName(AccountName):
    """«Воронка / Этап»; the bare stage is enough when only one pipeline has it."""

    kind = "этап"


class PipelineName(AccountName):
    kind = "воронка"


class FieldName(AccountName):
    """A deal's custom field, or a built-in one: «Бюджет», «Причина отказа» …"""

    kind = "поле"


class CustomFieldName(AccountName):
    """A deal's custom field that the bridge writes; built-in ones won't do."""

    kind = "своё поле"


class LossReasonName(AccountName):
    kind = "причина отказа"


class TaskTypeName(AccountName):
    kind = "тип задачи"


class UserName(AccountName):
    kind = "пользователь"


class PersonName(AccountName):
    """A role of ``[roles]`` or a user's name."""

    kind = "роль или пользователь"


class Text(AccountName):
    """A text with places to fill in: «Позвонить по сделке {Название}». Every place is a deal's field.

    ``{Этап}`` and ``{Ссылка}`` are the deal's stage and address.
    """

    kind = "текст"
    PLACE: ClassVar[re.Pattern[str]] = re.compile(r"\{([^{}]+)\}")
    OWN_PLACES: ClassVar[frozenset[str]] = frozenset({"Этап", "Ссылка"})

    @property
    def field_names(self) -> list[str]:
        return [
            name for name in self.PLACE.findall(self) if name not in self.OWN_PLACES and not name.startswith("new.")
        ]

    def for_deal(self, deal: Deal) -> str:
        """The text with the deal's values; an empty field becomes «—», so that nobody reads a broken sentence."""
        known = {"Этап": deal.stage.title, "Ссылка": deal.url}

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("new."):
                return match[0]
            return known.get(name) or deal.text(name) or "—"

        return self.PLACE.sub(fill, self)


def names_in(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], AccountName]]:
    """Every account name in an option model (or list, mapping), with its path; fields named by due phrases too."""
    if isinstance(value, AccountName):
        yield path, value
    elif isinstance(value, Due):
        for name in value.fields:
            yield path, FieldName(name)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from names_in(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, AccountName):
                yield (*path, str(key)), key
            yield from names_in(item, (*path, str(key)))
    elif isinstance(value, list | tuple | set | frozenset):
        for number, item in enumerate(value):
            yield from names_in(item, (*path, number))
