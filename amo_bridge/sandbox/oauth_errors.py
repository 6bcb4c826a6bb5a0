"""OAuth's error answers, word for word as integrators have seen them (issues of amoCRM's own PHP library)."""

from __future__ import annotations

import json

from flask import Response

TYPE = "https://developers.amocrm.ru/v3/errors/OAuthProblemJson"
BAD_REQUEST = ("Некорректный запрос", "В запросе отсутствует ряд параметров или параметры невалидны")
BAD_CLIENT = ("Некорректный клиент", "Авторизация клиента не прошла")

REVOKED = "Token has been revoked"
BAD_REFRESH = "Invalid refresh token"
CODE_EXPIRED = "Authorization code has expired"
CODE_USED = "Authorization code has been revoked"
CODE_FOREIGN = "Cannot decrypt the authorization code"
BAD_REDIRECT = "Redirect URI is not associated with client"
BAD_ACCOUNT = "Invalid account"


class OAuthRefused(Exception):
    """The exchange is refused. ``hint`` None: the answer of a wrong client_id or client_secret, which has none."""

    def __init__(self, hint: str | None, status: int = 400) -> None:
        super().__init__(hint or BAD_CLIENT[0])
        self.hint = hint
        self.status = status


def missing(parameter: str) -> OAuthRefused:
    """The backticks are part of the vendor's text."""
    return OAuthRefused(f"Check the `{parameter}` parameter")


def answer(why: OAuthRefused) -> Response:
    title, detail = BAD_CLIENT if why.hint is None else BAD_REQUEST
    body: dict[str, object] = {} if why.hint is None else {"hint": why.hint}
    body |= {"title": title, "type": TYPE, "status": why.status, "detail": detail}
    text = json.dumps(body, ensure_ascii=False)
    return Response(text, status=why.status, content_type="application/problem+json")
