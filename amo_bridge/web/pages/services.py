"""Services of a deal: bloggers, platforms, services, filled in and saved into a field of the deal."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.services.service_lines import ServiceForm, ServiceLinesService, mark_of

routes = Blueprint("services", __name__)


@routes.get("/deals/<int:deal_id>/services")
@open_to(Role.WEBINAR)
def show(deal_id: int) -> str:
    lines = ServiceLinesService.at(current_account(), deal_id)
    return _page(lines, ServiceForm.of_text(lines.text, lines.services.platforms))


@routes.post("/deals/<int:deal_id>/services")
@open_to(Role.WEBINAR)
def change(deal_id: int) -> str | Response:
    """A button of the form: one more row, one blogger less, or save."""
    lines = ServiceLinesService.at(current_account(), deal_id)
    form = ServiceForm.of_form(request.form)
    deed = request.form.get("do", "save")
    return _save(lines, form) if deed == "save" else _page(lines, form.changed(deed))


@routes.get("/deals/<int:deal_id>/services/people")
@open_to(Role.WEBINAR)
def people(deal_id: int) -> str:
    """The choices below a name that is being typed."""
    lines = ServiceLinesService.at(current_account(), deal_id)
    letters = next((value for name, value in request.args.items() if name.startswith("blogger.")), "")
    return render_template("services/people.html", people=lines.people(letters))


@routes.get("/deals/<int:deal_id>/services/state")
@open_to(Role.WEBINAR)
def state(deal_id: int) -> str:
    """What became of the last saving; asked again as long as it is under way."""
    return render_template("services/state.html", lines=ServiceLinesService.at(current_account(), deal_id))


def _save(lines: ServiceLinesService, form: ServiceForm) -> str | Response:
    outcome = lines.take(form)
    if outcome == "meanwhile":
        now = lines.text
        form.loaded = mark_of(now)
        return _page(lines, form, meanwhile=now)
    if outcome != "saved":
        return _page(lines, form, wrong=outcome == "wrong", is_dry=outcome == "dry")
    flash(_("Услуги сохранены"))
    address = url_for("services.show", deal_id=lines.record.id)
    if "HX-Request" in request.headers:
        return Response(status=204, headers={"HX-Redirect": address})
    return redirect(address)


def _page(lines: ServiceLinesService, form: ServiceForm, **more: object) -> str:
    part = "HX-Request" in request.headers
    return render_template("services/again.html" if part else "services/show.html", lines=lines, form=form, **more)
