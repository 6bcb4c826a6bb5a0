"""How often something may be tried. Counted in the store: all web replicas count together."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from flask import Response, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from amo_bridge.web.admission import tries
from amo_bridge.web.admission.users import fold

# Nobody mistypes his password so often; and at this pace nobody guesses a good one.
PER_NAME, PER_ADDRESS = "8 per 15 minutes", "30 per 15 minutes"


limiter = Limiter(get_remote_address, storage_uri=f"{tries.SCHEME}://", strategy="moving-window")


def limited_log_in(view: Callable[..., Any]) -> Callable[..., Any]:
    """Only failures count, by the name that was tried and by the address they came from."""
    by_name = limiter.limit(PER_NAME, key_func=_name, methods=["POST"], deduct_when=_has_failed)
    by_address = limiter.limit(PER_ADDRESS, methods=["POST"], deduct_when=_has_failed)
    limited: Callable[..., Any] = by_name(by_address(view))
    return limited


def seconds_to_wait() -> int:
    """After a refusal: until when."""
    breached = limiter.current_limit
    if breached is None:
        return 60
    # The library rounds up to the next second, which may be one more than the whole window.
    return min(max(1, round(breached.reset_at - time.time())), breached.limit.get_expiry())


def _name() -> str:
    return fold(request.form.get("login", ""))[:80]


def _has_failed(response: Response) -> bool:
    return response.status_code == 401
