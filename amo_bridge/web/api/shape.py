"""What every shape of the API has in common, and the one that says no."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Error(Shape):
    """Why nothing was done."""

    error: str
    detail: str
