"""What every shape of the API has in common, and the one that says no."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[int, Field(ge=1, le=2**53)]
"""Of a deal, a contact, a violation: as far as JSON's numbers are exact."""


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Error(Shape):
    """Why nothing was done."""

    error: str
    detail: str
