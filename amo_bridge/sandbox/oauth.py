"""OAuth 2 as amoCRM does it: authorize page, exchange of codes and refresh tokens, disconnect hook.

The error answers are word for word as integrators have seen them (issues of amoCRM's own PHP library).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import requests
from flask import Flask, Response, jsonify, redirect, render_template_string, request
from werkzeug.wrappers import Response as BaseResponse

from amo_bridge.sandbox import tokens
from amo_bridge.sandbox.auth import is_active, is_admin, unauthorized
from amo_bridge.sandbox.http import Refused, problem
from amo_bridge.sandbox.world import Record, World

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
    """The exchange is refused.

    ``hint`` None: the answer of a wrong client_id or client_secret, which has none.
    """

    def __init__(self, hint: str | None, status: int = 400) -> None:
        super().__init__(hint or BAD_CLIENT[0])
        self.hint = hint
        self.status = status


def missing_parameter(parameter: str) -> OAuthRefused:
    """The backticks are part of the vendor's text."""
    return OAuthRefused(f"Check the `{parameter}` parameter")


def error_answer(refused: OAuthRefused) -> Response:
    title, detail = BAD_CLIENT if refused.hint is None else BAD_REQUEST
    body: dict[str, object] = {} if refused.hint is None else {"hint": refused.hint}
    body |= {"title": title, "type": TYPE, "status": refused.status, "detail": detail}
    text = json.dumps(body, ensure_ascii=False)
    return Response(text, status=refused.status, content_type="application/problem+json")


# --- routes -----------------------------------------------------------------------------------------------------------

PLATFORM_RU = 1
DISCONNECT_TIMEOUT = 5
PAGE = """<!doctype html><html lang="ru"><meta charset="utf-8"><title>amoCRM: доступ</title>
<h1>Разрешить «{{ name }}» доступ к аккаунту «{{ account }}»?</h1>
<p><a href="{{ allow }}"><button>Разрешить</button></a> <a href="{{ deny }}"><button>Отказать</button></a></p>
</html>"""


def register(app: Flask, world: World) -> None:
    @app.get("/oauth")
    def authorize() -> BaseResponse:
        """The page where a person lets an integration in. ?auto=1 or ?decision=allow|deny answers at once."""
        with world.lock:
            return _authorize(world)

    @app.post("/oauth2/access_token")
    def exchange() -> Response:
        """Gives a token pair for an authorization code or a refresh token; JSON or a form."""
        sent: Mapping[str, Any] = request.get_json(silent=True) or request.form
        try:
            return jsonify(_exchange(world, sent))
        except OAuthRefused as refused:
            return error_answer(refused)

    @app.get("/oauth2/account/current/subdomain")
    def subdomain() -> Response:
        """Where the account of the refresh token in X-Refresh-Token lives now; the token stays good."""
        record = world.table("refresh_tokens").get(request.headers.get("X-Refresh-Token", ""))
        if record is None or record["is_used"] or record["expires_at"] <= world.clock.now():
            return unauthorized()
        account = world.account
        domain = {"domain": request.host, "top_level_domain": "ru"}
        return jsonify({"id": account["id"], "subdomain": account["subdomain"], **domain})

    @app.post("/sandbox/ui/disconnect")
    def disconnect() -> Response:
        """An administrator switches the integration off: {client_id?, url?}. Kills its tokens, calls its URL."""
        sent = request.get_json(force=True, silent=True) or {}
        with world.lock:
            client = _client(world, sent.get("client_id"))
            revoked = tokens.revoke_client(world, client["client_id"])
            world.save()
            account_id = int(world.account["id"])
        url = sent.get("url") or client.get("disconnect_uri")
        status = _call_disconnect_hook(str(url), client, account_id) if url else None
        return jsonify({"revoked_tokens": revoked, "hook_status": status})


def _client(world: World, client_id: object) -> Record:
    clients = world.table("oauth_clients")
    if client_id is None and len(clients) == 1:
        return next(iter(clients.values()))
    client = clients.get(client_id)
    if client is None:
        raise Refused(404, f"no integration with client_id {client_id!r}")
    return client


