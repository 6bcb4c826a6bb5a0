"""What amoCRM's refusal or silence means for whoever typed a command: in Russian, with what to do."""

from __future__ import annotations

from amo_bridge.crm.answers import TOKEN_PATH
from amo_bridge.errors import (
    BridgeError,
    CrmBlocked,
    CrmError,
    CrmForbidden,
    CrmRefused,
    CrmStopped,
    CrmTemporary,
    CrmUnauthorized,
    CrmUncertain,
    CrmUnpaid,
    NotConnected,
)

TOO_MANY = 429
_WORDS: tuple[tuple[type[CrmError], str], ...] = (
    (CrmUnauthorized, "токен не подошёл: создайте новый (docs/connect-account.md)"),
    (CrmForbidden, "прав токена не хватает: он должен принадлежать администратору"),
    (CrmUnpaid, "аккаунт не оплачен, или тариф не даёт доступа к API"),
    (CrmBlocked, "вместо API пришла страница: адрес этой машины заблокирован, или это не адрес аккаунта amoCRM"),
    (CrmStopped, "по этому адресу нет аккаунта amoCRM: проверьте url в [account]"),
    (CrmUncertain, "amoCRM не ответила или сломалась на полуслове: попробуйте позже"),
    (CrmTemporary, "не достучаться: проверьте адрес и сеть"),
    (CrmRefused, "amoCRM отказала"),
)


def in_words(error: BridgeError) -> str:
    """«токен не подошёл: … (GET /api/v4/account: 401 …)»; an error that is not amoCRM's speaks for itself."""
    if not isinstance(error, CrmError):
        return str(error)
    if isinstance(error, NotConnected) or (isinstance(error, CrmUnauthorized) and error.path == TOKEN_PATH):
        # Worded for people where it came up.
        return error.detail
    if isinstance(error, CrmTemporary) and error.status == TOO_MANY:
        return f"запросов слишком много, amoCRM просит подождать ({error})"
    words = next((words for kind, words in _WORDS if isinstance(error, kind)), "amoCRM не ответила")
    return f"{words} ({error})"
