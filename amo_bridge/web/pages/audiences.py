"""Advertising audiences: how large each is and was, who waits for what; files for upload by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from flask import Blueprint, Response, abort, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from amo_bridge.channels.audience_lists import audience_names, confirm_file, listed, make_file
from amo_bridge.channels.audience_log import AudienceLog
from amo_bridge.channels.audience_records import Hold, KeptList, KeptUpload, Member
from amo_bridge.config.advertising import AudienceList, AudiencesSection
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import audit, current_account
from amo_bridge.web.pages import Menu
from amo_bridge.web.services.deals import addresses_of

routes = Blueprint("audiences", __name__)
MENU = Menu(
    _l("Аудитории"), "audiences.show", place=36, needs=lambda config: config.channels.audiences is not None
)  # fmt: skip
SHOWN_DAYS = 30
SERVICES = {"file": _l("файл"), "yandex": _l("Яндекс Аудитории"), "vk": _l("VK Реклама")}
STATES = {
    "queued": ("quiet", _l("войдёт")),
    "in": ("good", _l("в аудитории")),
    "leaving": ("quiet", _l("уйдёт")),
    "refused": ("bad", _l("не войдёт")),
    "out": ("quiet", _l("вышел")),
}
UPLOADS = {
    "asking": _l("спрашиваем сервис"),
    "doubt": _l("ответ потерян, выясняем"),
    "processing": _l("сервис обрабатывает"),
    "done": _l("готово"),
    "failed": _l("не вышло"),
    "dropped": _l("не ушло, повторим"),
}
KINDS = {
    "base": _l("первый список"),
    "add": _l("добавление"),
    "remove": _l("исключение"),
    "replace": _l("список целиком"),
    "file": _l("файл"),
}


@dataclass(frozen=True)
class AudienceRow:
    """An audience as the pages show it. ``counts``: state → how many."""

    name: str
    how: AudienceList
    counts: dict[str, int]
    kept: KeptList
    upload: KeptUpload | None

    @property
    def size(self) -> int:
        return self.counts.get("in", 0) + self.counts.get("leaving", 0)


@routes.get("/audiences")
@open_to(Role.VIEWER)
def show() -> str:
    here = current_account()
    section = here.config.channels.audiences
    rows = audience_rows(here, section) if section is not None and here.is_known else []
    days: list[date] = []
    sizes: dict[str, list[int]] = {}
    if rows:
        today = here.clock.now().date()
        days = [today - timedelta(days=back) for back in reversed(range(SHOWN_DAYS))]
        sizes = {row.name: _sizes(AudienceLog(here.account_store), row.name, days) for row in rows}
    return render_template(
        "audiences/list.html",
        rows=rows,
        days=days,
        sizes=sizes,
        is_connected=section is not None,
        is_dry=here.config.bridge.dry_run,
        services=SERVICES,
        uploads=UPLOADS,
    )


@routes.get("/audiences/<path:name>")
@open_to(Role.VIEWER)
def one(name: str) -> str:
    here, row = _known(name)
    log = AudienceLog(here.account_store)
    members = log.shown(name, ("queued", "leaving", "refused", "in"))
    holds = log.holds_of(member.contact_id for member in members)
    today = here.clock.now().date()
    days = [today - timedelta(days=back) for back in reversed(range(SHOWN_DAYS))]
    return render_template(
        "audiences/one.html",
        row=row,
        members=[(member, _deals(holds, member)) for member in members],
        history=log.uploads_of(name),
        days=days,
        sizes={name: _sizes(log, name, days)},
        services=SERVICES,
        states={state: (kind, str(words)) for state, (kind, words) in STATES.items()},
        uploads=UPLOADS,
        kinds=KINDS,
        deal_address=addresses_of(here),
        url=here.config.account.url,
    )


@routes.post("/audiences/<path:name>/file")
@open_to(Role.ADMIN)
def file(name: str) -> Response:
    """The hashes of all who are in or are to be in."""
    here, row = _known(name)
    section = here.config.channels.audiences
    if row.how.service != "file" or section is None:
        abort(404)
    content = make_file(here.account_store, section, name, here.clock.now())
    audit("audiences.file", f"Аудитория «{name}»: скачан файл хэшей")
    kind = "text/csv" if row.how.format == "yandex" else "text/plain"
    ending = "csv" if row.how.format == "yandex" else "txt"
    told = Response(content, content_type=f"{kind}; charset=utf-8")
    day = here.clock.now().astimezone(here.zone).date()
    told.headers.set("Content-Disposition", "attachment", filename=f"{row.name} {day}.{ending}")
    return told


@routes.post("/audiences/<path:name>/uploaded")
@open_to(Role.ADMIN)
def uploaded(name: str) -> BaseResponse:
    here, _row = _known(name)
    if confirm_file(here.account_store, name, here.clock.now()):
        audit("audiences.uploaded", f"Аудитория «{name}»: файл загружен")
        flash(_("Записано: кто был в файле — в аудитории."))
        here.bridge.wake()
    else:
        flash(_("Подтверждать нечего: сначала скачайте файл."))
    return redirect(url_for("audiences.one", name=name))


@routes.post("/audiences/<path:name>/retry")
@open_to(Role.ADMIN)
def retry(name: str) -> BaseResponse:
    """Do not wait any longer after something went wrong."""
    here, row = _known(name)
    log = AudienceLog(here.account_store)
    with here.account_store.write() as connection:
        log.set_list(connection, name, row.how.service, retry_at=None, failures=0)
    audit("audiences.retry", f"Аудитория «{name}»: пробуем сейчас")
    flash(_("Мост пробует сейчас."))
    here.bridge.wake()
    return redirect(url_for("audiences.one", name=name))


@routes.post("/audiences/<path:name>/restart")
@open_to(Role.ADMIN)
def restart(name: str) -> BaseResponse:
    """The list was deleted in the service's cabinet: all wait anew."""
    here, row = _known(name)
    log = AudienceLog(here.account_store)
    with here.account_store.write() as connection:
        if (upload := log.open_upload(name)) is not None:
            log.end_upload(connection, upload.id, "dropped", "список начат заново", here.clock.now())
        log.forget_list(connection, name, row.how.service)
        log.set_list(connection, name, row.how.service, retry_at=None, failures=0, trouble="")
    audit("audiences.restart", f"Аудитория «{name}»: список начат заново")
    flash(_("Список начат заново: все, кого держат сделки, снова ждут выгрузки."))
    here.bridge.wake()
    return redirect(url_for("audiences.one", name=name))


