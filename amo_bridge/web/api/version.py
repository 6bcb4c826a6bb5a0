"""The one version of the API: its address and its doors, which the files beside this one open."""

from __future__ import annotations

from flask import Blueprint

from amo_bridge.web.api.described import Doors

ROOT = "/api/v1"
routes = Blueprint("api_v1", __name__, url_prefix=ROOT)
doors = Doors(routes)