def _authorize(world: World) -> BaseResponse:
    client = world.table("oauth_clients").get(request.args.get("client_id", ""))
    if client is None:
        return problem(400, "unknown client_id")
    decision = "allow" if request.args.get("auto") else request.args.get("decision")
    if decision is None:
        params = request.args.to_dict()
        links = {word: "/oauth?" + urlencode({**params, "decision": word}) for word in ("allow", "deny")}
        names = {"name": client["name"], "account": world.account["name"]}
        return Response(render_template_string(PAGE, **names, **links))
    state = {"state": request.args["state"]} if "state" in request.args else {}
    if decision != "allow":
        return _back(client, {"error": "access_denied", **state})
    code = tokens.issue_code(world, client["client_id"], _administrator(world))
    world.save()
    answer = {"code": code, "referer": request.host, "platform": str(PLATFORM_RU), **state}
    return _back(client, {**answer, "client_id": client["client_id"]})


def _back(client: Record, params: Mapping[str, str]) -> BaseResponse:
    glue = "&" if "?" in client["redirect_uri"] else "?"
    return redirect(client["redirect_uri"] + glue + urlencode(params))


def _administrator(world: World) -> int:
    """Only an administrator can install an integration: the one of ?user_id=, else the account's first."""
    wanted_id = request.args.get("user_id", type=int)
    for user_id, user in sorted(world.table("users").items()):
        if is_admin(user) and is_active(user) and wanted_id in (None, user_id):
            return int(user_id)
    raise Refused(403, "only an active administrator can let an integration in")


def _exchange(world: World, sent: Mapping[str, Any]) -> dict[str, Any]:
    client = _checked_client(world, sent)
    grant = sent.get("grant_type")
    if grant == "authorization_code":
        user_id = _spend_code(world, client, sent)
    elif grant == "refresh_token":
        user_id = _spend_refresh(world, client, sent)
    else:
        raise missing_parameter("grant_type")
    return tokens.issue_pair(world, client["client_id"], user_id, request.host)


def _checked_client(world: World, sent: Mapping[str, Any]) -> Record:
    for parameter in ("client_id", "client_secret"):
        if not sent.get(parameter):
            raise missing_parameter(parameter)
    client = world.table("oauth_clients").get(sent["client_id"])
    if client is None or not hmac.compare_digest(client["client_secret"], str(sent["client_secret"])):
        raise OAuthRefused(None, 401)
    if tokens.settings(world).get("wrong_account"):
        raise OAuthRefused(BAD_ACCOUNT)
    if sent.get("redirect_uri") != client["redirect_uri"]:
        raise OAuthRefused(BAD_REDIRECT)
    return client


def _spend_code(world: World, client: Record, sent: Mapping[str, Any]) -> int:
    code = str(sent.get("code") or "")
    if not code:
        raise missing_parameter("code")
    record = world.table("oauth_codes").get(code)
    if record is None or record["client_id"] != client["client_id"]:
        raise OAuthRefused(CODE_FOREIGN)
    if record["is_used"]:
        raise OAuthRefused(CODE_USED)
    if record["expires_at"] <= world.clock.now():
        raise OAuthRefused(CODE_EXPIRED)
    tokens.use_up(world, "oauth_codes", code)
    return int(record["user_id"])


def _spend_refresh(world: World, client: Record, sent: Mapping[str, Any]) -> int:
    refresh = str(sent.get("refresh_token") or "")
    if not refresh:
        raise missing_parameter("refresh_token")
    record = world.table("refresh_tokens").get(refresh)
    if record is None or record["client_id"] != client["client_id"]:
        raise OAuthRefused(BAD_REFRESH)
    if record["is_used"]:
        raise OAuthRefused(REVOKED, 401)
    if record["expires_at"] <= world.clock.now():
        raise OAuthRefused(BAD_REFRESH)
    tokens.use_up(world, "refresh_tokens", refresh)
    return int(record["user_id"])


def _call_disconnect_hook(url: str, client: Record, account_id: int) -> int | None:
    """amoCRM docs, oauth/step-by-step: a GET signed with the secret. None: nobody answered."""
    message = f"{client['client_id']}|{account_id}".encode()
    signature = hmac.new(client["client_secret"].encode(), message, hashlib.sha256).hexdigest()
    params = {"account_id": account_id, "client_uuid": client["client_id"], "signature": signature}
    try:
        return requests.get(url, params=params, timeout=DISCONNECT_TIMEOUT).status_code
    except requests.RequestException:
        return None
