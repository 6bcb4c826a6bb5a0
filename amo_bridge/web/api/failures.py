"""``/failures``: what the bridge gave up on, and what is to become of it."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from flask import abort
from flask_babel import lazy_gettext as _l
from pydantic import Field, model_validator

from amo_bridge.engine.dead_letters import DeadLetter as Failed
from amo_bridge.engine.dead_letters import NotFailed
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, refusal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, current_account, who
from amo_bridge.web.services.failures import group_of, names_in_group
from amo_bridge.web.stored_sentences import stored


class Failure(Shape):
    """``name``: «F21» for an effect, «H11» for an event. ``error``: the vendor's own words. ``group``: the same for all
    of one ``reason``; ``advice``: what to do."""

    name: str
    at: datetime
    deal_id: int | None
    rule: str
    what: str
    error: str
    group: str
    reason: str
    advice: str
    attempts: int
    after: str | None


class Failures(Shape):
    """Oldest first."""

    failures: list[Failure]


class Names(Shape):
    """Of failures; or the ``group`` of them, all of one reason."""

    names: list[str] = Field(default_factory=list, max_length=1000)
    group: str = ""

    @model_validator(mode="after")
    def either(self) -> Self:
        if bool(self.names) == bool(self.group):
            raise ValueError("нужны names или group")
        return self


@api.endpoint(Endpoint("failures_failures", "/failures", "GET", Role.VIEWER, _l("Что не выполнено"), Failures))
def failures() -> Failures:
    return _failures(current_account().failures.all())


@api.endpoint(
    Endpoint(
        "failures_retry",
        "/failures/retry",
        "POST",
        Role.HEAD,
        _l("Сделать ещё раз, что не вышло"),
        Failures,
        takes=Names,
    )
)
def retry(told: Names) -> Failures:
    return _decided("retry", told)


@api.endpoint(
    Endpoint(
        "failures_drop",
        "/failures/drop",
        "POST",
        Role.HEAD,
        _l("Не делать, что не вышло"),
        Failures,
        takes=Names,
    )
)
def drop(told: Names) -> Failures:
    return _decided("drop", told)


def _decided(decision: str, told: Names) -> Failures:
    here = current_account()
    act = {"retry": here.failures.retry, "drop": here.failures.drop}[decision]
    names = names_in_group(here.failures.all(), told.group) if told.group else told.names
    try:
        chosen = act(names, who())
    except NotFailed as error:
        abort(refusal(409, str(error)))
    audit(f"failed.{decision}", f"По API: {', '.join(one.name for one in chosen)}")
    here.bridge.wake()
    return _failures(chosen)


def _failures(found: list[Failed]) -> Failures:
    told = [
        Failure(
            **{name: getattr(one, name) for name in Failure.model_fields if hasattr(one, name)},
            group=group.key,
            reason=stored(group.reason),
            advice=group.advice,
        )
        for one in found
        for group in [group_of(one.error)]
    ]
    return Failures(failures=told)
