"""A service account of Google: access tokens for an assertion that its own key has signed (RFC 7523).

The assertion is signed here (RS256): Google's libraries would weigh more than the bridge itself.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.errors import ChannelDown

if TYPE_CHECKING:
    from requests import Response

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SPARE_SECONDS = 120


class GoogleAccount:
    """``service``: whose API the token is for, as errors name it; ``variable``: where the key stands, for who has to
    mend it; ``scope``: what is asked for. A token is kept until it is about to end."""

    def __init__(self, service: str, key: str, variable: str, scope: str, token_url: str, http: HttpClient) -> None:
        self._service = service
        self._key = key
        self._variable = variable
        self._scope = scope
        self._token_url = token_url
        self._http = http
        self._token = ""
        self._token_until = 0.0

    @property
    def email(self) -> str:
        """To whom people have to open what the bridge is to reach. Raises ChannelDown."""
        return self._parts()["client_email"]

    def token(self, *, anew: bool = False) -> str:
        """``anew``: the one before was refused. Raises ChannelError."""
        if anew or time.time() >= self._token_until:
            parts = self._parts()
            now = int(time.time())
            claims = {
                "iss": parts["client_email"], "scope": self._scope, "aud": self._token_url, "iat": now,
                "exp": now + 3600,
            }  # fmt: skip
            form = {"grant_type": GRANT, "assertion": self._signed(claims, parts["private_key"])}
            answer = self._http.request("POST", self._token_url, form=form)
            told = json_of(answer)
            if not answer.ok or not told.get("access_token"):
                words = f"{self._service}: {answer.status_code} {told.get('error', '')}".strip()
                if answer.status_code >= 500 or answer.status_code == 429:
                    raise ChannelDown(words)
                raise ChannelDown(f"{words}: ключ не пускает, проверьте {self._variable} и часы сервера")
            self._token = str(told["access_token"])
            self._token_until = now + float(told.get("expires_in") or 3600) - SPARE_SECONDS
        return self._token

    def _parts(self) -> dict[str, str]:
        try:
            told = json.loads(self._key)
            return {"client_email": str(told["client_email"]), "private_key": str(told["private_key"])}
        except (ValueError, TypeError, KeyError):
            raise ChannelDown(
                f"{self._variable}: это не ключ сервисного аккаунта (файл JSON из консоли Google)"
            ) from None

    def _signed(self, claims: Mapping[str, Any], pem: str) -> str:
        """The claims with the key's signature (RFC 7515, RS256)."""
        try:
            key = serialization.load_pem_private_key(pem.encode(), None)
        except ValueError:
            raise ChannelDown(f"{self._variable}: private_key не читается") from None
        if not isinstance(key, RSAPrivateKey):
            raise ChannelDown(f"{self._variable}: private_key не RSA")
        told = ".".join(_part_of_jwt(one) for one in ({"alg": "RS256", "typ": "JWT"}, claims))
        signature = key.sign(told.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{told}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def json_of(answer: Response) -> dict[str, Any]:
    """The answer's object; empty if it holds none."""
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _part_of_jwt(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part, separators=(",", ":")).encode()).rstrip(b"=").decode()
