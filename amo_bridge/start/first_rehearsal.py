"""First rehearsal: what the rules would do in the next days, on real deals or invented ones."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from amo_bridge.config.model import Config
from amo_bridge.crm.client import CrmClient
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rehearsal.known_state import recalled
from amo_bridge.rehearsal.results import SimulatedAction, day_title
from amo_bridge.rehearsal.simulation import rehearsing
from amo_bridge.rehearsal.source import from_account, with_example_deals

DAYS = 14
MOST_SHOWN = 8


@dataclass(frozen=True)
class FirstRehearsal:
    """``deals``: how many there are in it; ``is_invented``: the account has none, so three were put on each stage."""

    deals: int
    is_invented: bool
    actions: tuple[SimulatedAction, ...]
    names: Mapping[int, str]
    zone: ZoneInfo

    @property
    def by_rule(self) -> list[tuple[str, int]]:
        """Rule → how often it acted, the busiest first."""
        return Counter(action.rule for action in self.actions if action.does).most_common()

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """The first action of each rule: when, which deal, which rule, what it does."""
        first: dict[str, SimulatedAction] = {}
        for action in self.actions:
            if action.does:
                first.setdefault(action.rule, action)
        return [
            (
                f"{day_title(action.at, self.zone)} {action.at.astimezone(self.zone):%H:%M}",
                self.names.get(action.deal_id, str(action.deal_id)),
                f"{action.clause} {action.rule}".strip(),
                "; ".join(action.does),
            )
            for action in list(first.values())[:MOST_SHOWN]
        ]

    @property
    def words(self) -> str:
        """All of it in one sentence (Russian)."""
        by_rule = self.by_rule
        acts = sum(count for _, count in by_rule)
        whose = (
            f"Открытых сделок в аккаунте нет, поэтому на его копии заведены учебные: {self.deals}"
            if self.is_invented
            else f"Сделок {self.deals}"
        )
        return f"{whose}. За {DAYS} дней правила сделали бы: {acts} (правил за работой — {len(by_rule)})"


def first_rehearsal(config: Config, client: CrmClient) -> FirstRehearsal:
    """Play the config's rules for two weeks on a copy of the account. Raises CrmError, ConfigError, BridgeError."""
    # The config may not be saved yet, and its folder of scripts not be there: a rehearsal opens none.
    config = replace(config, bridge=config.bridge.model_copy(update={"scripts": ""}))
    now = datetime.now(UTC)
    source = from_account(client, now, recalled(config, now))
    is_invented = not source.has_open_deals
    if is_invented:
        source = with_example_deals(source)
    source = source.with_rules_on_since(config, now)
    before = len(source.world.table("leads"))
    with (
        tempfile.TemporaryDirectory(prefix="amo-bridge-rehearsal-") as folder,
        rehearsing(config, source.world, Path(folder), source.taken_at, source.known) as play,
    ):
        play.until(source.taken_at + timedelta(days=DAYS))
        actions = tuple(play.actions())
    return FirstRehearsal(before, is_invented, actions, source.deal_names(), ZoneInfo(source.timezone))
