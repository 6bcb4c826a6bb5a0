"""The API's doors, each described where it is made; OpenAPI and the tables for people are made from that."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ValidationError

from amo_bridge.web.admission.roles import Role
from amo_bridge.web.api.query import Check, wrong_in
from amo_bridge.web.api.shape import Error
from amo_bridge.web.gate import USUAL_BYTES, by_token

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REFUSALS = {
    "401": "No token, or one that does not work",
    "403": "The token's role is too small",
    "404": "There is no such thing",
    "409": "It has changed meanwhile, or is not in the state in which this can be done",
    "413": "The body is larger than this door takes",
    "422": "The body or a parameter is not as described, or can't be used as it is",
    "503": "The store does not answer, or the account was never met",
}


@dataclass(frozen=True)
class Door:
    """One operation of the API.

    ``name``: the operation id, published in OpenAPI; it never changes. ``path`` as Flask writes it. ``summary``: a
    lazy_gettext; ``query``: name → what it means, too; ``checks``: of some of these. ``files``: the field of a form
    (multipart/form-data) in which files come; what the door ``takes`` are its other fields. ``most_bytes``: how large a
    request may be. ``says_no``: status → a shape that tells more than ``Error``."""

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


class Doors:
    """One version of the API."""

    def __init__(self, routes: Blueprint) -> None:
        self._routes = routes
        self._all: list[Door] = []

    @property
    def all(self) -> list[Door]:
        """By address."""
        return sorted(self._all, key=lambda door: (door.path, METHODS.index(door.method)))

    def open(self, door: Door) -> Callable[[Callable[..., BaseModel]], Callable[..., Any]]:
        """Mark the function behind the door: it gets the body as ``told`` if the door takes one."""
        self._all.append(door)

        def behind(view: Callable[..., BaseModel]) -> Callable[..., Any]:
            @wraps(view)
            def answer(**arguments: Any) -> Response | tuple[Response, int]:
                if door.query and (wrong := wrong_in(request.args, door.query, door.checks)):
                    return refusal(422, wrong)
                if door.takes is not None:
                    body = _body(door)
                    if _has_nul(body):
                        return jsonify(error="422 Unprocessable", detail=r"body: no database keeps \u0000"), 422
                    try:
                        arguments["told"] = door.takes.model_validate(body)
                    except ValidationError as error:
                        return jsonify(error="422 Unprocessable", detail=_in_words(error)), 422
                return jsonify(view(**arguments).model_dump(mode="json"))

            marked = by_token(door.role, most_bytes=door.most_bytes)(answer)
            self._routes.add_url_rule(door.path, door.name, marked, methods=[door.method])
            return marked

        return behind


def _body(door: Door) -> Any:
    """What was sent: JSON, or a form's fields. One that is left empty was not sent."""
    if door.files:
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
    """The answer of a door that says no, and why; ``more``: what its shape of a refusal has besides."""
    answer = jsonify(error=str(status), detail=words, **more)
    answer.status_code = status
    return answer
