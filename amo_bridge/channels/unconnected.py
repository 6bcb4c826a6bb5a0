"""Which channels the enabled rules want and the config connects to nothing."""

from __future__ import annotations

from amo_bridge.config.model import Config
from amo_bridge.config.wanted_lanes import lanes_wanted
from amo_bridge.engine.effects import Lane

ALWAYS: frozenset[Lane] = frozenset({"series", "ledger"})


def unconnected(config: Config) -> dict[Lane, list[str]]:
    """Lane → the names of the enabled rules whose deeds will go nowhere."""
    channels = config.channels
    connected = set(ALWAYS)
    if channels.mail:
        connected.add("mail")
    if channels.mail or channels.telegram:
        connected.add("notices")
    return {lane: rules for lane, rules in lanes_wanted(config.rules).items() if lane not in connected}
