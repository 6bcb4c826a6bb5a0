"""The commands, one file each. ``amo-bridge --help`` lists them."""

from __future__ import annotations

import logging

import click

from amo_bridge import logs
from amo_bridge.cli.backup import backup
from amo_bridge.cli.check import check
from amo_bridge.cli.connect import connect
from amo_bridge.cli.demo import demo
from amo_bridge.cli.failed import failed
from amo_bridge.cli.provision import provision
from amo_bridge.cli.replay import replay
from amo_bridge.cli.restore import restore
from amo_bridge.cli.rules import rules
from amo_bridge.cli.russian import Group
from amo_bridge.cli.sandbox import sandbox
from amo_bridge.cli.serve import serve
from amo_bridge.cli.tidy import tidy
from amo_bridge.cli.why import why


@click.group(cls=Group)
@click.version_option(package_name="amo-bridge", help="Показать версию.", message="amo-bridge %(version)s")
def main() -> None:
    """amo-bridge: регламент отдела продаж, который исполняется сам, рядом с amoCRM."""
    # Whoever typed a command is told in words; log lines, which structlog puts on stdout by itself, would spoil --json.
    logs.set_up(logging.CRITICAL)


for command in (serve, sandbox, demo, check, connect, provision, rules, why, replay, failed, tidy, backup, restore):
    main.add_command(command)
