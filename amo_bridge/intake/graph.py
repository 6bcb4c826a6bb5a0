"""Meta's Graph API with a page's token: the page, its subscriptions, leads by id."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelRefused
from amo_bridge.intake.request import integer, object_at, text_at

GRAPH_VERSION = "v25.0"
GRAPH_TOKEN = "AMO_BRIDGE_INTAKE_META_TOKEN"
_DEAD_TOKEN, _NO_RIGHT, _GONE = (102, 190), (3, 10, *range(200, 300)), (100, 33)
_BUSY = (1, 2, 4, 17, 32, 613, *range(80000, 80015))
# Meta says no time; its limits are counted by the hour.
BUSY_SECONDS = 300.0


class GraphRefused(ChannelRefused):
    """Graph knows no such object, or the token may not see it."""


class GraphPage:
    """One page. ``secret``: of the app, by which a request proves that the token is in its own hands."""

    def __init__(self, api: str, token: str, secret: str) -> None:
        self._token = token
        self._secret = secret
        self._http = HttpClient("Meta", api, token)

    def read(self, node: str, **given: str) -> Mapping[str, Any]:
        """An object. Raises ChannelError; GraphRefused where there is none."""
        return self._answer("GET", f"/{GRAPH_VERSION}/{node}?{urlencode(self._signed(given))}")

    def write(self, node: str, **given: str) -> Mapping[str, Any]:
        """Change an object. Raises ChannelError."""
        return self._answer("POST", f"/{GRAPH_VERSION}/{node}", self._signed(given))

    def _signed(self, given: Mapping[str, str]) -> dict[str, str]:
        proof = hmac.new(self._secret.encode(), self._token.encode(), hashlib.sha256).hexdigest()
        return {**given, "access_token": self._token, **({"appsecret_proof": proof} if self._secret else {})}

    def _answer(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        response = self._http.request(method, path, form=form)
        try:
            told = response.json()
        except ValueError as error:
            raise self._http.unreadable(error) from None
        complaint = object_at(told, "error")
        if complaint or not response.ok:
            raise _refusal(complaint, response.status_code)
        return told if isinstance(told, dict) else {}


def _refusal(error: Mapping[str, Any], status: int) -> ChannelDown | ChannelBusy | ChannelRefused:
    """By the code of the error: the status is often 400, whatever it was."""
    code, subcode = integer(error.get("code")), integer(error.get("error_subcode"))
    words = f"{code or status} {text_at(error, 'message')}".strip()
    if code in _DEAD_TOKEN:
        where = f"выпустите токен страницы заново и впишите его в {GRAPH_TOKEN}"
        return ChannelDown(f"Meta: токен страницы не действует ({words}): {where}")
    if code in _NO_RIGHT:
        rights = "leads_retrieval, pages_manage_metadata, pages_show_list, pages_read_engagement, ads_management"
        return ChannelDown(f"Meta: у токена страницы нет прав ({words}): нужны {rights}")
    if code in _BUSY or status == 429 or status >= 500:
        return ChannelBusy(f"Meta просит подождать: {words}", retry_after=BUSY_SECONDS)
    if (code, subcode) == _GONE:
        return GraphRefused(f"Meta такого не знает, или у токена нет на это прав: {words}")
    return ChannelRefused(f"Meta: {words}")
