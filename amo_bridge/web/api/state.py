"""``/state``: is everything well?"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from flask_babel import lazy_gettext as _l

from amo_bridge.channels.registry import unconnected
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.services.overview import health_issues


class Trouble(Shape):
    """What somebody should look at, in Russian."""

    weight: Literal["bad", "warning"]
    words: str


class State(Shape):
    """Is everything well? Ages are seconds; null: it has not happened yet. ``unconnected``: channels that rules call,
    and nobody has connected them. ``access_ends_at``: null where that is not known."""

    account: str
    state: str
    is_ready: bool
    is_leading: bool
    troubles: list[Trouble]
    inbox_new: int
    events_open: int
    outbox: dict[str, int]
    failed: dict[str, int]
    overdue: int
    mirror_deals: int
    last_hook_age: float | None
    hook_seen_age: float | None
    reconcile_age: float | None
    stopped: str
    unconnected: list[str]
    access_ends_at: datetime | None


@api.endpoint(Endpoint("state_state", "/state", "GET", Role.VIEWER, _l("Всё ли хорошо"), State))
def state() -> State:
    here = current_account()
    health = here.health_snapshot()
    found = [Trouble(weight=one.weight, words=one.words) for one in health_issues(here, health, here.clock.now())]
    told = health.to_json()
    return State(
        account=here.config.account.url,
        state=here.bridge.state,
        is_ready=here.bridge.is_ready,
        is_leading=here.bridge.is_leading,
        troubles=found,
        unconnected=sorted(unconnected(here.config)),
        access_ends_at=here.bridge.token_ends_at,
        **{name: told[name] for name in State.model_fields if name in told},
    )
