"""Channels: connected vendors, what was sent last, errors and what to do; trial messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.channels.trials import TrialKind, callers, kind_of
from amo_bridge.channels.vendor_states import ChannelState, VendorStates
from amo_bridge.channels.vendors import connected_vendors, serving, unconnected, vendor_of
from amo_bridge.errors import ConfigError, StoreUnavailable
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, current_account, user
from amo_bridge.web.pages import Menu
from amo_bridge.web.services import channel_setup
from amo_bridge.web.services import channels as service
from amo_bridge.web.services.channel_setup import LONGEST_VALUE, ON, Outdated, Setup
from amo_bridge.web.services.config import LONGEST_SECRET, Unfit

routes = Blueprint("channels", __name__)
MENU = Menu(_l("Каналы"), "channels.show", place=58)
# What the bridge does by itself, and always.
OWN = "bridge"
PLACES: Mapping[TrialKind, Any] = {
    "mail": _l("Адрес почты"),
    "telegram": _l("Номер чата"),
    "max": _l("Номер человека или чата"),
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
    outages = here.bridge.health()["channels"]
    names = {one.name for one in states}
    return render_template(
        "channels/show.html",
        states=[one for one in states if one.vendor != OWN],
        wanted=unconnected(here.config),
        outages=outages,
        # Of what is read or kept elsewhere: tables, analytics.
        beside=[why for name, why in outages.items() if name not in names],
        serving=serving(here.config),
        trials=[(one.section, kind) for one in connected_vendors(here.config) if (kind := kind_of(one))],
        places=PLACES,
        callers=callers(here.config),
        lines=channel_setup.vendor_lines(here),
    )


@routes.get("/channels/<vendor>/setup")
@open_to(Role.ADMIN)
def setup(vendor: str) -> str | tuple[str, int]:
    """The form by which a vendor is connected, changed, disconnected."""
    try:
        return _setup_page(channel_setup.setup_of(current_account(), vendor))
    except LookupError:
        abort(404)
    except ConfigError as error:
        return render_template("config/problems.html", problems=error.problems), 409


@routes.post("/channels/<vendor>/setup")
@open_to(Role.ADMIN)
def connect(vendor: str) -> Response | tuple[str, int]:
    """Connect it as the form says, and ask it at once whether it lets us in."""
    here = current_account()
    try:
        state = channel_setup.connect(here, vendor, request.form)
    except LookupError:
        abort(404)
    except (ConfigError, StoreUnavailable) as error:
        return _not_done(vendor, error, request.form)
    if state.problems:
        flash(_("Файл записан, но пока не действует: %(why)s", why="; ".join(state.problems)))
        return redirect(url_for("channels.show"))
    outcome = service.ask(here, channel_setup.vendor_at(vendor))
    if outcome.is_well:
        flash(_("[%(vendor)s] подключён. %(words)s", vendor=vendor, words=outcome.words))
        return redirect(url_for("channels.show"))
    flash(_("[%(vendor)s]: сохранено, но сервис не пускает. %(words)s", vendor=vendor, words=outcome.words))
    return redirect(url_for("channels.setup", vendor=vendor))


@routes.post("/channels/<vendor>/disconnect")
@open_to(Role.ADMIN)
def disconnect(vendor: str) -> Response | tuple[str, int]:
    here = current_account()
    try:
        state = channel_setup.disconnect(here, vendor, request.form.get("mark", ""))
    except LookupError:
        abort(404)
    except (ConfigError, StoreUnavailable) as error:
        return _not_done(vendor, error, None)
    if state.problems:
        flash(_("Файл записан, но пока не действует: %(why)s", why="; ".join(state.problems)))
    else:
        flash(_("[%(vendor)s] отключён; секрет, вписанный на странице, забыт.", vendor=vendor))
    return redirect(url_for("channels.show"))


def _not_done(vendor: str, error: ConfigError | StoreUnavailable, typed: Mapping[str, str] | None) -> tuple[str, int]:
    """The form again, with what was typed and what is wrong; if somebody has changed the file, with what is in it."""
    here = current_account()
    problems = error.problems if isinstance(error, ConfigError) else [str(error)]
    try:
        filled = channel_setup.setup_of(here, vendor, None if isinstance(error, Outdated) else typed)
    except ConfigError as broken:
        return render_template("config/problems.html", problems=broken.problems), 409
    return _setup_page(filled, problems), 422 if isinstance(error, Unfit) else 409


def _setup_page(filled: Setup, problems: Sequence[str] = ()) -> str:
    return render_template(
        "channels/setup.html",
        setup=filled,
        problems=problems,
        ON=ON,
        longest_value=LONGEST_VALUE,
        longest_secret=LONGEST_SECRET,
    )


@routes.post("/channels/<vendor>/ask")
@open_to(Role.ADMIN)
def ask(vendor: str) -> Response:
    """Does the vendor let us in, and what does it say? Nothing is sent to anybody."""
    here = current_account()
    try:
        outcome = service.ask(here, service.connected(here, vendor))
    except LookupError:
        flash(_("Такого раздела в настройке нет."))
        return redirect(url_for("channels.show"))
    audit("channels.ask", f"Спрошен поставщик [{vendor}]")
    flash(f"[{vendor}] {outcome.words}")
    return redirect(url_for("channels.show"))


@routes.post("/channels/<vendor>/trial")
@open_to(Role.ADMIN)
def trial(vendor: str) -> Response:
    """Send one message, or make one call, to the address that was typed; show what the vendor says."""
    here = current_account()
    to, person = request.form.get("to", "").strip()[:200], request.form.get("person", "").strip()[:200]
    try:
        outcome = service.try_out(here, service.connected(here, vendor), to, person)
    except LookupError:
        flash(_("Такого раздела в настройке нет."))
        return redirect(url_for("channels.show"))
    flash(f"[{vendor}] {outcome.words}")
    return redirect(url_for("channels.show"))


@routes.post("/channels/trial")
@open_to(Role.ADMIN)
def trial_to_self() -> Response:
    """A trial message to whoever asks, by every way in which the bridge tells him."""
    outcomes = service.try_out_on(current_account(), user().login)
    for section, outcome in outcomes:
        flash(f"[{section}] {outcome.words}")
    if not outcomes:
        flash(_("Послать некуда: впишите у себя в «Людях и их каналах» имя входа и канал, и подключите канал."))
    return redirect(url_for("settings.show", name="people"))
