"""One thing or several: ``to = "head"`` and ``to = ["head", "manager"]`` mean what they say."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field

T = TypeVar("T")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


OneOrMore = Annotated[tuple[T, ...], BeforeValidator(_as_list), Field(min_length=1)]
"""At least one. In TOML a lone text or table needs no brackets."""
