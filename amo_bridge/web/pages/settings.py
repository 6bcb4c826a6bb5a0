"""Settings by form: sections of the config, mistakes in place, TOML beside; secrets."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.engine.retention import MOST_COUNTED, Retention
from amo_bridge.errors import ConfigError, StoreUnavailable
from amo_bridge.rules.option_words import in_words_of_form
from amo_bridge.versioned_file import Written
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account, number, user
from amo_bridge.web.pages import Menu
from amo_bridge.web.pages.config import review
from amo_bridge.web.pages.rule_forms import edited, sent_tree, words_of_controls
from amo_bridge.web.services import channels as channel_service
from amo_bridge.web.services import settings as service
from amo_bridge.web.services.block_drafts import CheckedBlock, Merge, is_russian
from amo_bridge.web.services.config import CONFIG_BYTES, LONGEST_SECRET
from amo_bridge.web.services.option_forms import Path, fields_of_tree
from amo_bridge.web.services.settings import IN_FILE, KINDS, SECTIONS, Section, SettingsDraft, year_of

routes = Blueprint("settings", __name__)
MENU = Menu(_l("Настройки"), "settings.show_all", place=69, role=Role.ADMIN, also=("copies",))
YEARS = range(2000, 2100)


@routes.get("/settings")
@open_to(Role.ADMIN)
def show_all() -> str:
    here = current_account()
    told = {one.name: service.summary_of(here, one) for one in SECTIONS}
    return render_template(
        "settings/all.html", sections=SECTIONS, told=told, in_file=IN_FILE, state=here.bridge.watch.state
    )


@routes.get("/settings/<name>")
@open_to(Role.ADMIN)
def show(name: str) -> str | tuple[str, int]:
    try:
        return _form(_written(_section(name)))
    except ConfigError as error:
        return render_template("config/problems.html", problems=error.problems), 409


@routes.post("/settings/<name>")
@open_to(Role.ADMIN, most_bytes=CONFIG_BYTES)
def sent(name: str) -> str | tuple[str, int]:
    section = _section(name)
    text, tree = request.form.get("base", "").replace("\r\n", "\n"), sent_tree()
    try:
        merge = replace(_written(section), tree=tree).merged(section.keys_in(text) if text else {})
    except ConfigError as error:
        # Nothing of the form is lost while somebody mends the file.
        form = {"action": request.path, "fields": [("base", text), *fields_of_tree(tree)]}
        return render_template("config/problems.html", problems=error.problems, rule_form=form), 409
    return _sent(merge)


@routes.post("/settings/<name>/remove")
@open_to(Role.ADMIN)
def remove(name: str) -> str | tuple[str, int]:
    """Nothing is changed yet: what would go is shown, and asked about."""
    here, section = current_account(), _section(name)
    try:
        return review(here, service.text_without(here, section), here.file.read(), back=f"/settings/{name}")
    except LookupError:
        abort(404)
    except ConfigError as error:
        return render_template("config/problems.html", problems=error.problems), 409


@routes.get("/settings/retention/count")
@open_to(Role.ADMIN)
def count() -> str:
    """How much would be deleted today by what the bridge works by."""
    here = current_account()
    rows = Retention(here.account_store, here.clock, here.config.bridge).count() if here.is_known else {}
    return render_template("settings/count.html", rows=rows, most=MOST_COUNTED)


@routes.get("/settings/secrets")
@open_to(Role.ADMIN)
def secrets() -> str:
    found = channel_service.secrets_of(current_account())
    return render_template("settings/secrets.html", secrets=found, longest=LONGEST_SECRET)


@routes.post("/settings/secrets")
@open_to(Role.ADMIN)
def keep_secret() -> Response:
    """Keep one, or forget the one that a page has kept; what was typed is shown to nobody again."""
    variable, word = request.form.get("variable", ""), request.form.get("secret", "").strip()
    is_forgotten = "forget" in request.form
    if not word and not is_forgotten:
        flash(_("Ничего не вписано: секрет остался прежним."))
        return redirect(url_for("settings.secrets"))
    try:
        channel_service.keep_secret(current_account(), variable, "" if is_forgotten else word)
    except LookupError:
        abort(404)
    except (ConfigError, StoreUnavailable) as error:
        why = "; ".join(error.problems) if isinstance(error, ConfigError) else str(error)
        flash(_("Не сохранено: %(why)s", why=why))
    else:
        flash(_("Забыт: %(name)s", name=variable) if is_forgotten else _("Сохранён: %(name)s", name=variable))
    return redirect(url_for("settings.secrets"))


def _section(name: str) -> Section:
    return service.section_at(name) or abort(404)


def _written(section: Section) -> SettingsDraft:
    return service.draft_of(current_account(), section)


# --- what was sent ----------------------------------------------------------------------------------------------------


def _sent(merge: Merge[SettingsDraft]) -> str | tuple[str, int]:
    here, button, draft = current_account(), request.form.get("do", "check"), merge.draft
    keys_in = draft.section.keys_in
    shown = edited(
        button, draft, partial(_form, merge=merge), lambda typed: draft.with_keys(keys_in(typed)), draft.toml
    )
    if shown is not None:
        return shown
    file = here.file.read()
    checked = service.check(here, draft, file)
    if button == "review" and checked.is_fit and not merge.at_odds:
        return _review(draft, checked, file)
    return _form(draft, checked, merge=merge), 409 if merge.at_odds else 200 if checked.is_fit else 422


def _review(draft: SettingsDraft, checked: CheckedBlock, file: Written) -> str | tuple[str, int]:
    form = {"action": _address(draft), "fields": [("base", draft.base), *fields_of_tree(draft.tree)]}
    return review(current_account(), checked.text, file, back=f"/settings/{draft.section.name}", rule_form=form)


def _address(draft: SettingsDraft) -> str:
    return url_for("settings.sent", name=draft.section.name)


def _form(
    draft: SettingsDraft,
    checked: CheckedBlock | None = None,
    *,
    focus: str = "",
    toml: str | None = None,
    toml_problems: list[str] | None = None,
    merge: Merge[SettingsDraft] | None = None,
) -> str:
    here, section = current_account(), draft.section
    say = words_of_controls(here, draft.controls, _address(draft), focus)
    if is_russian():
        say["plain"] = lambda problem: in_words_of_form(problem, service.TITLES)
    return render_template(
        "settings/form.html",
        here=here,
        draft=draft,
        section=section,
        checked=checked,
        merge=merge,
        nodes=checked.nodes if checked else draft.nodes,
        action=_address(draft),
        toml=draft.toml() if toml is None else toml,
        toml_problems=toml_problems or [],
        say=say,
        title_path=lambda path: _titles_of(path, section),
        restarts=service.restart_keys(here, section, checked.config if checked else None),
        more=_beside(draft, checked),
    )


def _beside(draft: SettingsDraft, checked: CheckedBlock | None) -> dict[str, object]:
    """What a section's form shows besides its fields."""
    here, name = current_account(), draft.section.name
    if name == "calendar":
        options = checked.config.calendar if checked and checked.config else here.config.calendar
        return _year(options)
    if name == "people":
        login = user().login
        return {"unnamed": service.unnamed_people(here), "is_named": here.names_login(login), "login": login}
    return {}


def _year(options: CalendarOptions) -> dict[str, object]:
    here = current_account()
    this_year = here.clock.now().astimezone(here.zone).year
    asked = number("year")
    year = asked if asked is not None and asked in YEARS else this_year
    months = year_of(options, year, here.zone.key)
    return {"year": year, "months": months, "kinds": KINDS}


def _titles_of(path: Path, section: Section) -> str:
    """«Рабочие часы, mon»: where in the form a mistake is."""
    told: list[str] = []
    for step in path:
        if isinstance(step, int):
            told[-1:] = [f"{told[-1]} {step + 1}"] if told else []
        else:
            told.append(service.title_of(step.rstrip("_"), section.table))
    return ", ".join(told)
