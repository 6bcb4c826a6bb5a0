"""``/policies``: rules of working in the CRM, and who has acknowledged which version."""

from __future__ import annotations

from datetime import datetime

from flask_babel import lazy_gettext as _l

from amo_bridge.engine.policies import Acknowledgement, Policy
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages.policies import policies_of


class PolicyReader(Shape):
    """Who is to acknowledge the version until ``due``. ``read_at``: None until he has; ``read_by``: how."""

    person: str
    version: int
    due: datetime
    read_at: datetime | None
    read_by: str


class PolicyText(Shape):
    """A text with its version in force. ``readers``: of all versions, the newest first."""

    number: int
    title: str
    version: int
    at: datetime
    who: str
    text: str
    readers: list[PolicyReader]


class PolicyList(Shape):
    """Those in force, by title."""

    policies: list[PolicyText]


@api.endpoint(
    Endpoint("policies_list", "/policies", "GET", Role.VIEWER, _l("Правила CRM и кто их прочитал"), PolicyList)
)
def policies() -> PolicyList:
    here = current_account()
    found = policies_of(here).all() if here.is_known else []
    return PolicyList(policies=[_text(one, policies_of(here).readers(one.number)) for one in found])


def _text(policy: Policy, readers: list[Acknowledgement]) -> PolicyText:
    current = policy.current
    return PolicyText(
        number=policy.number,
        title=current.title,
        version=current.version,
        at=current.at,
        who=current.who,
        text=current.text,
        readers=[
            PolicyReader(person=one.person, version=one.version, due=one.due, read_at=one.read_at, read_by=one.read_by)
            for one in readers
        ],
    )
