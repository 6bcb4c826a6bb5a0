"""Decisions of the bridge by day, rule, person, channel, source and ending, as a list and as CSV."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from amo_bridge.engine.effects import CHANNEL_KINDS
from amo_bridge.engine.history import Line
from amo_bridge.text.csv_table import as_csv
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages import Menu, download
from amo_bridge.web.services.decisions import ENDINGS, SOURCES, Wish, decisions_of, wish_asked_for
from amo_bridge.web.stored_sentences import stored, stored_by_whom

routes = Blueprint("done", __name__)
MENU = Menu(_l("Что сделал мост"), "done.show", place=15)
A_PAGE = 50
MOST_ROWS = 10_000


@routes.get("/done")
@open_to(Role.VIEWER)
def show() -> str:
    return render_template("done/show.html", **_shown())


@routes.get("/done/list")
@open_to(Role.VIEWER)
def lines() -> str:
    """The list alone; the page of today asks for it every few seconds."""
    return render_template("done/list.html", **_shown())


@routes.get("/done.csv")
@open_to(Role.VIEWER)
def table() -> Response:
    here = current_account()
    wish = wish_asked_for(here, request.args)
    found = decisions_of(here, wish, MOST_ROWS) if here.is_known else None
    header = [
        _("Когда"), _("Сделка"), _("Название"), _("Ответственный"), _("Правило"), _("Пункт"), _("Что случилось"),
        _("Чем кончилось"), _("Что сделано"), _("Почему"), _("С чего началось"),
    ]  # fmt: skip
    rows = [
        [
            f"{one.at.astimezone(here.zone):%d.%m.%Y %H:%M:%S}", one.line.deal_id or "", one.deal_name, one.person,
            one.line.rule, one.line.clause, stored(one.line.what), one.ending,
            "; ".join(map(stored, one.line.actions)), _why(one.line), one.source,
        ]
        for one in (found.rows if found else [])
    ]  # fmt: skip
    return download(as_csv(header, rows), f"amo-bridge-{wish.since.isoformat()}.csv")


def _why(line: Line) -> str:
    return stored_by_whom(line.reason) if line.verdict == "undone" else stored(line.reason)


def _shown() -> dict[str, object]:
    here = current_account()
    wish: Wish = wish_asked_for(here, request.args)
    found = decisions_of(here, wish, A_PAGE) if here.is_known else None
    today = here.clock.now().astimezone(here.zone).date()
    return {
        "found": found,
        "wish": wish,
        "wish_today": today.isoformat(),
        "yesterday": (today - timedelta(days=1)).isoformat(),
        "week_ago": (today - timedelta(days=6)).isoformat(),
        "endings": ENDINGS,
        "sources": SOURCES,
        "channels": {"crm": "amoCRM", **{name: kind.label for name, kind in CHANNEL_KINDS.items()}},
        "people": sorted(here.user_names.items(), key=lambda one: one[1]),
        "rules": sorted((rule.name, rule.clause) for rule in here.config.rules),
    }
