"""Context of a request: its account, visitor, user, query parameters, the audit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from flask import current_app, g, request
from flask_login import UserMixin, current_user

from amo_bridge.engine.journal import BY_API
from amo_bridge.engine.metrics import Metrics
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.web.accounts import Accounts, AccountView, NoSuchAccount
from amo_bridge.web.auth.users import ApiToken, RoleHolder, User

MOST = 2**63 - 1


def number(name: str) -> int | None:
    """None if it is not there, is no number, or one that no database has room for."""
    told = request.args.get(name, type=int)
    return told if told is None or abs(told) <= MOST else None


# What a page asks for: the accounts, the account it is about, who is looking.

EXTENSION = "amo_bridge"
METERS = "amo_bridge.meters"


@dataclass
class Visitor(UserMixin):  # type: ignore[misc]
    """Whoever is logged in, as Flask-Login wants it: the cookie holds the secret of his sitting."""

    user: User
    secret: str

    def get_id(self) -> str:
        return self.secret


def accounts() -> Accounts:
    return cast(Accounts, current_app.extensions[EXTENSION])


def asked_account() -> str | None:
    """The name of the account that the address is about, whether there is one or not; None when there are several and
    it names none."""
    named: str | None = g.get("account_name")
    return named if named is not None or accounts().has_several else next(iter(accounts().names), None)


def holder() -> RoleHolder | None:
    """Who asks: the program, or the person who is logged in."""
    if "api_token" in g:
        return token()
    return user() if current_user.is_authenticated else None


def visible(names: Iterable[str]) -> list[str]:
    """Of these accounts the ones that whoever asks has rights in."""
    asking = holder()
    return [name for name in names if asking is not None and asking.sees(name)]


def current_account() -> AccountView:
    """The account that this page is about. Raises ChoiceNeeded when there are several and the address names none,
    NoSuchAccount also for one that is none of the visitor's."""
    if "account" not in g:
        name, asking = asked_account(), holder()
        if name is not None and asking is not None and not asking.sees(name):
            raise NoSuchAccount(name)
        g.account = accounts().account_at(g.get("account_name"))
    return cast(AccountView, g.account)


def user() -> User:
    """Who is looking; only in pages that the gate opens to somebody."""
    return cast(Visitor, current_user).user


def token() -> ApiToken:
    """The program that asks; only in the API."""
    return cast(ApiToken, g.api_token)


def who() -> str:
    """Who does it, as the audit and the journal name him: a person's login, or «API: program»."""
    return f"{BY_API}{token().name}" if "api_token" in g else user().login


def count_log_in(result: str) -> None:
    """``result``: "in", "wrong" (name or password) or "refused" (too many tries), for /metrics."""
    if (meters := current_app.extensions.get(METERS)) is not None:
        cast(Metrics, meters).log_ins.labels(result).inc()


def audit(deed: str, words: str, *, details: str = "", about_account: bool = True) -> None:
    """Put into the audit what the visitor, or a program, has done. ``words``: Russian."""
    name = current_account().name if about_account else ""
    accounts().audit.write(who(), deed, words, account=name, details=details)
