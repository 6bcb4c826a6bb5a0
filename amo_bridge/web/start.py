"""Pages of a bridge that has no config yet: ``/start``, the steps of ``amo-bridge init``.

Whoever has the link that the console shows may begin; nobody else sees more than that there is nothing yet. What was
answered is in memory until it is saved: a bridge without a config has no store.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from amo_bridge.clock import SystemClock
from amo_bridge.crm.responses import describe
from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.logs import log
from amo_bridge.provision.plan import Plan
from amo_bridge.start.access import Access, AccountAccess, allowance, full_address
from amo_bridge.start.draft import Choice, Draft
from amo_bridge.start.regulations import REGULATIONS, regulation
from amo_bridge.start.steps import FirstRehearsal, Start, first_rehearsal
from amo_bridge.storage.database import Store
from amo_bridge.web import middleware, stored_sentences
from amo_bridge.web.auth.users import Links

MOST_BYTES = 256 * 1024
Answer = str | BaseResponse | tuple[str, int]


class Beginning:
    """What has been answered so far. ``saved``: called once the config is written; then another process serves."""

    def __init__(self, path: Path, environment: Mapping[str, str], saved: Callable[[], None]) -> None:
        self.path = path
        self.key = secrets.token_urlsafe(24)
        self.lock = threading.Lock()
        self.start: Start | None = None
        self.allowed: list[tuple[bool, str]] = []
        self.left: list[str] = []
        self.rehearsal: FirstRehearsal | None = None
        self.next_page = ""
        self._environment = environment
        self._saved = saved

    def connect(self, told: Mapping[str, str]) -> None:
        """Raises CrmError, ConfigError, StoreUnavailable."""
        public = told.get("public_url", "").strip().rstrip("/")
        names = ("token", "client_id", "client_secret", "code")
        typed = {name: told.get(name, "").strip() for name in names}
        access = AccountAccess(
            Access(full_address(told.get("address", "")), public_url=public, **typed), self.path, self._environment
        )
        account = access.connect()
        self.allowed = list(allowance(account, access.client()))
        self.start = Start(self.path, access, account, self._environment, datetime.now().astimezone().date())
        self.rehearsal, self.left = None, []

    def save(self, draft: Draft) -> None:
        """Write everything; ``next_page`` is then where the first admin makes himself known. Raises BridgeError,
        ConfigError."""
        assert self.start is not None
        self.start.save(draft)
        try:
            secret = _link_for_first_admin(draft)
        except (BridgeError, ConfigError) as error:
            # The config is written: the bridge that starts by it shows the link on its console.
            log.warning("no link for the first admin yet", error=str(error))
            secret = None
        self.next_page = f"/setup/{secret}" if secret else "/login"
        self._saved()


def _link_for_first_admin(draft: Draft) -> str | None:
    store = Store.at(draft.config.bridge.database, draft.config.data_folder)
    try:
        store.prepare()
        return Links(store, SystemClock()).for_first_admin()
    finally:
        store.close()


def create_start_app(beginning: Beginning, *, proxies: int = 0) -> Flask:
    """The web side of a bridge without a config."""
    app = Flask(__name__)
    app.secret_key = secrets.token_bytes(32)
    app.config.update(
        SESSION_COOKIE_NAME="amo_bridge_start",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,
        MAX_CONTENT_LENGTH=MOST_BYTES,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    if proxies:
        app.wsgi_app = middleware.OwnProxies(app.wsgi_app, proxies)  # type: ignore[method-assign]
    CSRFProtect(app)
    middleware.install_languages(app)
    middleware.install_headers(app)
    # The parts that all pages share name its filters.
    stored_sentences.install_stored_sentences(app)
    app.context_processor(lambda: {"language": str(get_locale()), "asset": _asset, "theme": "auto"})
    _install_endpoints(app, beginning)
    _install_errors(app)
    app.register_blueprint(_pages(beginning))
    return app


def _asset(name: str) -> str:
    return url_for("static", filename=name)


def _install_endpoints(app: Flask, beginning: Beginning) -> None:
    """Health, the way in, and nothing else for who has not come by the link."""

    @app.get("/health/live")
    def live() -> Response:
        return jsonify(status="live")

    @app.get("/health")
    @app.get("/health/ready")
    def ready() -> tuple[Response, int]:
        return jsonify(status="not configured"), 503

    @app.get("/start/<key>")
    def come_in(key: str) -> Answer:
        if not hmac.compare_digest(key.encode(), beginning.key.encode()):
            return render_template("start/closed.html", is_wrong=True), 403
        session["may_begin"] = True
        return redirect(url_for("start.account"))

    @app.before_request
    def guard() -> Answer | None:
        if request.endpoint in ("live", "ready", "come_in", "static"):
            return None
        if not session.get("may_begin"):
            return render_template("start/closed.html", is_wrong=False), 403
        if beginning.next_page:
            # Saved: the process that serves next is on its way. The link of the first admin is in this page.
            return render_template("start/saved.html", next_page=beginning.next_page)
        return None


def _install_errors(app: Flask) -> None:
    @app.errorhandler(CSRFError)
    def form_is_old(error: CSRFError) -> Answer:
        return render_template("start/trouble.html", words=_("Форма устарела: откройте страницу снова.")), 400

    @app.errorhandler(HTTPException)
    def page_of(error: HTTPException) -> Answer:
        words = _("Такой страницы здесь нет.") if error.code == 404 else str(error.description)
        return render_template("start/trouble.html", words=words), error.code or 500


def _mark(draft: Draft) -> str:
    """Tells one result from another."""
    return hashlib.sha256(draft.text.encode()).hexdigest()


def _pages(beginning: Beginning) -> Blueprint:
    routes = Blueprint("start", __name__)

    def started(*, is_chosen: bool = True) -> Start:
        """Who comes too early goes to where he left off."""
        here = beginning.start
        if here is None:
            abort(redirect(url_for("start.account")))
        if is_chosen and here.choice is None:
            abort(redirect(url_for("start.choose")))
        return here

    @routes.get("/")
    def home() -> Answer:
        return redirect(url_for("start.account"))

    @routes.route("/start", methods=["GET", "POST"])
    def account() -> Answer:
        told: dict[str, Any] = request.form.to_dict()
        if request.method == "GET":
            known = beginning.start.access.access if beginning.start else None
            public = request.host_url.rstrip("/") if request.is_secure else ""
            told = {
                "address": known.address if known else "",
                "public_url": known.public_url if known else public,
            }
            return render_template("start/account.html", told=told, trouble="")
        with beginning.lock:
            try:
                beginning.connect(told)
            except (BridgeError, ConfigError) as error:
                return render_template("start/account.html", told=told, trouble=describe(error)), 422
        return redirect(url_for("start.choose"))

    @routes.route("/start/regulation", methods=["GET", "POST"])
    def choose() -> Answer:
        here = started(is_chosen=False)
        chosen = regulation(request.form.get("regulation", ""))
        if chosen is None:
            trouble = _("Выберите регламент.") if request.method == "POST" else ""
            page = render_template(
                "start/regulation.html", here=here, allowed=beginning.allowed, regulations=REGULATIONS, trouble=trouble
            )
            return (page, 422) if trouble else page
        titles = [one.title for one in chosen.parts]
        parts = tuple(one for one in titles if one in request.form.getlist(f"part:{chosen.name}"))
        access = here.access.access
        with beginning.lock:
            beginning.rehearsal, beginning.left = None, []
            here.choose(Choice(chosen, access.address, parts or None, access.public_url))
        return redirect(url_for("start.names"))

    @routes.route("/start/names", methods=["GET", "POST"])
    def names() -> Answer:
        here = started()
        with beginning.lock:
            found = here.matching.open_round()
            if not found:
                return redirect(url_for("start.result"))
            unanswered: set[str] = set()
            if request.method == "POST":
                unanswered = _take_answers(here, request.form)
                if not unanswered:
                    return redirect(url_for("start.names"))
            page = render_template(
                "start/names.html",
                here=here,
                found=found,
                told=request.form,
                unanswered=unanswered,
            )
            return (page, 422) if unanswered else page

    @routes.get("/start/result")
    def result() -> Answer:
        return shown(started())

    @routes.post("/start/again")
    def again() -> Answer:
        """Back to the names, all of them asked anew."""
        here = started()
        with beginning.lock:
            here.choose(here.chosen)
        return redirect(url_for("start.names"))

    @routes.post("/start/create")
    def create() -> Answer:
        here = started()
        with beginning.lock:
            draft_as_shown(here)
            try:
                beginning.left = here.create()
                beginning.rehearsal = None
            except (BridgeError, ConfigError) as error:
                return shown(here, describe(error)), 502
        return redirect(url_for("start.result"))

    @routes.post("/start/rehearse")
    def rehearse() -> Answer:
        here = started()
        with beginning.lock:
            try:
                beginning.rehearsal = first_rehearsal(here.draft().config, here.access.client())
            except (BridgeError, ConfigError) as error:
                return shown(here, describe(error)), 502
        return redirect(url_for("start.result", _anchor="rehearsal"))

    @routes.post("/start/save")
    def save() -> Answer:
        here = started()
        with beginning.lock:
            draft = draft_as_shown(here)
            try:
                beginning.save(draft)
            except (BridgeError, ConfigError, OSError) as error:
                return shown(here, describe(error)), 409
        log.info("config written, the bridge starts anew", path=str(beginning.path))
        return render_template("start/saved.html", next_page=beginning.next_page)

    def draft_as_shown(here: Start) -> Draft:
        """The result that the form was sent from; ends with 409 if somebody else with the link has answered otherwise
        since then."""
        draft = here.draft()
        if here is not beginning.start or request.form.get("mark") != _mark(draft):
            words = _("Ответы тем временем изменились в другом окне: посмотрите итог снова.")
            abort(make_response(shown(here, words), 409))
        return draft

    def shown(here: Start, trouble: str = "") -> str:
        here = started() if here is not beginning.start else here
        if here.matching.open_round():
            abort(redirect(url_for("start.names")))
        plan: Plan = here.lacking()
        draft = here.draft()
        return render_template(
            "start/result.html",
            here=here,
            draft=draft,
            mark=_mark(draft),
            plan=plan,
            left=beginning.left,
            rehearsal=beginning.rehearsal,
            trouble=trouble,
        )

    return routes


NONE, UNSAID = "none", ""


def _take_answers(here: Start, told: Mapping[str, str]) -> set[str]:
    """Take the answers to this round, all or none; the keys of those that are missing or not on the list."""
    found = here.matching.open_round()
    answers: dict[str, str | None] = {}
    missing: set[str] = set()
    for one in found:
        said = told.get(one.need.key, UNSAID)
        value = said.removeprefix("value:")
        if said == NONE:
            answers[one.need.key] = None
        elif said.startswith("value:") and value in {candidate.value for candidate in one.candidates}:
            answers[one.need.key] = value
        else:
            missing.add(one.need.key)
    if not missing:
        for one in found:
            here.matching.answer(one, answers[one.need.key])
    return missing
