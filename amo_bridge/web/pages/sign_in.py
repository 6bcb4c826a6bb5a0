"""Coming in and going out: the log-in, the first admin's link, the link that sets a password."""

from __future__ import annotations

from flask import (
    Blueprint,
    abort,
    after_this_request,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_babel import gettext as _
from flask_login import current_user, login_user, logout_user
from werkzeug.wrappers import Response

from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.rate_limit import begin_log_in, remember_device
from amo_bridge.web.auth.users import User
from amo_bridge.web.context import Visitor, accounts
from amo_bridge.web.forms import FirstAdminForm, LogInForm, PasswordForm
from amo_bridge.web.middleware import COOKIE, LANGUAGES

routes = Blueprint("signing_in", __name__)
YEAR = 365 * 24 * 3600


@routes.route("/login", methods=["GET", "POST"])
@open_to(None)
def log_in() -> Response | tuple[str, int] | str:
    form = LogInForm()
    if not form.validate_on_submit():
        if current_user.is_authenticated:
            return redirect(_back())
        return render_template("signing_in/log_in.html", form=form)
    attempt = begin_log_in(form.login.data)
    found = accounts().users.log_in(form.login.data, form.password.data)
    if found is None:
        attempt.failed()
        form.password.errors = [_("Имя или пароль не подходят")]
        return render_template("signing_in/log_in.html", form=form), 401
    attempt.succeeded()
    _enter(*found)
    return redirect(_back())


@routes.post("/logout")
@open_to(None)
def log_out() -> Response:
    if current_user.is_authenticated:
        accounts().users.stand_up(current_user.get_id())
    logout_user()
    session.clear()
    return redirect(url_for("signing_in.log_in"))


@routes.route("/setup/<secret>", methods=["GET", "POST"])
@open_to(None)
def set_up(secret: str) -> Response | tuple[str, int] | str:
    """The first admin makes himself known, by the link that the first start printed."""
    here, form = accounts(), FirstAdminForm()
    if not here.links.is_good("setup", secret):
        return render_template("signing_in/used_up.html"), 403
    if not form.validate_on_submit():
        return render_template("signing_in/set_up.html", form=form)
    with here.store.write() as connection:
        if not here.links.use(connection, "setup", secret):
            abort(403)
        user = here.users.add_first(connection, form.login.data, form.password.data)
        if user is None:
            abort(403)
        here.audit.write(user.login, "user.first", f"Первый администратор: {user.login}", connection=connection)
    _enter(user, here.users.sit_down(user.id))
    flash(_("Готово: вы администратор."))
    return redirect(url_for("overview.show"))


@routes.route("/password/<secret>", methods=["GET", "POST"])
@open_to(None)
def set_password(secret: str) -> Response | tuple[str, int] | str:
    """Whoever has the link sets the password of the user that it was made for."""
    here = accounts()
    user_id = here.links.user_of(secret)
    user = here.users.by_id(user_id) if user_id is not None else None
    if user is None or user.is_disabled:
        return render_template("signing_in/used_up.html"), 403
    form = PasswordForm()
    form.whose = user.login
    if not form.validate_on_submit():
        return render_template("signing_in/set_password.html", form=form, login=user.login)
    with here.store.write() as connection:
        if not here.links.use(connection, "password", secret):
            abort(403)
        here.users.set_password(connection, user.id, form.password.data)
        here.audit.write(user.login, "user.password", f"{user.login}: пароль задан", connection=connection)
    _enter(user, here.users.sit_down(user.id))
    return redirect(url_for("overview.show"))


@routes.post("/settings/<what>/<value>")
@open_to(None)
def settle(what: str, value: str) -> Response:
    """Language and theme: of this browser, also for whoever is not logged in."""
    known = {COOKIE: tuple(LANGUAGES), "theme": ("auto", "light", "dark")}
    if value not in known.get(what, ()):
        abort(404)
    answer = make_response(redirect(_back()))
    answer.set_cookie(what, value, max_age=YEAR, httponly=True, samesite="Lax", secure=request.is_secure)
    return answer


def _enter(user: User, secret: str) -> None:
    """A new cookie, so that nothing of whoever sat here before stays."""
    session.clear()
    session.permanent = True
    login_user(Visitor(user, secret))
    after_this_request(lambda answer: remember_device(answer, user.id))
    # The form's token was made for the cookie before.
    g.pop("csrf_token", None)


def _back() -> str:
    """Where the visitor wanted to go, if that is a page of ours."""
    wanted = request.args.get("next", "") or request.form.get("next", "")
    if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable():
        return request.script_root + wanted
    return url_for("overview.show")
