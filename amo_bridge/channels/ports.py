"""Which ports an account has: one for every lane, with a vendor behind it or without."""

from __future__ import annotations

from amo_bridge.channels.not_connected import NAMES, NotConnected
from amo_bridge.engine.lanes.port import Port


def ports_of() -> list[Port]:
    """A port for each lane, whatever is connected."""
    return [NotConnected(lane) for lane in NAMES]
