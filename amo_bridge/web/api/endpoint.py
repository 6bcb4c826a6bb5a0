"""Endpoint of the API: role, schemas and query parameters; what does not fit is refused in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import field
from datetime import date
from functools import wraps
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify, request
from flask_babel import gettext as _
from pydantic import BaseModel, Field, ValidationError

from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.option_types import Strict
from amo_bridge.web.auth.guard import USUAL_BYTES, by_token
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import MOST

Check = Callable[[str], str]
"""A value as it stands there → what would fit, in words; empty if this one does."""


def whole(least: int, most: int = MOST) -> Check:
    """A number of this range."""

    def check(told: str) -> str:
        digits = told.removeprefix("-")
        fits = digits.isascii() and digits.isdecimal() and len(digits) < 20 and least <= int(told) <= most
        return "" if fits else _("целое число от %(least)s до %(most)s", least=least, most=most)

    return check


def one_of(values: Iterable[object]) -> Check:
    """One of these."""
    known = [str(value) for value in values]
    return lambda told: "" if told in known else ", ".join(known)


def day(told: str) -> str:
    """A date."""
    try:
        fits = date.fromisoformat(told).isoformat() == told
    except ValueError:
        fits = False
    return "" if fits else _("день, например 2026-11-25")


def wrong_in(query: Mapping[str, str], known: Collection[str], checks: Mapping[str, Check]) -> str:
    """What is wrong with the parameters; empty if nothing is. ``known``: the names there are; what is left empty was
    not asked for."""
    told: list[Any] = [
        _("%(name)s: такого параметра нет; есть %(known)s", name=name, known=", ".join(known))
        for name in query
        if name not in known
    ]
    for name, check in checks.items():
        value = query.get(name, "").strip()
        if value and (fits := check(value)):
            told.append(_("%(name)s=%(value)s: годится %(fits)s", name=name, value=value[:80], fits=fits))
    return "; ".join(told)


# What every shape of the API has in common, and the one that says no.

Number = Annotated[int, Field(ge=1, le=2**53)]
"""Of a deal, a contact, a violation: as far as JSON's numbers are exact."""


class Shape(Strict):
    """As in the config: a key too many is an error, and 0 is a number, not a switch."""


class Error(Shape):
    """Why nothing was done. ``reference``: of what nobody foresaw, the number under which the log has it."""

    error: str
    detail: str
    reference: str | None = None


# The API's endpoints, each described where it is made; OpenAPI and the tables for people are made from that.

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
COMMON_SUBJECTS = {"users", "tokens", "audit", "copies"}
REFUSALS = {
    "401": "No token, or one that does not work",
    "403": "The token's role is too small",
    "404": "There is no such thing",
    "409": "It has changed meanwhile, or is not in the state in which this can be done",
    "413": "The body is larger than this endpoint takes",
    "422": "The body or a parameter is not as described, or can't be used as it is",
    "503": "The store does not answer, or the account was never met",
}


@dataclass(frozen=True)
class Endpoint:
    """One operation of the API.

    ``name``: the operation id, published in OpenAPI; it never changes. ``path`` as Flask writes it. ``summary``: a
    lazy_gettext; ``query``: name → what it means, too; ``checks``: of some of these. ``files``: the field of a form
    (multipart/form-data) in which files come; ``takes`` is its other fields. ``most_bytes``: how large a request may
    be. ``says_no``: status → a shape that tells more than ``Error``."""

    name: str
    path: str
    method: str
    role: Role
    summary: Any
    gives: type[BaseModel]
    takes: type[BaseModel] | None = None
    query: dict[str, Any] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    files: str = ""
    most_bytes: int = USUAL_BYTES
    says_no: Mapping[str, type[Error]] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """What it is about: the first word of its path."""
        return self.path.split("/")[1]

    @property
    def is_common(self) -> bool:
        """Is it about all accounts? Then a role in some of them opens nothing."""
        return self.subject in COMMON_SUBJECTS

    @property
    def address(self) -> str:
        """The path as people and OpenAPI write it: «/rules/{name}»."""
        return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", self.path)

    @property
    def refuses(self) -> dict[str, tuple[type[Error], str]]:
        """Status → the shape of the answer, and when it comes."""
        of_change = () if self.method == "GET" else ("409",)
        of_body = ("413", "422") if self.takes else ()
        of_query = ("422",) if self.query else ()
        told = sorted({"401", "403", "404", *of_change, *of_body, *of_query, *self.says_no, "503"})
        return {code: (self.says_no.get(code, Error), REFUSALS[code]) for code in told}


class Api:
    """One version of the API."""

    def __init__(self, routes: Blueprint) -> None:
        self._routes = routes
        self._all: list[Endpoint] = []

    @property
    def all(self) -> list[Endpoint]:
        """By address."""
        return sorted(self._all, key=lambda endpoint: (endpoint.path, METHODS.index(endpoint.method)))

    def endpoint(self, endpoint: Endpoint) -> Callable[[Callable[..., BaseModel]], Callable[..., Any]]:
        """Mark the function behind the endpoint: it gets the body as ``told`` if the endpoint takes one."""
        self._all.append(endpoint)

        def behind(view: Callable[..., BaseModel]) -> Callable[..., Any]:
            @wraps(view)
            def answer(**arguments: Any) -> Response | tuple[Response, int]:
                if endpoint.query and (wrong := wrong_in(request.args, endpoint.query, endpoint.checks)):
                    return refusal(422, wrong)
                if endpoint.takes is not None:
                    body = _body(endpoint)
                    if _has_nul(body):
                        return jsonify(error="422 Unprocessable", detail=r"body: no database keeps \u0000"), 422
                    try:
                        arguments["told"] = endpoint.takes.model_validate(body)
                    except ValidationError as error:
                        return jsonify(error="422 Unprocessable", detail=_in_words(error)), 422
                return jsonify(view(**arguments).model_dump(mode="json"))

            marked = by_token(endpoint.role, most_bytes=endpoint.most_bytes, is_common=endpoint.is_common)(answer)
            self._routes.add_url_rule(endpoint.path, endpoint.name, marked, methods=[endpoint.method])
            return marked

        return behind


def _body(endpoint: Endpoint) -> Any:
    """What was sent: JSON, or a form's fields. One that is left empty was not sent."""
    if endpoint.files:
        return {name: value for name, value in request.form.items() if value}
    return request.get_json(silent=True)


def _has_nul(told: Any) -> bool:
    """In a text of it, however deep: PostgreSQL takes none."""
    if isinstance(told, dict):
        return any(map(_has_nul, told.values()))
    if isinstance(told, list):
        return any(map(_has_nul, told))
    return isinstance(told, str) and "\0" in told


def _in_words(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors())


def refusal(status: int, words: str, **more: Any) -> Response:
    """The answer of a endpoint that says no, and why; ``more``: what its shape of a refusal has besides."""
    answer = jsonify(error=str(status), detail=words, **more)
    answer.status_code = status
    return answer
