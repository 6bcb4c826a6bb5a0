"""The API's doors, each described where it is made; OpenAPI is printed from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask_babel import force_locale
from pydantic import BaseModel, ValidationError

from amo_bridge.web.admission.roles import Role
from amo_bridge.web.api.shape import Error
from amo_bridge.web.gate import USUAL_BYTES, by_token

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
LOCAL = "#/components/schemas/{model}"
PARAMETERS: dict[str, dict[str, Any]] = {"int": {"type": "integer"}, "string": {"type": "string"}}
FILES = {"type": "array", "minItems": 1, "items": {"type": "string", "contentMediaType": "application/octet-stream"}}


@dataclass(frozen=True)
class Door:
    """``path`` as Flask writes it. ``summary``: a lazy_gettext; ``query``: name → what it means, too. ``files``: the
    field of a form (multipart/form-data) in which files come; what the door ``takes`` are its other fields.
    ``most_bytes``: how large a request may be. ``says_no``: status → a shape that tells more than ``Error``."""

    path: str
    method: str
    role: Role
    summary: Any
    gives: type[BaseModel]
    takes: type[BaseModel] | None = None
    query: dict[str, Any] = field(default_factory=dict)
    files: str = ""
    most_bytes: int = USUAL_BYTES
    says_no: Mapping[str, type[Error]] = field(default_factory=dict)


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
                if door.takes is not None:
                    try:
                        arguments["told"] = door.takes.model_validate(_body(door))
                    except ValidationError as error:
                        return jsonify(error="422 Unprocessable", detail=_in_words(error)), 422
                return jsonify(view(**arguments).model_dump(mode="json"))

            marked = by_token(door.role, most_bytes=door.most_bytes)(answer)
            endpoint = f"{view.__module__.rpartition('.')[2]}_{view.__name__}"
            self._routes.add_url_rule(door.path, endpoint, marked, methods=[door.method])
            return marked

        return behind

    def openapi(self, root: str) -> dict[str, Any]:
        """``root``: the address under which the paths are. In English, as the shapes are."""
        with force_locale("en"):
            return self._openapi(root)

    def _openapi(self, root: str) -> dict[str, Any]:
        schemas: dict[str, Any] = {}
        paths: dict[str, Any] = {}
        for door in self.all:
            path, parameters = _path(door)
            told: dict[str, Any] = {
                "summary": str(door.summary),
                "description": f"Role: {door.role}",
                "parameters": parameters,
                "responses": {
                    "200": _content(door.gives, schemas, door.gives.__doc__ or ""),
                    **{
                        code: _content(door.says_no.get(code, Error), schemas, words)
                        for code, words in REFUSALS.items()
                    },
                },
            }
            if door.takes is not None:
                told["requestBody"] = {"required": True, **_content(door.takes, schemas, files=door.files)}
            paths.setdefault(path, {})[door.method.lower()] = told
        return {
            "openapi": "3.1.0",
            "info": {"title": "amo-bridge", "version": "1"},
            "servers": [{"url": root}],
            "security": [{"token": []}],
            "paths": paths,
            "components": {
                "schemas": dict(sorted(schemas.items())),
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
        }


REFUSALS = {
    "401": "No token, or one that does not work",
    "403": "The token's role is too small",
    "404": "There is no such thing",
    "409": "It has changed meanwhile, or is not in the state in which this can be done",
    "413": "The body is larger than this door takes",
    "422": "The body is not as described, or can't be used as it is",
    "503": "The store does not answer, or the account was never met",
}


def _path(door: Door) -> tuple[str, list[dict[str, Any]]]:
    parts, parameters = [], []
    for part in door.path.split("/"):
        if part.startswith("<"):
            kind, _, name = part.strip("<>").rpartition(":")
            parameters.append({"name": name, "in": "path", "required": True, "schema": PARAMETERS[kind or "string"]})
            part = f"{{{name}}}"
        parts.append(part)
    parameters += [
        {"name": name, "in": "query", "description": str(words), "schema": {"type": "string"}}
        for name, words in door.query.items()
    ]
    return "/".join(parts), parameters


def _body(door: Door) -> Any:
    """What was sent: JSON, or a form's fields. One that is left empty was not sent."""
    if door.files:
        return {name: value for name, value in request.form.items() if value}
    return request.get_json(silent=True)


def _content(
    model: type[BaseModel], schemas: dict[str, Any], description: str | None = None, *, files: str = ""
) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=LOCAL)
    if files:
        schema["properties"] = {files: FILES, **schema["properties"]}
        schema["required"] = [files, *schema.get("required", ())]
    for name, described in {**schema.pop("$defs", {}), model.__name__: schema}.items():
        if schemas.setdefault(name, described) != described:
            raise ValueError(f"two shapes of the API have the name {name}")
    content = {
        "multipart/form-data" if files else "application/json": {"schema": {"$ref": LOCAL.format(model=model.__name__)}}
    }
    return {"content": content} if description is None else {"description": description, "content": content}


def _in_words(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors())


def refusal(status: int, words: str, **more: Any) -> Response:
    """The answer of a door that says no, and why; ``more``: what its shape of a refusal has besides."""
    answer = jsonify(error=str(status), detail=words, **more)
    answer.status_code = status
    return answer
