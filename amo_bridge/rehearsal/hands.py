"""The clock of a rehearsal: it shows what the sandbox's does."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from amo_bridge.sandbox.world import World


class Hands:
    """A Clock that stands still until it is moved; the sandbox's account moves with it."""

    def __init__(self, world: World, start: datetime) -> None:
        self._clock = world.clock
        self._clock.freeze()
        self.move_to(start)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def move_to(self, moment: datetime) -> None:
        """To the first whole second that is not before the moment: amoCRM's times have no fractions."""
        self._clock.set(math.ceil(moment.timestamp()))
