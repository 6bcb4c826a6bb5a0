"""Answers in amoCRM's form: HAL envelopes, problem+json errors, 204 for what is not there (amoCRM docs, api v4)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from amo_bridge.sandbox.query import integer, query

Body = Mapping[str, Any]
T = TypeVar("T")

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
}
DEFAULT_LIMIT = 50
MAX_LIMIT = 250


class Refused(Exception):
    """The request is answered with this problem and nothing is written."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.more = status, detail, more


def base() -> str:
    """The account's address as the client wrote it, without a slash at the end."""
    return request.host_url.rstrip("/")


def link(path: str) -> dict[str, Any]:
    """``{"self": {"href": …}}`` of an API path such as ``leads/5``."""
    return {"self": {"href": f"{base()}/api/v4/{path}"}}


def self_link() -> dict[str, Any]:
    """The link of the request itself."""
    asked = request.query_string.decode()
    return {"self": {"href": f"{base()}{request.path}" + (f"?{asked}" if asked else "")}}


def hal(body: Any, status: int = 200) -> Response:
    return Response(_json(body), status=status, content_type="application/hal+json")


def problem(status: int, detail: str, *, title: str | None = None, **more: Any) -> Response:
    """An error answer. ``more`` stands before the four usual keys, as amoCRM puts ``validation-errors``."""
    body = {
        **more,
        "title": title or TITLES.get(status, "Error"),
        "type": f"https://httpstatus.es/{status}",
        "status": status,
        "detail": detail,
    }
    return Response(_json(body), status=status, content_type="application/problem+json")


def no_content() -> Response:
    """204: an empty list, and also a single entity that is not there. No body and no content type."""
    answer = Response(status=204)
    del answer.headers["Content-Type"]
    return answer


def one(body: Body | None) -> Response:
    """A single entity, 204 if there is none."""
    return no_content() if body is None else hal(body)


def embedded(name: str, items: Sequence[Body], **more: Any) -> Response:
    """The answer to a write: the items under ``_embedded``."""
    return hal({**more, "_links": self_link(), "_embedded": {name: items}})


def listing(
    name: str,
    rows: Sequence[T],
    show: Callable[[T], Body],
    *,
    default_limit: int = DEFAULT_LIMIT,
    max_limit: int = MAX_LIMIT,
    totals: bool = False,
) -> Response:
    """One page of ``rows``; 204 when the page is empty. ``totals``: this list tells ``_total_items`` (most don't)."""
    asked = query()
    limit = min(_at_least_one(asked.get("limit"), default_limit), max_limit)
    page = _at_least_one(asked.get("page"), 1)
    shown = rows[(page - 1) * limit : page * limit]
    if not shown:
        return no_content()
    body: dict[str, Any] = {"_total_items": len(rows)} if totals else {}
    body["_page"] = page
    body["_links"] = _page_links(page, limit, more=len(rows) > page * limit)
    body["_embedded"] = {name: [show(row) for row in shown]}
    return hal(body)


def register(app: Flask) -> None:
    """Errors outside the views, and the header that amoCRM's support asks for."""

    @app.errorhandler(Refused)
    def refused(why: Refused) -> Response:
        return problem(why.status, why.detail, **why.more)

    @app.errorhandler(HTTPException)
    def not_served(why: HTTPException) -> Response:
        status = why.code or 500
        if status == 404:
            return problem(404, f"Cannot {request.method} {base()}{request.path}")
        answer = problem(status, why.description or why.name)
        for name, value in why.get_headers():
            if name == "Allow":
                answer.headers[name] = value
        return answer

    @app.after_request
    def name_the_request(answer: Response) -> Response:
        answer.headers.setdefault("X-Request-Id", uuid.uuid4().hex)
        return answer


def _page_links(page: int, limit: int, *, more: bool) -> dict[str, Any]:
    def at(number: int) -> dict[str, str]:
        pairs = [(key, value) for key, value in request.args.items(multi=True) if key not in ("page", "limit")]
        return {"href": f"{base()}{request.path}?{urlencode([*pairs, ('page', number), ('limit', limit)])}"}

    links = {"self": at(page)}
    if more:
        links["next"] = at(page + 1)
    if page > 1:
        links |= {"first": at(1), "prev": at(page - 1)}
    return links


def _at_least_one(value: object, default: int) -> int:
    number = integer(value)
    return number if number is not None and number > 0 else default


def _json(body: Any) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
