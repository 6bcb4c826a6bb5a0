"""Rules by form: catalogue of kinds, form of a kind's options with TOML beside it, mistakes, saving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from flask import Blueprint, abort, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from amo_bridge.config.blocks import keys_of_block, without_block
from amo_bridge.errors import ConfigError
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.option_controls import Control
from amo_bridge.rules.option_words import KINDS, choice_title, in_words_of_form, option_title, variant_title
from amo_bridge.versioned_file import Written
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.pages.config import review
from amo_bridge.web.services.block_drafts import BlockDraft, Merge, is_russian
from amo_bridge.web.services.config import CONFIG_BYTES
from amo_bridge.web.services.option_forms import ROOT, BadForm, Path, Tree, fields_of_tree, pressed, tree_of_fields
from amo_bridge.web.services.rule_drafts import (
    STATES,
    Checked,
    Draft,
    DraftTrial,
    Kind,
    Kinds,
    check,
    draft_of,
    kinds_of,
    new_draft,
    trial_of,
    with_toml,
)
from amo_bridge.web.services.rule_lists import comes_to, lists_of, phrases_in
from amo_bridge.web.services.rules import RuleFacts

routes = Blueprint("rule_forms", __name__)
FIRST = tuple(KINDS)


@routes.get("/rules/new")
@open_to(Role.ADMIN)
def catalogue() -> str:
    kinds, wanted = kinds_of(current_account()), request.args.get("q", "")
    return render_template("rules/kinds.html", kinds=_found(kinds, wanted), problems=kinds.problems, q=wanted)


@routes.get("/rules/new/<kind>")
@open_to(Role.ADMIN)
def new(kind: str) -> str:
    """An empty form, or one filled in as an example (``like``)."""
    known = _kind(kind)
    like = request.args.get("like", "")
    return _form(new_draft(known, (known.example(like) or abort(404)) if like else None))


@routes.post("/rules/new/<kind>")
@open_to(Role.ADMIN, most_bytes=CONFIG_BYTES)
def new_sent(kind: str) -> str | tuple[str, int]:
    known = _kind(kind)
    return _sent(_with_fields(replace(new_draft(known), block=request.form.get("block", "").strip())))


@routes.get("/rules/<name>/form")
@open_to(Role.ADMIN)
def edit(name: str) -> str:
    return _form(_written(name))


@routes.post("/rules/<name>/form")
@open_to(Role.ADMIN, most_bytes=CONFIG_BYTES)
def edit_sent(name: str) -> str | tuple[str, int]:
    merge = _merged(name)
    return _sent(merge.draft, merge)


@routes.post("/rules/<name>/remove")
@open_to(Role.ADMIN)
def remove(name: str) -> str | tuple[str, int]:
    """Nothing is changed yet: what would go is shown, and asked about."""
    here, rule = current_account(), _rule(name)
    try:
        file = here.file.read()
        text = without_block(file.text, rule.path)
    except ConfigError as error:
        return render_template("config/problems.html", problems=error.problems), 409
    return review(here, text, file, back="/rules")


@routes.get("/rules/form/comes-to/<kind>")
@open_to(Role.ADMIN)
def phrase(kind: str) -> str:
    """What a due phrase in the field comes to from now on."""
    words = comes_to(current_account(), kind, _text_of_field())
    return render_template("rules/comes_to.html", words=words)


@routes.get("/rules/form/options")
@open_to(Role.ADMIN)
def options() -> str:
    """The choices of the field that has just been named."""
    choices = lists_of(current_account()).options_of(_text_of_field().strip())
    return render_template("rules/options.html", options=choices)


def _text_of_field() -> str:
    """What stands in the one field of the form that was sent."""
    return next((text for name, text in request.args.items() if name.startswith(f"{ROOT}.")), "")


def _kind(name: str) -> Kind:
    return kinds_of(current_account()).get(name) or abort(404)


def _rule(name: str) -> Rule:
    return RuleFacts(current_account()).get(name) or abort(404)


def _written(name: str) -> Draft:
    """The rule as the file has it now."""
    here = current_account()
    kind, _, block = name.partition(".")
    try:
        return draft_of(here, _kind(kind), block) or abort(404)
    except ConfigError as error:
        abort(409, "; ".join(error.problems))


def _found(kinds: Kinds, wanted: str) -> list[Kind]:
    """The agency's own first, then as the words for kinds have them: what belongs together stands together."""
    words = wanted.casefold().split()
    place = {name: number for number, name in enumerate(FIRST)}
    found = [kind for kind in kinds.by_name.values() if all(word in _text_of(kind) for word in words)]
    return sorted(found, key=lambda kind: (not kind.is_own, place.get(kind.name, len(place)), kind.name))


def _text_of(kind: Kind) -> str:
    says = " ".join(f"{one.clause} {one.says}" for one in kind.examples)
    return f"{kind.name} {kind.title} {kind.sentence} {' '.join(kind.clauses)} {says}".casefold()


# --- what was sent ----------------------------------------------------------------------------------------------------


def _with_fields(draft: Draft) -> Draft:
    state = request.form.get("state", draft.state)
    return replace(draft, tree=sent_tree(), state=next((one for one in STATES if one == state), draft.state))


def sent_tree() -> Tree:
    """What stands in the fields of the options."""
    form: MultiDict[str, str] = request.form
    try:
        return tree_of_fields({name: text for name, text in form.items() if name.startswith(f"{ROOT}.")})
    except BadForm:
        abort(400)


