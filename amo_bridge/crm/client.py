"""HTTP client of amoCRM's API: one request at a time, through the rate limiter.

Reads are tried again when amoCRM is busy or silent. Writes never are: amoCRM has no idempotency keys, so a lost write
must be looked for first (crm/writes.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote_plus, urljoin, urlsplit

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from amo_bridge.crm.rate_limiter import RateLimiter
from amo_bridge.crm.responses import no_answer, understand
from amo_bridge.crm.tokens import Tokens
from amo_bridge.errors import CrmError, CrmForbidden, CrmRefused, CrmStopped, CrmTemporary, CrmUncertain
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log

if TYPE_CHECKING:
    import requests

Params = Mapping[str, Any]
T = TypeVar("T")


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items in pieces of at most ``size``, as one request (or one statement) may hold."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def php_query(params: Params) -> str:
    """Nested mappings and lists as one query string, as PHP reads it: ``filter[id][]=1&filter[id][]=2``.

    amoCRM's own library uses ``http_build_query`` (amoCRM docs, filters-api), hence percent-encoded brackets.
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


# --- the client -------------------------------------------------------------------------------------------------------


BATCH_SIZE: Final = 250
MIN_PAGE_SIZE: Final = 50
USER_AGENT: Final = "amo-bridge"
MAX_REDIRECTS = 5
MAX_TRIES = 5
MAX_RETRY_WAIT_SECONDS = 60.0
FIRST_PUSH_BACK_SECONDS = 1.0
MAX_PUSH_BACK_SECONDS = 60.0
GATEWAY_TIMEOUT = 504


@dataclass(frozen=True)
class Page:
    """Some rows of a list. ``ends_at``: so many rows of it are read now; None: that was all. ``limit``: how many rows
    amoCRM could bear in one page."""

    rows: list[dict[str, Any]]
    ends_at: int | None
    limit: int


