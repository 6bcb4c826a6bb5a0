"""Ways out past amoCRM: what is connected, what went out last, what went wrong and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.channels.registry import connected_vendors, unconnected, vendor_of
from amo_bridge.channels.trials import Trial, TrialKind, callers, kind_of, send_trial
from amo_bridge.channels.vendor_states import ChannelState, VendorStates
from amo_bridge.errors import ChannelError, ChannelUncertain, ConfigError
from amo_bridge.logs import mask_text
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, current_account
from amo_bridge.web.pages import Menu

routes = Blueprint("channels", __name__)
MENU = Menu(_l("Каналы"), "channels.show", place=58)
# What the bridge does by itself, and always.
OWN = "bridge"
PLACES: Mapping[TrialKind, Any] = {
    "mail": _l("Адрес почты"),
    "telegram": _l("Номер чата"),
    "sms": _l("Мобильный телефон"),
    "dial": _l("Телефон «клиента»"),
}
"""What is typed where, of each kind of trial."""


@routes.get("/channels")
@open_to(Role.VIEWER)
def show() -> str:
    here = current_account()
    states: list[ChannelState] = []
    if here.is_known:
        states = VendorStates(here.account_store, here.clock).read(vendor_of(here.config))
    return render_template(
        "channels/show.html",
        states=[one for one in states if one.vendor != OWN],
        wanted=unconnected(here.config),
        outages=here.bridge.health()["channels"],
        vendors=[vendor.section for vendor in connected_vendors(here.config)],
        trials=[(one.section, kind) for one in connected_vendors(here.config) if (kind := kind_of(one))],
        places=PLACES,
        callers=callers(here.config),
    )


@routes.post("/channels/<vendor>/ask")
@open_to(Role.ADMIN)
def ask(vendor: str) -> Response:
    """Does the vendor let us in, and what does it say? Nothing is sent to anybody."""
    here = current_account()
    asked = next((one for one in connected_vendors(here.config) if one.section == vendor), None)
    if asked is None:
        flash(_("Такого раздела в настройке нет."))
        return redirect(url_for("channels.show"))
    try:
        words = asked.secret_problem(here.bridge.environment)
        words = words or asked.client_of(here.config, here.bridge.environment).check()
    except ChannelError as error:
        words = _("Не вышло: %(why)s", why=str(error))
    except ConfigError as error:
        words = _("Не вышло: %(why)s", why="; ".join(error.problems))
    audit("channels.ask", f"Спрошен поставщик [{vendor}]")
    flash(f"[{vendor}] {words}")
    return redirect(url_for("channels.show"))


@routes.post("/channels/<vendor>/trial")
@open_to(Role.ADMIN)
def trial(vendor: str) -> Response:
    """Send one message, or make one call, to the address that was typed; show what the vendor says."""
    here = current_account()
    asked = next((one for one in connected_vendors(here.config) if one.section == vendor), None)
    if asked is None:
        flash(_("Такого раздела в настройке нет."))
        return redirect(url_for("channels.show"))
    to, person = request.form.get("to", "").strip()[:200], request.form.get("person", "").strip()[:200]
    wanted = Trial(to, person, here.clock.now(), here.account_store.account_id)
    try:
        words = send_trial(asked, here.config, here.bridge.environment, wanted)
    except ChannelUncertain as error:
        words = _("Неизвестно, ушло ли: %(why)s", why=str(error))
    except ChannelError as error:
        words = _("Не вышло: %(why)s", why=str(error))
    except ConfigError as error:
        words = _("Не вышло: %(why)s", why="; ".join(error.problems))
    audit("channels.trial", f"Пробное по [{vendor}]: {mask_text(to)}", details=mask_text(words))
    flash(f"[{vendor}] {words}")
    return redirect(url_for("channels.show"))
