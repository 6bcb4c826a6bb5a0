"""The config: its text, what is wrong with it, what a change would change; saved, and put back."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.config.edit import difference
from amo_bridge.config.model import Config
from amo_bridge.config.saving import Written
from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.rules import Rule
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.gate import open_to
from amo_bridge.web.here import account, write_down
from amo_bridge.web.menu import Menu
from amo_bridge.web.office import PageAccount

routes = Blueprint("config", __name__)
MENU = Menu(_l("Настройка"), "config.edit", place=70, role=Role.ADMIN)
CONFIG_BYTES = 2 * 1024 * 1024
SWITCHED: dict[str, Callable[[Rule, Rule], bool]] = {
    "Включено": lambda old, new: new.enabled and not old.enabled,
    "Выключено": lambda old, new: old.enabled and not new.enabled,
    "Вхолостую": lambda old, new: new.dry_run and not old.dry_run,
    "Всерьёз": lambda old, new: old.dry_run and not new.dry_run,
    "Изменено": lambda old, new: old.options != new.options,
}


@routes.get("/config")
@open_to(Role.ADMIN)
def edit() -> str:
    here = account()
    file = here.file.read()
    return _editor(here, file, file.text)


@routes.post("/config/check")
@open_to(Role.ADMIN, most_bytes=CONFIG_BYTES)
def check() -> str | tuple[str, int]:
    """What the text in the editor would change; or what is wrong with it, the text still there."""
    here = account()
    file, text = here.file.read(), _told("text")
    if problems := _problems(here, text):
        return _editor(here, Written(file.text, _told("mark")), text, problems), 422
    return review(here, text, Written(file.text, _told("mark")), back="/config")


@routes.post("/config/save")
@open_to(Role.ADMIN, most_bytes=CONFIG_BYTES)
def save() -> Response | tuple[str, int]:
    """Write the file; the bridge takes it at once."""
    here = account()
    text, back = _told("text"), request.form.get("back", "")
    before = here.file.read()
    if problems := _problems(here, text):
        return render_template("config/problems.html", problems=problems), 422
    try:
        here.file.save(text, request.form.get("mark", ""))
    except ConfigError as error:
        return render_template("config/problems.html", problems=error.problems), 409
    deed = deed_of(_config_or_none(here, before.text), here.file.checked(text))
    write_down("config.save", deed, details="\n".join(difference(before.text, text)))
    state = here.bridge.watch.look(again=True)
    if state.problems:
        flash(_("Файл записан, но пока не действует: %(why)s", why="; ".join(state.problems)))
    else:
        flash(_("Сохранено. Мост уже работает по-новому."))
    return redirect(request.script_root + back if _is_ours(back) else url_for("config.edit"))


@routes.post("/config/backups/<name>")
@open_to(Role.ADMIN)
def put_back(name: str) -> str | tuple[str, int]:
    """What it would change to put a version before in place of this one."""
    here = account()
    try:
        text = here.file.backup(name)
    except ConfigError as error:
        return render_template("config/problems.html", problems=error.problems), 404
    return review(here, text, here.file.read(), back="/config")


def review(here: PageAccount, text: str, file: Written, *, back: str, **preview: object) -> str | tuple[str, int]:
    """The page that shows what would change, and asks. ``preview``, where a rule would begin: ``matching`` deals wait
    there; ``existing``: those that it would do something about."""
    problems = _problems(here, text)
    page = render_template(
        "config/review.html",
        difference=difference(file.text, text),
        problems=problems,
        text=text,
        mark=file.mark,
        back=back,
        **{"matching": None, "existing": None, **preview},
    )
    return (page, 422) if problems else page


def deed_of(old: Config | None, new: Config) -> str:
    """What the audit says of a change (Russian)."""
    before = {rule.name: rule for rule in old.rules} if old else {}
    after = {rule.name: rule for rule in new.rules}
    told = []
    for words, having in SWITCHED.items():
        names = [name for name, rule in after.items() if name in before and having(before[name], rule)]
        told += [f"{words}: {', '.join(names)}"] if names else []
    told += [f"Добавлено: {', '.join(names)}" for names in [sorted(after.keys() - before.keys())] if names and before]
    told += [f"Удалено: {', '.join(names)}" for names in [sorted(before.keys() - after.keys())] if names]
    return "; ".join(told) or "Изменена настройка"


def _config_or_none(here: PageAccount, text: str) -> Config | None:
    try:
        return here.file.checked(text)
    except ConfigError:
        return None


def _problems(here: PageAccount, text: str) -> list[str]:
    """Everything that is wrong with the text, names that the account does not know included."""
    try:
        return here.bridge.misfits(here.file.checked(text))
    except ConfigError as error:
        return list(error.problems)
    except BridgeError as error:
        return [_("Имена не сверены: amoCRM сейчас не отвечает (%(why)s). Повторите чуть позже.", why=str(error))]


def _editor(here: PageAccount, file: Written, text: str, problems: list[str] | None = None) -> str:
    return render_template(
        "config/edit.html",
        here=here,
        text=text,
        mark=file.mark,
        problems=problems,
        state=here.bridge.watch.state,
        backups=here.file.backups(),
    )


def _told(name: str) -> str:
    """Browsers end lines of a text field their own way."""
    return request.form.get(name, "").replace("\r\n", "\n")


def _is_ours(back: str) -> bool:
    return back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable()
