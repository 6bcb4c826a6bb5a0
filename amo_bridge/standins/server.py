"""The server of all stand-ins: each under its name, the controls under ``/standins/``."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, g, jsonify, request
from flask.typing import ResponseReturnValue

from amo_bridge.sandbox.middleware import KeepAliveServer, hang_up
from amo_bridge.standins import pages
from amo_bridge.standins.audiences import VkAdsStandIn, YandexAudienceStandIn
from amo_bridge.standins.bots import MaxStandIn, TelegramStandIn
from amo_bridge.standins.calls import CallScript, Switchboard
from amo_bridge.standins.faults import KINDS, REQUEST_FAULTS, VendorFaults
from amo_bridge.standins.google_drive import GoogleDriveStandIn
from amo_bridge.standins.google_sheets import GoogleSheetsStandIn
from amo_bridge.standins.megaplan import MegaplanStandIn
from amo_bridge.standins.meta import MetaStandIn
from amo_bridge.standins.novofon import Novofon2StandIn
from amo_bridge.standins.onlinepbx import OnlinePbxStandIn
from amo_bridge.standins.pipedrive import PipedriveStandIn
from amo_bridge.standins.roistat import RoistatStandIn
from amo_bridge.standins.s3 import S3StandIn
from amo_bridge.standins.site import SiteStandIn
from amo_bridge.standins.sms import SmscStandIn, SmsRuStandIn
from amo_bridge.standins.timeline import Timeline
from amo_bridge.standins.unisender_go import UnisenderGoStandIn
from amo_bridge.standins.vendor import StandIn
from amo_bridge.standins.vk import VkStandIn
from amo_bridge.standins.yandex_direct import YandexDirectStandIn
from amo_bridge.standins.yandex_disk import YandexDiskStandIn
from amo_bridge.standins.zadarma import NovofonStandIn, ZadarmaStandIn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

STAND_INS: tuple[type[StandIn], ...] = (
    SiteStandIn, VkStandIn, TelegramStandIn, MaxStandIn, MetaStandIn,
    ZadarmaStandIn, NovofonStandIn, Novofon2StandIn, OnlinePbxStandIn,
    SmsRuStandIn, SmscStandIn,
    YandexDiskStandIn, GoogleDriveStandIn, GoogleSheetsStandIn, S3StandIn,
    YandexAudienceStandIn, YandexDirectStandIn, VkAdsStandIn, RoistatStandIn, UnisenderGoStandIn,
    PipedriveStandIn, MegaplanStandIn,
)  # fmt: skip
"""The table of vendors."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "pbx": (ZadarmaStandIn.name, NovofonStandIn.name, Novofon2StandIn.name, OnlinePbxStandIn.name),
    "sms": (SmsRuStandIn.name, SmscStandIn.name),
    "ads": (YandexAudienceStandIn.name, YandexDirectStandIn.name, VkAdsStandIn.name),
    "all": tuple(made.name for made in STAND_INS),
}
"""Names for several at once."""

STOP_POLL_SECONDS = 0.05
_HANG_UP = "standins.hang_up"


def wanted_names(text: str) -> tuple[str, ...]:
    """«vk,pbx» → the names of vendors. Raises ValueError (Russian)."""
    known = {made.name for made in STAND_INS}
    names: list[str] = []
    for word in filter(None, (one.strip() for one in text.split(","))):
        if word not in known and word not in GROUPS:
            raise ValueError(f"сервиса «{word}» нет; есть {', '.join([*sorted(known), *GROUPS])}")
        names += GROUPS.get(word, (word,))
    if not names:
        raise ValueError(f"не сказано, какие сервисы; есть {', '.join([*sorted(known), *GROUPS])}")
    return tuple(dict.fromkeys(names))


class StandIns:
    """Vendors on one timeline; ``names``: which, all if empty. ``live``: time goes by itself; else only by
    ``timeline.advance``. ``seed``: of the faults that strike by chance."""

    def __init__(self, names: Collection[str] = (), *, live: bool = True, seed: int = 1) -> None:
        self.timeline = Timeline(live=live)
        self.faults = VendorFaults(seed)
        wanted = [made for made in STAND_INS if not names or made.name in names]
        self.all: Mapping[str, StandIn] = {made.name: made(self.timeline, self.faults) for made in wanted}
        self.url = ""

    def __getitem__(self, name: str) -> StandIn:
        return self.all[name]

    def board(self, name: str) -> Switchboard:
        """The PBX of this name. Raises KeyError."""
        board = getattr(self.all[name], "board", None)
        if not isinstance(board, Switchboard):
            raise KeyError(name)
        return board


def create_app(stand_ins: StandIns) -> Flask:
    """All addresses."""
    app = Flask("amo_bridge.standins", static_folder=None)
    for stand_in in stand_ins.all.values():
        routes = Blueprint(stand_in.name, __name__)
        routes.before_request(_guarded(stand_ins, stand_in))
        routes.teardown_request(lambda _: _release(stand_ins))
        stand_in.register(routes)
        app.register_blueprint(routes, url_prefix=f"/{stand_in.name}")
    _register_controls(app, stand_ins)
    pages.register(app, stand_ins.all)
    app.wsgi_app = _HangUp(app.wsgi_app)  # type: ignore[method-assign]
    return app


