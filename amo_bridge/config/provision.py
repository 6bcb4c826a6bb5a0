"""The section ``[provision]``: how that looks which the rules only name: the order of stages, the types of fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from amo_bridge.rules.option_types import Strict
from amo_bridge.text.names import normalise

SomeText = Annotated[str, Field(min_length=1)]
FieldType = Literal[
    "text", "textarea", "numeric", "checkbox", "select", "multiselect", "radiobutton",
    "date", "date_time", "birthday", "url", "streetaddress",
]  # fmt: skip
"""amoCRM's words (amoCRM docs, custom-fields); phones and mails are there in every account."""
CHOICES = frozenset({"select", "multiselect", "radiobutton"})


class FieldShape(Strict):
    """A field's type, and its choices where the type has any."""

    type: FieldType
    choices: tuple[SomeText, ...] = ()

    @model_validator(mode="after")
    def choices_where_they_belong(self) -> Self:
        if bool(self.choices) != (self.type in CHOICES):
            wanted = "нужны варианты (choices)" if self.type in CHOICES else "вариантов не бывает"
            raise ValueError(f"у поля типа {self.type} {wanted}")
        return self


def _expand_shorthand(told: Any) -> Any:
    """``"date"`` is a type, ``["Да", "Нет"]`` a choice of one."""
    if isinstance(told, str):
        return {"type": told}
    return {"type": "select", "choices": told} if isinstance(told, list) else told


Shape = Annotated[FieldShape, BeforeValidator(_expand_shorthand)]


class ProvisionSection(Strict):
    """``pipelines``: each pipeline's stages from left to right, without the two last ones that amoCRM makes itself.
    ``fields`` of deals and ``contact_fields``: a type, a list of choices, or both. ``tags``: those that people put on
    deals themselves; what rules put on is known from the rules."""

    pipelines: dict[SomeText, Annotated[tuple[SomeText, ...], Field(min_length=1)]] = Field(default_factory=dict)
    fields: dict[SomeText, Shape] = Field(default_factory=dict)
    contact_fields: dict[SomeText, Shape] = Field(default_factory=dict)
    tags: tuple[SomeText, ...] = ()

    @model_validator(mode="after")
    def each_stage_once(self) -> Self:
        for pipeline, stages in self.pipelines.items():
            if len({normalise(stage) for stage in stages}) < len(stages):
                raise ValueError(f"в воронке «{pipeline}» этап назван дважды")
        return self
