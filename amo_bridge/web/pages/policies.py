"""Rules of working in the CRM: read, acknowledged, changed with a diff; who has read what (S3)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as Answer

from amo_bridge.config.files import difference
from amo_bridge.engine.policies import (
    LONGEST_TEXT,
    LONGEST_TITLE,
    Acknowledgement,
    Policies,
    Policy,
    PolicyVersion,
    notice_of,
)
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.reports.workbook import is_available, workbook
from amo_bridge.storage.database import insert_new, notify
from amo_bridge.storage.tables import outbox
from amo_bridge.text.csv_table import as_csv
from amo_bridge.text.scripts import blocks_of
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import accounts, audit, current_account, number, user
from amo_bridge.web.pages import Menu, download

routes = Blueprint("policies", __name__)
MENU = Menu(_l("Правила CRM"), "policies.show", place=57, needs=lambda config: config.policies is not None)
# A text of 100,000 Russian letters, as a form sends it.
MOST_BYTES = 8 * LONGEST_TEXT


@dataclass(frozen=True)
class Listed:
    """A text in force. ``own``: the visitor's acknowledgement of it, if he is asked for one."""

    policy: Policy
    read: int
    asked: int
    own: Acknowledgement | None


@routes.get("/policies")
@open_to(Role.VIEWER)
def show() -> str:
    here = current_account()
    own = here.person_of(user().login)
    listed = []
    for policy in policies_of(here).all() if here.is_known else ():
        readers = policies_of(here).readers(policy.number, policy.current.version)
        # Whoever left, or is named no more, is not waited for.
        asked = [one for one in readers if one.read_at is not None or not one.is_set_aside]
        mine = next((one for one in asked if own is not None and one.user_id == own.id), None)
        listed.append(Listed(policy, sum(one.read_at is not None for one in asked), len(asked), mine))
    return render_template(
        "policies/show.html",
        listed=listed,
        withdrawn=policies_of(here).withdrawn() if here.is_known else [],
        own=own,
        section=here.config.policies,
        has_xlsx=is_available(),
    )


@routes.get("/policies.csv")
@open_to(Role.VIEWER)
def as_text() -> Response:
    return download(as_csv(_head(), _rows(current_account())), "policies.csv")


@routes.get("/policies.xlsx")
@open_to(Role.VIEWER)
def as_workbook() -> Response:
    rows = _rows(current_account())
    return download(workbook(_("Ознакомление"), _head(), rows, has_chart=False), "policies.xlsx")


@routes.get("/policies/<int:policy_id>")
@open_to(Role.MANAGER)
def one(policy_id: int) -> str:
    """The version that is asked for, the one in force if none is; with what it has changed."""
    here = current_account()
    policy = _policy(here, policy_id)
    versions = policies_of(here).versions(policy_id)
    asked = number("version") or policy.current.version
    shown = next((one for one in versions if one.version == asked), None) or abort(404)
    before = next((one for one in versions if one.version == asked - 1), None)
    own = here.person_of(user().login)
    readers = policies_of(here).readers(policy_id)
    return render_template(
        "policies/one.html",
        policy=policy,
        shown=shown,
        blocks=list(blocks_of(shown.text)),
        difference=difference(before.text, shown.text) if before else [],
        versions=versions,
        readers=[
            one
            for one in readers
            if one.version == shown.version and (user().may(Role.VIEWER) or (own is not None and one.user_id == own.id))
        ],
        own=_own_unread(readers, policy, own.id if own else 0),
        may_change=user().may(Role.HEAD),
        is_current=shown.version == policy.current.version and policy.withdrawn_at is None,
    )


@routes.post("/policies/<int:policy_id>/read")
@open_to(Role.MANAGER)
def acknowledge(policy_id: int) -> Answer:
    """By the person himself, or by an admin, of which the person is told."""
    here = current_account()
    policy = _policy(here, policy_id)
    asked = next(
        (one for one in policies_of(here).readers(policy_id) if one.number == request.form.get("number", type=int)),
        None,
    )
    back = redirect(url_for("policies.one", policy_id=policy_id))
    if asked is None:
        abort(404)
    own = here.person_of(user().login)
    is_own = own is not None and own.id == asked.user_id
    if not is_own and not user().may(Role.HEAD):
        abort(403)
    if asked.version != policy.current.version or policy.withdrawn_at is not None:
        flash(_("Вышла новая версия: прочитайте её."))
        return back
    who = f"{asked.person}, {user().login}" if is_own else f"{user().login} вместо: {asked.person}"
    title = policy.current.title
    with here.store.write() as connection:
        is_new = policies_of(here).acknowledge(connection, asked.number, who) == "done"
        if is_new and not is_own:
            text = f"Правила «{title}» отмечены прочитанными за вас. Это сделал администратор {user().login}"
            base = accounts().public_url or request.host_url.rstrip("/")
            row = notice_of(asked, "admin", asked.user_id, text, f"{base}{back.location}")
            insert_new(connection, outbox, [row.row(here.key, here.clock.now())])
        notify(connection, here.key)
    if is_new and not is_own:
        audit("policies.read", f"Правила «{title}» отмечены прочитанными, вместо: {asked.person}")
    flash(_("Отмечено: прочитано.") if is_new else _("Уже отмечено."))
    return back


@routes.route("/policies/new", methods=["GET", "POST"])
@open_to(Role.HEAD, most_bytes=MOST_BYTES)
def add() -> str | Answer:
    return _form(None)


