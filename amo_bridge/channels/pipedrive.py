"""Pipedrive's API, read only: deals, activities, users (integrations-2.md 10.3).

Deals and activities come from API v2 by a cursor, oldest change first. Calls are activities of type call: the list of
calls itself shows the token's owner alone. Assumed: that users stand at ``/v1/users`` with their mail, and that deals
are sorted by ``update_time`` as activities are; that ``ids`` picks activities as it does deals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlencode

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.config.other_crms import PIPEDRIVE_TOKEN, PipedriveSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelRefused
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import chunks

TITLE = "Pipedrive"
A_PAGE = 500
MOST_IDS = 100
Kind = Literal["activities", "deals"]
KINDS: tuple[Kind, ...] = ("activities", "deals")


@dataclass(frozen=True)
class Page:
    """``following``: the cursor of the next page; empty for the last one."""

    items: Sequence[Mapping[str, Any]]
    following: str


class Pipedrive:
    """One company's."""

    def __init__(self, section: PipedriveSection, token: str) -> None:
        self._http = HttpClient(TITLE, section.api, token, headers={"x-api-token": token})

    def check(self) -> str:
        return f"{TITLE} пускает, сотрудников там {len(self.users())}"

    def users(self) -> list[Mapping[str, Any]]:
        """All users. Raises ChannelError."""
        return self._asked("/v1/users")[0]

    def page(self, kind: Kind, since: datetime | None, cursor: str = "") -> Page:
        """What was changed since then, the oldest first. Raises ChannelError."""
        asked = {"sort_by": "update_time", "sort_direction": "asc", "limit": str(A_PAGE)}
        if since is not None:
            asked["updated_since"] = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        if cursor:
            asked["cursor"] = cursor
        items, more = self._asked(f"/api/v2/{kind}?{urlencode(asked)}")
        return Page(items, str(more.get("next_cursor") or ""))

    def present(self, kind: Kind, numbers: Sequence[int]) -> set[int]:
        """Those of these things that are there and not deleted. Raises ChannelError."""
        found: set[int] = set()
        for some in chunks(numbers, MOST_IDS):
            items, _ = self._asked(f"/api/v2/{kind}?{urlencode({'ids': ','.join(map(str, some)), 'limit': MOST_IDS})}")
            found |= {one["id"] for one in items if isinstance(one.get("id"), int) and not one.get("is_deleted")}
        return found

    def _asked(self, path: str) -> tuple[list[Mapping[str, Any]], Mapping[str, Any]]:
        told = self._http.ask("GET", path)
        if told is None:
            raise ChannelDown(f"{TITLE}: 404 на {path.partition('?')[0]}; проверьте api в [pipedrive]")
        if not isinstance(told, dict) or not told.get("success"):
            words = f"{TITLE}: {told.get('error') if isinstance(told, dict) else ''} {_code(told)}".strip()
            raise self._error(words, _code(told))
        items, more = told.get("data") or [], told.get("additional_data")
        if not isinstance(items, list):
            raise self._http.unreadable(ValueError("в ответе нет списка"))
        return [one for one in items if isinstance(one, dict)], more if isinstance(more, dict) else {}

    @staticmethod
    def _error(words: str, code: str) -> Exception:
        """An error may come with status 200 too."""
        if "401" in code or "403" in code:
            return ChannelDown(f"{words}; проверьте {PIPEDRIVE_TOKEN}")
        return ChannelBusy(words) if "429" in code else ChannelRefused(words)


def _code(told: Any) -> str:
    return str(told.get("code") or told.get("errorCode") or "") if isinstance(told, dict) else ""


def moment_of(text: Any) -> datetime | None:
    """«2026-11-29T09:00:00Z», or «2026-11-29 09:00:00» in UTC."""
    try:
        found = datetime.fromisoformat(str(text).strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def pages(pipedrive: Pipedrive, kind: Kind, since: datetime | None) -> Iterator[Page]:
    """One page after the other. Raises ChannelError."""
    cursor, seen = "", set[str]()
    while True:
        page = pipedrive.page(kind, since, cursor)
        yield page
        if not page.following:
            return
        if page.following in seen:
            raise ChannelDown(f"{TITLE}: список {kind} ходит по кругу")
        seen.add(page.following)
        cursor = page.following
