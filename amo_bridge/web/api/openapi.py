"""OpenAPI description of the API, made of its endpoints and schemas, in English."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from flask_babel import force_locale
from pydantic import BaseModel

from amo_bridge.web.api import ROOT, SUBJECTS, api, by_subject, routes
from amo_bridge.web.api.endpoint import Api, Endpoint, Error
from amo_bridge.web.auth.guard import by_token
from amo_bridge.web.auth.users import Role

LOCAL = "#/components/schemas/{model}"
PARAMETERS: dict[str, dict[str, Any]] = {
    "int": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
    "string": {"type": "string", "minLength": 1},
    "path": {"type": "string", "minLength": 1, "description": "May hold slashes"},
}
FILES = {"type": "array", "minItems": 1, "items": {"type": "string", "contentMediaType": "application/octet-stream"}}
# Each account has an address of its own.
MOST_DESCRIBED = 16
ABOUT = """What the pages of amo-bridge do, for programs. Send a token as `Authorization: Bearer amb_…`; its role says
how far it goes. With several accounts each has its own address: see `/accounts`. Words for people are Russian; send the
cookie `language=en` for English where there is some."""


_described: dict[tuple[int, str], dict[str, Any]] = {}


def describe(described: Api, root: str) -> dict[str, Any]:
    """``root``: the address under which the paths are. Made once: it is the same as long as the process runs."""
    key = (len(described.all), root)
    if key not in _described:
        if len(_described) >= MOST_DESCRIBED:
            _described.clear()
        _described[key] = _describe(described, root)
    return _described[key]


def _describe(described: Api, root: str) -> dict[str, Any]:
    with force_locale("en"):
        schemas: dict[str, Any] = {}
        paths: dict[str, Any] = {}
        for endpoint in described.all:
            paths.setdefault(endpoint.address, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
        return {
            "openapi": "3.1.0",
            "info": {"title": "amo-bridge", "version": "1", "description": ABOUT},
            "servers": [{"url": root}],
            "security": [{"token": []}],
            "tags": [{"name": name, "description": str(SUBJECTS[name])} for name in by_subject(described.all)],
            "paths": paths,
            "components": {
                "schemas": dict(sorted(schemas.items())),
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
        }


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    refusals = {code: _content(shape, schemas, words) for code, (shape, words) in endpoint.refuses.items()}
    told: dict[str, Any] = {
        "tags": [endpoint.subject],
        "operationId": endpoint.name,
        "summary": str(endpoint.summary),
        "description": f"Role: {endpoint.role}{'' if endpoint.role is Role.ADMIN else ' or above'}",
        "parameters": _parameters(endpoint),
        "responses": {
            "200": _content(endpoint.gives, schemas, endpoint.gives.__doc__ or ""),
            **refusals,
            "default": _content(Error, schemas, "Whatever else went wrong"),
        },
    }
    if endpoint.takes is not None:
        told["requestBody"] = {"required": True, **_content(endpoint.takes, schemas, files=endpoint.files)}
    return told


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    parts = [part.strip("<>").rpartition(":") for part in endpoint.path.split("/") if part.startswith("<")]
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": PARAMETERS[kind or "string"]}
        for kind, _, name in parts
    ]
    in_query = [
        {"name": name, "in": "query", "description": str(words), "schema": {"type": "string"}}
        for name, words in endpoint.query.items()
    ]
    return [*in_path, *in_query]


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


# ``/openapi.json``: the API described.


@routes.get("/openapi.json")
@by_token(Role.VIEWER)
def openapi() -> Response:
    return jsonify(describe(api, request.script_root + ROOT))
