"""Source of a rehearsal's account: a snapshot, the real account as it is now, or the shipped example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from amo_bridge.config.model import Config
from amo_bridge.crm.account import LOST, WON
from amo_bridge.crm.client import CrmClient
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rehearsal.known_state import NOTHING, Known, on_since
from amo_bridge.rehearsal.simulation import TOKEN
from amo_bridge.rehearsal.snapshot import Progress, SnapshotRefused, account_of, read, rows_of, rows_of_one
from amo_bridge.sandbox import snapshot_start
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.sandbox.seeding import seed
from amo_bridge.sandbox.world import World

EXAMPLE_DEALS = 3
"""Deals on every stage of the example account."""


@dataclass(frozen=True)
class Source:
    """An account in a sandbox of its own, the moment it is from, and what the bridge knew of it then."""

    world: World
    taken_at: datetime
    known: Known

    def with_rules_on_since(self, config: Config, since: datetime) -> Source:
        """The same, as if all rules had been switched on then."""
        return replace(self, known=on_since(self.known, (rule.name for rule in config.rules), since))

    @property
    def timezone(self) -> str:
        return str(self.world.account["timezone"])

    @property
    def has_open_deals(self) -> bool:
        """Is there anything for rules to look at?"""
        return any(deal["status_id"] not in (WON, LOST) for deal in self.world.table("leads").values())

    def deal_names(self) -> dict[int, str]:
        """Deal id → name, new deals of the rehearsal too."""
        return {int(key): str(deal["name"]) for key, deal in self.world.table("leads").items()}


def from_file(path: Path) -> Source:
    """Raises SnapshotRefused."""
    head, rows = read(path)
    return Source(_world(head.account, rows), head.taken_at, head.known)


def from_account(
    client: CrmClient,
    now: datetime,
    known: Known,
    deal_id: int | None = None,
    *,
    progress: Progress = lambda kind, rows: None,
) -> Source:
    """The account as it is; with ``deal_id`` that deal alone. ``progress``: see rows_of. Raises CrmError,
    SnapshotRefused (no such deal)."""
    account = account_of(client)
    rows = list(rows_of(client, progress) if deal_id is None else rows_of_one(client, deal_id))
    if deal_id is not None and not rows:
        raise SnapshotRefused(f"сделки {deal_id} в аккаунте нет")
    return Source(_world(account, rows), now, known)


def _world(account: Mapping[str, Any], rows: Iterable[tuple[str, Mapping[str, Any]]]) -> World:
    world = World()
    try:
        snapshot_start.fill(world, account, rows, TOKEN)
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotRefused(f"снимок неполон или испорчен: {error!r}") from error
    return world


def example(now: datetime, account: Path | None = None) -> Source:
    """A shipped account (None: the agency) with some deals on every open stage that came there at ``now``: nothing of
    it is real."""
    world = load_world(account)
    world.table("tokens")[TOKEN] = {**world.table("tokens")["sandbox-token"], "token": TOKEN}
    world.clock.freeze()
    world.clock.set(now.timestamp() + EXAMPLE_DEALS)
    _add_deals(world)
    return Source(world, now, NOTHING)


def with_example_deals(source: Source) -> Source:
    """The same account with some invented deals on every open stage, that came there at its moment."""
    source.world.clock.freeze()
    source.world.clock.set(source.taken_at.timestamp() + EXAMPLE_DEALS)
    _add_deals(source.world)
    return source


def _add_deals(world: World) -> None:
    for status in list(world.table("statuses").values()):
        if status["type"] == 0 and status["id"] not in (WON, LOST):
            stage = {"pipeline_id": status["pipeline_id"], "status_id": status["id"]}
            seed(world, EXAMPLE_DEALS, stage, with_contacts=True)
