"""API of VK Ads: access tokens shared by all processes, requests, lead forms, webhook subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.config.advertising import VKADS_SECRET, VkAdsSection
from amo_bridge.errors import ChannelDown, ChannelError, ChannelRefused
from amo_bridge.lazy.dataclasses import dataclass

if TYPE_CHECKING:
    from requests import Response

TITLE = "VK Реклама"
MOST_LISTED = 50
"""Rows of a page of any list."""
# integrations.md 4.2: all times of the API are Moscow's.
MOSCOW = ZoneInfo("Europe/Moscow")
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
SUBSCRIPTIONS = "/api/v3/subscription.json"
LEADS = "/api/v1/lead_ads/leads.json"
CAMPAIGNS, STATISTICS = "/api/v2/ad_plans.json", "/api/v2/statistics/ad_plans/day.json"
MOST_IN_STATISTICS = 200


class KeptValues(Protocol):
    """Small secret values, as storage/secrets.py has them."""

    def read(self, key: str) -> Any: ...
    def write(self, key: str, value: Any) -> None: ...


class OwnValues:
    """Kept no longer than the program runs."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def read(self, key: str) -> Any:
        return self._values.get(key)

    def write(self, key: str, value: Any) -> None:
        self._values[key] = value


class VkTokens:
    """The access token, shared by all processes: VK gives five of them and refuses a sixth, and renewing one kills the
    old. ``lock`` keeps the other processes out meanwhile."""

    def __init__(
        self,
        http: HttpClient,
        client_id: str,
        secret: str,
        values: KeptValues | None = None,
        lock: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._http = http
        self._client_id = client_id
        self._secret = secret
        self._values = values or OwnValues()
        self._lock = lock

    def get(self, dead: str = "") -> str:
        """The token; another one than ``dead``. Raises ChannelError."""
        with self._lock():
            kept = self._values.read(self._key) or {}
            if kept.get("access") and kept["access"] != dead:
                return str(kept["access"])
            told = self._renewed(str(kept.get("refresh") or "")) or self._asked("client_credentials")
            self._values.write(self._key, {"access": told["access_token"], "refresh": told.get("refresh_token", "")})
            return str(told["access_token"])

    @property
    def _key(self) -> str:
        return f"vkads:{self._client_id}"

    def _renewed(self, refresh: str) -> Mapping[str, Any] | None:
        """None if the token for renewing is dead too."""
        try:
            return self._asked("refresh_token", refresh_token=refresh) if refresh else None
        except ChannelDown:
            return None

    def _asked(self, grant: str, **more: str) -> Mapping[str, Any]:
        form = {"grant_type": grant, "client_id": self._client_id, "client_secret": self._secret, **more}
        response = self._http.request("POST", "/api/v2/oauth2/token.json", form=form)
        if response.status_code == 403:
            raise ChannelDown(f"VK Ads не даёт токен: их уже пять, удалите лишние в кабинете ({response.text[:80]})")
        if response.status_code in (400, 401):
            raise ChannelDown(f"VK Ads не даёт токен, проверьте client_id и {VKADS_SECRET}: {response.text[:80]}")
        told = self._http.json_of(response)
        if not isinstance(told, dict) or not told.get("access_token"):
            raise self._http.unreadable(ValueError("в ответе нет токена"))
        return told


@dataclass(frozen=True)
class LeadsPage:
    """``total``: how many leads there are on all pages."""

    leads: Sequence[Mapping[str, Any]]
    total: int


class VkAdsApi:
    """One user of the API. ``values`` and ``lock``: where the token lies, see VkTokens."""

    def __init__(
        self,
        section: VkAdsSection,
        secret: str,
        values: KeptValues | None = None,
        lock: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._http = HttpClient(TITLE, section.api, secret)
        self._tokens = VkTokens(self._http, section.client_id, secret, values, lock)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """The answer's JSON; None for 404 to a GET. ``more``: as HttpClient.request. Raises ChannelError."""
        return self._http.json_of(self._answer(method, path, body, **more))

    def unreadable(self, error: Exception) -> ChannelError:
        """See HttpClient."""
        return self._http.unreadable(error)

    # --- lead forms (integrations-2.md 2.5) ---

    def lead_forms(self) -> dict[int, str]:
        """Number → name of the forms, as far as one page tells them. Raises ChannelError."""
        told = self._listed("/api/v1/lead_ads/lead_forms.json", limit=str(MOST_LISTED))
        return {int(form["id"]): str(form.get("name", "")) for form in items_in(told) if _is_number(form.get("id"))}

    def leads(
        self, since: datetime, until: datetime | None, forms: Sequence[int] = (), *, passed: int = 0
    ) -> LeadsPage:
        """Leads of these forms (all, if none is named), the newest first, after the first ``passed``. Raises
        ChannelError; ChannelRefused where this cabinet has no such list."""
        asked = {"limit": str(MOST_LISTED), "offset": str(passed), "sorting": "-created_at"}
        asked["_created_at__gte"] = since.astimezone(MOSCOW).strftime(TIME_FORMAT)
        if until is not None:
            asked["_created_at__lte"] = until.astimezone(MOSCOW).strftime(TIME_FORMAT)
        if forms:
            asked["_form_ids__in"] = ",".join(map(str, forms))
        told = self._listed(LEADS, **asked)
        leads, total = items_in(told), told.get("count")
        return LeadsPage(leads, total if isinstance(total, int) else passed + len(leads))

    # --- statistics (integrations-2.md 6) ---

    def campaigns(self) -> dict[int, str]:
        """Number → name of all campaigns. Raises ChannelError.

        Assumed: that they are listed at ad_plans.json as other lists are; documents show their statistics only."""
        found: dict[int, str] = {}
        while True:
            told = self._listed(CAMPAIGNS, limit=str(MOST_LISTED), offset=str(len(found)))
            page = {int(one["id"]): str(one.get("name", "")) for one in items_in(told) if _is_number(one.get("id"))}
            is_news = bool(page.keys() - found.keys())
            found |= page
            total = told.get("count")
            if not is_news or (isinstance(total, int) and len(found) >= total):
                return found

    def statistics(self, campaigns: Sequence[int], first: date, last: date) -> list[Mapping[str, Any]]:
        """Items with ``id`` and ``rows`` by day, for at most 200 campaigns and 366 days. Raises ChannelError."""
        asked = {"id": ",".join(map(str, campaigns)), "date_from": f"{first}", "date_to": f"{last}"}
        return items_in(self._listed(STATISTICS, **asked, metrics="base,events"))

    def subscriptions(self) -> list[Mapping[str, Any]]:
        """The webhooks that are set. Raises ChannelError."""
        return items_in(self._listed(SUBSCRIPTIONS, limit=str(MOST_LISTED)))

    def subscribe(self, url: str) -> None:
        """Have leads posted there. Raises ChannelError.

        Documents disagree what leads are called there (2.5): LEAD is tried, and what the refusal allows instead.
        """
        response = self._subscribed("LEAD", url)
        if response.status_code == 400 and (other := _allowed_resource(response)):
            response = self._subscribed(other, url)
        self._http.json_of(response)

    def _subscribed(self, resource: str, url: str) -> Response:
        return self._answer("POST", SUBSCRIPTIONS, {"resource": resource, "callback_url": url})

    def _listed(self, path: str, **asked: str) -> Mapping[str, Any]:
        told = self.ask("GET", f"{path}?{urlencode(asked, quote_via=quote)}")
        if told is None:
            raise ChannelRefused(f"{TITLE}: 404, этому доступу к API {path} не отдаётся")
        if isinstance(told, list):
            return {"count": len(told), "items": told}
        if not isinstance(told, dict) or not isinstance(told.get("items"), list):
            # An error with status 200 is one too.
            error = told.get("error") if isinstance(told, dict) else None
            if error:
                raise ChannelRefused(f"{TITLE}: {str(error)[:200]}")
            raise self._http.unreadable(ValueError(f"в ответе {path} нет списка"))
        return told

    def _answer(self, method: str, path: str, body: Mapping[str, Any] | None = None, **more: Any) -> Response:
        token = self._tokens.get()
        response = self._with(token, method, path, body, **more)
        if response.status_code == 401:
            # Dead in the middle of the work: nothing was taken, so the same goes out once more with a new one.
            response = self._with(self._tokens.get(dead=token), method, path, body, **more)
        return response

    def _with(self, token: str, method: str, path: str, body: Mapping[str, Any] | None, **more: Any) -> Response:
        return self._http.request(method, path, body, headers={"Authorization": f"Bearer {token}"}, **more)


def items_in(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of a list."""
    rows = told.get("items")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _allowed_resource(response: Response) -> str:
    """What of the refusal's ``allowed_values`` is about leads; empty if nothing is."""
    try:
        field = response.json()["error"]["fields"]["resource"]
        allowed = field.get("allowed_values") if isinstance(field, dict) else None
    except (ValueError, LookupError, TypeError):
        return ""
    names = [str(one) for one in allowed] if isinstance(allowed, list) else []
    return next((name for name in names if "LEAD" in name.upper() and name != "LEAD"), "")


def _is_number(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.isdecimal())
