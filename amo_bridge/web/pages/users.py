"""The users: who they are and what they may, invited and sent away."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.web.admission.roles import Role
from amo_bridge.web.admission.users import LastAdmin, User
from amo_bridge.web.forms import UserForm, role_in_russian, role_names
from amo_bridge.web.gate import open_to
from amo_bridge.web.here import office, write_down
from amo_bridge.web.menu import Menu

routes = Blueprint("users", __name__)
MENU = Menu(_l("Пользователи"), "users.show", place=80, role=Role.ADMIN)


@routes.route("/users", methods=["GET", "POST"])
@open_to(Role.ADMIN)
def show() -> str:
    here, form = office(), UserForm()
    if form.validate_on_submit():
        user = here.users.add(form.login.data, Role(form.role.data))
        if user is not None:
            write_down("user.add", f"Приглашён {user.login}, роль «{role_in_russian(user.role)}»", about_account=False)
            return _page(UserForm(formdata=None), invited=user)
        form.login.errors = [_("Такое имя уже есть")]
    return _page(form)


@routes.post("/users/<int:user_id>/link")
@open_to(Role.ADMIN)
def link(user_id: int) -> str:
    """A new link for a password; the password itself stays until the link is used."""
    user = _user(user_id)
    write_down("user.link", f"Новая ссылка для пароля: {user.login}", about_account=False)
    return _page(UserForm(formdata=None), invited=user)


@routes.post("/users/<int:user_id>/role")
@open_to(Role.ADMIN)
def change_role(user_id: int) -> Response:
    told = request.form.get("role", "")
    if told not in list(Role):
        abort(400)
    role = Role(told)
    return _changed(
        user_id, lambda user: office().users.set_role(user.id, role), "user.role", f"роль «{role_in_russian(role)}»"
    )


@routes.post("/users/<int:user_id>/disable")
@open_to(Role.ADMIN)
def disable(user_id: int) -> Response:
    return _changed(user_id, lambda user: office().users.disable(user.id), "user.disable", "отключён")


@routes.post("/users/<int:user_id>/enable")
@open_to(Role.ADMIN)
def enable(user_id: int) -> Response:
    return _changed(user_id, lambda user: office().users.enable(user.id), "user.enable", "включён")


def _changed(user_id: int, change: Callable[[User], None], deed: str, words: str) -> Response:
    user = _user(user_id)
    try:
        change(user)
    except LastAdmin:
        flash(_("Это последний администратор: без него никто не сможет ничего менять."))
    else:
        write_down(deed, f"{user.login}: {words}", about_account=False)
        flash(_("Готово."))
    return redirect(url_for("users.show"))


def _user(user_id: int) -> User:
    return office().users.by_id(user_id) or abort(404)


def _page(form: UserForm, invited: User | None = None) -> str:
    """``invited``: whose link is shown, this once."""
    here = office()
    address = None
    if invited is not None:
        base = here.public_url or request.host_url.rstrip("/")
        address = f"{base}/password/{here.links.for_password(invited.id)}"
    return render_template(
        "users/show.html", users=here.users.all(), form=form, role_names=role_names(), invited=invited, address=address
    )
