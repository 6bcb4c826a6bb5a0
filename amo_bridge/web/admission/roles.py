"""What a user may do. Each role may do all that the one before it may."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """``viewer`` looks; ``webinar`` works with webinars and deals as well; ``admin`` may do everything."""

    VIEWER = "viewer"
    WEBINAR = "webinar"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """May he who has this role do what ``needed`` may?"""
        order = list(Role)
        return order.index(self) >= order.index(needed)
