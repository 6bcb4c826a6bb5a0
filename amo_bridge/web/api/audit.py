"""``/audit``: who changed what."""

from __future__ import annotations

from datetime import datetime

from flask_babel import lazy_gettext as _l

from amo_bridge.web import context
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, whole
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import accounts


class Deed(Shape):
    """Who changed what. ``account``: empty if it is about none. ``details``: such as the lines of a config that have
    changed; empty for most."""

    id: int
    at: datetime
    who: str
    account: str
    deed: str
    words: str
    details: str


class Deeds(Shape):
    """Newest first; ``before`` of the next page is the last one's id."""

    deeds: list[Deed]


MOST_DEEDS = 100


@api.endpoint(
    Endpoint(
        "audit_audit",
        "/audit",
        "GET",
        Role.ADMIN,
        _l("Кто что менял"),
        Deeds,
        query={"before": _l("только до этого номера")},
        checks={"before": whole(1)},
    )
)
def audit() -> Deeds:
    deeds = accounts().audit.last(MOST_DEEDS, before=context.number("before"))
    told = [Deed(**{name: getattr(one, name) for name in Deed.model_fields}) for one in deeds]
    return Deeds(deeds=told)
