"""``/roistat``: the address at which Roistat reads states and sums of deals, by login and token.

The token is the MD5 of login and password together, as Roistat's pages name it for one's own CRM.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.channels.roistat import FIELDS_ADVICE, export
from amo_bridge.config.advertising import ROISTAT_PASSWORD
from amo_bridge.config.loader import secret
from amo_bridge.errors import ConfigError, StoreUnavailable, UnknownName
from amo_bridge.logs import log
from amo_bridge.runtime.account import AccountRuntime
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.secrets import known_account

MOST_DEALS = 1000
"""So many changed deals are looked through for one answer."""
LAST_OFFSET = 2**62


def blueprint(accounts: Callable[[], Iterable[AccountRuntime]]) -> Blueprint:
    """``accounts``: all of this installation; login and token tell which one is asked for."""
    routes = Blueprint("roistat", __name__)

    @routes.get("/roistat")
    def orders() -> ResponseReturnValue:
        user, token = request.args.get("user", ""), request.args.get("token", "")
        try:
            since = datetime.fromtimestamp(float(request.args.get("date") or 0), UTC)
        except (ValueError, OverflowError, OSError):
            return jsonify(error="date: нужно время Unix"), 400
        try:
            limit = min(max(int(request.args.get("limit") or MOST_DEALS), 1), MOST_DEALS)
            offset = min(max(int(request.args.get("offset") or 0), 0), LAST_OFFSET)
        except ValueError:
            return jsonify(error="limit, offset: нужны целые числа"), 400
        asked = next((one for one in accounts() if _lets_in(one, user, token)), None)
        if asked is None:
            return jsonify(error="логин или токен не те"), 403
        section = asked.config.channels.roistat
        assert section is not None
        if asked.config.bridge.dry_run:
            return jsonify(error="мост в пробном режиме (dry_run): наружу ничего не отдаётся"), 503
        try:
            store = asked.resources.store
            key = known_key(store, asked.config.account.url)
            account = known_account(asked.config, asked.environment)
            if key is None or account is None:
                return jsonify(error="мост ещё не знакомился с аккаунтом"), 503
            return jsonify(export(AccountStore(store, key), account, section, since, limit, offset))
        except UnknownName as error:
            log.error("roistat got nothing", error=str(error))
            return jsonify(error=f"{error}{FIELDS_ADVICE}"), 503
        except StoreUnavailable as error:
            log.error("roistat got nothing", error=str(error))
            return jsonify(error="база не отвечает"), 503

    return routes


def _lets_in(account: AccountRuntime, user: str, token: str) -> bool:
    section = account.config.channels.roistat
    if section is None or not section.login:
        return False
    try:
        password = secret(account.environment, ROISTAT_PASSWORD)
    except ConfigError as error:
        # One account's file that can't be read must not keep Roistat from the others.
        log.error("an account is not open to roistat", account=account.config.account.url, problems=error.problems)
        return False
    if not password:
        return False
    wanted = hashlib.md5(f"{section.login}{password}".encode(), usedforsecurity=False).hexdigest()
    same_user = hmac.compare_digest(user.encode(), section.login.encode())
    return hmac.compare_digest(token.encode(), wanted.encode()) and same_user
