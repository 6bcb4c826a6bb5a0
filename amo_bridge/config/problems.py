"""All mistakes of one config file, gathered as they are met: each with its place in the file, in Russian."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from amo_bridge.config.lines import KeyPath, line_of
from amo_bridge.config.wording import advice, in_russian, place, problem


class Problems:
    """``lines``: where the keys stand. ``from_environment``: keys that a variable has overridden → its name."""

    def __init__(self, path: Path, lines: Mapping[KeyPath, int]) -> None:
        self.found: list[str] = []
        self.from_environment: dict[KeyPath, str] = {}
        self._file = path.name
        self._lines = lines

    def add(self, path: KeyPath, words: str, *, block: int = 1) -> None:
        """``block``: how many steps of the path are the name of the block, the rest being the key."""
        if variable := self.from_environment.get(path):
            self.found.append(problem(f"переменная окружения {variable}", None, "", words))
            return
        line = line_of(self._lines, path)
        self.found.append(problem(self._file, line, place(path[:block], path[block:]), words))

    def unknown(self, path: KeyPath, words: str, wrong: str, known: Iterable[str], *, block: int = 1) -> None:
        """A word that is not among the known ones, with the nearest of them."""
        self.add(path, words + advice(wrong, known), block=block)

    def invalid(
        self,
        errors: ValidationError,
        path: KeyPath,
        model: type[BaseModel],
        *,
        block: int = 1,
        more_keys: Iterable[str] = (),
        told_keys: Container[str] = (),
    ) -> None:
        """Everything pydantic found wrong in a table that stands at ``path`` and should have been ``model``, except
        what is wrong with ``told_keys``."""
        told = set()
        found = [error for error in errors.errors() if not error["loc"] or error["loc"][0] not in told_keys]
        for error in found:
            if error["type"] == "too_short" and any(_is_inside(other["loc"], error["loc"]) for other in found):
                # A list whose elements are all wrong counts as empty too; the elements are told.
                continue
            steps, known = _steps_and_keys(model, error["loc"])
            at_top = len(steps) < 2
            words = in_russian(error, [*known, *(more_keys if at_top else ())])
            if (steps, words) not in told:
                told.add((steps, words))
                self.add((*path, *steps), words, block=block)


def _is_inside(loc: KeyPath, outer: KeyPath) -> bool:
    return len(loc) > len(outer) and loc[: len(outer)] == outer


def _steps_and_keys(model: type[BaseModel], loc: KeyPath) -> tuple[KeyPath, list[str]]:
    """The steps as the config has them, without pydantic's own marks, and the keys that could stand at the last one."""
    annotation: Any = model
    steps: list[str | int] = []
    known: list[str] = []
    for step in loc:
        branches = _branches(annotation)
        if step == "[key]":
            continue
        if len(branches) > 1:
            # pydantic names the branch of a union that it tried.
            annotation = next((one for one in branches if getattr(one, "__name__", "") == step), None)
            continue
        steps.append(step)
        known = _keys(branches[0])
        annotation = _inside(branches[0], step)
    return tuple(steps), known


def _branches(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _branches(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [one for one in get_args(annotation) if one is not type(None)]
    return [annotation]


def _keys(annotation: Any) -> list[str]:
    if not _is_model(annotation):
        return []
    return [field.alias or name for name, field in annotation.model_fields.items()]


def _inside(annotation: Any, step: str | int) -> Any:
    if _is_model(annotation):
        fields = annotation.model_fields
        return next((field.annotation for name, field in fields.items() if step in (name, field.alias)), None)
    return next((one for one in reversed(get_args(annotation)) if one is not Ellipsis), None)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
