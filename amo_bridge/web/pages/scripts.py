"""Call scripts of a deal, with its data filled in; opened from a task during a call."""

from __future__ import annotations

import secrets

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from amo_bridge.text.scripts import Script
from amo_bridge.text.templates import BadTemplate
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account, user
from amo_bridge.web.services.scripts import LONGEST_NOTE, ScriptService, Written

routes = Blueprint("scripts", __name__)


@routes.get("/deals/<int:deal_id>/scripts")
@open_to(Role.VIEWER)
def show(deal_id: int) -> str:
    scripts = ScriptService.at(current_account(), deal_id)
    return render_template("scripts/list.html", deal=scripts.deal, names=scripts.names)


@routes.get("/deals/<int:deal_id>/scripts/<name>")
@open_to(Role.VIEWER)
def one(deal_id: int, name: str) -> str:
    scripts = ScriptService.at(current_account(), deal_id)
    try:
        script = _script(scripts, name)
    except BadTemplate as error:
        return render_template("scripts/bad.html", deal=scripts.deal, name=name, why=str(error))
    return _page(scripts, name, script)


@routes.post("/deals/<int:deal_id>/scripts/<name>")
@open_to(Role.WEBINAR)
def write_down(deal_id: int, name: str) -> str | Response | tuple[str, int]:
    """Save what the client has said: into the deal's fields, the rest into a note."""
    scripts = ScriptService.at(current_account(), deal_id)
    try:
        script = _script(scripts, name)
    except BadTemplate as error:
        return render_template("scripts/bad.html", deal=scripts.deal, name=name, why=str(error)), 409
    written = _written(scripts, script)
    outcome = scripts.write_down(name, script, written)
    if outcome in ("saved", "again"):
        flash(
            _("Записано в сделку: в amoCRM появится через несколько секунд.")
            if outcome == "saved"
            else _("Этот разговор уже записан, второй раз не записан. Новый разговор — на этой странице.")
        )
        return redirect(url_for("scripts.one", deal_id=deal_id, name=name))
    return _page(scripts, name, script, written, outcome), 200 if outcome == "nothing" else 422


def _script(scripts: ScriptService, name: str) -> Script:
    """Raises BadTemplate."""
    try:
        return scripts.filled(name)
    except KeyError:
        abort(404)


def _page(scripts: ScriptService, name: str, script: Script, written: Written | None = None, outcome: str = "") -> str:
    return render_template(
        "scripts/one.html",
        deal=scripts.deal,
        name=name,
        script=script,
        inputs=scripts.inputs(script),
        written=written,
        outcome=outcome,
        mark=written.mark if written else secrets.token_hex(8),
        may_write=script.is_filled_in and user().may(Role.WEBINAR),
        longest=LONGEST_NOTE,
    )


def _written(scripts: ScriptService, script: Script) -> Written:
    form = request.form
    values, was = {}, {}
    for number, (name, known) in enumerate(scripts.inputs(script).items()):
        if known is None or f"was.{number}" not in form:
            continue
        # A box that is not ticked, and a list of which nothing is chosen, send nothing.
        values[name] = "\n".join(form.getlist(f"field.{number}"))
        was[name] = form[f"was.{number}"]
    answers = {step.number: form.get(f"answer.{step.number}", type=int) for step in script.steps}
    return Written(
        answers={step: chosen for step, chosen in answers.items() if chosen is not None},
        values=values,
        was=was,
        notes={
            (step.number, place): form.get(f"note.{step.number}.{place}", "")
            for step in script.steps
            for place, _asked in enumerate(step.asked("note"))
        },
        comment=form.get("comment", ""),
        mark=form.get("mark", "")[:32] or secrets.token_hex(8),
    )
