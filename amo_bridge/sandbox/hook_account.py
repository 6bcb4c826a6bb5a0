"""What a webhook says that is not in the changed record: the account block, names of users, linked entities."""

from __future__ import annotations

import uuid
from typing import Any
from zoneinfo import ZoneInfo

from amo_bridge.sandbox.changes import Change
from amo_bridge.sandbox.world import Record, World

MOVED_FROM = "moved_from"
"""World's table: deal id → the stage it left last; later hooks of the deal go on naming it."""


class HookAccount:
    """The account as the hook bodies see it. Read under ``world.lock``."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def id(self) -> int:
        return int(self._world.account["id"])

    @property
    def block(self) -> dict[str, Any]:
        """The account block, which comes first in the body (captured hooks since 2023)."""
        subdomain = self._world.account["subdomain"]
        return {"subdomain": subdomain, "id": self.id, "_links": {"self": f"https://{subdomain}.amocrm.ru"}}

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(str(self._world.account.get("timezone") or "Europe/Moscow"))

    @property
    def drive(self) -> str:
        """The account's part of a file's path; always the same for the same account."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"amocrm-drive-{self.id}"))

    def record(self, kind: str, entity_id: int) -> Record | None:
        return self._world.table(kind).get(entity_id)

    def user_name(self, user_id: int) -> str | None:
        user = self._world.table("users").get(user_id)
        return None if user is None else str(user["name"])

    def linked(self, kind: str, entity_id: int, to_kind: str) -> list[int]:
        """Ids of the entities of ``to_kind`` on the card."""
        links = self._world.table("links").get(f"{kind}/{entity_id}") or {}
        return [int(link["id"]) for link in links.get(to_kind) or ()]

    def moved_from(self, deal_id: int) -> int | None:
        """The status the deal left last, if it ever moved: it stays in later update and responsible hooks."""
        seen = self._world.table(MOVED_FROM).get(deal_id)
        return None if seen is None else int(seen["status_id"])

    def remember(self, change: Change) -> None:
        """Keeps the stage a deal has left; call it once per change, before the bodies are made."""
        if change.kind != "leads" or change.before is None or change.after is None:
            return
        stages = [(side.get("pipeline_id"), side.get("status_id")) for side in (change.before, change.after)]
        if stages[0] != stages[1]:
            self._world.table(MOVED_FROM)[change.entity_id] = {"status_id": change.before["status_id"]}
