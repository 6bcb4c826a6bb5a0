"""How often something may be tried. Counted in the store: all web replicas count together."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Response, request
from flask_limiter import Limiter, RequestLimit
from flask_limiter.util import get_remote_address

from amo_bridge.web.admission import tries
from amo_bridge.web.admission.users import fold
from amo_bridge.web.here import office

# Nobody mistypes his password so often; and at this pace nobody guesses a good one.
PER_NAME, PER_ADDRESS = "8 per 15 minutes", "30 per 15 minutes"


limiter = Limiter(get_remote_address, storage_uri=f"{tries.SCHEME}://", strategy="moving-window")


def limited_log_in(view: Callable[..., Any]) -> Callable[..., Any]:
    """Only failures count, by the name that was tried and by the address they came from."""
    only = ["POST"]
    by_name = limiter.limit(PER_NAME, key_func=_name, methods=only, deduct_when=_has_failed, on_breach=_write_down)
    by_address = limiter.limit(PER_ADDRESS, methods=only, deduct_when=_has_failed, on_breach=_write_down)
    limited: Callable[..., Any] = by_name(by_address(view))
    return limited


def seconds_to_wait() -> int:
    """After a refusal: until when."""
    breached = limiter.current_limit
    if breached is None:
        return 60
    # The library rounds up to the next second, which may be one more than the whole window.
    return min(max(1, round(breached.reset_at - time.time())), breached.limit.get_expiry())


def _write_down(breached: RequestLimit) -> None:
    """Once for each time that somebody is shut out. What was typed for a name may be a password: only names that there
    are go into the audit."""
    here, name = office(), _name()
    known = next((user.login for user in here.users.all() if fold(user.login) == name), None)
    words = f"Вход закрыт на время: много неверных паролей, {known or 'имени такого нет'}, адрес {request.remote_addr}"
    since = datetime.fromtimestamp(time.time() - breached.limit.get_expiry(), UTC)
    if not here.audit.has("log-in.locked", words, since):
        here.audit.write(known or "неизвестный", "log-in.locked", words)


def _name() -> str:
    return fold(request.form.get("login", ""))[:80]


def _has_failed(response: Response) -> bool:
    return response.status_code == 401
