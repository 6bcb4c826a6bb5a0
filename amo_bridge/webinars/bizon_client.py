"""Bizon365's API: the viewers of a report, page by page.

``GET webinars/reports/getviewers?webinarId&skip&limit(≤1000)`` with the token in ``X-Token`` answers ``{errors: [],
viewers: […], total, skip, limit, loaded}`` (fixtures of slavkluev/bizon365-api-php). Nothing is known of its limits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import requests

from amo_bridge.errors import BridgeError

PATH = "/api/v1/webinars/reports/getviewers"
TIMEOUT = (10.0, 30.0)
A_PAGE = 1000
MOST_PAGES = 100
WRONG_TOKEN = (401, 403)
NO_TOKEN = "токен Бизон365 не задан: впишите его на странице «Вебинары»"


class BizonError(BridgeError):
    """The report can't be had just now: why, and what to do (Russian). ``retry_after``: seconds, if Bizon365 said."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Bizon:
    """``api``: the address without a path, «https://online.bizon365.ru»."""

    def __init__(self, api: str, token: str, *, timeout: tuple[float, float] = TIMEOUT) -> None:
        self._url = api.rstrip("/") + PATH
        self._token = token
        self._timeout = timeout

    def viewers(self, webinar_id: str) -> bytes:
        """All viewers of a report: JSON as ``webinars/formats/bizon.py`` reads it. Raises BizonError."""
        if not self._token:
            raise BizonError(NO_TOKEN)
        pages: list[Mapping[str, Any]] = []
        with requests.Session() as session:
            # Neither proxies of the environment nor a netrc: they would replace or see the token.
            session.trust_env = False
            while len(pages) < MOST_PAGES:
                page = self._page(session, webinar_id, sum(len(one["viewers"]) for one in pages))
                pages.append(page)
                if _is_last(pages):
                    viewers = [{"viewers": one["viewers"]} for one in pages]
                    return json.dumps(viewers, ensure_ascii=False).encode()
        raise BizonError(f"зрителей больше {MOST_PAGES * A_PAGE}: выгрузите отчёт в Excel и загрузите файлом")

    def _page(self, session: requests.Session, webinar_id: str, skip: int) -> Mapping[str, Any]:
        asked: dict[str, str | int] = {"webinarId": webinar_id, "skip": skip, "limit": A_PAGE}
        try:
            # A redirect would carry the token to whoever it leads to.
            answer = session.get(
                self._url, params=asked, headers={"X-Token": self._token}, timeout=self._timeout, allow_redirects=False
            )
        except requests.RequestException as error:
            raise BizonError(f"Бизон365 не отвечает ({type(error).__name__})") from error
        _check(answer)
        return _report_of(answer)


def _check(answer: requests.Response) -> None:
    if answer.status_code in WRONG_TOKEN:
        raise BizonError(
            f"Бизон365 не принял токен ({answer.status_code}): создайте новый и впишите его на странице «Вебинары»"
        )
    if answer.status_code == 404:
        raise BizonError("такого отчёта у Бизон365 нет (404): может быть, он ещё не готов")
    if answer.status_code == 429:
        after = answer.headers.get("Retry-After", "")
        raise BizonError("Бизон365 просит спрашивать реже (429)", retry_after=float(after) if after.isdigit() else None)
    if answer.status_code != 200:
        raise BizonError(f"Бизон365 сейчас не отвечает как надо ({answer.status_code})")


def _report_of(answer: requests.Response) -> Mapping[str, Any]:
    try:
        told = answer.json()
    except ValueError as error:
        raise BizonError("Бизон365 прислал вместо отчёта что-то другое, похоже на страницу сайта") from error
    if not isinstance(told, Mapping):
        raise BizonError("Бизон365 прислал отчёт незнакомого вида")
    if errors := told.get("errors"):
        raise BizonError(f"Бизон365 ответил ошибкой: {str(errors)[:200]}")
    if not isinstance(told.get("viewers"), list):
        raise BizonError("в ответе Бизон365 нет зрителей: отчёт, может быть, ещё не готов")
    return told


def _is_last(pages: list[Mapping[str, Any]]) -> bool:
    """By ``total``, where it is told; a page that is not full ends it too."""
    last, total = pages[-1], pages[-1].get("total")
    if not last["viewers"]:
        return True
    if isinstance(total, int):
        return sum(len(one["viewers"]) for one in pages) >= total
    return len(last["viewers"]) < A_PAGE
