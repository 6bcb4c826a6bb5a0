"""Call scripts of a deal, with its data filled in; opened from a task during a call."""

from __future__ import annotations

from flask import Blueprint, abort, render_template

from amo_bridge.text.templates import BadTemplate
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.services.deals import ScriptService

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
        script = scripts.filled(name)
    except KeyError:
        abort(404)
    except BadTemplate as error:
        return render_template("scripts/bad.html", deal=scripts.deal, name=name, why=str(error))
    return render_template("scripts/one.html", deal=scripts.deal, script=script)
