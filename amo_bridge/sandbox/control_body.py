"""The JSON bodies of the control endpoints: strict, so that a mistyped switch is told and not ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request

from amo_bridge.sandbox.http import Refused


def told() -> Mapping[str, Any]:
    """The JSON object of the request; no body is an empty one. Raises Refused."""
    body = request.get_json(force=True, silent=True)  # curl -d says it is a form
    if body is None and not request.data:
        return {}
    if not isinstance(body, dict):
        raise Refused(400, "a JSON object is needed")
    return body


def only(body: Mapping[str, Any], **kinds: type | tuple[type, ...]) -> Mapping[str, Any]:
    """The body, if it has no other keys and their values are of these types. Raises Refused."""
    for name, value in body.items():
        if name not in kinds:
            raise Refused(400, f"unknown key {name!r}; known are {sorted(kinds)}")
        if not isinstance(value, kinds[name]):
            raise Refused(400, f"{name}: {value!r} is of a wrong type")
    return body
