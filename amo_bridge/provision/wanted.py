"""What a config asks of an account: everything that its rules name, in the shape that ``[provision]`` gives it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from amo_bridge.config.account_check import account_names
from amo_bridge.config.model import MANAGER, Config
from amo_bridge.config.provision import FieldShape, FieldType, ProvisionSection
from amo_bridge.provision.uses import ANY, more_demanding, type_for
from amo_bridge.rules.deal import BUILT_IN_FIELDS
from amo_bridge.rules.option_types import (
    AccountName,
    ContactFieldName,
    CustomFieldName,
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
