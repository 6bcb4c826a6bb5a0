"""One item of a hook (``leads[add][0]``) on its way to becoming an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from amo_bridge.crm.values import identifier, moment


class Unreadable(Exception):
    """The item can't become a typed event; the message says why, in Russian, for the people who look into it."""


@dataclass(frozen=True)
class Item:
    """What was said about one entity. ``account_id`` and ``has_links`` (the account's address) are the envelope's."""

    root: str
    action: str
    tree: Mapping[str, Any]
    account_id: int | None = None
    has_links: bool = False

    @property
    def is_from_pipeline(self) -> bool:
        """Is it a hook of the Digital Pipeline? Those have neither a name nor the account's address (seen)."""
        return "name" not in self.tree and not self.has_links

    def envelope(self, at: datetime | None, named_in: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What every event has. Hooks of 2016 name the account in the item only, or in the part ``named_in``."""
        account_id = self.account_id or identifier((named_in or self.tree).get("account_id"))
        return {"at": at, "account_id": account_id, "raw": self.tree}

    def changed_at(self) -> datetime | None:
        """When it happened; of a new thing its creation will do."""
        names = ["updated_at", "last_modified", "date_modify"]
        if self.action == "add":
            names += ["created_at", "date_create"]
        return self.first_moment(*names)

    def first_moment(self, *names: str) -> datetime | None:
        found = (moment(self.tree.get(name)) for name in names)
        return next((at for at in found if at is not None), None)

    def required_id(self, name: str = "id") -> int:
        number = identifier(self.tree.get(name))
        if number is None:
            raise Unreadable(f"нет пригодного {name}")
        return number

    def unknown_action(self) -> Unreadable:
        return Unreadable("неизвестное действие")