def _merged(name: str) -> Merge[Draft]:
    """The form that was sent, merged with what the file says now."""
    kind, _dot, block = name.partition(".")
    sent = request.form.get("base", "").replace("\r\n", "\n")
    try:
        base, draft = keys_of_block(sent), draft_of(current_account(), _kind(kind), block)
    except ConfigError as error:
        abort(409, "; ".join(error.problems))
    if draft is None:
        # Somebody's work is not thrown away because the rule has been taken out meanwhile.
        again = replace(new_draft(_kind(kind)), block=block)
        return Merge(_with_fields(again), is_gone=True) if sent else abort(404)
    return _with_fields(draft).merged(base if sent else draft.before)


D = TypeVar("D", bound=BlockDraft)


def edited(
    button: str, draft: D, form: Callable[..., str], typed_in: Callable[[str], D], toml: Callable[[], str]
) -> str | tuple[str, int] | None:
    """What the buttons answer that change a form of options and nothing else: a row more or less, the TOML beside it
    taken over; None for the buttons that have the draft checked. ``form``: draws a draft; ``typed_in``: the draft with
    what was typed as TOML; ``toml``: the pane beside the form."""
    match button.partition(":")[0]:
        case "add" | "remove" | "up":
            try:
                focus = pressed(draft.controls, draft.tree, button)
            except BadForm:
                abort(400)
            return form(draft, focus=focus)
        case "show":
            return form(draft)
        case "text":
            return toml()
        case "toml":
            typed = request.form.get("toml", "").replace("\r\n", "\n")
            try:
                return form(typed_in(typed))
            except ConfigError as error:
                return form(draft, toml=typed, toml_problems=error.problems), 422
    return None


def _sent(draft: Draft, merge: Merge[Draft] | None = None) -> str | tuple[str, int]:
    here, button = current_account(), request.form.get("do", "check")
    shown = edited(
        button, draft, partial(_form, merge=merge), lambda typed: with_toml(draft, typed), lambda: _text(draft)
    )
    if shown is not None:
        return shown
    draft = draft.with_name()
    # The draft is put into the file as it is now; whatever comes between that and saving is told then.
    file = here.file.read()
    checked = check(here, draft, file)
    if button == "would":
        return _form(draft, checked, trial=trial_of(here, checked), merge=merge)
    must_be_told = merge is not None and (merge.at_odds or merge.is_gone)
    if button == "review" and checked.is_fit and not must_be_told:
        return _review(here, draft, checked, file)
    return _form(draft, checked, merge=merge), 409 if must_be_told else 200 if checked.is_fit else 422


def _review(here: AccountView, draft: Draft, checked: Checked, file: Written) -> str | tuple[str, int]:
    told: dict[str, object] = {}
    if checked.rule is not None and draft.state != "off":
        told["existing"] = here.existing(checked.rule)
        told["chosen"] = getattr(checked.rule.options, "existing", "")
        told["matching"] = RuleFacts(here).matching(checked.rule)
    fields = [("state", draft.state), ("block", draft.block), ("base", draft.base), *fields_of_tree(draft.tree)]
    form = {"action": _address(draft), "fields": fields}
    return review(here, checked.text, file, back=f"/rules/{draft.name}", rule_form=form, **told)


def _text(draft: Draft) -> str:
    """The block alone, for the pane beside the form."""
    return draft.with_name().toml()


def _address(draft: Draft) -> str:
    if draft.is_new:
        return url_for("rule_forms.new_sent", kind=draft.kind.name)
    return url_for("rule_forms.edit_sent", name=draft.name)


def _form(
    draft: Draft,
    checked: Checked | None = None,
    *,
    focus: str = "",
    toml: str | None = None,
    toml_problems: list[str] | None = None,
    trial: DraftTrial | None = None,
    merge: Merge[Draft] | None = None,
) -> str:
    here = current_account()
    nodes = checked.nodes if checked else draft.nodes
    own = {one.key for one in draft.kind.switches}
    return render_template(
        "rules/form.html",
        here=here,
        draft=draft,
        kind=draft.kind,
        checked=checked,
        trial=trial,
        merge=merge,
        nodes=[one for one in nodes if one.control.key not in own],
        switches=[one for one in nodes if one.control.key in own],
        action=_address(draft),
        toml=draft.with_name().toml() if toml is None else toml,
        toml_problems=toml_problems or [],
        needs_account=here.crm_account is None,
        say=words_of_controls(here, draft.controls, _address(draft), focus),
        title_path=_titles_of,
    )


def words_of_controls(here: AccountView, controls: Sequence[Control], action: str, focus: str) -> dict[str, object]:
    """What the controls of a form are drawn with."""
    russian, lists = is_russian(), lists_of(here)
    return {
        "action": action,
        "focus": focus,
        "lists": lists,
        "named": lists.named_in(controls),
        "phrases": phrases_in(controls),
        "nothing": _("не задано"),
        "title_of": lambda control: control.title or option_title(control.key, russian=russian),
        "choice_of": lambda choice, key="": choice_title(choice, key, russian=russian),
        "variant_of": lambda control: variant_title(control.of, control.kind, russian=russian),
        "comes_to": lambda kind, text: comes_to(here, kind, text),
        "plain": lambda words: in_words_of_form(words) if russian else words,
    }


def _titles_of(path: Path) -> str:
    """«Шаги 2, Задача, Срок»: where in the form a mistake is."""
    told: list[str] = []
    for step in path:
        if isinstance(step, int):
            told[-1:] = [f"{told[-1]} {step + 1}"] if told else []
        else:
            told.append(option_title(step.rstrip("_"), russian=is_russian()))
    return ", ".join(told)
