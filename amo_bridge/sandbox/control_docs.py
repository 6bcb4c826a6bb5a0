"""GET /sandbox/: the sandbox explains itself, from the very routes and tables it works with, so that it can't lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from flask import Flask, Response, jsonify, render_template_string, request

from amo_bridge.sandbox.fault_kinds import FIELDS, HOOK_FAULTS, HTTP_FAULTS
from amo_bridge.sandbox.limits import Settings
from amo_bridge.sandbox.world import World

HEADERS = {
    "Authorization: Bearer <token>": "who asks; the account file's long-lived tokens and OAuth's work",
    "X-Context-User-ID: <user id>": "with an administrator's token: act as that user, as amoCRM has it",
    "X-Sandbox-Person: <user id>": "the sandbox's own, beside a valid token: this request stands for that person's"
    " click in the web page; it acts as that user, is not limited, not counted and spared by faults",
}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox</title>
<style>body{font:16px/1.4 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}
td{padding:.1em 1em .1em 0;vertical-align:top}code{white-space:nowrap}</style>
<h1>{{ about.title }}</h1><p>{{ about.account }}</p>
{% for part, rows in about.parts.items() %}<h2>{{ part }}</h2><table>
{% for name, text in rows.items() %}<tr><td><code>{{ name }}</code></td><td>{{ text }}</td></tr>{% endfor %}
</table>{% endfor %}</html>"""


def register(app: Flask, world: World) -> None:
    @app.get("/sandbox/")
    def docs() -> Response:
        """This page: HTML for a browser, JSON for anything else."""
        about = _about(app, world)
        if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
            return Response(render_template_string(PAGE, about=about))
        return jsonify(about)


def _about(app: Flask, world: World) -> dict[str, Any]:
    account = world.account
    return {
        "title": "A local amoCRM",
        "account": f"{account['name']} ({account['subdomain']}, id {account['id']})",
        "parts": {
            "Headers": HEADERS,
            "Controls": dict(_routes(app, controls=True)),
            "Faults: POST /sandbox/faults with a kind": {**HTTP_FAULTS, **HOOK_FAULTS},
            "Keys of a fault": {name: str(getattr(kind, "__name__", kind)) for name, kind in FIELDS.items()},
            "Limits and their defaults": {name: str(value) for name, value in asdict(Settings()).items()},
            "amoCRM's own addresses": dict(_routes(app, controls=False)),
        },
    }


def _routes(app: Flask, *, controls: bool) -> Iterator[tuple[str, str]]:
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/sandbox") == controls]
    for rule in sorted(rules, key=lambda rule: (rule.rule, sorted(rule.methods or ()))):
        text = (app.view_functions[rule.endpoint].__doc__ or "").strip()
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        yield f"{' '.join(methods)} {rule.rule}", text
