"""A condition on the deal."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from amo_bridge.config.names import FieldName, TagName
from amo_bridge.deal import Deal
from amo_bridge.rules import Options
from amo_bridge.text.names import same_name


class Condition(Options):
    """What the deal must be like: ``{ field = "Тип оплаты", is = "Предоплата" }``.

    Exactly one of: ``is`` / ``is_not`` (a text), ``one_of`` (several), ``filled`` (true or false), for a field; or the
    deal's ``tag``.
    """

    field: FieldName | None = None
    is_: str | None = Field(default=None, alias="is")
    is_not: str | None = None
    one_of: tuple[str, ...] = ()
    filled: bool | None = None
    tag: TagName | None = None

    @model_validator(mode="after")
    def one_question(self) -> Self:
        asked = [self.is_ is not None, self.is_not is not None, bool(self.one_of), self.filled is not None]
        if (self.field is None) == (self.tag is None) or sum(asked) != (self.field is not None):
            raise ValueError("нужно одно из: field вместе с is, is_not, one_of или filled; либо tag")
        return self

    def holds(self, deal: Deal) -> bool:
        if self.tag is not None:
            return deal.has_tag(self.tag)
        assert self.field is not None
        text = deal.text(self.field)
        if self.is_ is not None:
            return same_name(text, self.is_)
        if self.is_not is not None:
            return not same_name(text, self.is_not)
        if self.one_of:
            return any(same_name(text, wanted) for wanted in self.one_of)
        return deal.has(self.field) == self.filled

    def __str__(self) -> str:
        if self.tag is not None:
            return f"есть тег «{self.tag}»"
        if self.is_ is not None:
            return f"«{self.field}» = «{self.is_}»"
        if self.is_not is not None:
            return f"«{self.field}» ≠ «{self.is_not}»"
        if self.one_of:
            return f"«{self.field}» — одно из: {', '.join(self.one_of)}"
        return f"«{self.field}» {'заполнено' if self.filled else 'пусто'}"
