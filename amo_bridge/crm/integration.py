"""What an integration does outside the API: the page where an administrator lets it in, and the hook when he switches
it off (amoCRM docs, oauth/step-by-step)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

# Where an account's host ends → who asks its administrator.
PAGES: Mapping[str, str] = {
    ".amocrm.ru": "https://www.amocrm.ru",
    ".amocrm.com": "https://www.kommo.com",
    ".kommo.com": "https://www.kommo.com",
}


def authorize_url(account_url: str, client_id: str, state: str) -> str:
    """The page to open in a browser. An account on any other host (a local amoCRM) has the page itself."""
    host = urlsplit(account_url).hostname or ""
    page = next((page for end, page in PAGES.items() if host.endswith(end)), account_url)
    return f"{page}/oauth?{urlencode({'client_id': client_id, 'state': state})}"


def is_of_account(referer: str, account_url: str) -> bool:
    """Is ``referer``, as it comes back with a code, this account's bare host?"""
    account = urlsplit(account_url)
    return referer.strip().lower() in (account.netloc.lower(), (account.hostname or "").lower())


def is_signed(told: Mapping[str, str], client_secret: str) -> bool:
    """Does the disconnect hook come from somebody who knows the integration's secret?

    The docs name the integration's parameter ``client_uuid`` in the sample and ``client_id`` in the text.
    """
    integration = client_of(told)
    message = f"{integration}|{told.get('account_id', '')}".encode()
    expected = hmac.new(client_secret.encode(), message, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), told.get("signature", "").strip().lower().encode())


def client_of(told: Mapping[str, str]) -> str:
    """The integration's id in the disconnect hook."""
    return told.get("client_uuid") or told.get("client_id", "")
