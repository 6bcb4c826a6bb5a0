"""What pages and programs alike do about the API's tokens; all of it is written down."""

from __future__ import annotations

from flask import request

from amo_bridge.web.auth.users import Role, User
from amo_bridge.web.context import accounts, audit, who
from amo_bridge.web.forms import role_in_russian

LONGEST_NAME = 80


def issue(name: str, role: Role) -> str:
    """A new token's secret: nobody is told it again."""
    secret = accounts().api_tokens.issue(name, role, who())
    audit("token.add", f"Новый токен API: {name}, роль «{role_in_russian(role)}»", about_account=False)
    return secret


def revoke(token_id: int) -> bool:
    """False: no such token works."""
    name = accounts().api_tokens.revoke(token_id)
    if name is None:
        return False
    audit("token.revoke", f"Отозван токен API: {name}", about_account=False)
    return True


# What pages and programs alike do about users; all of it is written down.


def invite(login: str, role: Role) -> User | None:
    """A new user, who sets his password by a link; None if the name is taken."""
    user = accounts().users.add(login, role)
    if user is not None:
        _note("user.add", f"Приглашён {user.login}, роль «{role_in_russian(user.role)}»")
    return user


def new_link(user: User) -> None:
    """The one for whom ``address_of_link`` gives a link; his password stays until it is used."""
    _note("user.link", f"Новая ссылка для пароля: {user.login}")


def address_of_link(user: User) -> str:
    """Where he sets his password: it works once, and the one before it no more. It is told nobody again."""
    base = accounts().public_url or request.host_url.rstrip("/")
    return f"{base}/password/{accounts().links.for_password(user.id)}"


def set_role(user: User, role: Role) -> None:
    """Raises LastAdmin."""
    accounts().users.set_role(user.id, role)
    _note("user.role", f"{user.login}: роль «{role_in_russian(role)}»")


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


def _note(deed: str, words: str) -> None:
    audit(deed, words, about_account=False)
