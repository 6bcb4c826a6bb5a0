"""Where amoCRM is to send its hooks."""

from __future__ import annotations

from urllib.parse import urlsplit

import structlog

from amo_bridge.config.model import Config

log = structlog.get_logger()
ACCOUNTS = "/accounts/"
"""Under it each of several accounts has its pages."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def pages_of(destination: str | None, under: str = "") -> str:
    """Where the bridge's pages are: they are served where hooks are taken in, ``under`` which path («/accounts/NAME»)
    if there are several accounts. Empty if that is not known."""
    return destination.partition("/hooks/amocrm/")[0] + under if destination else ""


def destination(config: Config, own_url: str | None, secret: str) -> str | None:
    """The hook's full address; None if nobody said how amoCRM reaches us.

    ``own_url`` is where this process listens, if it does: a local amoCRM reaches us there, the real one needs the
    public address.
    """
    is_local = urlsplit(config.account.url).hostname in LOOPBACK
    base = config.bridge.public_url or (own_url if is_local else None)
    if base is None:
        log.warning("no public_url: amoCRM is not told where to send its hooks")
        return None
    return f"{base}/hooks/amocrm/{secret}"
