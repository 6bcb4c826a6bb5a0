"""The rules: what each says, whether it is on, what it did last and why it did not; its switches."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from amo_bridge.channels.unconnected import unconnected_of
from amo_bridge.config.edit import with_key
from amo_bridge.config.names import StageName, names_in
from amo_bridge.crm.account import Account
from amo_bridge.engine.existing import choices_of
from amo_bridge.engine.history import Line
from amo_bridge.errors import ConfigError, UnknownName
from amo_bridge.rules import Rule
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.gate import open_to
from amo_bridge.web.here import account
from amo_bridge.web.menu import Menu
from amo_bridge.web.office import NotMet, PageAccount
from amo_bridge.web.pages.config import CONFIG_BYTES, review

routes = Blueprint("rules", __name__)
MENU = Menu(_l("Правила"), "rules.all_of_them", place=20)
LAST_LINES = 50
# In the list only so many decisions of each rule are looked at.
GLANCE = 20
# A rule listens on the stages of one of these keys, the first that it has. One that guards the way in listens to deals
# that are not there yet: to count those that are would say nothing.
LISTENS_ON = ("stages", "from_stages", "stage", "from_stage", "leaving")
GUARDS_THE_WAY_IN = "entering"


@dataclass(frozen=True)
class Row:
    """``matching``: how many deals are where the rule works; None: ``unmatched`` says why that can't be told."""

    rule: Rule
    matching: int | None
    unmatched: Any
    last_acted: float | None
    skips: list[tuple[str, int]]


@routes.get("/rules")
@open_to(Role.VIEWER)
def all_of_them() -> str:
    here = account()
    wanted, only = request.args.get("q", "").strip().casefold(), request.args.get("only", "")
    rules = [rule for rule in here.config.rules if _is_wanted(rule, wanted, only)]
    on_stages = _deals_on_stages(here)
    rows = [_row(here, rule, on_stages, GLANCE) for rule in rules]
    return render_template("rules/all.html", rows=rows, here=here, q=request.args.get("q", ""), only=only)


@routes.get("/rules/<name>")
@open_to(Role.VIEWER)
def show(name: str) -> str:
    here = account()
    rule = _rule(here, name)
    lines = _lines(here, rule, LAST_LINES)
    row = _row(here, rule, _deals_on_stages(here), LAST_LINES)
    return render_template(
        "rules/show.html",
        row=row,
        rule=rule,
        lines=lines,
        here=here,
        block=_block(here, rule),
        choices=choices_of(rule),
        unconnected=unconnected_of(here.config).get(rule.name),
        chosen=getattr(rule.options, "existing", ""),
    )


@routes.get("/rules/<name>/existing")
@open_to(Role.VIEWER)
def existing(name: str) -> str:
    """What the rule would do about the deals that were there before it; asked for when the page is there already."""
    here = account()
    rule = _rule(here, name)
    chosen = getattr(rule.options, "existing", "")
    return render_template("rules/existing.html", existing=here.existing(rule), chosen=chosen)


@routes.post("/rules/<name>/switch")
@open_to(Role.ADMIN, most_bytes=CONFIG_BYTES)
def switch(name: str) -> str | tuple[str, int]:
    """Nothing is changed yet: what would change is shown, and asked about."""
    here = account()
    rule = _rule(here, name)
    key, value = _wish(rule)
    file = here.file.read()
    try:
        text = with_key(file.text, rule.path, key, value)
    except ConfigError as error:
        return render_template("config/problems.html", problems=error.problems), 409
    preview: dict[str, object] = {}
    if (key == "enabled" and value) or key == "existing":
        preview["existing"] = here.existing(rule)
        preview["chosen"] = value if key == "existing" else getattr(rule.options, "existing", "")
        preview["matching"] = _row(here, rule, _deals_on_stages(here), 1).matching
    return review(here, text, file, back=f"/rules/{rule.name}", **preview)


def _wish(rule: Rule) -> tuple[str, bool | str]:
    """The key that is to be changed, and its new value."""
    key, told = request.form.get("key", ""), request.form.get("value", "")
    if key in ("enabled", "dry_run"):
        return key, told == "on"
    if key == "existing" and told in choices_of(rule):
        return key, told
    abort(400)


def _rule(here: PageAccount, name: str) -> Rule:
    return next((rule for rule in here.config.rules if rule.name == name), None) or abort(404)


def _is_wanted(rule: Rule, wanted: str, only: str) -> bool:
    text = f"{rule.clause} {rule.name} {rule.words}".casefold()
    return wanted in text and (only not in ("on", "off") or rule.enabled == (only == "on"))


def _lines(here: PageAccount, rule: Rule, most: int) -> list[Line]:
    try:
        return here.history.of_rule(rule.name, most)
    except NotMet:
        return []


def _row(here: PageAccount, rule: Rule, on_stages: dict[tuple[int, int], int] | None, glance: int) -> Row:
    skips = Counter(line.reason for line in _lines(here, rule, glance) if line.verdict == "skipped")
    known = here.crm_account if on_stages is not None else None
    stages = _stages_of(rule)
    matching = _matching(stages, known, on_stages) if stages and known and on_stages is not None else None
    return Row(
        rule=rule,
        matching=matching,
        unmatched=None if matching is not None else _why_unmatched(rule, stages),
        last_acted=here.history.last_acted(rule.name) if here.is_known else None,
        skips=skips.most_common(2 if glance == GLANCE else 5),
    )


def _deals_on_stages(here: PageAccount) -> dict[tuple[int, int], int] | None:
    return here.history.deals_on_stages() if here.is_known else None


def _stages_of(rule: Rule) -> list[str]:
    """Where it listens; empty if it names no such stages."""
    named = _named_stages(rule)
    return next((named[key] for key in LISTENS_ON if key in named), [])


def _named_stages(rule: Rule) -> dict[str, list[str]]:
    """Key of the config → the stages that stand there."""
    named: dict[str, list[str]] = {}
    for path, name in names_in(rule.options):
        if isinstance(name, StageName) and path:
            named.setdefault(str(path[0]), []).append(name)
    return named


def _matching(names: list[str], known: Account, on_stages: dict[tuple[int, int], int]) -> int | None:
    try:
        stages = {known.stage(name) for name in names}
    except UnknownName:
        return None
    return sum(on_stages.get((stage.pipeline_id, stage.status_id), 0) for stage in stages)


def _why_unmatched(rule: Rule, stages: list[str]) -> Any:
    """Russian, to be translated."""
    if stages:
        return _l("мост ещё не знает сделок")
    if GUARDS_THE_WAY_IN in _named_stages(rule):
        return _l("срабатывает, когда сделку переводят на этап: заранее не сосчитать")
    return _l("срабатывает по событию, а не по этапу")


def _block(here: PageAccount, rule: Rule) -> str:
    """The rule's own lines of the file, comments included; a sentence if they can't be told apart."""
    line = here.config.lines.get(rule.path)
    try:
        lines = here.file.read().text.split("\n")
    except ConfigError as error:
        return "\n".join(error.problems)
    if line is None or line > len(lines):
        return str(_("Блок записан не отдельным заголовком"))
    end = next((n for n in range(line, len(lines)) if lines[n].startswith("[")), len(lines))
    while end > line and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return "\n".join(lines[line - 1 : end])