@routes.route("/policies/<int:policy_id>/edit", methods=["GET", "POST"])
@open_to(Role.HEAD, most_bytes=MOST_BYTES)
def edit(policy_id: int) -> str | Answer:
    policy = _policy(current_account(), policy_id)
    if policy.is_file:
        abort(404)
    return _form(policy)


@routes.post("/policies/<int:policy_id>/withdraw")
@open_to(Role.HEAD)
def withdraw(policy_id: int) -> Answer:
    here = current_account()
    policy = _policy(here, policy_id)
    if policy.is_file:
        abort(404)
    with here.store.write() as connection:
        policies_of(here).withdraw(connection, policy_id)
        notify(connection, here.key)
    audit("policies.withdraw", f"Правила «{policy.current.title}» больше не действуют")
    flash(_("Правила больше не действуют: спрашивать о них не будут, версии остались."))
    return redirect(url_for("policies.show"))


def _form(policy: Policy | None) -> str | Answer:
    """A new version: first what it changes, then published."""
    here = current_account()
    if not here.is_known or here.config.policies is None:
        abort(404)
    current = policy.current if policy else None
    title = " ".join(request.form.get("title", current.title if current else "").split())
    text = request.form.get("text", current.text if current else "").replace("\r\n", "\n").strip()
    mistake = _mistake(title, text) if request.method == "POST" else ""
    seen = request.form.get("version", type=int)
    if not mistake and current and seen is not None and seen != current.version:
        # Published as it is, it would take back what somebody else has changed meanwhile.
        told = _(
            "Пока вы писали, вышла версия %(version)s (%(who)s): ниже — чем ваш текст отличается от неё.",
            version=current.version,
            who=current.who,
        )
        return _review(here, policy, title, text, told)
    if request.method == "POST" and not mistake and request.form.get("do") == "publish":
        return _published(here, policy, title, text)
    return _review(here, policy, title, text, mistake, is_review=request.method == "POST" and not mistake)


def _review(
    here: AccountView, policy: Policy | None, title: str, text: str, mistake: str, *, is_review: bool = True
) -> str:
    """The form with what would change."""
    current, section = policy.current if policy else None, here.config.policies
    assert section is not None
    return render_template(
        "policies/edit.html",
        policy=policy,
        title=title,
        text=text,
        mistake=mistake,
        difference=difference(current.text if current else "", text) if request.method == "POST" else [],
        version=current.version if current else 0,
        is_review=is_review,
        longest_title=LONGEST_TITLE,
        people=len(section.people),
    )


def _published(here: AccountView, policy: Policy | None, title: str, text: str) -> Answer:
    name = policy.name if policy else f"page:{secrets.token_hex(8)}"
    before: PolicyVersion | None = policy.current if policy else None
    with here.store.write() as connection:
        published = policies_of(here).publish(connection, name, title, text, user().login)
        notify(connection, here.key)
    if published is None:
        flash(_("Ничего не изменилось: новой версии нет."))
        return redirect(url_for("policies.one", policy_id=policy.number) if policy else url_for("policies.show"))
    changes = "\n".join(difference(before.text if before else "", text))
    audit("policies.publish", f"Правила «{title}»: новая версия", details=changes)
    flash(_("Опубликовано. Каждому, кто назван в [policies], мост напишет в течение минуты."))
    return redirect(url_for("policies.one", policy_id=published))


def _mistake(title: str, text: str) -> str:
    if not title or not text:
        return str(_("Напишите название и текст."))
    if len(title) > LONGEST_TITLE or len(text) > LONGEST_TEXT:
        return str(_("Слишком длинно: название — до %(title)s знаков, текст — до %(text)s.", title=LONGEST_TITLE,
                     text=LONGEST_TEXT))  # fmt: skip
    return ""


def policies_of(here: AccountView) -> Policies:
    return Policies(here.account_store, here.clock)


def _policy(here: AccountView, policy_id: int) -> Policy:
    if not here.is_known or policy_id > 2**62:
        abort(404)
    return policies_of(here).of(policy_id) or abort(404)


def _own_unread(readers: Sequence[Acknowledgement], policy: Policy, user_id: int) -> Acknowledgement | None:
    """What the visitor still has to acknowledge."""
    if policy.withdrawn_at is not None:
        return None
    return next(
        (
            one for one in readers
            if one.user_id == user_id and one.version == policy.current.version and one.read_at is None
            and not one.is_set_aside
        ),
        None,
    )  # fmt: skip


def _head() -> list[str]:
    return [_("Правила"), _("Версия"), _("Человек"), _("Срок"), _("Прочитано"), _("Кем")]


def _rows(here: AccountView) -> list[list[str | int]]:
    rows: list[list[str | int]] = []
    kept = policies_of(here)
    for policy in (*kept.all(), *kept.withdrawn()) if here.is_known else ():
        titles = {one.version: one.title for one in policies_of(here).versions(policy.number)}
        for one in policies_of(here).readers(policy.number):
            read = _("больше не спрашивают") if one.is_set_aside else ""
            read = f"{one.read_at.astimezone(here.zone):%Y-%m-%d %H:%M}" if one.read_at else read
            due = f"{one.due.astimezone(here.zone):%Y-%m-%d}"
            rows.append([titles.get(one.version, ""), one.version, one.person, due, read, one.read_by])
    return rows
