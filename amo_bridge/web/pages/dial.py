"""Auto-dial: whom it calls, when next and why; stopped by hand, unknown results told by a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.channels.dial_log import DECISIONS, Dial, DialCall, DialLog
from amo_bridge.channels.vendors import connected
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.deals import Mirror
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages import Menu, Pager
from amo_bridge.web.services import channels as service

routes = Blueprint("dial", __name__)
MENU = Menu(_l("Дозвон"), "dial.show", place=35, needs=lambda config: "dial" in connected(config))
SHOWN_FOR = timedelta(days=14)
A_PAGE = 50
STATES = {
    "waiting": ("quiet", _l("ждёт")),
    "calling": ("good", _l("звонит")),
    "undecided": ("bad", _l("решите")),
    "ended": ("quiet", _l("окончен")),
}
OUTCOMES = {
    "asking": _l("спрашиваем АТС"),
    "placed": _l("идёт"),
    "doubt": _l("ответ АТС потерян, выясняем"),
    "talked": _l("поговорили"),
    "manager": _l("менеджер не взял трубку"),
    "client": _l("клиент не ответил"),
    "wrong": _l("номера не существует"),
    "refused": _l("АТС отказала"),
    "unsent": _l("звонка не было"),
    "unknown": _l("неизвестно"),
}


@dataclass(frozen=True)
class DialRow:
    """A dial as the page shows it. ``deal``: the deal's name; ``manager``: who is or was called."""

    dial: Dial
    deal: str
    manager: str
    calls: list[DialCall]

    @property
    def last(self) -> DialCall | None:
        return self.calls[-1] if self.calls else None

    @property
    def unknown(self) -> DialCall | None:
        """The call about which a person has to decide."""
        is_asked = self.dial.state == "undecided" and self.last is not None and self.last.state == "unknown"
        return self.last if is_asked else None


@routes.get("/dial")
@open_to(Role.VIEWER)
def show() -> str:
    here = current_account()
    running: list[DialRow] = []
    ended: list[DialRow] = []
    pagers = Pager(0, A_PAGE), Pager(0, A_PAGE, "ended")
    is_stopped = False
    if here.is_known:
        log = service.log_of(here)
        # Those that a person has to decide about come first.
        going = sorted(log.running(), key=lambda dial: dial.state != "undecided")
        over = log.ended_since(here.clock.now() - SHOWN_FOR)
        pagers = Pager(len(going), A_PAGE), Pager(len(over), A_PAGE, "ended")
        running, ended = (_rows(here, log, pager.of(some)) for pager, some in zip(pagers, (going, over), strict=True))
        is_stopped = log.is_stopped
    return render_template(
        "dial/show.html",
        running=running,
        ended=ended,
        pagers=pagers,
        is_stopped=is_stopped,
        is_off=not here.config.channels.dial.enabled,
        is_connected="dial" in connected(here.config),
        states=STATES,
        outcomes=OUTCOMES,
        decisions=[(name, OUTCOMES[name]) for name in DECISIONS],
    )


@routes.post("/dial/<any(stop, resume):switch>-all")
@open_to(Role.HEAD)
def switch_all(switch: str) -> Response:
    service.switch_all(current_account(), is_stopped=switch == "stop")
    flash(_("Дозвон остановлен: новых звонков не будет.") if switch == "stop" else _("Дозвон продолжается."))
    return redirect(url_for("dial.show"))


@routes.post("/dial/<int:dial_id>/stop")
@open_to(Role.HEAD)
def stop(dial_id: int) -> Response:
    try:
        is_new = service.stop(current_account(), dial_id)
    except LookupError:
        abort(404)
    flash(_("Дозвон по сделке остановлен.") if is_new else _("Дозвон по сделке уже окончен."))
    return redirect(url_for("dial.show"))


@routes.post("/dial/calls/<int:call_id>/<decision>")
@open_to(Role.HEAD)
def decide(call_id: int, decision: str) -> Response:
    try:
        is_new = service.decide(current_account(), call_id, decision)
    except LookupError:
        abort(404)
    if is_new:
        flash(_("Записано, дозвон идёт дальше."))
    else:
        flash(_("Это уже известно: АТС ответила или решил кто-то другой."))
    return redirect(url_for("dial.show"))


def _rows(here: AccountView, log: DialLog, some: Iterable[Dial]) -> list[DialRow]:
    found = list(some)
    calls: Mapping[int, list[DialCall]] = log.calls_of(dial.id for dial in found)
    known = here.crm_account
    names = {one.id: one.name for one in known.users} if known else {}
    known_deals = Mirror(here.account_store).get(dial.deal_id for dial in found)
    rows = []
    for dial in found:
        copy = known_deals.get(dial.deal_id)
        record = copy.record if copy else None
        manager = names.get(dial.user_id or (record.responsible_user_id if record else 0), "")
        rows.append(DialRow(dial, record.name if record else "", manager, calls.get(dial.id, [])))
    return rows
