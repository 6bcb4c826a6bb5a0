"""A program that asks the API."""

from __future__ import annotations

from typing import Any

from werkzeug.test import TestResponse

from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION
from support.pages import Pages
from support.running_bridge import RunningBridge


class Program:
    """A client with a token, or without."""

    def __init__(self, pages: Pages | RunningBridge, role: Role | None) -> None:
        self._client = pages.app.test_client()
        tokens = pages.app.extensions[EXTENSION].api_tokens
        secret = tokens.issue(f"{role} программа", role, "Анна") if role else ""
        self.headers = {"Authorization": f"Bearer {secret}"} if role else {}

    def ask(self, method: str, path: str, body: Any = None, **how: Any) -> TestResponse:
        more = {"json": body} if body is not None else {}
        return self._client.open(f"/api/v1{path}", method=method, headers=self.headers, **more, **how)

    def speak(self, language: str) -> None:
        self._client.set_cookie("language", language)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json
