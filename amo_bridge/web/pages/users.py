"""The users: who they are and what they may, invited and sent away."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import AlreadyHere, LastAdmin, Role, User
from amo_bridge.web.context import accounts
from amo_bridge.web.forms import UserForm, role_names, roles_by_account
from amo_bridge.web.pages import Menu
from amo_bridge.web.services import users as users_service

routes = Blueprint("users", __name__)
MENU = Menu(_l("Пользователи"), "users.show", place=80, role=Role.ADMIN)


@routes.route("/users", methods=["GET", "POST"])
@open_to(Role.ADMIN, is_common=True)
def show() -> str:
    form = UserForm()
    if form.validate_on_submit():
        user = users_service.invite(form.login.data, Role(form.role.data), _by_account())
        if user is not None:
            return _page(UserForm(formdata=None), invited=user)
        form.login.errors = [_("Такое имя уже есть")]
    return _page(form)


@routes.post("/users/<int:user_id>/link")
@open_to(Role.ADMIN, is_common=True)
def link(user_id: int) -> str:
    """A new link for a password; the password itself stays until the link is used."""
    user = _user(user_id)
    users_service.new_link(user)
    return _page(UserForm(formdata=None), invited=user)


@routes.post("/users/<int:user_id>/role")
@open_to(Role.ADMIN, is_common=True)
def change_role(user_id: int) -> Response:
    told = request.form.get("role", "")
    if told not in list(Role):
        abort(400)
    by_account = _by_account()
    return _changed(user_id, lambda user: users_service.set_role(user, Role(told), by_account))


@routes.post("/users/<int:user_id>/disable")
@open_to(Role.ADMIN, is_common=True)
def disable(user_id: int) -> Response:
    return _changed(user_id, users_service.disable)


@routes.post("/users/<int:user_id>/enable")
@open_to(Role.ADMIN, is_common=True)
def enable(user_id: int) -> Response:
    return _changed(user_id, users_service.enable)


@routes.post("/users/<int:user_id>/withdraw")
@open_to(Role.ADMIN, is_common=True)
def withdraw(user_id: int) -> Response:
    """Somebody was invited by a mistyped name."""
    return _changed(user_id, users_service.withdraw)


def _changed(user_id: int, change: Callable[[User], None]) -> Response:
    try:
        change(_user(user_id))
    except LastAdmin:
        flash(_("Это последний администратор: без него никто не сможет ничего менять."))
    except AlreadyHere:
        flash(_("Пароль уже задан: такого пользователя можно только отключить."))
    else:
        flash(_("Готово."))
    return redirect(url_for("users.show"))


def _by_account() -> dict[str, Role] | None:
    try:
        return roles_by_account(request.form, users_service.account_names())
    except ValueError:
        abort(400)


def _user(user_id: int) -> User:
    return accounts().users.by_id(user_id) or abort(404)


def _page(form: UserForm, invited: User | None = None) -> str:
    """``invited``: whose link is shown, this once."""
    address = None if invited is None else users_service.address_of_link(invited)
    return render_template(
        "users/show.html",
        users=accounts().users.all(),
        form=form,
        role_names=role_names(),
        account_names=users_service.account_names(),
        invited=invited,
        address=address,
    )
