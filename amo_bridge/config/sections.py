"""Sections of the config that several rules share: said once, in a section of its own, and taken by each rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel


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
