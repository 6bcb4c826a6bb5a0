"""Call scripts of a deal: what to say, with the deal's data filled in; opened from a task while talking."""

from __future__ import annotations

from flask import Blueprint, abort, render_template

from amo_bridge.channels.mail.facts import facts
from amo_bridge.channels.mail.templates import BadTemplate
from amo_bridge.crm.account import Account
from amo_bridge.crm.entities import ContactRecord
from amo_bridge.deal import Deal
from amo_bridge.engine.mirror import ContactIndex, Mirror
from amo_bridge.engine.small_state import small_state
from amo_bridge.engine.view import Viewer
from amo_bridge.names import normalise
from amo_bridge.scripts import Scripts
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.gate import open_to
from amo_bridge.web.here import account

routes = Blueprint("scripts", __name__)


@routes.get("/deals/<int:deal_id>/scripts")
@open_to(Role.VIEWER)
def show(deal_id: int) -> str:
    _, deal = _known(deal_id)
    return render_template("scripts/list.html", deal=deal, names=_scripts().names)


@routes.get("/deals/<int:deal_id>/scripts/<name>")
@open_to(Role.VIEWER)
def one(deal_id: int, name: str) -> str:
    names, deal = _known(deal_id)
    fields = {normalise(field.name): field.name for field in names.fields()}
    try:
        script = _scripts().filled(name, facts(deal, _client(deal), fields, ""))
    except KeyError:
        abort(404)
    except BadTemplate as error:
        return render_template("scripts/bad.html", deal=deal, name=name, why=str(error))
    return render_template("scripts/one.html", deal=deal, script=script)


def _scripts() -> Scripts:
    return Scripts(account().config.scripts_folder)


def _known(deal_id: int) -> tuple[Account, Deal]:
    """The account's names and the deal, as the mirror has it; 404 if there is no such deal."""
    here = account()
    kept = small_state(here.config, here.bridge.environment).accounts.read(here.config.account.url)
    record = Mirror(here.store, here.key).record(deal_id) if kept else None
    if kept is None or record is None:
        abort(404)
    names = Account.from_json(kept["account"])
    return names, Viewer(names, here.config.account.url, secret=here.config.bridge.secret_fields).deal(record)


def _client(deal: Deal) -> ContactRecord:
    """The main contact, as far as the index knows it; without a name else."""
    here = account()
    number = deal.main_contact_id or 0
    known = ContactIndex(here.store, here.key).get([number]).get(number)
    if known is None:
        return ContactRecord(id=number)
    first = " ".join(word for word in known.name.split() if normalise(word) not in normalise(known.surname).split())
    return ContactRecord(id=number, name=known.name, first_name=first, last_name=known.surname)
