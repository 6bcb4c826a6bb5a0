"""Base of the option types that are a phrase in TOML: due dates, offsets, recurrences."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class PhraseType(ABC):
    """A value understood from a phrase; ``str()`` is the phrase as written.

    ``subject`` and ``examples``: what the error about a number in the phrase's place says (Russian).
    """

    subject: ClassVar[str]
    examples: ClassVar[str]
    phrase: str

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """Understand a phrase. Raises ValueError (Russian)."""

    def __str__(self) -> str:
        return self.phrase

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._from_config,
            json_schema_input_schema=core_schema.str_schema(),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def _from_config(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError(f"{cls.subject} пишется словами в кавычках, а не «{value}». Примеры: {cls.examples}")
        return cls.parse(value)
