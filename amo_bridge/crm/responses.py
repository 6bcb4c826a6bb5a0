"""Answers of amoCRM, or their absence → exceptions; exceptions → explanations in Russian.

The content type is never trusted: error pages come as HTML, JSON comes under several names. Status first, then an
attempt to read JSON (amoCRM docs, error-codes; the HTML cases were seen in the field).
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from amo_bridge.errors import (
    Complaint,
    ConfigError,
    CrmBlocked,
    CrmError,
    CrmForbidden,
    CrmRefused,
    CrmStopped,
    CrmTemporary,
    CrmUnauthorized,
    CrmUncertain,
    CrmUnpaid,
    NotConnected,
)

if TYPE_CHECKING:
    import requests

TOKEN_PATH = "/oauth2/access_token"
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_MAX_DETAIL_LENGTH = 300
_BROKEN = object()


def understand(answer: requests.Response, *, method: str, path: str) -> Any:
    """The decoded JSON of a good answer (None when it is empty by design: 202, 204), else the fitting CrmError."""
    where: dict[str, Any] = {
        "status": answer.status_code,
        "request_id": answer.headers.get("X-Request-Id"),
        "method": method,
        "path": path,
    }
    body = _decoded(answer)
    if 200 <= answer.status_code < 300:
        return _success(answer, body, where)
    if 300 <= answer.status_code < 400:
        target = answer.headers.get("Location", "?")
        raise CrmStopped(f"redirected to {target}: is the account's address right?", **where)
    raise _failure(answer, body, where)


def no_answer(error: requests.RequestException, *, method: str, path: str) -> CrmError:
    """The error of a request without an answer: CrmTemporary if it surely never left, else CrmUncertain.

    It names only the kinds of the causes: their texts hold whole URLs, and those hold phones and e-mails.
    """
    # Only here: with the first request that failed; commands that ask nobody do without the libraries.
    from requests import exceptions as failures
    from urllib3 import exceptions as connections

    unusable_address = (
        failures.InvalidURL,
        failures.MissingSchema,
        failures.InvalidSchema,
        failures.InvalidHeader,
    )
    never_sent = (
        connections.NewConnectionError,
        connections.NameResolutionError,
        connections.ConnectTimeoutError,
        ssl.SSLCertVerificationError,
        ConnectionRefusedError,
    )
    causes = list(_causes(error))
    kinds = " ← ".join(dict.fromkeys(type(cause).__name__ for cause in causes))
    if isinstance(error, unusable_address):
        return CrmStopped(f"the account's address or the token can't be used: {kinds}", method=method, path=path)
    if any(isinstance(cause, never_sent) for cause in causes):
        return CrmTemporary(f"no connection: {kinds}", method=method, path=path)
    return CrmUncertain(f"no answer: {kinds}", method=method, path=path)


def _success(answer: requests.Response, body: Any, where: dict[str, Any]) -> Any:
    if body is None and answer.status_code in (202, 204):
        return None
    if isinstance(body, (dict, list)):
        return body
    if _is_page(answer):
        # The API never answers with a page: this is «аккаунт заблокирован» or something put in front of the account.
        raise CrmBlocked(_words(answer), **where)
    raise CrmUncertain("the answer is cut off or not JSON", **where)


def _failure(answer: requests.Response, body: Any, where: dict[str, Any]) -> CrmError:
    status = answer.status_code
    problem: Mapping[str, Any] = body if isinstance(body, dict) else {}
    detail = _detail(problem) or _words(answer)
    where["hint"] = str(problem["hint"]) if problem.get("hint") else None
    if status == 401:
        return CrmUnauthorized(detail, **where)
    if status == 402:
        return CrmUnpaid(detail, **where)
    if status == 403:
        return CrmForbidden(detail, **where) if problem else CrmBlocked(detail, **where)
    if status == 404 and _is_page(answer):
        # The API says 404 in JSON. A page means that no account lives here: renamed, or a wrong address.
        return CrmStopped(f"{detail}: is the account's address right?", **where)
    if status == 429:
        return CrmTemporary(detail, retry_after=_retry_after(answer, problem), **where)
    if status >= 500 or status == 408:
        return CrmUncertain(detail, retry_after=_retry_after(answer, problem), **where)
    return _refused(problem, detail, where)


def _refused(problem: Mapping[str, Any], detail: str, where: dict[str, Any]) -> CrmRefused:
    bad: dict[str, str] = {}
    complaints: dict[str, list[Complaint]] = {}
    unnamed: list[str] = []
    for item in _rows(problem.get("validation-errors")):
        words = "; ".join(_complaint(row) for row in _rows(item.get("errors"))) or _complaint(item)
        if item.get("request_id") is not None:
            bad[str(item["request_id"])] = words
            complaints[str(item["request_id"])] = [_part(row) for row in _rows(item.get("errors"))]
        else:
            unnamed.append(words)
    reasons = "; ".join([*dict.fromkeys(bad.values()), *unnamed])
    return CrmRefused(
        _short(f"{detail}: {reasons}" if reasons else detail), bad_items=bad, complaints=complaints, **where
    )


def _part(row: Mapping[str, Any]) -> Complaint:
    return Complaint(*(str(row.get(key) or "") for key in ("path", "code", "detail")))


def _complaint(row: Mapping[str, Any]) -> str:
    path, code = row.get("path"), row.get("code")
    words = str(row.get("detail") or row.get("title") or code or "refused without a reason")
    words = f"{path}: {words}" if path else words
    return f"{words} ({code})" if code and code not in words else words


def _detail(problem: Mapping[str, Any]) -> str:
    return _short(str(problem.get("detail") or problem.get("title") or ""))


def _decoded(answer: requests.Response) -> Any:
    """The body as JSON; None when empty, _BROKEN when it is not JSON."""
    if not answer.content.strip():
        return None
    try:
        return json.loads(answer.content)
    except ValueError:
        return _BROKEN


def _is_page(answer: requests.Response) -> bool:
    return answer.content.lstrip()[:1] == b"<"


def _words(answer: requests.Response) -> str:
    """A few words of an answer that is not JSON: a page's title, or the beginning of the text."""
    text = answer.content.decode("utf-8", "replace")
    title = _TITLE.search(text)
    # Only here: its table of two thousand characters is built with the import.
    import html

    words = html.unescape(title.group(1) if title else _TAG.sub(" ", text))
    return _short(" ".join(words.split())) or str(answer.reason or "empty answer")


