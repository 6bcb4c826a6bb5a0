"""Advertising: figures of campaigns against the norms, exports to upload, «Проверено» (M9)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.advertising.exports import SERVICES, total_of
from amo_bridge.engine.ad_campaigns import SHOWN_DAYS
from amo_bridge.errors import UnknownName
from amo_bridge.mirror.ad_statistics import AdStatistics, folded
from amo_bridge.rules.ad_norms import METRICS, SIGNS, AdsSection, money
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, current_account, user
from amo_bridge.web.pages import Menu
from amo_bridge.web.services import ads as service
from amo_bridge.web.services.ads import CampaignRow, NotNow
from amo_bridge.webinars.formats.guards import MOST_BYTES
from amo_bridge.webinars.formats.model import ExportError

routes = Blueprint("ads", __name__)
MENU = Menu(_l("Реклама"), "ads.show", place=37, needs=lambda config: config.ads is not None)
MEGABYTE = 1024 * 1024
STATES = {
    "over": ("bad", _l("выше нормы")),
    "fine": ("good", _l("в норме")),
    "few": ("quiet", _l("мало данных")),
    "none": ("warning", _l("нет статистики")),
    "shared": ("warning", _l("в нескольких сделках")),
    "nobody": ("warning", _l("нет сделки")),
}
SERVICE_NAMES = {"vk": _l("VK Реклама"), "yandex": _l("Яндекс Директ"), "meta": "Meta", "file": _l("другой сервис")}
LONGEST_CAMPAIGN = 255


def amount(hundredths: int, currency: str) -> str:
    """«1 234,50 ₽»."""
    return f"{money(Decimal(hundredths) / 100)} {SIGNS.get(currency, currency)}"


@routes.get("/ads")
@open_to(Role.VIEWER)
def show() -> str:
    here = current_account()
    section = here.fit.config.ads
    known = service.overview(here, section) if section is not None and here.is_known else None
    return render_template(
        "ads/list.html",
        known=known,
        is_on=section is not None,
        has_norms=bool(section and (section.norms or section.plan)),
        today=service.today_of(here),
        states=STATES,
        services=SERVICE_NAMES,
    )


@routes.get("/ads/campaign")
@open_to(Role.VIEWER)
def one() -> str:
    here, row = _asked(request.args.get("name", ""))
    return render_template(
        "ads/one.html",
        row=row,
        states=STATES,
        services=SERVICE_NAMES,
        metrics=METRICS,
        amount=amount,
        money=money,
        url=here.config.account.url,
    )


@routes.post("/ads/file")
@open_to(Role.WEBINAR, most_bytes=MOST_BYTES + MEGABYTE)
def upload() -> Response:
    """An export: all of it, or nothing with what is wrong in it."""
    here, section = _section()
    file = request.files.get("file")
    day_told = request.form.get("day", "")
    try:
        chosen = service.service_named(request.form.get("service", ""))
        day = date.fromisoformat(day_told) if day_told else None
    except (LookupError, ValueError):
        abort(400)
    if file is None or not file.filename:
        flash(_("Выберите файл."))
        return redirect(url_for("ads.show"))
    try:
        export, taken = service.take_file(here, section, file.filename, file.read(), chosen, day)
    except (ExportError, UnknownName, NotNow) as error:
        flash(_("Ничего не загружено. %(why)s", why=error))
        return redirect(url_for("ads.show"))
    audit("ads.file", f"Загружена статистика рекламы: {file.filename}, {SERVICES[chosen]}, строк: {taken.rows}")
    spent = ", ".join(amount(cost, currency) for currency, cost in total_of(export.rows))
    flash(
        _(
            "Загружено: кампаний %(campaigns)s, строк %(rows)s, из них заменено %(known)s; расход %(spent)s.",
            campaigns=taken.campaigns,
            rows=taken.rows,
            known=taken.known,
            spent=spent,
        )
    )
    if taken.ours < taken.campaigns:
        flash(_("Без своей сделки кампаний: %(n)s, они отмечены в списке.", n=taken.campaigns - taken.ours))
    return redirect(url_for("ads.show"))


@routes.post("/ads/checked")
@open_to(Role.WEBINAR)
def checked() -> Response:
    """Somebody has looked at yesterday's figures of a campaign where they stand."""
    here, row = _asked(request.form.get("name", ""))
    yesterday = service.today_of(here) - timedelta(days=1)
    try:
        day = date.fromisoformat(request.form.get("day", ""))
    except ValueError:
        abort(400)
    if not yesterday - timedelta(days=SHOWN_DAYS) <= day <= yesterday:
        abort(400)
    if AdStatistics(here.account_store).check(row.name, day, user().login, here.clock.now()):
        audit("ads.checked", f"Реклама: кампания «{row.name}» за {day:%d.%m.%Y} проверена")
    flash(_("Записано: кампания «%(name)s» проверена.", name=row.name))
    return redirect(url_for("ads.show"))


def _section() -> tuple[AccountView, AdsSection]:
    here = current_account()
    section = here.fit.config.ads
    return here, abort(404) if section is None else section


def _asked(name: str) -> tuple[AccountView, CampaignRow]:
    here, section = _section()
    rows = service.overview(here, section).rows if here.is_known and name[:LONGEST_CAMPAIGN] else []
    row = next((one for one in rows if one.key == folded(name)), None)
    if row is None:
        abort(404)
    return here, row
