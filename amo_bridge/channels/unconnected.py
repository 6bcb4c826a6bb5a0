"""Which channels the enabled rules want and the config connects to nothing."""

from __future__ import annotations

from amo_bridge.channels.not_connected import NAMES
from amo_bridge.config.model import Config
from amo_bridge.config.wanted_lanes import lanes_wanted
from amo_bridge.engine.effects import Lane

ALWAYS: frozenset[Lane] = frozenset({"series", "ledger"})


def connected(config: Config) -> frozenset[Lane]:
    """The ways out that lead somewhere."""
    channels = config.channels
    mail: set[Lane] = {"mail", "notices"} if channels.mail else set()
    telegram: set[Lane] = {"notices"} if channels.telegram else set()
    return ALWAYS | mail | telegram


def unconnected_of(config: Config) -> dict[str, list[str]]:
    """Name of an enabled rule → what the lanes are called that it wants and that lead nowhere; rules without such are
    left out."""
    found: dict[str, list[str]] = {}
    for lane, rules in unconnected(config).items():
        for name in rules:
            found.setdefault(name, []).append(NAMES[lane])
    return found


def unconnected(config: Config) -> dict[Lane, list[str]]:
    """Lane → the names of the enabled rules whose deeds will go nowhere."""
    there = connected(config)
    return {lane: rules for lane, rules in lanes_wanted(config.rules).items() if lane not in there}
