"""An entry of the navigation: what a page's file says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amo_bridge.config.model import Config
from amo_bridge.web.admission.roles import Role


@dataclass(frozen=True)
class Menu:
    """``title``: a lazy_gettext. ``place``: smaller is further to the front. ``role``: who sees it. ``needs``: whether
    an account's config has what the page is about; without it the entry is left out, and the page says why it is empty.
    """

    title: Any
    endpoint: str
    place: int
    role: Role = Role.VIEWER
    needs: Callable[[Config], bool] | None = None

    @property
    def subject(self) -> str:
        """The blueprint: all its pages belong to this entry."""
        return self.endpoint.partition(".")[0]
