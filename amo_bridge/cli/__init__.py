"""The commands, one file each. ``amo-bridge --help`` lists them."""

from __future__ import annotations

import logging

import click

from amo_bridge.cli.lazy import LazyCommands
from amo_bridge.cli.russian import Group

COMMANDS = LazyCommands(
    (
        "serve",
        "sandbox",
        "demo",
        "check",
        "connect",
        "provision",
        "rules",
        "why",
        "upcoming",
        "violations",
        "replay",
        "rehearse",
        "shadow",
        "snapshot",
        "failed",
        "password",
        "tidy",
        "backup",
        "restore",
        "webinar",
        "telegram",
    )
)
"""A new command is named here, and is ``amo_bridge/cli/<name>.py`` with a function of that name."""


@click.group(cls=Group, commands=COMMANDS)
@click.version_option(package_name="amo-bridge", help="Показать версию.", message="amo-bridge %(version)s")
def main() -> None:
    """amo-bridge: регламент отдела продаж, который исполняется сам, рядом с amoCRM."""
    if click.get_current_context().invoked_subcommand == "serve":
        # Its working process sets its logs up itself; the one that waits has none, and holds nothing for them.
        return
    from amo_bridge import logs

    # Whoever typed a command is told in words; log lines, which structlog puts on stdout by itself, would spoil --json.
    logs.set_up(logging.CRITICAL)
