"""``/rehearsals``: what the rules would do in the days to come."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from flask import abort
from flask_babel import lazy_gettext as _l
from pydantic import Field

from amo_bridge.runtime.rehearsal_jobs import LONGEST, NotRehearsed
from amo_bridge.runtime.rehearsal_jobs import Rehearsal as Kept
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Number, Shape, refusal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.services import rules as rules_service


class Rehearsal(Shape):
    """``progress``: 0 to 1; ``doing``: what it is at; ``trouble``: why it failed (Russian). ``deal_id``: null for all
    deals."""

    number: int
    state: Literal["asked", "running", "done", "failed", "stopped"]
    days: int
    deal_id: int | None
    asked_at: datetime
    asked_by: str
    ended_at: datetime | None
    progress: float
    doing: str
    trouble: str


class Rehearsals(Shape):
    """The newest first; a few are kept."""

    rehearsals: list[Rehearsal]


class RehearsalDeed(Shape):
    """What a rule would do, or could not do (``trouble``: why). ``at``: in the account's time zone."""

    at: datetime
    deal_id: int
    deal_name: str
    rule: str
    clause: str
    because: str
    does: list[str]
    trouble: str


class RehearsalReport(Rehearsal):
    """A rehearsal with what came of it; nothing did as long as it is not done."""

    deeds: list[RehearsalDeed]


class RehearsalWish(Shape):
    """How many days ahead, for which deal; all of them if none is named."""

    days: Annotated[int, Field(ge=1, le=LONGEST)]
    deal_id: Number | None = None


@api.endpoint(Endpoint("rehearsals_rehearsals", "/rehearsals", "GET", Role.VIEWER, _l("Репетиции"), Rehearsals))
def rehearsals() -> Rehearsals:
    return Rehearsals(rehearsals=[Rehearsal(**_facts(one)) for one in current_account().rehearsals.all()])


@api.endpoint(
    Endpoint(
        "rehearsals_ask", "/rehearsals", "POST", Role.ADMIN, _l("Начать репетицию"), Rehearsal, takes=RehearsalWish
    )
)
def ask(told: RehearsalWish) -> Rehearsal:
    try:
        number = rules_service.ask(told.days, told.deal_id)
    except NotRehearsed as error:
        abort(refusal(409, str(error)))
    return Rehearsal(**_facts(_known(number)))


@api.endpoint(
    Endpoint(
        "rehearsals_one",
        "/rehearsals/<int:number>",
        "GET",
        Role.VIEWER,
        _l("Одна репетиция: что сделали бы правила"),
        RehearsalReport,
    )
)
def one(number: int) -> RehearsalReport:
    known = _known(number)
    deeds = current_account().rehearsals.actions(number) if known.state == "done" else []
    return RehearsalReport(**_facts(known), deeds=[_action_of(one) for one in deeds])


@api.endpoint(
    Endpoint(
        "rehearsals_stop",
        "/rehearsals/<int:number>/stop",
        "POST",
        Role.ADMIN,
        _l("Остановить репетицию"),
        Rehearsal,
    )
)  # fmt: skip
def stop(number: int) -> Rehearsal:
    _known(number)
    try:
        rules_service.stop(number)
    except NotRehearsed as error:
        abort(refusal(409, str(error)))
    return Rehearsal(**_facts(_known(number)))


def _known(number: int) -> Kept:
    try:
        return current_account().rehearsals.get(number)
    except NotRehearsed as error:
        abort(refusal(404, str(error)))


def _facts(kept: Kept) -> dict[str, Any]:
    return {name: getattr(kept, name) for name in Rehearsal.model_fields}


def _action_of(kept: dict[str, Any]) -> RehearsalDeed:
    return RehearsalDeed(deal_id=kept["deal"], **{key: value for key, value in kept.items() if key != "deal"})
