"""Megaplan's API v3: tasks made and read (integrations-2.md 10.2).

A list's query is JSON as the whole query string; an answer is ``{meta: {status, errors}, data}``. A task's project
can't be named when it is made, only afterwards. Assumed: that a task is read at ``/task/{id}``, its comments at
``/task/{id}/comments`` with ``content``, ``owner`` and ``timeCreated``, and that ``auditors`` is the key of auditors.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.config.megaplan import MEGAPLAN_PASSWORD, MegaplanSection
from amo_bridge.errors import ChannelDown, ChannelRefused
from amo_bridge.logs import log

if TYPE_CHECKING:
    from requests import Response

TITLE = "Megaplan"
A_PAGE = 50
MOST_PAGES = 40
SOON_SECONDS = 60.0


class Megaplan:
    """One employee's access. ``monotonic``: seconds, for how long a token lives."""

    def __init__(
        self, section: MegaplanSection, password: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._login, self._password = section.login, password
        self._http = HttpClient(TITLE, section.api, password)
        self._monotonic = monotonic
        self._token, self._dies_at = "", 0.0

    def check(self) -> str:
        self._asked("GET", f"/api/v3/task?{_query({'limit': 1})}")
        return f"{TITLE} пускает"

    def create(self, name: str, subject: str, responsible: str, deadline: datetime, auditors: Sequence[str]) -> str:
        """The number of a new task, not yet in a project. Raises ChannelError; ChannelUncertain if it may be there."""
        body: dict[str, Any] = {
            "contentType": "Task",
            "name": name,
            "subject": subject,
            "isUrgent": False,
            "isTemplate": False,
            "responsible": {"contentType": "Employee", "id": responsible},
            "deadline": {"contentType": "DateTime", "value": deadline.isoformat()},
        }
        if auditors:
            body["auditors"] = [{"contentType": "Employee", "id": number} for number in auditors]
        return self._number(self._asked("POST", "/api/v3/task", body))

    def put_into_project(self, task: str, project: str) -> None:
        """Harmless when it is there already. Raises ChannelError."""
        self._asked("POST", f"/api/v3/task/{task}", {"parent": {"contentType": "Project", "id": project}})

    def find(self, mark: str) -> str | None:
        """The number of the task whose subject holds the mark. Raises ChannelError."""
        for row in self._pages("/api/v3/task", "Task", fields=["subject"]):
            if mark in str(row.get("subject") or ""):
                return str(row["id"])
        return None

    def status(self, task: str) -> str:
        """«assigned», «done» …; empty if there is no such task. Raises ChannelError."""
        row = self._asked("GET", f"/api/v3/task/{task}?{_query({'fields': ['status']})}", is_there=False)
        return str(row.get("status") or "") if isinstance(row, dict) else ""

    def comments(self, task: str) -> list[Mapping[str, Any]]:
        """All of them, oldest first. Raises ChannelError."""
        # Each once, even where a page is not taken to begin behind the one before: a note must not come twice.
        rows = {int(row["id"]): row for row in self._pages(f"/api/v3/task/{task}/comments", "Comment")}
        return [rows[number] for number in sorted(rows)]

    def _pages(self, path: str, kind: str, **asked: Any) -> Iterator[Mapping[str, Any]]:
        """The rows of a list, page by page. Raises ChannelDown where it has no end, ChannelError."""
        after: str | None = None
        for _ in range(MOST_PAGES):
            page = {} if after is None else {"pageAfter": {"contentType": kind, "id": after}}
            rows = self._list(f"{path}?{_query({'limit': A_PAGE, **asked, **page})}")
            yield from rows
            if len(rows) < A_PAGE:
                return
            last = str(rows[-1]["id"])
            if last == after:
                # ``pageAfter`` is known of tasks, assumed of comments; what is read so far is worth more than an error.
                log.warning("the list of Megaplan has no second page", path=path, rows=len(rows))
                return
            after = last
        raise ChannelDown(f"{TITLE}: {path} длиннее {A_PAGE * MOST_PAGES} строк, до конца список не прочитать")

    def _list(self, path: str) -> list[Mapping[str, Any]]:
        rows = self._asked("GET", path)
        if not isinstance(rows, list):
            raise self._http.unreadable(ValueError("в ответе нет списка"))
        return [row for row in rows if isinstance(row, dict) and str(row.get("id", "")).isdecimal()]

    def _number(self, row: Any) -> str:
        number = str(row.get("id", "")) if isinstance(row, dict) else ""
        if not number.isdecimal():
            raise self._http.unreadable(ValueError("в ответе нет номера задачи"))
        return number

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, is_there: bool = True) -> Any:
        response = self._with_token(method, path, body)
        if response.status_code == 401:
            # Dead before its time: nothing was done, so the same goes out once more with a new one.
            self._token = ""
            response = self._with_token(method, path, body)
        told = self._http.json_of(response)
        if told is None:
            if is_there:
                raise ChannelRefused(f"{TITLE}: 404 на {path.partition('?')[0]}")
            return None
        if not isinstance(told, dict) or "meta" not in told:
            raise self._http.unreadable(ValueError("в ответе нет meta"))
        meta = told["meta"] if isinstance(told["meta"], dict) else {}
        if errors := meta.get("errors"):
            raise ChannelRefused(f"{TITLE}: {json.dumps(errors, ensure_ascii=False)[:200]}")
        return told.get("data")

    def _with_token(self, method: str, path: str, body: Mapping[str, Any] | None) -> Response:
        headers = {"Authorization": f"Bearer {self._access()}"}
        return self._http.request(method, path, body, headers=headers)

    def _access(self) -> str:
        if self._token and self._monotonic() < self._dies_at:
            return self._token
        form = {"username": self._login, "password": self._password, "grant_type": "password"}
        response = self._http.request("POST", "/api/v3/auth/access_token", form=form)
        if response.status_code in (400, 401, 403):
            raise ChannelDown(f"{TITLE} не пускает: проверьте login и {MEGAPLAN_PASSWORD} ({response.status_code})")
        told = self._http.json_of(response)
        if not isinstance(told, dict) or not told.get("access_token"):
            raise self._http.unreadable(ValueError("в ответе нет токена"))
        lives = told.get("expires_in")
        self._token = str(told["access_token"])
        self._dies_at = self._monotonic() + (float(lives) if isinstance(lives, int | float) else 600) - SOON_SECONDS
        return self._token


def _query(asked: Mapping[str, Any]) -> str:
    return quote(json.dumps(asked, ensure_ascii=False, separators=(",", ":")))
