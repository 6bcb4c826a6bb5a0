"""The rules: what each says, whether it is on, what it did last and why it did not; its switches."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.channels.vendors import unconnected_of
from amo_bridge.config.files import with_key
from amo_bridge.engine.forecast import choices_of
from amo_bridge.errors import ConfigError
from amo_bridge.rules.handler import Rule
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account, user
from amo_bridge.web.pages import Menu
from amo_bridge.web.pages.config import review
from amo_bridge.web.services import config as config_service
from amo_bridge.web.services.config import CONFIG_BYTES
from amo_bridge.web.services.rule_drafts import kinds_of
from amo_bridge.web.services.rules import RuleFacts

routes = Blueprint("rules", __name__)
MENU = Menu(_l("Правила"), "rules.all_of_them", place=20, also=("rule_forms",))


@routes.get("/rules")
@open_to(Role.VIEWER)
def all_of_them() -> str:
    here = current_account()
    facts, wanted, only = RuleFacts(here), request.args.get("q", ""), request.args.get("only", "")
    rows = [facts.at_a_glance(rule) for rule in facts.find(wanted, only)]
    # Those that were broken after the start: the rules work by what was read then.
    own_problems = kinds_of(here).problems if user().may(Role.ADMIN) and not here.bridge.watch.state.problems else ()
    return render_template("rules/all.html", rows=rows, here=here, q=wanted, only=only, own_problems=own_problems)


@routes.get("/rules/<name>")
@open_to(Role.VIEWER)
def show(name: str) -> str:
    here = current_account()
    facts, rule = _rule(name)
    only = request.args.get("only", "")
    return render_template(
        "rules/show.html",
        row=facts.of(rule),
        rule=rule,
        lines=facts.lines(rule, loud=only == "acted"),
        only=only,
        here=here,
        block=facts.block(rule),
        choices=choices_of(rule),
        unconnected=unconnected_of(here.config).get(rule.name),
        chosen=getattr(rule.options, "existing", ""),
    )


@routes.get("/rules/<name>/existing")
@open_to(Role.VIEWER)
def existing(name: str) -> str:
    """What the rule would do about the deals that were there before it; asked for when the page is there already."""
    rule = _rule(name)[1]
    chosen = getattr(rule.options, "existing", "")
    return render_template("rules/existing.html", existing=current_account().existing(rule), chosen=chosen)


@routes.post("/rules/names")
@open_to(Role.ADMIN)
def take_new_names() -> Response | tuple[str, int]:
    """Write into the file what the renamed stages, fields … are called now; the bridge takes it at once."""
    try:
        state = config_service.take_new_names(current_account())
    except ConfigError as error:
        return render_template("config/problems.html", problems=error.problems), 409
    if state.problems:
        flash(_("Файл записан, но пока не действует: %(why)s", why="; ".join(state.problems)))
    else:
        flash(_("Новые имена записаны в настройку."))
    return redirect(url_for("rules.all_of_them"))


@routes.post("/rules/<name>/switch")
@open_to(Role.ADMIN, most_bytes=CONFIG_BYTES)
def switch(name: str) -> str | tuple[str, int]:
    """Nothing is changed yet: what would change is shown, and asked about."""
    here = current_account()
    facts, rule = _rule(name)
    wish = _wish(rule)
    file = here.file.read()
    text = file.text
    try:
        for key, value in wish.items():
            text = with_key(text, rule.path, key, value)
    except ConfigError as error:
        return render_template("config/problems.html", problems=error.problems), 409
    preview: dict[str, object] = {}
    if wish.get("enabled") or "existing" in wish:
        preview["existing"] = here.existing(rule)
        preview["chosen"] = wish.get("existing", getattr(rule.options, "existing", ""))
        preview["matching"] = facts.matching(rule)
    return review(here, text, file, back=f"/rules/{rule.name}", **preview)


def _wish(rule: Rule) -> dict[str, bool | str]:
    """The keys that are to be changed, and their new values."""
    key, told = request.form.get("key", ""), request.form.get("value", "")
    if key == "state" and told == "off":
        return {"enabled": False}
    if key == "state" and told in ("dry", "live"):
        # What is written nowhere is not written only to say the default.
        dry_run: dict[str, bool | str] = {"dry_run": told == "dry"} if rule.dry_run != (told == "dry") else {}
        return {"enabled": True, **dry_run}
    if key == "existing" and told in choices_of(rule):
        return {key: told}
    abort(400)


def _rule(name: str) -> tuple[RuleFacts, Rule]:
    facts = RuleFacts(current_account())
    return facts, facts.get(name) or abort(404)
