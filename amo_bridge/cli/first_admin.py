"""The first start: nobody may come in yet, so whoever sees the console gets a link that makes him the admin."""

from __future__ import annotations

import time
from typing import Protocol

import click
import structlog

from amo_bridge.errors import BridgeError, ConfigError

log = structlog.get_logger()
# The store may be coming up beside us, and the first start is in no hurry.
ASK_AGAIN = 2.0


class Links(Protocol):
    def for_first_admin(self) -> str | None: ...


class Office(Protocol):
    @property
    def links(self) -> Links: ...


def announce(office: Office, address: str) -> None:
    """Print the link if there are no users. Waits for the store. ``address``: of the pages, as a browser reaches them.

    The link goes to the console alone: logs are kept, and sent to places, and a link is a key."""
    while True:
        try:
            secret = office.links.for_first_admin()
        except (BridgeError, ConfigError) as error:
            log.warning("pages wait for the store", error=str(error))
            time.sleep(ASK_AGAIN)
            continue
        if secret is not None:
            log.info("no users yet: the link for the first admin is on the console")
            click.echo(f"Первый администратор (ссылка на сутки, работает один раз): {address}/setup/{secret}", err=True)
        return
