"""``/openapi.json``: the API described."""

from __future__ import annotations

from flask import Response, jsonify, request

from amo_bridge.web.admission.roles import Role
from amo_bridge.web.api import description
from amo_bridge.web.api.version import ROOT, doors, routes
from amo_bridge.web.gate import by_token


@routes.get("/openapi.json")
@by_token(Role.VIEWER)
def openapi() -> Response:
    return jsonify(description.openapi(doors, request.script_root + ROOT))