def audience_rows(here: AccountView, section: AudiencesSection) -> list[AudienceRow]:
    """Those that the config names, and those that rules did."""
    log = AudienceLog(here.account_store)
    counts = log.counts()
    return [
        AudienceRow(name, listed(section, name)[1], counts.get(name, {}), log.list_of(name), log.open_upload(name))
        for name in audience_names(section, log)
    ]


def _known(name: str) -> tuple[AccountView, AudienceRow]:
    here = current_account()
    section = here.config.channels.audiences
    rows = audience_rows(here, section) if section is not None and here.is_known else []
    row = next((one for one in rows if one.name == name), None)
    if row is None:
        abort(404)
    return here, row


def _deals(holds: Mapping[tuple[str, int], list[Hold]], member: Member) -> list[int]:
    """The deals that hold him."""
    found = holds.get((member.audience, member.contact_id), [])
    return [hold.deal_id for hold in found if hold.ended_at is None]


def _sizes(log: AudienceLog, name: str, days: list[date]) -> list[int]:
    """For each day; a day on which nothing was kept is as the day before."""
    known = {day: size for day, size, _waiting in log.sizes(name)}
    last = next((known[day] for day in sorted(known, reverse=True) if day < days[0]), 0)
    found = []
    for day in days:
        last = known.get(day, last)
        found.append(last)
    return found
