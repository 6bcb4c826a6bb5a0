"""Who may see how the bridge is doing: whoever is on this machine, or knows AMO_BRIDGE_METRICS_TOKEN."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from flask import Request

TOKEN = "AMO_BRIDGE_METRICS_TOKEN"
# A proxy on this machine passes strangers on; these are how it says so.
PASSED_ON = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")


def may_look(request: Request, token: str) -> bool:
    """``token``: what has to be known; empty: nobody from outside may look."""
    if token and hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode()):
        return True
    return _is_loopback(request.remote_addr) and not any(name in request.headers for name in PASSED_ON)


def _is_loopback(address: str | None) -> bool:
    try:
        return ip_address(address or "").is_loopback
    except ValueError:
        return False
