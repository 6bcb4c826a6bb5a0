"""The token's end is told days ahead: a long-lived one has its date, a refresh token unused for three months dies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from amo_bridge.clock import Clock

log = structlog.get_logger()
WARN_BEFORE = timedelta(days=7)
ABOUT = "token"


def warning(ends_at: float | None, now: datetime) -> str:
    """What to tell people about a token that ends then (Unix seconds); empty while there is nothing to tell."""
    if ends_at is None:
        return ""
    end = datetime.fromtimestamp(ends_at, UTC)
    if end <= now:
        return f"доступ к amoCRM закончился {end:%d.%m.%Y}: создайте новый токен или подключите аккаунт заново"
    if end - now > WARN_BEFORE:
        return ""
    left = (end - now).days
    when = f"через {left} дн." if left else "сегодня"
    return f"доступ к amoCRM закончится {when}, {end:%d.%m.%Y}: создайте новый токен или подключите аккаунт заново"


class TokenWatch:
    """A chore: ``run()`` once a day. ``tell`` passes a sentence to a person."""

    def __init__(self, ends_at: Callable[[], float | None], clock: Clock, tell: Callable[[str, str], None]) -> None:
        self._ends_at = ends_at
        self._clock = clock
        self._tell = tell

    def run(self) -> None:
        if words := warning(self._ends_at(), self._clock.now()):
            log.warning("token ends", words=words)
            self._tell(words, ABOUT)
