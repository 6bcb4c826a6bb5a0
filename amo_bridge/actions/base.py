"""What all actions have in common, and the word for doing nothing."""

from __future__ import annotations

from dataclasses import dataclass

Person = str | int


@dataclass(frozen=True)
class Skip:
    """Nothing to do, and why: one short Russian sentence that ``amo-bridge why`` will print."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something to do about a deal."""

    deal_id: int


Decision = Skip | Action | list[Action]
