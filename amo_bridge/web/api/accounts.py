"""``/accounts``: the accounts of this installation, and where the API of each is."""

from __future__ import annotations

from urllib.parse import quote

from flask_babel import lazy_gettext as _l

from amo_bridge.web.api import ROOT, api
from amo_bridge.web.api.endpoint import Endpoint, Shape
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import accounts as installed_accounts
from amo_bridge.web.context import visible
from amo_bridge.web.middleware import WHERE


class InstalledAccount(Shape):
    """``api``: under which path its doors are; empty for one that does not work because its config is broken, as
    ``problems`` tell (Russian)."""

    name: str
    url: str
    state: str
    is_ready: bool
    api: str
    problems: list[str]


class InstalledAccounts(Shape):
    """By name, of those that the token has a role in. Users, tokens and the audit are common to all."""

    accounts: list[InstalledAccount]


@api.endpoint(
    Endpoint("accounts_accounts", "/accounts", "GET", Role.VIEWER, _l("Аккаунты этой установки"), InstalledAccounts)
)
def accounts() -> InstalledAccounts:
    here = installed_accounts()
    known = [
        _account(name, f"{WHERE}{quote(name)}{ROOT}" if here.has_several else ROOT) for name in visible(here.names)
    ]
    broken = [
        InstalledAccount(name=name, url="", state="broken", is_ready=False, api="", problems=list(problems))
        for name, problems in here.broken.items()
        if name in visible(here.broken)
    ]
    return InstalledAccounts(accounts=sorted([*known, *broken], key=lambda one: one.name))


def _account(name: str, api: str) -> InstalledAccount:
    page = installed_accounts().account_at(name)
    bridge = page.bridge
    return InstalledAccount(
        name=name,
        url=page.config.account.url,
        state=bridge.state,
        is_ready=bridge.is_ready,
        api=api,
        problems=list(bridge.problems),
    )
