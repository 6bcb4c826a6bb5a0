"""Users and API tokens for pages and API: invited, changed, disabled, with the audit."""

from __future__ import annotations

from collections.abc import Mapping

from flask import request

from amo_bridge.web.auth.users import Role, User
from amo_bridge.web.context import accounts, audit, who
from amo_bridge.web.forms import role_in_russian

LONGEST_NAME = 80
ByAccount = Mapping[str, Role] | None


class UnknownAccount(ValueError):
    """There is no account of this name, so nobody can be given a role in it."""


def account_names() -> list[str]:
    """In which somebody can be given a role: also those whose config is broken now."""
    return sorted([*accounts().names, *accounts().broken])


def issue(name: str, role: Role, by_account: ByAccount = None) -> str:
    """A new token's secret: nobody is told it again. Raises UnknownAccount."""
    _check_names(by_account)
    secret = accounts().api_tokens.issue(name, role, who(), by_account)
    audit("token.add", f"Новый токен API: {name}, {_roles_in_russian(role, by_account)}", about_account=False)
    return secret


def revoke(token_id: int) -> bool:
    """False: no such token works."""
    name = accounts().api_tokens.revoke(token_id)
    if name is None:
        return False
    audit("token.revoke", f"Отозван токен API: {name}", about_account=False)
    return True


# What pages and programs alike do about users; all of it is written down.


def invite(login: str, role: Role, by_account: ByAccount = None) -> User | None:
    """A new user, who sets his password by a link; None if the name is taken. Raises UnknownAccount."""
    _check_names(by_account)
    user = accounts().users.add(login, role, by_account)
    if user is not None:
        _note("user.add", f"Приглашён {user.login}, {_roles_in_russian(role, by_account)}")
    return user


def new_link(user: User) -> None:
    """The one for whom ``address_of_link`` gives a link; his password stays until it is used."""
    _note("user.link", f"Новая ссылка для пароля: {user.login}")


def address_of_link(user: User) -> str:
    """Where he sets his password: it works once, and the one before it no more. It is told nobody again."""
    base = accounts().public_url or request.host_url.rstrip("/")
    return f"{base}/password/{accounts().links.for_password(user.id)}"


def set_role(user: User, role: Role, by_account: ByAccount = None) -> None:
    """``by_account``: in these accounts alone; None: ``role`` in all. Raises LastAdmin, UnknownAccount."""
    _check_names(by_account)
    accounts().users.set_role(user.id, role, by_account)
    _note("user.role", f"{user.login}: {_roles_in_russian(role, by_account)}")


def disable(user: User) -> None:
    """Raises LastAdmin."""
    accounts().users.disable(user.id)
    _note("user.disable", f"{user.login}: отключён")


def enable(user: User) -> None:
    accounts().users.enable(user.id)
    _note("user.enable", f"{user.login}: включён")


def withdraw(user: User) -> None:
    """Raises AlreadyHere."""
    accounts().users.withdraw(user.id)
    _note("user.withdraw", f"Приглашение отозвано: {user.login}")


def _check_names(by_account: ByAccount) -> None:
    known = account_names()
    for name in by_account or ():
        if name not in known:
            raise UnknownAccount(name)


def _roles_in_russian(role: Role, by_account: ByAccount) -> str:
    if by_account is None:
        return f"роль «{role_in_russian(role)}»"
    told = ", ".join(f"{name} — «{role_in_russian(one)}»" for name, one in sorted(by_account.items()))
    return f"только в аккаунтах: {told}"


def _note(deed: str, words: str) -> None:
    audit(deed, words, about_account=False)
