"""OAuth pages: ``/connect?key=…`` leads an administrator to amoCRM, which leads back.

Nobody can begin without the link that ``amo-bridge connect`` prints, and nothing that comes back counts without the
state that was given out with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from amo_bridge.errors import BridgeError, ConfigError, CrmError, CrmTemporary, StoreUnavailable
from amo_bridge.logs import log
from amo_bridge.runtime.oauth_flow import Connecting, NotNow

PAGE = """<!doctype html>
<html lang="ru"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title></head>
<body><main><h1>{title}</h1><p>{text}</p><p><a href="{home}">Страницы моста</a></p></main></body></html>
"""
# The address holds the key or the code: neither may get into a cache, or into another site's log as referrer.
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
NO_LINK = "Ссылка не подходит: она действует 20 минут и один раз. Получите новую командой amo-bridge connect"
NO_STATE = "Это подключение начато не здесь, слишком давно или уже закончено. Начните снова: amo-bridge connect"


def blueprint(connections: Callable[[], Sequence[Connecting]]) -> Blueprint:
    """``connections``: the accounts that can be connected just now. Raises StoreUnavailable while none can."""
    routes = Blueprint("connect", __name__)

    @routes.get("/connect")
    def begin() -> BaseResponse:
        try:
            key = request.args.get("key", "")
            page = next((page for one in connections() if (page := one.follow(key))), None)
        except (BridgeError, ConfigError) as error:
            return _error_page(error)
        if page is None:
            return _page(403, "Не подключено", NO_LINK)
        answer = redirect(page)
        answer.headers.update(HEADERS)
        return answer

    @routes.get("/connect/callback")
    def come_back() -> BaseResponse:
        told = request.args.to_dict()
        try:
            connecting = next((one for one in connections() if one.knows(told.get("state", ""))), None)
            if connecting is None:
                return _page(403, "Не подключено", NO_STATE)
            connecting.come_back(told)
        except (BridgeError, ConfigError) as error:
            return _error_page(error)
        return _page(
            200,
            "Подключено",
            f"Аккаунт {connecting.account} подключён, мост начинает работать. Дальше — страница «Подключение».",
        )

    return routes


def _error_page(error: BridgeError | ConfigError) -> BaseResponse:
    log.warning("account not connected", error=str(error), kind=type(error).__name__)
    if isinstance(error, StoreUnavailable):
        return _page(503, "Не подключено", f"Мост сейчас не может этого сделать: {error}")
    if isinstance(error, CrmTemporary):
        return _page(502, "Не подключено", "amoCRM не ответила. Начните снова: amo-bridge connect")
    if isinstance(error, CrmError):
        return _page(502, "Не подключено", f"amoCRM отказала: {error.detail}")
    return _page(403 if isinstance(error, NotNow) else 503, "Не подключено", str(error))


def _page(status: int, title: str, text: str) -> Response:
    body = PAGE.format(title=escape(title), text=escape(text), home=escape(f"{request.script_root}/"))
    return Response(body, status, HEADERS, content_type="text/html; charset=utf-8")