def _guarded(stand_ins: StandIns, stand_in: StandIn) -> Any:
    """One request at a time changes a vendor's state; faults strike before or after."""

    def begin() -> ResponseReturnValue | None:
        path = request.path.removeprefix(f"/{stand_in.name}")
        fault = stand_ins.faults.strike(REQUEST_FAULTS, stand_in.name, path)
        kind = fault.kind if fault else ""
        stand_in.log_request(path)
        if kind == "limited":
            return stand_in.limited()
        if kind == "unauthorised":
            return stand_in.unauthorised()
        if kind == "broken":
            return Response("<html><h1>500 Internal Server Error</h1></html>", 500)
        if kind in ("lost_answer", "refuse_before"):
            request.environ[_HANG_UP] = True
        if kind == "refuse_before":
            return Response(status=500)
        # Asks the bridge back before it answers (zd_echo): others must not wait for that.
        stand_ins.timeline.lock.acquire()
        g.holds_lock = True
        return None

    return begin


def _release(stand_ins: StandIns) -> None:
    if g.pop("holds_lock", False):
        stand_ins.timeline.lock.release()


class _HangUp:
    """Cuts the connection where a fault says so: the answer is thrown away."""

    def __init__(self, inner: WSGIApplication) -> None:
        self._inner = inner

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        held: list[Any] = []

        def hold(*answer: Any) -> Any:
            held.append(answer)
            return lambda _: None

        parts = self._inner(environ, hold)
        if environ.pop(_HANG_UP, False):
            getattr(parts, "close", lambda: None)()
            return hang_up(environ, start_response)
        start_response(*held[-1])
        return parts


def _register_controls(app: Flask, stand_ins: StandIns) -> None:
    timeline, faults = stand_ins.timeline, stand_ins.faults

    def known(name: str) -> StandIn:
        if name not in stand_ins.all:
            raise ValueError(f"сервиса «{name}» нет; есть {', '.join(stand_ins.all)}")
        return stand_ins[name]

    @app.errorhandler(ValueError)
    def senseless(error: ValueError) -> ResponseReturnValue:
        return jsonify(error=str(error)), 400

    @app.post("/standins/clock")
    def advance() -> ResponseReturnValue:
        """{"advance": seconds}: let time pass."""
        timeline.advance(float(_body().get("advance", 0)))
        return jsonify(now=timeline.now(), waiting=timeline.waiting())

    @app.get("/standins/clock")
    def clock() -> ResponseReturnValue:
        return jsonify(now=timeline.now(), waiting=timeline.waiting())

    @app.post("/standins/faults")
    def add_fault() -> ResponseReturnValue:
        body = dict(_body())
        fault = faults.add(str(body.pop("kind", "")), **body)
        return jsonify(id=fault.id), 201

    @app.get("/standins/faults")
    def list_faults() -> ResponseReturnValue:
        return jsonify(faults=faults.shown(), kinds=KINDS)

    @app.delete("/standins/faults")
    def clear_faults() -> ResponseReturnValue:
        faults.clear()
        return Response(status=204)

    @app.get("/standins/<name>/settings")
    def settings(name: str) -> ResponseReturnValue:
        return jsonify(known(name).settings())

    @app.post("/standins/<name>/settings")
    def configure(name: str) -> ResponseReturnValue:
        """What the vendor's cabinet sets."""
        known(name).configure(_body())
        return jsonify(known(name).settings())

    @app.get("/standins/<name>/requests")
    def requests(name: str) -> ResponseReturnValue:
        return jsonify(requests=[dict(vars(one)) for one in known(name).requests])

    @app.get("/standins/<name>/webhooks")
    def webhooks(name: str) -> ResponseReturnValue:
        return jsonify(webhooks=[one.shown() for one in known(name).attempts])

    @app.post("/standins/<name>/script")
    def script(name: str) -> ResponseReturnValue:
        """How the next call back goes: {"outcome", "talk", "ring", "patience"}; with "client" every one to this number,
        with "always" every one that has no other."""
        board, body = _board(known(name)), dict(_body())
        client, always = str(body.pop("client", "")), bool(body.pop("always", False))
        plan = CallScript.read(body)
        with timeline.lock:
            if client:
                board.by_client[client] = plan
            elif always:
                board.default = plan
            else:
                board.scripts.append(plan)
        return jsonify(outcome=plan.outcome), 201

    @app.post("/standins/<name>/call")
    def call(name: str) -> ResponseReturnValue:
        """A client rings: {"client", "extension", and how it goes as in a script}."""
        stand_in, body = known(name), dict(_body())
        board = _board(stand_in)
        client, extension = str(body.pop("client", "")), str(body.pop("extension", "100"))
        plan = CallScript.read(body)
        if not client:
            raise ValueError("client: нужен номер, с которого звонят")
        with timeline.lock:
            made = board.call_in(client, extension, getattr(stand_in, "line", ""), plan)
        return jsonify(number=made.number), 201


def _board(stand_in: StandIn) -> Switchboard:
    board = getattr(stand_in, "board", None)
    if not isinstance(board, Switchboard):
        raise ValueError(f"{stand_in.title}: это не АТС")
    return board


def _body() -> Mapping[str, Any]:
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise ValueError("нужен объект JSON")
    return body


@contextmanager
def serving(stand_ins: StandIns, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serves from a thread of its own while the block runs; gives the URL."""
    server = KeepAliveServer(host, port, create_app(stand_ins))
    stand_ins.url = f"http://{host}:{server.port}"
    for stand_in in stand_ins.all.values():
        stand_in.url = stand_ins.url
    thread = threading.Thread(
        target=server.serve_forever, args=(STOP_POLL_SECONDS,), name="stand-ins-server", daemon=True
    )
    thread.start()
    try:
        yield stand_ins.url
    finally:
        stand_ins.timeline.close()
        server.shutdown()
        thread.join()
        server.cut_connections()
        server.server_close()
