"""Everything that judges, put together from a config and an account; made anew when either changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from amo_bridge.config.model import Config
from amo_bridge.crm.account import Account
from amo_bridge.engine.dispatch import Dispatcher
from amo_bridge.engine.observe import Observer
from amo_bridge.engine.people import People
from amo_bridge.engine.resolve import Resolver
from amo_bridge.engine.view import Viewer


@dataclass(frozen=True)
class Brain:
    account: Account
    dispatcher: Dispatcher
    observer: Observer
    viewer: Viewer

    @classmethod
    def of(cls, config: Config, account: Account) -> Self:
        people = People(account, config.roles)
        calendar = config.calendar.calendar(account.timezone)
        return cls(
            account=account,
            dispatcher=Dispatcher(
                config.rules,
                Resolver(account, people, calendar),
                account,
                dry_run=config.bridge.dry_run,
                opt_out_tag=config.bridge.opt_out_tag,
            ),
            observer=Observer(account, people),
            viewer=Viewer(account, config.account.url),
        )
