"""Page of the stand-ins: an admin writes, calls and fills in forms as a client, and sees the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from amo_bridge.standins.vendor import StandIn, WebhookAttempt

SHOWN = 8
LONGEST_ANSWER = 120


def register(app: Flask, stand_ins: Mapping[str, StandIn]) -> None:
    """Add the page and what its forms do."""

    @app.before_request
    def of_this_page() -> ResponseReturnValue | None:
        """Other sites in the same browser must not press buttons here."""
        origin = request.headers.get("Origin")
        is_foreign = origin is not None and urlsplit(origin).netloc != request.host
        if request.method == "POST" and request.path.startswith("/act/") and is_foreign:
            return Response("нажато не на этой странице", 403, content_type="text/plain; charset=utf-8")
        return None

    @app.get("/")
    def page() -> str:
        shown = [_shown(one) for one in stand_ins.values()]
        return render_template(
            "standins.html",
            vendors=shown,
            words=request.args.get("words", ""),
            is_bad="bad" in request.args,
            at=request.args.get("at", ""),
        )

    @app.post("/act/<name>/settings")
    def set_up(name: str) -> ResponseReturnValue:
        stand_in = stand_ins[name]
        before = stand_in.settings()
        changed = {key: value.strip() for key, value in request.form.items() if before.get(key) != value.strip()}

        def change() -> str:
            stand_in.configure(changed)
            return "записано"

        return _done(name, change)

    @app.post("/act/<name>/<action>")
    def act(name: str, action: str) -> ResponseReturnValue:
        found = next((one for one in stand_ins[name].actions() if one.name == action), None)
        if found is None:
            return Response(status=404)
        return _done(name, lambda: found.do(request.form.to_dict()))

    @app.errorhandler(KeyError)
    def unknown(_: KeyError) -> ResponseReturnValue:
        return Response("такого сервиса здесь нет", 404, content_type="text/plain; charset=utf-8")


def _done(name: str, how: Callable[[], str]) -> ResponseReturnValue:
    try:
        words, bad = how(), {}
    except ValueError as error:
        words, bad = str(error), {"bad": "1"}
    return redirect(f"/?{urlencode({'words': words, 'at': name, **bad})}#{name}", 303)


def _shown(stand_in: StandIn) -> dict[str, object]:
    settings = stand_in.settings()
    return {
        "name": stand_in.name,
        "title": stand_in.title,
        "hint": stand_in.hint,
        "facts": {key: value for key, value in settings.items() if key not in stand_in.pasted},
        "fields": {key: value for key, value in settings.items() if key in stand_in.pasted},
        "actions": stand_in.actions(),
        "attempts": [_attempt(one) for one in reversed(stand_in.attempts[-SHOWN:])],
        "requests": list(reversed(stand_in.requests[-SHOWN:])),
    }


def _attempt(one: WebhookAttempt) -> dict[str, object]:
    return {
        "at": datetime.fromtimestamp(one.at, UTC).astimezone().strftime("%H:%M:%S"),
        "event": one.event,
        "attempt": one.attempt,
        "status": one.status or "нет ответа",
        "is_good": one.status is not None and one.status < 400,
        "answer": one.answer[:LONGEST_ANSWER],
        "body": one.body.decode("utf-8", "replace")[:2000],
    }
