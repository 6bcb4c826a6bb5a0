"""Enquiries: who asked, by what way and what became of it; the addresses that vendors post to."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.errors import ConfigError
from amo_bridge.intake.enquiries import EnquiryFilter, title_of
from amo_bridge.intake.reception import LARGEST_WITH_FILES, MEGABYTE
from amo_bridge.intake.vk_leads import NotAnExport
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.web import context
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages import Menu
from amo_bridge.web.services import enquiries as service
from amo_bridge.web.services.config import LONGEST_SECRET

routes = Blueprint("enquiries", __name__)
MENU = Menu(_l("Обращения"), "enquiries.show", place=25, needs=lambda config: config.intake is not None)
A_PAGE = 50


@dataclass(frozen=True)
class Wish:
    """What is asked for; what is empty does not limit."""

    source: str
    state: str
    day: str
    text: str
    deal: int | None

    @property
    def asked(self) -> dict[str, Any]:
        """As it stands in an address."""
        told = {"source": self.source, "state": self.state, "day": self.day, "text": self.text, "deal": self.deal}
        return {key: value for key, value in told.items() if value}

    def filter(self, here: AccountView) -> EnquiryFilter:
        since, until = service.span_of(here, self.day)
        return EnquiryFilter(
            source=self.source, state=self.state, words=self.text, deal_id=self.deal, since=since, until=until
        )


@routes.get("/enquiries")
@open_to(Role.VIEWER)
def show() -> str:
    here, wish = current_account(), _wish()
    page = max(1, min(context.number("page") or 1, 10_000))
    known: dict[str, Any] = {"views": [], "total": 0, "sources": [], "days": [], "series": {}}
    if here.is_known:
        repository, wanted = service.repository_of(here), wish.filter(here)
        days, series = service.by_day(here)
        known = {
            "views": [service.view_of(row) for row in repository.find(wanted, A_PAGE, (page - 1) * A_PAGE)],
            "total": repository.count(wanted),
            "sources": repository.sources(),
            "days": days,
            "series": series,
        }
    return render_template(
        "enquiries/show.html",
        **known,
        wish=wish,
        page=page,
        a_page=A_PAGE,
        states=service.STATES,
        title_of=title_of,
        is_on=here.config.intake is not None,
        url=here.config.account.url,
    )


@routes.post("/enquiries/retry")
@open_to(Role.HEAD)
def retry() -> Response:
    """Have those whose button was pressed judged once more; back to where it was asked from."""
    numbers = [number for number in request.form.getlist("number", type=int) if abs(number) <= context.MOST]
    done, errors = service.retry(current_account(), numbers)
    for words in errors:
        flash(_("Не вышло: %(why)s.", why=words))
    if done:
        flash(_("Разбирается ещё раз: результат появится в списке."))
    return redirect(url_for("enquiries.show", **_wish().asked))


@routes.get("/enquiries/addresses")
@open_to(Role.ADMIN)
def addresses() -> str:
    here = current_account()
    base = here.config.bridge.public_url or request.host_url
    problems: list[str] = []
    found: list[service.AddressView] = []
    try:
        found = service.addresses_of_account(here, base)
    except ConfigError as error:
        problems = list(error.problems)
    return render_template(
        "enquiries/addresses.html",
        longest_secret=LONGEST_SECRET,
        found=found,
        problems=problems,
        is_on=here.config.intake is not None,
        is_public=bool(here.config.bridge.public_url),
    )


@routes.post("/enquiries/secret")
@open_to(Role.ADMIN)
def keep_secret() -> Response:
    """Keep what was typed as the secret of a vendor; forget it when the field is empty."""
    variable, word = request.form.get("variable", ""), request.form.get("secret", "").strip()
    if len(word) > LONGEST_SECRET:
        flash(_("Секрет слишком длинный: проверьте, то ли вы вставили."))
        return redirect(url_for("enquiries.addresses"))
    try:
        service.keep_secret(current_account(), variable, word)
        flash(_("Секрет задан, и мост уже работает с ним.") if word else _("Секрет забыт."))
    except LookupError:
        abort(404)
    except ConfigError as error:
        flash("; ".join(error.problems))
    return redirect(url_for("enquiries.addresses"))


@routes.post("/enquiries/trial")
@open_to(Role.ADMIN)
def trial() -> Response:
    """Send a trial enquiry to one of the addresses."""
    try:
        flash(service.send_trial(current_account(), request.form.get("vendor", ""), request.form.get("name", "")))
    except LookupError:
        abort(404)
    except ConfigError as error:
        flash("; ".join(error.problems))
    return redirect(url_for("enquiries.addresses"))


@routes.post("/enquiries/export")
@open_to(Role.ADMIN, most_bytes=LARGEST_WITH_FILES + MEGABYTE)
def export() -> Response:
    """Take the leads of an export of VK Ads."""
    file = request.files.get("file")
    try:
        words = service.take_export(current_account(), file.read() if file else b"")
        flash(_("Файл взят: %(words)s. Новые сейчас появятся в списке обращений.", words=words))
    except LookupError:
        abort(404)
    except NotAnExport as error:
        flash(_("Не вышло: %(why)s.", why=error))
    except ConfigError as error:
        flash("; ".join(error.problems))
    return redirect(url_for("enquiries.addresses"))


def _wish() -> Wish:
    """Nonsense in the address limits nothing."""
    state, day = request.args.get("state", ""), request.args.get("day", "").strip()
    return Wish(
        source=request.args.get("source", "").strip()[:24],
        state=state if state in service.STATES else "",
        day=day if service.span_of(current_account(), day)[0] else "",
        text=request.args.get("text", "").strip()[:200],
        deal=context.number("deal"),
    )
