"""When a rule by the clock has been on: since when at all, and when it was off in between."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from amo_bridge.dates.calendar import WorkCalendar
from amo_bridge.rules.handler import Pause, Times


@dataclass(frozen=True)
class InForce:
    """``pauses``: from when to when it was off; the last one has no end as long as the rule is off. Unix seconds by the
    account's clock."""

    since: float
    pauses: tuple[tuple[float, float | None], ...] = ()

    @classmethod
    def of(cls, row: Row[Any]) -> InForce:
        """What the store's row says."""
        return cls(row.since, tuple((off, on) for off, on in json.loads(row.pauses)))

    @property
    def pauses_json(self) -> str:
        return json.dumps(self.pauses)

    def switched_off(self, now: float) -> InForce:
        """The same rule, off from now on, if it was not off before."""
        return self if self._is_off else replace(self, pauses=(*self.pauses, (now, None)))

    def switched_on(self, now: float) -> InForce:
        """The same rule, on from now on, if it was not on before."""
        if not self._is_off:
            return self
        *before, (off, _) = self.pauses
        return replace(self, pauses=(*before, (off, now)) if now > off else tuple(before))

    def times(self, calendar: WorkCalendar, now: datetime) -> Times:
        """How the rule counts time."""
        pauses = tuple(Pause(_moment(off), _moment(on)) for off, on in self.pauses if on is not None)
        return Times(calendar, _moment(self.since), now, pauses)

    @property
    def _is_off(self) -> bool:
        return bool(self.pauses) and self.pauses[-1][1] is None


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
