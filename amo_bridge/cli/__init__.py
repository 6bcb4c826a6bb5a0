"""The commands, one file each. ``amo-bridge --help`` lists them."""

from __future__ import annotations

import click

from amo_bridge.cli.check import check
from amo_bridge.cli.demo import demo
from amo_bridge.cli.replay import replay
from amo_bridge.cli.rules import rules
from amo_bridge.cli.russian import Group
from amo_bridge.cli.sandbox import sandbox
from amo_bridge.cli.serve import serve
from amo_bridge.cli.why import why


@click.group(cls=Group)
@click.version_option(package_name="amo-bridge", help="Показать версию.", message="amo-bridge %(version)s")
def main() -> None:
    """amo-bridge: регламент отдела продаж, который исполняется сам, рядом с amoCRM."""


for command in (serve, sandbox, demo, check, rules, why, replay):
    main.add_command(command)
