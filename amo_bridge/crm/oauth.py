"""OAuth of an integration: the consent page, tokens for a code, the disconnect webhook.

A code or a refresh token goes in, a new pair comes out (amoCRM docs, oauth/oauth, oauth/step-by-step).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from amo_bridge.crm.responses import TOKEN_PATH, no_answer, understand
from amo_bridge.errors import CrmError, CrmRefused, CrmUnauthorized, CrmUncertain

if TYPE_CHECKING:
    import requests

# The end of an account's host → the site that asks its administrator for consent.
CONSENT_SITES: Mapping[str, str] = {
    ".amocrm.ru": "https://www.amocrm.ru",
    ".amocrm.com": "https://www.kommo.com",
    ".kommo.com": "https://www.kommo.com",
}


def authorize_url(account_url: str, client_id: str, state: str) -> str:
    """The consent page, to be opened in a browser. An account on another host (a local amoCRM) has it itself."""
    host = urlsplit(account_url).hostname or ""
    page = next((page for end, page in CONSENT_SITES.items() if host.endswith(end)), account_url)
    return f"{page}/oauth?{urlencode({'client_id': client_id, 'state': state})}"


def is_of_account(referer: str, account_url: str) -> bool:
    """Is ``referer``, as it comes back with a code, this account's bare host?"""
    account = urlsplit(account_url)
    return referer.strip().lower() in (account.netloc.lower(), (account.hostname or "").lower())


def is_signed(params: Mapping[str, str], client_secret: str) -> bool:
    """Was the disconnect webhook signed with the integration's secret?

    The docs name the integration's parameter ``client_uuid`` in the sample and ``client_id`` in the text.
    """
    integration = client_of(params)
    message = f"{integration}|{params.get('account_id', '')}".encode()
    expected = hmac.new(client_secret.encode(), message, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), params.get("signature", "").strip().lower().encode())


def client_of(params: Mapping[str, str]) -> str:
    """The integration's id in the disconnect webhook."""
    return params.get("client_uuid") or params.get("client_id", "")


# --- tokens -----------------------------------------------------------------------------------------------------------

TIMEOUT = (5.0, 20.0)
SUBDOMAIN_PATH = "/oauth2/account/current/subdomain"

RECONNECT = "подключите аккаунт заново"
# Refusals are told apart by amoCRM's hint. The texts beside it are Russian, change, and are never looked at.
ADVICE: Mapping[str, str] = {
    "token has been revoked": f"Доступ к amoCRM отозван или уже обновлён в другом месте: {RECONNECT}",
    "invalid refresh token": f"amoCRM не узнаёт наш токен обновления: {RECONNECT}",
    "authorization code has expired": "Код подключения действует 20 минут и устарел: получите новый",
    "authorization code has been revoked": "Код подключения уже использован: получите новый",
    "cannot decrypt the authorization code": "Код подключения скопирован не целиком или от другой интеграции",
    "check the client_id parameter": "ID интеграции указан неверно",
    "check the client_secret parameter": "Секретный ключ интеграции указан неверно",
    "redirect uri is not associated with client": "Ссылка перенаправления не такая, как в настройках интеграции",
    "invalid account": "По этому адресу другой аккаунт: проверьте адрес аккаунта",
}
# What amoCRM says of a refresh token that brings no new pair, today or tomorrow.
SPENT_HINTS = frozenset({"token has been revoked", "invalid refresh token"})
OTHERWISE = f"amoCRM не принимает ключи интеграции или токен: проверьте ключи и {RECONNECT}"


class OAuth:
    """The keys of one integration, with the requests that need them. Secrets show in no repr and no exception."""

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
        session: requests.Session | None = None,
        *,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self._keys = {"client_id": client_id, "client_secret": client_secret, "redirect_uri": redirect_uri}
        # Only here: whoever reads what is kept of a connection asks nobody.
        from requests import RequestException, Session

        self._session = session or Session()
        self._no_answer = RequestException
        self._timeout = timeout

    def by_code(self, base_url: str, code: str) -> dict[str, Any]:
        """amoCRM's answer to a code from the browser. Raises CrmUnauthorized (with words for the user), CrmError."""
        return self._token(base_url, {"grant_type": "authorization_code", "code": code})

    def by_refresh_token(self, base_url: str, refresh_token: str) -> dict[str, Any]:
        """amoCRM's answer to a refresh token, which is used up by this. Raises as ``by_code``."""
        return self._token(base_url, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    def current_base_url(self, base_url: str, access_token: str, refresh_token: str) -> str | None:
        """The account's present address: it may have been renamed (amoCRM docs, oauth/account-subdomain-info). None if
        that can't be found out.

        The shared host to ask is named by the access token itself. Does not use the refresh token up.
        """
        host = claims(access_token).get("api_domain")
        if not isinstance(host, str) or not host:
            return None
        scheme = urlsplit(base_url).scheme
        headers = {"X-Refresh-Token": refresh_token}
        try:
            answer = self._send("GET", f"{scheme}://{host}", SUBDOMAIN_PATH, headers=headers)
        except CrmError:
            # The caller reports the refusal that led here, not this one.
            return None
        domain = answer.get("domain") if isinstance(answer, dict) else None
        return f"{scheme}://{domain}" if isinstance(domain, str) and domain else None

    def _token(self, base_url: str, grant: dict[str, str]) -> dict[str, Any]:
        try:
            tokens = self._send("POST", base_url, TOKEN_PATH, json={**self._keys, **grant})
        except (CrmUnauthorized, CrmRefused) as error:
            raise describe(error) from error
        if not isinstance(tokens, dict) or not tokens.get("access_token") or not tokens.get("refresh_token"):
            raise CrmUncertain("an answer without tokens", status=200, method="POST", path=TOKEN_PATH)
        return tokens

    def _send(self, method: str, base_url: str, path: str, **more: Any) -> Any:
        try:
            answer = self._session.request(
                method, base_url + path, timeout=self._timeout, allow_redirects=False, auth=_no_login, **more
            )
        except self._no_answer as error:
            raise no_answer(error, method=method, path=path) from error
        return understand(answer, method=method, path=path)


def _no_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from adding a login out of a ~/.netrc."""
    return request


def describe(error: CrmError) -> CrmUnauthorized:
    """A refusal of a code or token, in words for the user; status and hint stay for the log."""
    hint = " ".join((error.hint or "").replace("`", "").lower().split())
    words = ADVICE.get(hint, OTHERWISE)
    return CrmUnauthorized(
        words, status=error.status, hint=error.hint, request_id=error.request_id, method=error.method, path=error.path
    )


def claims(token: str) -> dict[str, Any]:
    """The claims of a JWT, unverified (amoCRM publishes no key); empty for anything that is not a JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def expiry(token: str) -> float | None:
    """When the token expires by amoCRM's clock (Unix seconds), if it says so."""
    moment = claims(token).get("exp")
    return float(moment) if isinstance(moment, (int, float)) and not isinstance(moment, bool) else None
