"""What pages and programs alike do about the API's tokens; all of it is written down."""

from __future__ import annotations

from amo_bridge.web.admission.roles import Role
from amo_bridge.web.forms import role_in_russian
from amo_bridge.web.here import office, who, write_down

LONGEST_NAME = 80


def issue(name: str, role: Role) -> str:
    """A new token's secret: nobody is told it again."""
    secret = office().api_tokens.issue(name, role, who())
    write_down("token.add", f"Новый токен API: {name}, роль «{role_in_russian(role)}»", about_account=False)
    return secret


def revoke(token_id: int) -> bool:
    """False: no such token works."""
    name = office().api_tokens.revoke(token_id)
    if name is None:
        return False
    write_down("token.revoke", f"Отозван токен API: {name}", about_account=False)
    return True
