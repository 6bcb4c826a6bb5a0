"""Query strings as PHP writes and reads them: ``filter[id][]=1&filter[id][]=2``.

amoCRM's own library builds them with ``http_build_query`` (amoCRM docs, filters-api), hence percent-encoded brackets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import quote_plus

import requests
import structlog
from requests.auth import AuthBase
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from amo_bridge.crm.rate_limiter import RateLimiter
from amo_bridge.crm.responses import no_answer, understand
from amo_bridge.crm.tokens import Tokens
from amo_bridge.errors import CrmForbidden, CrmRefused, CrmStopped, CrmTemporary, CrmUncertain

Params = Mapping[str, Any]


def php_query(params: Params) -> str:
    """Nested mappings and lists as one query string.

    A list of plain values gets empty brackets, a list of mappings gets indexes (its parts belong together), a bool is
    1 or 0, and what is None is left out.
    """
    pairs = (pair for name, value in params.items() for pair in _pairs(name, value))
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _pairs(f"{name}[{key}]", inner)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, inner in enumerate(value):
            nested = isinstance(inner, (Mapping, list, tuple))
            yield from _pairs(f"{name}[{index if nested else ''}]", inner)
    elif isinstance(value, bool):
        yield name, str(int(value))
    elif value is not None:
        yield name, str(value)


# The client of amoCRM's API: one request at a time, within the budget, every answer understood.
#
# Reads are tried again when amoCRM is busy or silent. Writes never are: amoCRM has no idempotency keys, so whoever
# writes must look first whether a lost write is there.

log = structlog.get_logger()

BATCH_SIZE: Final = 250
SMALLEST_PAGE: Final = 50
USER_AGENT: Final = "amo-bridge"
MOST_TRIES = 5
PATIENCE = 60.0
FIRST_PUSH_BACK = 1.0
LONGEST_PUSH_BACK = 60.0
GATEWAY_TIMEOUT = 504


@dataclass(frozen=True)
class Page:
    """Some rows of a list. ``ends_at``: so many rows of it are passed now; None: that was all. ``limit``: how many rows
    amoCRM could bear in one page."""

    rows: list[dict[str, Any]]
    ends_at: int | None
    limit: int


class CrmClient:
    """Asks one account. ``base_url`` has scheme and host; paths begin with ``/api/``; files are kept on
    another host of amoCRM's, whose whole address is taken as well.

    All methods raise CrmError, whose class says what to do. ``timeout``: seconds to connect and to wait for bytes.
    ``patience``: how many seconds a read may sleep between its tries altogether. ``before_send`` is called when the
    budget has let a request through, last thing before it leaves: whoever has lost the lead may raise there.
    ``server_time`` is told how each answer was dated.
    """

    batch_size = BATCH_SIZE

    def __init__(
        self,
        base_url: str,
        tokens: Tokens,
        budget: RateLimiter,
        *,
        session: requests.Session | None = None,
        timeout: tuple[float, float] = (5.0, 20.0),
        user_agent: str = USER_AGENT,
        patience: float = PATIENCE,
        before_send: Callable[[], None] | None = None,
        server_time: Callable[[datetime], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = base_url.rstrip("/")
        self._tokens = tokens
        self._budget = budget
        self._session = session or requests.Session()
        # amoCRM offers session cookies beside the token; a session of a browser is the last thing we want.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._timeout = timeout
        self._headers = {"User-Agent": user_agent, "Accept": "application/hal+json, application/json"}
        self._patience = patience
        self._before_send = before_send
        self._server_time = server_time
        self._clock = clock
        self._sleep = sleep
        self._refused_in_a_row = 0

    def get(self, path: str, params: Params | None = None) -> dict[str, Any] | None:
        """The object at a path; None when there is none or the list is empty (204)."""
        return self._read(path, params or {}, _is_temporary)

    def pages(self, path: str, params: Params | None, key: str, limit: int = BATCH_SIZE) -> Iterator[dict[str, Any]]:
        """All rows of a list, page by page; ``key`` names them under ``_embedded``.

        A list that changes meanwhile may repeat or skip rows. A page that is too heavy for amoCRM (504) is asked for
        in smaller pieces.
        """
        page = self.page(path, params, key, limit=limit)
        yield from page.rows
        while page.ends_at is not None:
            page = self.page(path, params, key, page.ends_at, page.limit)
            yield from page.rows

    def page(self, path: str, params: Params | None, key: str, passed: int = 0, limit: int = BATCH_SIZE) -> Page:
        """The rows of a list after the first ``passed``, for whoever goes on with the list later. See ``pages``."""
        while True:
            number, skip = divmod(passed, limit)
            may_shrink = limit > SMALLEST_PAGE
            retry = _is_temporary_but_not_heavy if may_shrink else _is_temporary
            try:
                answer = self._read(path, {**(params or {}), "page": number + 1, "limit": limit}, retry)
            except CrmUncertain as error:
                if error.status != GATEWAY_TIMEOUT or not may_shrink:
                    raise
                limit = max(limit // 2, SMALLEST_PAGE)
                continue
            rows = _embedded(answer, key)
            is_last = not rows or not _has_next(answer)
            return Page(rows[skip:], None if is_last else (number + 1) * limit, limit)

    def post(self, path: str, body: Any) -> Any:
        """Create. The decoded answer: an object, for leads/complex a list, None when amoCRM says nothing more."""
        return self._once("POST", path, body=body)

    def patch(self, path: str, body: Any) -> Any:
        """Change. As ``post``."""
        return self._once("PATCH", path, body=body)

    def put(self, path: str, body: Any) -> Any:
        """Attach, as files are to an entity. As ``post``."""
        return self._once("PUT", path, body=body)

    def delete(self, path: str, body: Any = None) -> Any:
        """Remove. As ``post``."""
        return self._once("DELETE", path, body=body)

    def _read(self, path: str, params: Params, retry: Callable[[BaseException], bool]) -> dict[str, Any] | None:
        tries = Retrying(
            retry=retry_if_exception(retry),
            wait=_wait,
            stop=self._gives_up,
            sleep=self._sleep,
            reraise=True,
        )
        answer = tries(self._once, "GET", path, params=params)
        if answer is None or isinstance(answer, dict):
            return answer
        raise CrmUncertain("a list where an object should be", status=200, method="GET", path=path)

    def _gives_up(self, state: RetryCallState) -> bool:
        return state.attempt_number >= MOST_TRIES or state.idle_for + state.upcoming_sleep > self._patience

    def _once(self, method: str, path: str, *, params: Params | None = None, body: Any = None) -> Any:
        """One request, and one more with another token if amoCRM does not take the first."""
        self._budget.acquire()
        token = self._token()
        try:
            return self._heard(method, path, token, params, body)
        except CrmStopped as error:
            # An account that was renamed answers at its old address with 401, or with a page saying 404.
            another = self._renewed(token) if error.status in (401, 404) else None
            if another is None:
                self._stop(error)
                raise
        self._budget.acquire()
        try:
            return self._heard(method, path, another, params, body)
        except CrmStopped as error:
            self._stop(error)
            raise

    def _token(self) -> str:
        try:
            return self._tokens.access_token()
        except CrmStopped as error:
            self._stop(error)
            raise

    def _renewed(self, token: str) -> str | None:
        try:
            return self._tokens.renew(token)
        except CrmStopped as error:
            self._stop(error)
            raise

    def _stop(self, error: CrmStopped) -> None:
        # A right that is missing for one method says nothing about the others.
        if not isinstance(error, CrmForbidden):
            self._budget.stop(error)
            log.error("amoCRM stopped us", error=str(error), kind=type(error).__name__)

    def _heard(self, method: str, path: str, token: str, params: Params | None, body: Any) -> Any:
        """Send, and tell the budget what the answer means for everybody else."""
        try:
            answer = self._sent(method, path, token, params, body)
        except CrmTemporary as error:
            if error.status == 429:
                self._push_back(error)
            raise
        except (CrmRefused, CrmForbidden):
            self._works()
            raise
        self._works()
        return answer

    def _sent(self, method: str, path: str, token: str, params: Params | None, body: Any) -> Any:
        query = php_query(params or {})
        host = "" if "://" in path else self._tokens.base_url or self.url
        url = host + path + (f"?{query}" if query else "")
        if self._before_send is not None:
            self._before_send()
        started = self._clock()
        try:
            answer = self._session.request(
                method,
                url,
                json=body,
                headers=self._headers,
                auth=_Bearer(token),
                timeout=self._timeout,
                # A redirected POST would become a GET; and no redirect is ever documented.
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise no_answer(error, method=method, path=path) from error
        log.debug(
            "amoCRM answered",
            method=method,
            path=path,
            status=answer.status_code,
            seconds=round(self._clock() - started, 3),
            request_id=answer.headers.get("X-Request-Id"),
        )
        self._note_time(answer.headers.get("Date"))
        return understand(answer, method=method, path=path)

    def _note_time(self, date: str | None) -> None:
        if self._server_time is None or not date:
            return
        try:
            self._server_time(parsedate_to_datetime(date))
        except ValueError:
            log.debug("unreadable Date header", date=date)

    def _push_back(self, error: CrmTemporary) -> None:
        """amoCRM rarely says for how long; then longer each time, because going on ends in a block."""
        grown = min(FIRST_PUSH_BACK * 2**self._refused_in_a_row, LONGEST_PUSH_BACK)
        self._refused_in_a_row = min(self._refused_in_a_row + 1, 10)
        self._budget.push_back(error.retry_after if error.retry_after is not None else grown)

    def _works(self) -> None:
        self._refused_in_a_row = 0
        if self._budget.probing:
            self._budget.resume()
            log.info("amoCRM works again")


class _Bearer(AuthBase):
    """Sets the header as requests' own login would, so that a ~/.netrc can't replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


_growing = wait_random_exponential(multiplier=0.5, max=20)


def _wait(state: RetryCallState) -> float:
    """As long as amoCRM asked for, else a growing while; chance is in it, so that processes don't march in step."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, CrmTemporary) else None
    return max(_growing(state), asked or 0.0)


def _is_temporary(error: BaseException) -> bool:
    return isinstance(error, CrmTemporary)


def _is_temporary_but_not_heavy(error: BaseException) -> bool:
    return isinstance(error, CrmTemporary) and error.status != GATEWAY_TIMEOUT


def _embedded(answer: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
    inner = (answer or {}).get("_embedded")
    rows = inner.get(key) if isinstance(inner, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _has_next(answer: dict[str, Any] | None) -> bool:
    links = (answer or {}).get("_links")
    return isinstance(links, dict) and bool(links.get("next"))
