"""An entry of the navigation: what a page's file says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amo_bridge.web.admission.roles import Role


@dataclass(frozen=True)
class Menu:
    """``title``: a lazy_gettext. ``place``: smaller is further to the front. ``role``: who sees it."""

    title: Any
    endpoint: str
    place: int
    role: Role = Role.VIEWER

    @property
    def subject(self) -> str:
        """The blueprint: all its pages belong to this entry."""
        return self.endpoint.partition(".")[0]
