"""HTTP in amoCRM's form: PHP query strings, HAL bodies, problem+json errors (docs, api v4).

What is not there is 204. ``filter[id][]=2&filter[price][from]=5`` is a tree, and comma lists are lists.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

Tree = dict[str, Any]
"""Keys are strings, also the numbers of a list; a leaf is a string."""

BRACKETS = re.compile(r"\[([^\]]*)\]")


def tree(pairs: Iterable[tuple[str, str]]) -> Tree:
    """The pairs of a query string as a tree. A later pair wins over an earlier one, as in PHP."""
    root: Tree = {}
    for key, value in pairs:
        head, bracket, rest = key.partition("[")
        path = [head, *BRACKETS.findall(bracket + rest)]
        node = root
        for part in path[:-1]:
            name = part or _next_number(node)
            child = node.get(name)
            if not isinstance(child, dict):
                child = node[name] = {}
            node = child
        node[path[-1] or _next_number(node)] = value
    return root


def query() -> Tree:
    """The query of the request being answered."""
    return tree(request.args.items(multi=True))


def branch(node: object, *names: str) -> Any:
    """``branch(query(), "filter", "id")``: what is there, or None."""
    for name in names:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def parts(node: object, *names: str) -> Mapping[str, Any]:
    """The branch as a mapping; empty when it isn't there or is a bare value (``order=id``)."""
    found = branch(node, *names)
    return found if isinstance(found, Mapping) else {}


def strings(node: object, *, commas: bool = True) -> list[str]:
    """A leaf or a list of leaves as a list; ``commas``: a leaf may be a comma list itself."""
    leaves = [leaf for leaf in (node.values() if isinstance(node, Mapping) else [node]) if isinstance(leaf, str)]
    if commas:
        leaves = [part.strip() for leaf in leaves for part in leaf.split(",")]
    return [leaf for leaf in leaves if leaf]


def integers(node: object) -> set[int]:
    return {int(leaf) for leaf in strings(node) if re.fullmatch(r"-?\d+", leaf)}


def integer(node: object) -> int | None:
    found = integers(node) if isinstance(node, str) else set()
    return min(found, default=None)


def words(name: str) -> set[str]:
    """The comma list ``with=contacts,loss_reason`` (a PHP array of them is taken too)."""
    return set(strings(branch(query(), name)))


@dataclass(frozen=True)
class Span:
    """``[from]``/``[to]``, both ends included; one bare number is both ends."""

    start: int | None
    end: int | None

    @classmethod
    def of(cls, node: object) -> Span | None:
        if isinstance(node, str):
            at = integer(node)
            return cls(at, at) if at is not None else None
        start, end = integer(branch(node, "from")), integer(branch(node, "to"))
        return None if start is None and end is None else cls(start, end)

    def holds(self, value: object) -> bool:
        if not isinstance(value, int | float):
            return False
        return (self.start is None or value >= self.start) and (self.end is None or value <= self.end)


def _next_number(node: Tree) -> str:
    numbers = [int(key) for key in node if key.isdecimal()]
    return str(max(numbers, default=-1) + 1)


# --- answers ----------------------------------------------------------------------------------------------------------

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
    query_string = request.query_string.decode()
    return {"self": {"href": f"{base()}{request.path}" + (f"?{query_string}" if query_string else "")}}


def hal(body: Any, status: int = 200) -> Response:
    return Response(_json(body), status=status, content_type=_content_type("hal"))


def problem(status: int, detail: str, *, title: str | None = None, **more: Any) -> Response:
    """An error answer. ``more`` stands before the four usual keys, as amoCRM puts ``validation-errors``."""
    body = {
        **more,
        "title": title or TITLES.get(status, "Error"),
        "type": f"https://httpstatus.es/{status}",
        "status": status,
        "detail": detail,
    }
    return Response(_json(body), status=status, content_type=_content_type("problem"))


def _content_type(kind: str) -> str:
    """The files service is another program than the API, and calls its JSON simply that."""
    return "application/json" if request.path.startswith("/drive/") else f"application/{kind}+json"


def no_content() -> Response:
    """204: an empty list, and also a single entity that is not there. No body and no content type."""
    answer = Response(status=204)
    del answer.headers["Content-Type"]
    return answer


def single(body: Body | None) -> Response:
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
    """One page of ``rows``; 204 when the page is empty.

    ``totals``: this list has ``_total_items`` and ``_page_count`` (most don't).
    """
    params = query()
    limit = min(_at_least_one(params.get("limit"), default_limit), max_limit)
    page = _at_least_one(params.get("page"), 1)
    shown = rows[(page - 1) * limit : page * limit]
    if not shown:
        return no_content()
    body: dict[str, Any] = {"_total_items": len(rows)} if totals else {}
    body["_page"] = page
    if totals:
        body["_page_count"] = -(-len(rows) // limit)
    body["_links"] = page_links(page, limit, more=len(rows) > page * limit)
    body["_embedded"] = {name: [show(row) for row in shown]}
    return hal(body)


def request_json() -> Any:
    """The request's JSON whatever its content type says; None if it is none.

    A whole number with a point is that number: PHP, which amoCRM is written in, makes no difference.
    """
    try:
        return json.loads(request.get_data(), parse_float=_number)
    except ValueError:
        return None


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number


def register(app: Flask) -> None:
    """Install the answers to errors outside the views, and the header that amoCRM's support asks for."""

    @app.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        return problem(error.status, error.detail, **error.more)

    @app.errorhandler(HTTPException)
    def not_served(error: HTTPException) -> Response:
        status = error.code or 500
        if status == 404:
            return problem(404, f"Cannot {request.method} {base()}{request.path}")
        answer = problem(status, error.description or error.name)
        for name, value in error.get_headers():
            if name == "Allow":
                answer.headers[name] = value
        return answer

    @app.after_request
    def name_the_request(answer: Response) -> Response:
        answer.headers.setdefault("X-Request-Id", uuid.uuid4().hex)
        return answer


def page_links(page: int, limit: int, *, more: bool) -> dict[str, Any]:
    """Links of one page of the request's list; the filters stay in them."""

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
