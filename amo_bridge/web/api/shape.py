"""What every shape of the API has in common, and the one that says no."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[int, Field(ge=1, lt=10**18)]
"""Of a deal, a contact; longer ones no store can count to."""


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Error(Shape):
    """Why nothing was done."""

    error: str
    detail: str