class CrmClient:
    """The API of one account. ``base_url`` has scheme and host; paths begin with ``/api/``; files are on another host
    of amoCRM's, whose whole address is taken as well.

    All methods raise CrmError, whose class says what to do. ``timeout``: seconds to connect and to wait for bytes.
    ``max_retry_wait``: how many seconds a read may sleep between its tries altogether. ``before_send`` is called when
    the rate limiter has let a request through, last thing before it leaves: a lost leadership is raised there.
    ``server_time`` is called with the date of each answer.
    """

    batch_size = BATCH_SIZE

    def __init__(
        self,
        base_url: str,
        tokens: Tokens,
        rate_limiter: RateLimiter,
        *,
        session: requests.Session | None = None,
        timeout: tuple[float, float] = (5.0, 20.0),
        user_agent: str = USER_AGENT,
        max_retry_wait: float = MAX_RETRY_WAIT_SECONDS,
        before_send: Callable[[], None] | None = None,
        server_time: Callable[[datetime], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = base_url.rstrip("/")
        self._tokens = tokens
        self._rate_limiter = rate_limiter
        # Only here: what is imported for an account's names, or for the shape of a write, asks nobody.
        from requests import RequestException, Session

        self._session = session or Session()
        self._no_answer = RequestException
        # amoCRM offers session cookies beside the token; with them a request would count as a browser's.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._timeout = timeout
        self._headers = {"User-Agent": user_agent, "Accept": "application/hal+json, application/json"}
        self._max_retry_wait = max_retry_wait
        self._before_send = before_send
        self._server_time = server_time
        self._clock = clock
        self._sleep = sleep
        self._push_backs = 0

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

    def page(self, path: str, params: Params | None, key: str, start: int = 0, limit: int = BATCH_SIZE) -> Page:
        """Some rows of a list after the first ``start``, to go on with the list later. See ``pages``."""
        while True:
            number, skip = divmod(start, limit)
            may_shrink = limit > MIN_PAGE_SIZE
            retry = _is_temporary_but_not_heavy if may_shrink else _is_temporary
            try:
                answer = self._read(path, {**(params or {}), "page": number + 1, "limit": limit}, retry)
            except CrmUncertain as error:
                if error.status != GATEWAY_TIMEOUT or not may_shrink:
                    raise
                limit = max(limit // 2, MIN_PAGE_SIZE)
                continue
            rows = _embedded(answer, key)
            is_last = not rows or not _has_next(answer)
            return Page(rows[skip:], None if is_last else (number + 1) * limit, limit)

    def post(self, path: str, body: Any) -> Any:
        """Create. The decoded answer: an object, for leads/complex a list, None when amoCRM says nothing more."""
        return self._request("POST", path, body=body)

    def patch(self, path: str, body: Any) -> Any:
        """Change. As ``post``."""
        return self._request("PATCH", path, body=body)

    def upload(self, url: str, part: bytes) -> Any:
        """Send raw bytes, as the files service takes them. As ``post``."""
        return self._request("POST", url, body=part)

    @contextmanager
    def streamed(self, url: str, *, with_token: bool = False) -> Iterator[requests.Response]:
        """The 2xx answer at a full address, its body to be read piece by piece; redirects are followed.

        ``with_token``: show the token to the address itself; a redirect to another host never gets it. Raises
        CrmRefused for an address that serves nothing (any more), CrmTemporary, CrmStopped."""
        auth = _Bearer(self._token()) if with_token else None
        for _ in range(MAX_REDIRECTS):
            self._rate_limiter.acquire()
            try:
                answer = self._session.get(
                    url,
                    # As it lies there: packed, it would be of another length than the file.
                    headers={"User-Agent": self._headers["User-Agent"], "Accept-Encoding": "identity"},
                    auth=auth or _Anonymous(),
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                )
            except self._no_answer as error:
                raise no_answer(error, method="GET", path=urlsplit(url).path) from error
            with answer:
                if answer.is_redirect:
                    target = urljoin(url, answer.headers["Location"])
                    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
                        raise CrmRefused("redirected from https to an open address", status=answer.status_code)
                    auth = auth if urlsplit(target).netloc == urlsplit(url).netloc else None
                    url = target
                    continue
                if not answer.ok:
                    raise _no_stream(answer, urlsplit(url).path)
                yield answer
                return
        raise CrmRefused("redirected in a circle", method="GET", path=urlsplit(url).path)

    def put(self, path: str, body: Any) -> Any:
        """Attach, as files are to an entity. As ``post``."""
        return self._request("PUT", path, body=body)

    def delete(self, path: str, body: Any = None) -> Any:
        """Remove. As ``post``."""
        return self._request("DELETE", path, body=body)

    def _read(self, path: str, params: Params, retry: Callable[[BaseException], bool]) -> dict[str, Any] | None:
        tries = Retrying(
            retry=retry_if_exception(retry),
            wait=_wait,
            stop=self._is_out_of_tries,
            sleep=self._sleep,
            reraise=True,
        )
        answer = tries(self._request, "GET", path, params=params)
        if answer is None or isinstance(answer, dict):
            return answer
        raise CrmUncertain("a list where an object should be", status=200, method="GET", path=path)

    def _is_out_of_tries(self, state: RetryCallState) -> bool:
        return state.attempt_number >= MAX_TRIES or state.idle_for + state.upcoming_sleep > self._max_retry_wait

    def _request(self, method: str, path: str, *, params: Params | None = None, body: Any = None) -> Any:
        """Send one request, and one more with another token if amoCRM does not accept the first."""
        self._rate_limiter.acquire()
        token = self._token()
        try:
            return self._try(method, path, token, params, body)
        except CrmStopped as error:
            # An account that was renamed answers at its old address with 401, or with a page saying 404.
            another = self._renewed(token) if error.status in (401, 404) else None
            if another is None:
                self._open_breaker(error)
                raise
        self._rate_limiter.acquire()
        try:
            return self._try(method, path, another, params, body)
        except CrmStopped as error:
            self._open_breaker(error)
            raise

    def _token(self) -> str:
        try:
            return self._tokens.access_token()
        except CrmStopped as error:
            self._open_breaker(error)
            raise

    def _renewed(self, token: str) -> str | None:
        try:
            return self._tokens.renew(token)
        except CrmStopped as error:
            self._open_breaker(error)
            raise

    def _open_breaker(self, error: CrmStopped) -> None:
        # A right that is missing for one method says nothing about the others.
        if not isinstance(error, CrmForbidden):
            self._rate_limiter.stop(error)
            log.error("amoCRM stopped us", error=str(error), kind=type(error).__name__)

    def _try(self, method: str, path: str, token: str, params: Params | None, body: Any) -> Any:
        """Send, and let the rate limiter know what the answer means for all other requests."""
        try:
            answer = self._send(method, path, token, params, body)
        except CrmTemporary as error:
            if error.status == 429:
                self._push_back(error)
            raise
        except (CrmRefused, CrmForbidden):
            self._note_success()
            raise
        self._note_success()
        return answer

    def _send(self, method: str, path: str, token: str, params: Params | None, body: Any) -> Any:
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
                json=None if isinstance(body, bytes) else body,
                data=body if isinstance(body, bytes) else None,
                headers=self._headers,
                auth=_Bearer(token),
                timeout=self._timeout,
                # A redirected POST would become a GET; and no redirect is ever documented.
                allow_redirects=False,
            )
        except self._no_answer as error:
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
        """Slow all requests down: as amoCRM asks, else longer each time, because going on ends in a block."""
        grown = min(FIRST_PUSH_BACK_SECONDS * 2**self._push_backs, MAX_PUSH_BACK_SECONDS)
        self._push_backs = min(self._push_backs + 1, 10)
        self._rate_limiter.push_back(error.retry_after if error.retry_after is not None else grown)

    def _note_success(self) -> None:
        self._push_backs = 0
        if self._rate_limiter.probing:
            self._rate_limiter.resume()
            log.info("amoCRM works again")


class _Bearer:
    """Sets the header as requests' own login would, so that a ~/.netrc can't replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Anonymous:
    """No login at all, not even one of ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _no_stream(answer: requests.Response, path: str) -> CrmError:
    """Of a download's status; its body is a page or nothing. A link that is used up says nothing about the account, so
    no status stops the bridge."""
    where: dict[str, Any] = {"status": answer.status_code, "method": "GET", "path": path}
    if answer.status_code == 429:
        after = answer.headers.get("Retry-After", "")
        return CrmTemporary("too many requests", retry_after=float(after) if after.isdecimal() else None, **where)
    if answer.status_code >= 500 or answer.status_code == 408:
        return CrmUncertain("the files service does not serve the file now", **where)
    return CrmRefused("nothing is served at this address", **where)


_backoff = wait_random_exponential(multiplier=0.5, max=20)


def _wait(state: RetryCallState) -> float:
    """Backoff with jitter, so that processes don't try in step; not less than amoCRM asked for."""
    error = state.outcome.exception() if state.outcome else None
    retry_after = error.retry_after if isinstance(error, CrmTemporary) else None
    return max(_backoff(state), retry_after or 0.0)


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


STOPPING = "мост останавливается"


class Shutdown:
    """The bridge is to stop: whoever waits for amoCRM is woken, and no new request leaves.

    What is being sent just now is waited for, so nothing has to be looked for after the next start.
    """

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping

    def sleep(self, seconds: float) -> None:
        """As ``time.sleep``. Raises CrmTemporary when the bridge is stopped meanwhile."""
        if self._stopping.wait(seconds):
            raise CrmTemporary(STOPPING)

    def before(self, otherwise: Callable[[], None] | None = None) -> Callable[[], None]:
        """A ``before_send`` for clients: CrmTemporary when the bridge is to stop, else what ``otherwise`` says."""

        def check() -> None:
            if self._stopping.is_set():
                raise CrmTemporary(STOPPING)
            if otherwise is not None:
                otherwise()

        return check
