"""``/users``, ``/tokens`` and ``/audit``: people and programs, what they may, and who changed what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from flask import abort
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from pydantic import BeforeValidator, Field, StringConstraints

from amo_bridge.web import context
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, refusal, whole
from amo_bridge.web.auth.users import PROGRAM_ROLES, AlreadyHere, ApiToken, LastAdmin, Role
from amo_bridge.web.auth.users import User as Known
from amo_bridge.web.context import accounts
from amo_bridge.web.forms import LONGEST_LOGIN
from amo_bridge.web.services import users as users_service

RolesByAccount = Annotated[dict[str, Role], Field(min_length=1)]


class User(Shape):
    """``accounts``: account → role, for a user who has a role in these alone; null: ``role`` counts in all.
    ``has_password``: false as long as nobody has used the link. ``seen_at``: null if he was never here."""

    id: int
    login: str
    role: Role
    accounts: dict[str, Role] | None
    is_disabled: bool
    has_password: bool
    created_at: datetime
    seen_at: datetime | None


class Users(Shape):
    """By name."""

    users: list[User]


class UserWithLink(User):
    """``link``: where the user sets his password, within three days, once. It is told this once."""

    link: str


class NewUser(Shape):
    """Who is invited. ``accounts``: in which accounts alone, and with which role there."""

    login: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_LOGIN)]
    role: Role = Role.VIEWER
    accounts: RolesByAccount | None = None


class UserChange(Shape):
    """It counts from the user's next click on. ``accounts`` left out: as before; null: ``role`` counts in all."""

    role: Role
    accounts: RolesByAccount | None = None


@api.endpoint(Endpoint("users_users", "/users", "GET", Role.ADMIN, _l("Пользователи"), Users))
def users() -> Users:
    return Users(users=[User(**_facts(one)) for one in accounts().users.all()])


@api.endpoint(
    Endpoint(
        "users_invite",
        "/users",
        "POST",
        Role.ADMIN,
        _l("Пригласить: ссылка для пароля, один раз"),
        UserWithLink,
        takes=NewUser,
    )
)
def invite(told: NewUser) -> UserWithLink:
    with known_accounts():
        user = users_service.invite(told.login, told.role, told.accounts)
    if user is None:
        abort(refusal(409, _("Такое имя уже есть")))
    return UserWithLink(**_facts(user), link=users_service.address_of_link(user))


@api.endpoint(Endpoint("users_one", "/users/<int:user_id>", "GET", Role.ADMIN, _l("Один пользователь"), User))
def one(user_id: int) -> User:
    return User(**_facts(_known(user_id)))


@api.endpoint(
    Endpoint(
        "users_change_role", "/users/<int:user_id>", "PATCH", Role.ADMIN, _l("Сменить роль"), User, takes=UserChange
    )
)
def change_role(user_id: int, told: UserChange) -> User:
    def change(user: Known) -> None:
        by_account = told.accounts if "accounts" in told.model_fields_set else user.accounts
        users_service.set_role(user, told.role, by_account)

    with known_accounts():
        return _changed(user_id, change)


@api.endpoint(
    Endpoint(
        "users_withdraw",
        "/users/<int:user_id>",
        "DELETE",
        Role.ADMIN,
        _l("Отозвать приглашение; в ответе те, что остались"),
        Users,
    )
)
def withdraw(user_id: int) -> Users:
    try:
        users_service.withdraw(_known(user_id))
    except AlreadyHere:
        abort(refusal(409, _("Пароль уже задан: такого пользователя можно только отключить.")))
    return Users(users=[User(**_facts(one)) for one in accounts().users.all()])


@api.endpoint(
    Endpoint(
        "users_disable", "/users/<int:user_id>/disable", "POST", Role.ADMIN, _l("Отключить: он сразу вне страниц"), User
    )
)
def disable(user_id: int) -> User:
    return _changed(user_id, users_service.disable)


@api.endpoint(Endpoint("users_enable", "/users/<int:user_id>/enable", "POST", Role.ADMIN, _l("Включить снова"), User))
def enable(user_id: int) -> User:
    return _changed(user_id, users_service.enable)


@api.endpoint(
    Endpoint(
        "users_link",
        "/users/<int:user_id>/link",
        "POST",
        Role.ADMIN,
        _l("Новая ссылка для пароля; прежняя больше не действует"),
        UserWithLink,
    )
)
def link(user_id: int) -> UserWithLink:
    user = _known(user_id)
    users_service.new_link(user)
    return UserWithLink(**_facts(user), link=users_service.address_of_link(user))


