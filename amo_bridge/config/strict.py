"""The base of everything that is read from the config: nothing is guessed, nothing is passed over."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema

_EXACT = ("bool", "int", "float", "timedelta")


def _be_exact(schema: Any) -> None:
    """Not the setting ``strict``: that would also refuse TOML's lists where an option is a tuple."""
    if isinstance(schema, dict):
        if schema.get("type") in _EXACT:
            schema["strict"] = True
        for part in schema.values():
            _be_exact(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            _be_exact(part)


class Strict(BaseModel):
    """An unknown key is an error, and ``"yes"`` is a text, not a switch: pydantic would take it for true."""

    # Built when something is read by it: of all that is shipped, a config names a few.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _be_exact(schema)
        return schema
