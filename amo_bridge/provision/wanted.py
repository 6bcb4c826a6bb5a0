"""What a config asks of an account: everything that its rules name, in the shape that ``[provision]`` gives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from amo_bridge.config.against_account import account_names
from amo_bridge.config.model import MANAGER, Config
from amo_bridge.config.names import (
    AccountName,
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
from amo_bridge.deal import BUILT_IN_FIELDS
from amo_bridge.names import normalise, same_name
from amo_bridge.provision.options import FieldShape, ProvisionSection

CLOSED = ("Успешно реализовано", "Закрыто и не реализовано")
"""amoCRM's own two last stages: every pipeline has them from its birth."""
BY_KEY = {"link_field": "url"}
"""What kind of field an option speaks of, when ``[provision]`` does not say."""


@dataclass(frozen=True)
class WantedField:
    """A field that should be there. ``entity``: leads or contacts."""

    name: str
    entity: str
    shape: FieldShape


@dataclass
class Wanted:
    """Names as the config spells them first. ``stages``: pipeline → its stages from left to right."""

    stages: dict[str, list[str]] = field(default_factory=dict)
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
                wanted._field(name, entity, shape)
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
                    self._name(path, FieldName(inner), config)
            case StageName():
                pipeline, slash, stage = name.partition("/")
                if slash:
                    self._stage(pipeline.strip(), stage.strip())
                else:
                    _add(self.bare_stages, name)
            case PipelineName():
                self._pipeline(name)
            case ContactFieldName():
                self._field(name, "contacts", FieldShape(type="text"))
            case FieldName() | CustomFieldName():
                self._deal_field(path, name)
            case PersonName() if any(same_name(name, role) for role in roles):
                pass
            case TagName() | LossReasonName() | TaskTypeName() | UserName() | PersonName():
                _add(self._list_of(name), name)
            case _:
                # Templates, series: the bridge's own, not the account's.
                pass

    def _deal_field(self, path: tuple[Any, ...], name: AccountName) -> None:
        if any(same_name(name, built_in) for built_in in BUILT_IN_FIELDS):
            return
        kind = "date" if isinstance(name, DateFieldName) else BY_KEY.get(str(path[-1]), "text")
        kind = "textarea" if path == ("services", "field") else kind
        self._field(name, "leads", FieldShape.model_validate({"type": kind}))

    def _list_of(self, name: AccountName) -> list[str]:
        lists = {TagName: self.tags, LossReasonName: self.loss_reasons, TaskTypeName: self.task_types}
        return lists.get(type(name), self.users)

    def _pipeline(self, name: str) -> list[str]:
        known = next((one for one in self.stages if same_name(one, name)), None)
        return self.stages[known] if known else self.stages.setdefault(str(name), [])

    def _stage(self, pipeline: str, stage: str) -> None:
        stages = self._pipeline(pipeline)
        if not any(same_name(stage, closed) for closed in CLOSED):
            _add(stages, stage)

    def _field(self, name: str, entity: str, shape: FieldShape) -> None:
        """Who names it first says its shape: the section, or the first rule."""
        if not any(one.entity == entity and same_name(one.name, name) for one in self.fields):
            self.fields.append(WantedField(str(name), entity, shape))


def _add(names: list[str], name: str) -> None:
    if normalise(name) not in {normalise(one) for one in names}:
        names.append(str(name))
