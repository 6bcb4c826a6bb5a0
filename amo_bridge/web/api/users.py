"""``/users``: who they are and what they may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from flask import abort
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from pydantic import StringConstraints

from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, refusal
from amo_bridge.web.auth.users import AlreadyHere, LastAdmin, Role
from amo_bridge.web.auth.users import User as Known
from amo_bridge.web.context import accounts
from amo_bridge.web.forms import LONGEST_LOGIN
from amo_bridge.web.services import users as users_service


class User(Shape):
    """``has_password``: false as long as nobody has used the link. ``seen_at``: null if he was never here."""

    id: int
    login: str
    role: Role
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
    """Who is invited."""

    login: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_LOGIN)]
    role: Role = Role.VIEWER


class UserChange(Shape):
    """It counts from the user's next click on."""

    role: Role


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
    user = users_service.invite(told.login, told.role)
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
    return _changed(user_id, lambda user: users_service.set_role(user, told.role))


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
