"""The forms of signing in and of users, with their mistakes told in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flask_babel import force_locale
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import PasswordField, SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, EqualTo, InputRequired, Length, ValidationError

from amo_bridge.web.auth.users import FEWEST_DIFFERENT, LONGEST, SHORTEST, Role, is_weak
from amo_bridge.web.middleware import RUSSIAN

LONGEST_LOGIN = 80
ROLE_WORDS = {
    Role.MANAGER: _l("Сотрудник: видит только свои задачи, нарушения и отчёты"),
    Role.VIEWER: _l("Наблюдатель: смотрит, ничего не меняет"),
    Role.WEBINAR: _l("Вебинары: загружает вебинары, заполняет услуги сделок"),
    Role.HEAD: _l("Руководитель: прощает нарушения, решает об отказах, отменяет сделанное"),
    Role.ADMIN: _l("Администратор: правила, подключение, пользователи"),
}


def role_names() -> dict[Role, str]:
    """«Наблюдатель» and the like, in the reader's language."""
    return {role: str(words).partition(":")[0] for role, words in ROLE_WORDS.items()}


def role_in_russian(role: Role) -> str:
    """As the audit names it, whoever reads."""
    with force_locale(RUSSIAN):
        return role_names()[role]


def roles_by_account(form: Mapping[str, str], names: Iterable[str]) -> dict[str, Role] | None:
    """What the fields «at:NAME» say: a role in some accounts; None if in none, so that the common role counts. Raises
    ValueError for what is no role."""
    chosen = {name: Role(told) for name in names if (told := form.get(f"at:{name}", ""))}
    return chosen or None


def _login() -> StringField:
    return StringField(
        _l("Имя"),
        validators=[
            DataRequired(_l("Введите имя")),
            Length(max=LONGEST_LOGIN, message=_l("Имя не длиннее 80 знаков")),
        ],
        render_kw={"autocomplete": "username", "autocapitalize": "none", "maxlength": LONGEST_LOGIN},
    )


class LogInForm(FlaskForm):  # type: ignore[misc]
    login = _login()
    password = PasswordField(
        _l("Пароль"),
        validators=[InputRequired(_l("Введите пароль")), Length(max=LONGEST)],
        render_kw={"autocomplete": "current-password"},
    )


class PasswordForm(FlaskForm):  # type: ignore[misc]
    """``whose``: the login that the password must have nothing to do with."""

    whose = ""
    password = PasswordField(
        _l("Новый пароль"),
        validators=[InputRequired(_l("Придумайте пароль")), Length(max=LONGEST)],
        description=_l(
            "Не меньше %(n)s знаков, из них %(different)s разных; без имени внутри.",
            n=SHORTEST,
            different=FEWEST_DIFFERENT,
        ),
        render_kw={"autocomplete": "new-password", "minlength": SHORTEST},
    )
    again = PasswordField(
        _l("Ещё раз"),
        validators=[InputRequired(_l("Повторите пароль")), EqualTo("password", _l("Пароли не совпали"))],
        render_kw={"autocomplete": "new-password"},
    )

    def validate_password(self, field: PasswordField) -> None:
        if is_weak(field.data or "", self.whose):
            words = _l(
                "Слишком простой пароль: нужно не меньше %(n)s знаков, из них %(different)s разных, без имени внутри",
                n=SHORTEST,
                different=FEWEST_DIFFERENT,
            )
            raise ValidationError(words)


class FirstAdminForm(PasswordForm):
    login = _login()

    def validate_password(self, field: PasswordField) -> None:
        self.whose = self.login.data or ""
        super().validate_password(field)


class UserForm(FlaskForm):  # type: ignore[misc]
    login = _login()
    role = SelectField(
        _l("Роль"),
        choices=[SelectChoice(role.value, words) for role, words in ROLE_WORDS.items()],
        default=Role.VIEWER.value,
    )
