"""The journal of one deal: what came, what each rule decided, and why nothing was done."""

from __future__ import annotations

import re

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from amo_bridge.web.admission.roles import Role
from amo_bridge.web.gate import open_to
from amo_bridge.web.here import account

routes = Blueprint("deal", __name__)
# A number alone, or the address of the deal's page in amoCRM.
NUMBER = re.compile(r"(?:.*/leads/detail/)?(\d{1,18})/?(?:[?#].*)?", re.DOTALL)


@routes.get("/deals/")
@open_to(Role.VIEWER)
def find() -> Response:
    """From the search field: a deal's number, or its address in amoCRM."""
    read = NUMBER.fullmatch(request.args.get("deal", "").strip())
    if read is None:
        abort(404)
    return redirect(url_for("deal.show", deal_id=int(read[1])))


@routes.get("/deals/<int:deal_id>")
@open_to(Role.VIEWER)
def show(deal_id: int) -> str:
    here = account()
    return render_template("deal/show.html", deal_id=deal_id, entries=here.journal.of_deal(deal_id))
