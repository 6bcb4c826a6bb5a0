"""The journal of one deal: what came, what each rule decided, and why nothing was done; a step taken once more."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from amo_bridge.clock import SystemClock
from amo_bridge.engine.brain import Brain
from amo_bridge.engine.connection import account_client
from amo_bridge.engine.journal import Entry
from amo_bridge.engine.mirror import Mirror
from amo_bridge.engine.repeating import NotRepeatable, Repeating
from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.error_pages import told
from amo_bridge.web.gate import open_to
from amo_bridge.web.here import account, user, write_down
from amo_bridge.web.office import NotMet, PageAccount

routes = Blueprint("deal", __name__)
# A number, also as pages print it, or the address of the deal's page in amoCRM.
NUMBER = re.compile(
    r"(?:.*/leads/detail/|(?:сделка|deal)?\s*(?:№|no\.)?\s*)?(\d{1,18})/?(?:[?#].*)?", re.DOTALL | re.IGNORECASE
)
SILENT = ("skipped",)


@dataclass
class Step:
    """What came, and what the rules said to it. ``event_id``: None for what belongs to no event."""

    event_id: int | None
    at: datetime
    what: str
    note: str = ""
    said: list[Entry] = field(default_factory=list)

    @property
    def loud(self) -> list[Entry]:
        return [entry for entry in self.said if entry.verdict not in SILENT]

    @property
    def silent(self) -> list[Entry]:
        return [entry for entry in self.said if entry.verdict in SILENT]


@routes.get("/deals/")
@open_to(Role.VIEWER)
def find() -> Response:
    """From the search field: a deal's number, or its address in amoCRM."""
    read = NUMBER.fullmatch(request.args.get("deal", "").strip())
    if read is None:
        flash(_("Это не номер сделки и не её адрес в amoCRM."))
        return redirect(url_for("overview.show"))
    return redirect(url_for("deal.show", deal_id=int(read[1])))


@routes.get("/deals/<int:deal_id>")
@open_to(Role.VIEWER)
def show(deal_id: int) -> str | Response:
    here = account()
    if not here.journal.of_deal(deal_id) and Mirror(here.store, here.key).record(deal_id) is None:
        why = _("Проверьте номер. О сделке, которая есть в amoCRM, мост узнаёт с первого события о ней.")
        return told(404, _("Мост не знает сделки %(n)s", n=deal_id), why)
    return _page(here, deal_id)


@routes.post("/deals/<int:deal_id>/steps/<int:event_id>/judge")
@open_to(Role.ADMIN)
def judge(deal_id: int, event_id: int) -> str | tuple[str, int]:
    """What the rules would do about this event now. Nothing is changed."""
    here = account()
    try:
        verdicts = _repeating(here).judge(deal_id, event_id)
    except (BridgeError, ConfigError) as error:
        return _page(here, deal_id, why_not=str(error)), 409
    return render_template(
        "deal/judged.html", deal_id=deal_id, event_id=event_id, verdicts=verdicts, mark=secrets.token_hex(8)
    )


@routes.post("/deals/<int:deal_id>/steps/<int:event_id>/carry-out")
@open_to(Role.ADMIN)
def carry_out(deal_id: int, event_id: int) -> Response | tuple[str, int]:
    """For good: the rule named in the form does what it would do."""
    here = account()
    rule, mark = request.form.get("rule", ""), request.form.get("mark", "")
    try:
        _repeating(here).carry_out(deal_id, event_id, rule, mark, user().login)
    except (BridgeError, ConfigError) as error:
        return _page(here, deal_id, why_not=str(error)), 409
    write_down("deal.repeat", f"Сделка {deal_id}: повторено правило {rule}")
    here.bridge.ring()
    flash(_("Отправлено в работу: результат появится в журнале сделки."))
    return redirect(url_for("deal.show", deal_id=deal_id))


def _page(here: PageAccount, deal_id: int, why_not: str = "") -> str:
    steps = steps_of(here.journal.of_deal(deal_id))
    known = here.crm_account
    mirrored = Mirror(here.store, here.key).get([deal_id]).get(deal_id)
    record = mirrored.record if mirrored else None
    stage = known.stage_of(record.pipeline_id, record.status_id).title if known and record else ""
    return render_template(
        "deal/show.html",
        deal_id=deal_id,
        steps=steps,
        record=record,
        stage=stage,
        link=f"{here.config.account.url}/leads/detail/{deal_id}",
        why_not=why_not,
    )


def steps_of(entries: Iterable[Entry]) -> list[Step]:
    """The journal's lines put together by event, newest first."""
    steps: dict[int | tuple[datetime, str], Step] = {}
    for entry in entries:
        key = entry.event_id if entry.event_id is not None else (entry.at, entry.what)
        step = steps.setdefault(key, Step(entry.event_id, entry.at, entry.what))
        if entry.verdict == "came":
            step.what, step.note = entry.what, entry.reason
        else:
            step.said.append(entry)
    return list(reversed(steps.values()))


def _repeating(here: PageAccount) -> Repeating:
    """Raises NotMet, NotRepeatable, ConfigError."""
    known = here.crm_account
    if known is None:
        raise NotMet("мост ещё не знакомился с аккаунтом")
    if here.bridge.role == "web":
        raise NotRepeatable("этот процесс только принимает хуки: повторить может тот, что работает с amoCRM")
    client = account_client(here.config, here.bridge.environment)
    return Repeating(here.store, here.key, Brain.of(here.config, known, SystemClock()), client, here.clock)
