"""What type a field must be of, for the place in the config that names it.

A type is for ever: amoCRM changes none. So of all places that name a field the most demanding one has the say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from amo_bridge.config.loader import A_RULE, RULES
from amo_bridge.config.model import Config
from amo_bridge.config.provision import FieldType
from amo_bridge.rules.option_types import AccountName, ContactDateFieldName, DateFieldName

Path = tuple[Any, ...]

ANY: FieldType = "text"
"""The place takes whatever it finds; a text holds everything."""
DEMANDS: tuple[FieldType, ...] = (ANY, "textarea", "url", "checkbox", "numeric", "date")
"""From the least demanding to the one that nothing else can stand in for."""
BY_KEY: Mapping[str, FieldType] = {
    "link_field": "url",
    "linked": "url",
    "paid_field": "numeric",
    "minutes_field": "numeric",
}
BY_PLACE: Mapping[tuple[str, str], FieldType] = {
    ("services", "field"): "textarea",
    ("term", "field"): "numeric",
    ("unsubscribed_client_is_marked", "field"): "checkbox",
}
"""Where the key alone says too little: what it stands in (a section, a handler, a table) and the key."""


def type_for(name: AccountName, path: Path, config: Config) -> FieldType:
    """The type that this place asks for; ``ANY`` if it asks for none."""
    if isinstance(name, DateFieldName | ContactDateFieldName):
        return "date"
    key = str(path[-1])
    if path[0] in RULES and path[-2] == "set_fields":
        return _type_of_value(_value_at(path, config))
    handler = path[1] if path[0] in RULES else path[0]
    around = (handler, *path[-2:-1])
    by_place = (BY_PLACE[str(one), key] for one in around if (str(one), key) in BY_PLACE)
    return next(by_place, BY_KEY.get(key, ANY))


def more_demanding(one: FieldType, other: FieldType) -> FieldType:
    """Of two places' types the one that the field gets."""
    return max(one, other, key=DEMANDS.index)


def _type_of_value(value: object) -> FieldType:
    # True is an int as well.
    if isinstance(value, bool):
        return "checkbox"
    return "numeric" if isinstance(value, int | float) else ANY


def _value_at(path: Path, config: Config) -> object:
    value: Any = next(rule.options for rule in config.rules if rule.path == path[:A_RULE])
    for step in path[A_RULE:]:
        value = getattr(value, step) if isinstance(value, BaseModel) else value[step]
    return value
