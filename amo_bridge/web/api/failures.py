"""``/failures``: what the bridge gave up on, and what is to become of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from flask import abort
from flask_babel import lazy_gettext as _l
from pydantic import Field

from amo_bridge.engine.dead_letters import DeadLetter as Failed
from amo_bridge.engine.dead_letters import NotFailed
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, refusal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, current_account, token


class Failure(Shape):
    """``name``: «F21» for an effect, «H11» for an event. ``error``: the vendor's own words."""

    name: str
    at: datetime
    deal_id: int | None
    rule: str
    what: str
    error: str
    attempts: int
    after: str | None


class Failures(Shape):
    """Oldest first."""

    failures: list[Failure]


class Names(Shape):
    """Of failures."""

    names: Annotated[list[str], Field(min_length=1, max_length=1000)]


@api.endpoint(Endpoint("failures_failures", "/failures", "GET", Role.VIEWER, _l("От чего мост отступился"), Failures))
def failures() -> Failures:
    return _failures(current_account().failures.all())


@api.endpoint(
    Endpoint(
        "failures_retry", "/failures/retry", "POST", Role.ADMIN, _l("Вернуть отказы в работу"), Failures, takes=Names
    )
)
def retry(told: Names) -> Failures:
    return _decided("retry", told)


@api.endpoint(
    Endpoint("failures_drop", "/failures/drop", "POST", Role.ADMIN, _l("Снять отказы"), Failures, takes=Names)
)
def drop(told: Names) -> Failures:
    return _decided("drop", told)


def _decided(decision: str, told: Names) -> Failures:
    here = current_account()
    act = {"retry": here.failures.retry, "drop": here.failures.drop}[decision]
    try:
        chosen = act(told.names, token().name)
    except NotFailed as error:
        abort(refusal(409, str(error)))
    audit(f"failed.{decision}", f"По API: {', '.join(one.name for one in chosen)}")
    here.bridge.wake()
    return _failures(chosen)


def _failures(found: list[Failed]) -> Failures:
    told = [
        Failure(**{name: getattr(one, name) for name in Failure.model_fields})
        for one in found
    ]  # fmt: skip
    return Failures(failures=told)
