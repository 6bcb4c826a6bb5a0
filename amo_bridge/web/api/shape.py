"""What every shape of the API has in common, and the one that says no."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.rules.option_types import Strict

Number = Annotated[int, Field(ge=1, le=2**53)]
"""Of a deal, a contact, a violation: as far as JSON's numbers are exact."""


class Shape(Strict):
    """As in the config: a key too many is an error, and 0 is a number, not a switch."""


class Error(Shape):
    """Why nothing was done. ``reference``: of what nobody foresaw, the number under which the log has it."""

    error: str
    detail: str
    reference: str | None = None