def _retry_after(answer: requests.Response, problem: Mapping[str, Any]) -> float | None:
    """Seconds. amoCRM puts them into the body; a proxy before it may use the header."""
    for value in (problem.get("retry_after"), answer.headers.get("Retry-After")):
        try:
            seconds = float(value) if value is not None else -1.0
        except (TypeError, ValueError):
            continue
        if 0 <= seconds < 86400:
            return seconds
    return None


def _rows(value: Any) -> Iterator[Mapping[str, Any]]:
    for row in value if isinstance(value, list) else ():
        if isinstance(row, dict):
            yield row


def _short(text: str) -> str:
    return text if len(text) <= _MAX_DETAIL_LENGTH else text[: _MAX_DETAIL_LENGTH - 1] + "…"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error with all that it wraps: requests and urllib3 wrap each other by args, reason and cause.

    Not by ``__context__``: that may be an older failure which the caller was handling when it asked again.
    """
    visited: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in visited:
            continue
        visited.add(id(cause))
        yield cause
        waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__]


# --- explanations -----------------------------------------------------------------------------------------------------

TOO_MANY_REQUESTS = 429
_WORDS: tuple[tuple[type[CrmError], str], ...] = (
    (CrmUnauthorized, "токен не подошёл: создайте новый (docs/connect-account.md)"),
    (CrmForbidden, "прав токена не хватает: он должен принадлежать администратору"),
    (CrmUnpaid, "аккаунт не оплачен, или тариф не даёт доступа к API"),
    (CrmBlocked, "вместо API пришла страница: адрес этой машины заблокирован, или это не адрес аккаунта amoCRM"),
    (CrmStopped, "по этому адресу нет аккаунта amoCRM: проверьте url в [account]"),
    (CrmUncertain, "amoCRM не ответила или сломалась на полуслове: попробуйте позже"),
    (CrmTemporary, "не достучаться: проверьте адрес и сеть"),
    (CrmRefused, "amoCRM отказала"),
)


def describe(error: Exception) -> str:
    """What happened and what to do, in Russian: «токен не подошёл: … (GET /api/v4/account: 401 …)».

    An error that is not amoCRM's gives its own text, the problems of a config on one line."""
    if isinstance(error, ConfigError):
        return "; ".join(error.problems)
    if not isinstance(error, CrmError):
        return str(error)
    if isinstance(error, NotConnected) or (isinstance(error, CrmUnauthorized) and error.path == TOKEN_PATH):
        # Worded for people where it was raised.
        return error.detail
    if isinstance(error, CrmTemporary) and error.status == TOO_MANY_REQUESTS:
        return f"запросов слишком много, amoCRM просит подождать ({error})"
    words = next((words for kind, words in _WORDS if isinstance(error, kind)), "amoCRM не ответила")
    return f"{words} ({error})"
