"""The config: its text, what is wrong with it, what a change would change; saved, and put back."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.config.diagnostics import place_of
from amo_bridge.config.files import difference
from amo_bridge.errors import ConfigError
from amo_bridge.versioned_file import Backup, Written
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages import Menu
from amo_bridge.web.services import config as config_service
from amo_bridge.web.services.config import CONFIG_BYTES, Unfit, problems_of, version_before, versions_before
from amo_bridge.web.services.rule_lists import completions_of

routes = Blueprint("config", __name__)
EDITOR = "/config"
RULE_FORM = ("state", "block", "base")
MENU = Menu(_l("Файл настройки"), "config.edit", place=70, role=Role.ADMIN)


@routes.get("/config")
@open_to(Role.ADMIN)
def edit() -> str:
    here = current_account()
    file = here.file.read()
    return _editor(here, file, file.text)


@routes.post("/config/check")
@open_to(Role.ADMIN, most_bytes=CONFIG_BYTES)
def check() -> str | tuple[str, int]:
    """What the text in the editor would change; or what is wrong with it, the text still there."""
    here = current_account()
    file, text = here.file.read(), _form_text("text")
    if "edit" in request.form:
        return _editor(here, Written(file.text, _form_text("mark")), text)
    if problems := problems_of(here, text):
        return _editor(here, Written(file.text, _form_text("mark")), text, problems), 422
    return review(here, text, Written(file.text, _form_text("mark")), back=EDITOR)


@routes.post("/config/marks")
@open_to(Role.ADMIN, most_bytes=CONFIG_BYTES)
def marks() -> Response:
    """What is wrong with the text in the editor, for its lines, while it is being written."""
    return jsonify(_marks(problems_of(current_account(), _form_text("text"))))


@routes.get("/config/names")
@open_to(Role.ADMIN)
def names() -> Response:
    """What the editor completes: keys of each block, names of the account by their kind."""
    return jsonify(completions_of(current_account()))


@routes.post("/config/save")
@open_to(Role.ADMIN, most_bytes=CONFIG_BYTES)
def save() -> Response | tuple[str, int]:
    """Write the file; the bridge takes it at once."""
    here = current_account()
    text, back = _form_text("text"), request.form.get("back", "")
    try:
        state = config_service.save(here, text, _form_text("mark"), _restored(here, text))
    except ConfigError as error:
        status = 422 if isinstance(error, Unfit) else 409
        if back == EDITOR and not _form_text("backup"):
            # The text is somebody's work. With the present file's mark the next review shows what others have changed.
            return _editor(here, here.file.read(), text, error.problems), status
        return render_template("config/problems.html", problems=error.problems, rule_form=_rule_form()), status
    if state.problems:
        flash(_("Файл записан, но пока не действует: %(why)s", why="; ".join(state.problems)))
    else:
        flash(_("Сохранено. Мост уже работает по-новому."))
    return redirect(request.script_root + back if _is_ours(back) else url_for("config.edit"))


@routes.post("/config/backups/<name>")
@open_to(Role.ADMIN)
def put_back(name: str) -> str | tuple[str, int]:
    """What it would change to put a version before in place of this one."""
    here = current_account()
    try:
        backup, text = version_before(here, name)
    except ConfigError as error:
        return render_template("config/problems.html", problems=error.problems), 404
    return review(here, text, here.file.read(), back=EDITOR, backup=backup.name)


def review(here: AccountView, text: str, file: Written, *, back: str, **more: object) -> str | tuple[str, int]:
    """The page that shows what would change, and asks. ``more``, where a rule would begin: ``matching`` deals wait
    there; ``existing``: those that it would do something about; ``backup``: the version that would be put back;
    ``rule_form``: the form that it comes from, to go on with."""
    problems = problems_of(here, text)
    page = render_template(
        "config/review.html",
        difference=difference(file.text, text),
        problems=problems,
        text=text,
        mark=file.mark,
        back=back,
        **{
            "matching": None,
            "existing": None,
            "backup": "",
            "rule_form": None,
            "is_edited": back == EDITOR and "backup" not in more,
            **more,
        },
    )
    return (page, 422) if problems else page


def _restored(here: AccountView, text: str) -> Backup | None:
    """The version before that the form puts back, if it still is that."""
    try:
        backup, kept = version_before(here, _form_text("backup"))
    except ConfigError:
        return None
    return backup if kept == text else None


def _editor(here: AccountView, file: Written, text: str, problems: list[str] | None = None) -> str:
    return render_template(
        "config/edit.html",
        here=here,
        text=text,
        mark=file.mark,
        problems=problems,
        place_of=place_of,
        marks=_marks(here.bridge.watch.state.problems if problems is None else problems),
        is_unsaved=text != file.text,
        state=here.bridge.watch.state,
        versions=versions_before(here),
    )


def _marks(problems: Sequence[str]) -> list[dict[str, object]]:
    """Those that name a line: the line, and the words behind the place."""
    found = [(place_of(one), one) for one in problems]
    return [
        {"line": line, "words": one[len(place) :].lstrip(": ").strip()}
        for (place, line), one in found
        if line is not None
    ]


def _rule_form() -> dict[str, object] | None:
    """The rule's form that the text was made by, if it was: to go on with when the file has changed meanwhile."""
    action = _form_text("rule_form")
    carried = [(name, text) for name, text in request.form.items() if name in RULE_FORM or name.startswith("o.")]
    return {"action": action, "fields": carried} if _is_ours(action) else None


def _form_text(name: str) -> str:
    """Browsers end lines of a text field their own way."""
    return request.form.get(name, "").replace("\r\n", "\n")


def _is_ours(back: str) -> bool:
    return back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable()
