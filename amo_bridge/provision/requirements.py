"""Requirements on fields: the type that a place in the config needs of the field it names.

A type is for ever: amoCRM changes none. So of all places that name a field the most demanding one has the say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from pydantic import BaseModel

from amo_bridge.config.account_check import account_names
from amo_bridge.config.loader import A_RULE, RULES
from amo_bridge.config.model import MANAGER, Config, FieldShape, FieldType, ProvisionSection
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.deal import BUILT_IN_FIELDS
from amo_bridge.rules.option_types import (
    AccountName,
    ContactDateFieldName,
    ContactFieldName,
    CustomFieldName,
    DateFieldName,
    FieldName,
    LossReasonName,
    PersonName,
    PipelineName,
    StageName,
    TagName,
    TaskTypeName,
    Text,
    UserName,
)
from amo_bridge.text.names import normalise, same_name

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
    "consent": "checkbox",
    "opt_out_field": "checkbox",
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


# What a config asks of an account: everything that its rules name, in the shape that ``[provision]`` gives it.

CLOSED = ("Успешно реализовано", "Закрыто и не реализовано")
"""amoCRM's own two last stages: every pipeline has them from its birth."""
TEXT = "{}"
"""Stands for a place within a text, which takes fields of any type, in a path."""
DATES = ("date", "date_time", "birthday")


@dataclass(frozen=True)
class WantedField:
    """A field that should be there. ``entity``: leads or contacts. ``is_described``: ``[provision]`` says its shape,
    not the rules."""

    name: str
    entity: str
    shape: FieldShape
    is_described: bool = False

    @property
    def is_open(self) -> bool:
        """Nobody asks for any type, so that it becomes a text for want of a better word."""
        return not self.is_described and self.shape.type == ANY

    def used_as(self, kind: FieldType) -> WantedField:
        """The same field, with one more place that asks for this type. A description stands, but a date is a date:
        rules that need one take nothing else."""
        old = self.shape.type
        if self.is_described:
            kind = kind if kind == "date" and old not in DATES else old
        else:
            kind = more_demanding(old, kind)
        return self if kind == old else replace(self, shape=FieldShape(type=kind))


@dataclass
class Wanted:
    """Names as the config spells them first. ``stages``: pipeline → its stages from left to right. ``unordered``: the
    pipelines some of whose stages only rules name, so that nobody says where they stand."""

    stages: dict[str, list[str]] = field(default_factory=dict)
    unordered: list[str] = field(default_factory=list)
    bare_stages: list[str] = field(default_factory=list)
    fields: list[WantedField] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    loss_reasons: list[str] = field(default_factory=list)
    task_types: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)

    @classmethod
    def by(cls, config: Config) -> Wanted:
        """Everything that the config names or describes."""
        wanted = cls()
        described = config.provision or ProvisionSection()
        for pipeline, stages in described.pipelines.items():
            for stage in stages:
                wanted._stage(pipeline, stage)
        for entity, shapes in (("leads", described.fields), ("contacts", described.contact_fields)):
            for name, shape in shapes.items():
                if wanted._place_of(name, entity) is None:
                    wanted.fields.append(WantedField(name, entity, shape, is_described=True))
        for tag in described.tags:
            _add(wanted.tags, tag)
        for path, name in account_names(config):
            wanted._name(path, name, config)
        return wanted

    def _name(self, path: tuple[Any, ...], name: AccountName, config: Config) -> None:
        roles = (MANAGER, *config.roles)
        match name:
            case Text():
                for inner in name.field_names:
                    self._name((*path, TEXT), FieldName(inner), config)
            case StageName():
                pipeline, slash, stage = name.partition("/")
                if slash:
                    self._stage_of_a_rule(pipeline.strip(), stage.strip())
                else:
                    _add(self.bare_stages, name)
            case PipelineName():
                self._pipeline(name)
            case ContactFieldName():
                self._field(name, "contacts", type_for(name, path, config))
            case FieldName() | CustomFieldName():
                if not any(same_name(name, built_in) for built_in in BUILT_IN_FIELDS):
                    self._field(name, "leads", type_for(name, path, config))
            case PersonName() if any(same_name(name, role) for role in roles):
                pass
            case TagName() | LossReasonName() | TaskTypeName() | UserName() | PersonName():
                _add(self._list_of(name), name)
            case _:
                # Templates, series: the bridge's own, not the account's.
                pass

    def _list_of(self, name: AccountName) -> list[str]:
        lists = {TagName: self.tags, LossReasonName: self.loss_reasons, TaskTypeName: self.task_types}
        return lists.get(type(name), self.users)

    def _pipeline(self, name: str) -> list[str]:
        known = next((one for one in self.stages if same_name(one, name)), None)
        return self.stages[known] if known else self.stages.setdefault(str(name), [])

    def _stage(self, pipeline: str, stage: str) -> bool:
        """Whether it is one that was not known yet."""
        stages = self._pipeline(pipeline)
        return not any(same_name(stage, closed) for closed in CLOSED) and _add(stages, stage)

    def _stage_of_a_rule(self, pipeline: str, stage: str) -> None:
        if self._stage(pipeline, stage):
            _add(self.unordered, pipeline)

    def _field(self, name: str, entity: str, kind: FieldType) -> None:
        place = self._place_of(name, entity)
        if place is None:
            self.fields.append(WantedField(str(name), entity, FieldShape(type=kind)))
        else:
            self.fields[place] = self.fields[place].used_as(kind)

    def _place_of(self, name: str, entity: str) -> int | None:
        found = (place for place, one in enumerate(self.fields) if one.entity == entity and same_name(one.name, name))
        return next(found, None)


def _add(names: list[str], name: str) -> bool:
    """Whether it was not among them yet."""
    is_new = normalise(name) not in {normalise(one) for one in names}
    if is_new:
        names.append(str(name))
    return is_new
