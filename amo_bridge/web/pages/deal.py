"""Deal: found by words; its journal with what came, what rules decided and why; repeat and undo.

A step can be taken once more.
"""

from __future__ import annotations

import secrets

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.error_pages import error_response
from amo_bridge.web.services import deals as deals_service
from amo_bridge.web.services.deals import LONGEST_WORDS, NUMBER, KnownDeal, deal_of, find_deals, listed

routes = Blueprint("deal", __name__)
MOST_FOUND = 100


@routes.get("/deals/")
@open_to(Role.VIEWER)
def find() -> str | Response:
    """From the search field: a deal's number or address in amoCRM leads to it; words to a list of what fits."""
    here, words = current_account(), request.args.get("deal", "").strip()[:LONGEST_WORDS]
    found = find_deals(here, words, MOST_FOUND + 1) if here.is_known else []
    read = NUMBER.fullmatch(words)
    if read and found in ([], [int(read[1])]):
        return redirect(url_for("deal.show", deal_id=int(read[1])))
    return render_template(
        "deal/list.html",
        words=words,
        found=listed(here, found[:MOST_FOUND], words) if found else [],
        is_cut=len(found) > MOST_FOUND,
        most=MOST_FOUND,
    )


@routes.get("/deals/<int:deal_id>")
@open_to(Role.VIEWER)
def show(deal_id: int) -> str | Response:
    deal = deal_of(current_account(), deal_id)
    if not deal.is_known:
        why = _("Проверьте номер. О сделке, которая есть в amoCRM, мост узнаёт с первого события о ней.")
        return error_response(404, _("Мост не знает сделки %(n)s", n=deal_id), why)
    return _page(deal)


@routes.post("/deals/<int:deal_id>/steps/<int:event_id>/judge")
@open_to(Role.HEAD)
def judge(deal_id: int, event_id: int) -> str | tuple[str, int]:
    """What the rules would do about this event now. Nothing is changed."""
    here = current_account()
    try:
        judged = deals_service.judge(here, deal_id, event_id)
    except (BridgeError, ConfigError) as error:
        return _page(deal_of(here, deal_id), why_not=str(error)), 409
    return render_template(
        "deal/judged.html",
        deal_id=deal_id,
        event_id=event_id,
        verdicts=judged.verdicts,
        done_at=judged.done_at,
        mark=secrets.token_hex(8),
    )


@routes.post("/deals/<int:deal_id>/steps/<int:event_id>/carry-out")
@open_to(Role.HEAD)
def carry_out(deal_id: int, event_id: int) -> Response | tuple[str, int]:
    """For good: the rule named in the form does what it would do."""
    here = current_account()
    rule, mark = request.form.get("rule", ""), request.form.get("mark", "")
    try:
        deals_service.carry_out(here, deal_id, event_id, rule, mark, once_more="once_more" in request.form)
    except (BridgeError, ConfigError) as error:
        return _page(deal_of(here, deal_id), why_not=str(error)), 409
    flash(_("Отправлено в работу: результат появится в журнале сделки."))
    return redirect(url_for("deal.show", deal_id=deal_id))


@routes.get("/deals/<int:deal_id>/steps/<int:event_id>/undo")
@open_to(Role.HEAD)
def ask_undo(deal_id: int, event_id: int) -> str | tuple[str, int]:
    """What of a rule's doing could be taken back, and what could not. Nothing is changed."""
    here, rule = current_account(), request.args.get("rule", "")
    try:
        found = deals_service.undoing(here, deal_id, event_id, rule)
    except (BridgeError, ConfigError) as error:
        return _page(deal_of(here, deal_id), why_not=str(error)), 409
    name = next((one.name for one in listed(here, [deal_id])), "")
    return render_template("deal/undo.html", deal_id=deal_id, event_id=event_id, rule=rule, found=found, name=name)


@routes.post("/deals/<int:deal_id>/steps/<int:event_id>/undo")
@open_to(Role.HEAD)
def undo(deal_id: int, event_id: int) -> Response | tuple[str, int]:
    here = current_account()
    try:
        deals_service.undo(here, deal_id, event_id, request.form.get("rule", ""))
    except (BridgeError, ConfigError) as error:
        return _page(deal_of(here, deal_id), why_not=str(error)), 409
    flash(_("Возвращается: что получилось, будет видно в журнале сделки."))
    return redirect(url_for("deal.show", deal_id=deal_id))


def _page(deal: KnownDeal, why_not: str = "") -> str:
    return render_template(
        "deal/show.html",
        deal_id=deal.deal_id,
        steps=deal.steps,
        runs=deal.runs,
        coming=deal.coming,
        record=deal.record,
        stage=deal.stage,
        link=deal.link,
        enquiry_count=deal.enquiry_count,
        file_count=deal.file_count,
        why_not=why_not,
    )