@contextmanager
def known_accounts() -> Iterator[None]:
    """A role can be given only in an account that there is."""
    try:
        yield
    except users_service.UnknownAccount as unknown:
        abort(refusal(422, _("accounts: аккаунта «%(name)s» здесь нет", name=str(unknown))))


def _changed(user_id: int, change: Callable[[Known], None]) -> User:
    try:
        change(_known(user_id))
    except LastAdmin:
        abort(refusal(409, _("Это последний администратор: без него никто не сможет ничего менять.")))
    return User(**_facts(_known(user_id)))


def _known(user_id: int) -> Known:
    return accounts().users.by_id(user_id) or abort(404)


def _facts(known: Known) -> dict[str, Any]:
    return {name: getattr(known, name) for name in User.model_fields}


# Who changed what.


class Deed(Shape):
    """Who changed what. ``account``: empty if it is about none. ``details``: such as the lines of a config that have
    changed; empty for most."""

    id: int
    at: datetime
    who: str
    account: str
    deed: str
    words: str
    details: str


class Deeds(Shape):
    """Newest first; ``before`` of the next page is the last one's id."""

    deeds: list[Deed]


MOST_DEEDS = 100


@api.endpoint(
    Endpoint(
        "audit_audit",
        "/audit",
        "GET",
        Role.ADMIN,
        _l("Кто что менял"),
        Deeds,
        query={"before": _l("только до этого номера")},
        checks={"before": whole(1)},
    )
)
def audit() -> Deeds:
    deeds = accounts().audit.last(MOST_DEEDS, before=context.number("before"))
    told = [Deed(**{name: getattr(one, name) for name in Deed.model_fields}) for one in deeds]
    return Deeds(deeds=told)


# --- tokens of programs -----------------------------------------------------------------------------------------------


class Token(Shape):
    """``accounts``: account → role, for a token that has a role in these alone; null: ``role`` counts in all.
    ``used_at``: null if it never was."""

    id: int
    name: str
    role: Role
    accounts: dict[str, Role] | None
    created_at: datetime
    created_by: str
    used_at: datetime | None


class Tokens(Shape):
    """Those that work, the newest first."""

    tokens: list[Token]


class IssuedToken(Token):
    """``secret``: what the program sends. It is told this once."""

    secret: str


def _one_line(told: Any) -> Any:
    return " ".join(told.split()) if isinstance(told, str) else told


class NewToken(Shape):
    """``name``: of the program that it is for. ``accounts``: in which accounts alone, and with which role there."""

    name: Annotated[
        str, BeforeValidator(_one_line), StringConstraints(min_length=1, max_length=users_service.LONGEST_NAME)
    ]
    role: Role
    accounts: RolesByAccount | None = None


@api.endpoint(Endpoint("tokens_tokens", "/tokens", "GET", Role.ADMIN, _l("Токены программ"), Tokens))
def tokens() -> Tokens:
    return _that_work()


@api.endpoint(
    Endpoint(
        "tokens_issue",
        "/tokens",
        "POST",
        Role.ADMIN,
        _l("Дать токен: он показан один раз"),
        IssuedToken,
        takes=NewToken,
    )
)
def issue(told: NewToken) -> IssuedToken:
    if not {told.role, *(told.accounts or {}).values()} <= set(PROGRAM_ROLES):
        abort(refusal(422, _("Роль «Сотрудник» программе ничего не открывает: дайте ей роль наблюдателя.")))
    with known_accounts():
        secret = users_service.issue(told.name, told.role, told.accounts)
    issued = accounts().api_tokens.of(secret, is_use=False) or abort(404)
    return IssuedToken(**_token_facts(issued), secret=secret)


@api.endpoint(
    Endpoint(
        "tokens_revoke",
        "/tokens/<int:token_id>",
        "DELETE",
        Role.ADMIN,
        _l("Отозвать токен; в ответе те, что остались"),
        Tokens,
    )
)
def revoke(token_id: int) -> Tokens:
    if not users_service.revoke(token_id):
        abort(404)
    return _that_work()


def _that_work() -> Tokens:
    return Tokens(tokens=[Token(**_token_facts(one)) for one in accounts().api_tokens.all()])


def _token_facts(known: ApiToken) -> dict[str, Any]:
    return {name: getattr(known, name) for name in Token.model_fields}
