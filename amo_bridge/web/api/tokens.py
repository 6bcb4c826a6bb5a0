"""``/tokens``: the tokens of programs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from flask import abort
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from pydantic import BeforeValidator, StringConstraints

from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, refusal
from amo_bridge.web.api.users import RolesByAccount, known_accounts
from amo_bridge.web.auth.api_tokens import PROGRAM_ROLES, ApiToken
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import accounts
from amo_bridge.web.services import users as users_service


class Token(Shape):
    """``accounts``: account → role, for a token that has a role in these alone; null: ``role`` counts in all.
    ``used_at``: null if it never was."""

    id: int
    name: str
    role: Role
    accounts: dict[str, Role] | None
    created_at: datetime
    created_by: str
    used_at: datetime | None


class Tokens(Shape):
    """Those that work, the newest first."""

    tokens: list[Token]


class IssuedToken(Token):
    """``secret``: what the program sends. It is told this once."""

    secret: str


def _one_line(told: Any) -> Any:
    return " ".join(told.split()) if isinstance(told, str) else told


class NewToken(Shape):
    """``name``: of the program that it is for. ``accounts``: in which accounts alone, and with which role there."""

    name: Annotated[
        str, BeforeValidator(_one_line), StringConstraints(min_length=1, max_length=users_service.LONGEST_NAME)
    ]
    role: Role
    accounts: RolesByAccount | None = None


@api.endpoint(Endpoint("tokens_tokens", "/tokens", "GET", Role.ADMIN, _l("Токены программ"), Tokens))
def tokens() -> Tokens:
    return _that_work()


@api.endpoint(
    Endpoint(
        "tokens_issue",
        "/tokens",
        "POST",
        Role.ADMIN,
        _l("Дать токен: он показан один раз"),
        IssuedToken,
        takes=NewToken,
    )
)
def issue(told: NewToken) -> IssuedToken:
    if not {told.role, *(told.accounts or {}).values()} <= set(PROGRAM_ROLES):
        abort(refusal(422, _("Роль «Сотрудник» программе ничего не открывает: дайте ей роль наблюдателя.")))
    with known_accounts():
        secret = users_service.issue(told.name, told.role, told.accounts)
    issued = accounts().api_tokens.of(secret, is_use=False) or abort(404)
    return IssuedToken(**_facts(issued), secret=secret)


@api.endpoint(
    Endpoint(
        "tokens_revoke",
        "/tokens/<int:token_id>",
        "DELETE",
        Role.ADMIN,
        _l("Отозвать токен; в ответе те, что остались"),
        Tokens,
    )
)
def revoke(token_id: int) -> Tokens:
    if not users_service.revoke(token_id):
        abort(404)
    return _that_work()


def _that_work() -> Tokens:
    return Tokens(tokens=[Token(**_facts(one)) for one in accounts().api_tokens.all()])


def _facts(known: ApiToken) -> dict[str, Any]:
    return {name: getattr(known, name) for name in Token.model_fields}
