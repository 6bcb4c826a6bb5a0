"""``/rules/kinds``, ``/rules/drafts``, ``/rules/<name>/block``: rules by form for programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from flask import abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from pydantic import Field

from amo_bridge.config.blocks import without_block
from amo_bridge.crm.records import EPOCH
from amo_bridge.errors import ConfigError
from amo_bridge.rules.option_controls import NO_DEFAULT, Control
from amo_bridge.rules.option_words import option_title
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, refusal
from amo_bridge.web.api.rules import Skip
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.services import config as config_service
from amo_bridge.web.services import rule_drafts
from amo_bridge.web.services.block_drafts import is_russian
from amo_bridge.web.services.config import CONFIG_BYTES, Unfit
from amo_bridge.web.services.rule_drafts import Draft, DraftTrial, Kind, kinds_of, new_draft
from amo_bridge.web.stored_sentences import stored

RuleState = Literal["off", "dry", "live"]


class RuleExample(Shape):
    """A rule of a shipped config. ``source``: the file; ``toml``: its block."""

    name: str
    source: str
    clause: str
    says: str
    toml: str


class RuleKind(Shape):
    """``says``: what happens, in a sentence. ``is_own``: from the agency's folder. ``clauses``: of the regulation that
    use it; ``rules``: of this config."""

    name: str
    title: str
    says: str
    is_own: bool
    clauses: list[str]
    rules: list[str]
    examples: list[RuleExample]


class RuleKinds(Shape):
    """``problems``: why the agency's own files can't be used, with the line (Russian)."""

    kinds: list[RuleKind]
    problems: list[str]


class RuleOption(Shape):
    """How an option is filled in. ``kind``: group: a table of ``parts``; rows: a list of the one part; pairs: a table
    of data, its key and its value are the parts; either: one of the parts; toml: whatever TOML can say. ``names``: of
    what in the account it is the name («этап»). ``default``: null if there is none."""

    key: str
    kind: str
    title: str
    hint: str
    is_required: bool
    default: Any
    names: str
    choices: list[str]
    least: float | None
    most: float | None
    parts: list[RuleOption]


class RuleKindForm(RuleKind):
    """``options``: of the kind, then those that every rule has."""

    options: list[RuleOption]


class RuleWanted(Shape):
    """``values``: the block's keys, as TOML would have them, or ``toml``: the block itself; one of the two. ``state``:
    off, dry or live; left out: as the block says, a new rule begins dry."""

    values: dict[str, Any] | None = None
    toml: str | None = None
    state: RuleState | None = None


class RuleDraft(RuleWanted):
    """``name``: of a rule that is there; or ``kind``, with or without a name for the block. ``try_it``: on what has
    happened lately; that may ask amoCRM."""

    name: str | None = None
    kind: str | None = None
    block: str = ""
    try_it: bool = False


class RuleEdit(RuleWanted):
    """``mark``: of the version of the file that it is an edit of."""

    mark: str


class RuleMistake(Shape):
    """``path``: of the option: tasks, 0, due. ``words``: in Russian."""

    path: list[str | int]
    words: str


class RuleConflict(Shape):
    """Rules at odds. ``is_sure``: it happens whenever both act."""

    rules: list[str]
    words: str
    is_sure: bool


class RuleWouldDo(Shape):
    """``verdict``: would_act or failed; ``actions``: in words."""

    at: datetime
    deal_id: int | None
    what: str
    verdict: str
    actions: list[str]
    reason: str


class RuleTrial(Shape):
    """``events``: how many of the last ones it would have heard of, ``since`` the oldest; ``decisions``: newest first.
    ``undecided``: how many could not be judged, ``trouble`` says why. ``existing``: deals that it would begin with.
    ``why_not``: why it could not be tried; all words are Russian."""

    events: int
    since: datetime | None
    decisions: list[RuleWouldDo]
    skips: list[Skip]
    undecided: int
    trouble: str
    existing: int | None
    why_not: str


class RuleCheck(Shape):
    """``is_fit``: may it be saved. ``problems``: of no option. ``difference``: as of ``ConfigReview``. ``trial``: if it
    was asked for."""

    name: str
    is_fit: bool
    mistakes: list[RuleMistake]
    problems: list[str]
    conflicts: list[RuleConflict]
    toml: str
    difference: list[str]
    trial: RuleTrial | None


class RuleBlock(Shape):
    """A rule as the file has it. ``mark``: of the file's version."""

    name: str
    state: RuleState
    values: dict[str, Any]
    toml: str
    mark: str


class RuleRemoved(Shape):
    """The rule is out of the file. ``mark``: of the file's version now."""

    name: str
    mark: str = Field(min_length=1)


@api.endpoint(
    Endpoint("rule_forms_kinds", "/rules/kinds", "GET", Role.ADMIN, _l("Какие бывают правила, с образцами"), RuleKinds)
)
def kinds() -> RuleKinds:
    found = kinds_of(current_account())
    return RuleKinds(kinds=[RuleKind(**_kind(one)) for one in found.by_name.values()], problems=list(found.problems))


@api.endpoint(
    Endpoint(
        "rule_forms_kind", "/rules/kinds/<kind>", "GET", Role.ADMIN, _l("Вид правила и форма его опций"), RuleKindForm
    )
)
def kind(kind: str) -> RuleKindForm:
    known = _known(kind)
    return RuleKindForm(**_kind(known), options=[option_shape(one) for one in known.controls])


@api.endpoint(
    Endpoint(
        "rule_forms_check",
        "/rules/drafts",
        "POST",
        Role.ADMIN,
        _l("Черновик правила: ошибки, споры с другими правилами, что изменится в файле"),
        RuleCheck,
        takes=RuleDraft,
        most_bytes=CONFIG_BYTES,
    )
)
def check(told: RuleDraft) -> RuleCheck:
    here = current_account()
    if (told.name is None) == (told.kind is None):
        abort(refusal(422, _("нужно одно: name — правило, которое есть, или kind — вид нового")))
    draft = _written(told.name) if told.name else replace(new_draft(_known(told.kind or "")), block=told.block)
    draft = _wanted(draft, told).with_name()
    checked = rule_drafts.check(here, draft, here.file.read())
    return RuleCheck(
        name=draft.name,
        is_fit=checked.is_fit,
        mistakes=[RuleMistake(path=list(path), words=words) for path, words in checked.mistakes],
        problems=checked.problems,
        conflicts=[
            RuleConflict(rules=list(one.rules), words=one.words, is_sure=one.is_sure) for one in checked.conflicts
        ],
        toml=draft.toml(),
        difference=checked.difference,
        trial=_trial(rule_drafts.trial_of(here, checked)) if told.try_it else None,
    )


def _trial(trial: DraftTrial) -> RuleTrial:
    past = trial.past
    decisions = past.decisions if past else ()
    return RuleTrial(
        events=past.events if past else 0,
        since=past.since if past else None,
        decisions=[
            RuleWouldDo(
                at=one.event.at or EPOCH,
                deal_id=one.event.about_deal_id,
                what=stored(one.what),
                verdict=one.verdict,
                actions=[stored(words) for words in one.actions],
                reason=stored(one.reason),
            )
            for one in decisions
        ],
        skips=[Skip(reason=stored(reason), times=times) for reason, times in (past.skips if past else ())],
        undecided=past.undecided if past else 0,
        trouble=past.trouble if past else "",
        existing=None if trial.existing is None else len(trial.existing),
        why_not=trial.why_not,
    )


@api.endpoint(
    Endpoint("rule_forms_block", "/rules/<name>/block", "GET", Role.ADMIN, _l("Блок правила в файле"), RuleBlock)
)
def block(name: str) -> RuleBlock:
    return _block(_written(name))


@api.endpoint(
    Endpoint(
        "rule_forms_save",
        "/rules/<name>/block",
        "PUT",
        Role.ADMIN,
        _l("Записать правило, новое или прежнее; действует сразу"),
        RuleBlock,
        takes=RuleEdit,
        most_bytes=CONFIG_BYTES,
    )
)
def save(name: str, told: RuleEdit) -> RuleBlock:
    kind, _dot, block = name.partition(".")
    draft = _in_file(name) or replace(new_draft(_known(kind)), block=block)
    _refusing(lambda: rule_drafts.save(current_account(), _wanted(draft, told), told.mark))
    return _block(_written(name))


@api.endpoint(
    Endpoint(
        "rule_forms_remove",
        "/rules/<name>/block",
        "DELETE",
        Role.ADMIN,
        _l("Удалить правило; действует сразу"),
        RuleRemoved,
        query={"mark": _l("отметка версии файла, из которой удаляется")},
    )
)
def remove(name: str) -> RuleRemoved:
    here, draft = current_account(), _written(name)
    text = without_block(here.file.read().text, draft.path)
    _refusing(lambda: config_service.save(here, text, request.args.get("mark", "")))
    return RuleRemoved(name=name, mark=here.file.read().mark)


def _known(kind: str) -> Kind:
    return kinds_of(current_account()).get(kind) or abort(404)


def _in_file(name: str) -> Draft | None:
    kind, _dot, block = name.partition(".")
    try:
        return rule_drafts.draft_of(current_account(), _known(kind), block)
    except ConfigError as error:
        abort(refusal(409, "; ".join(error.problems)))


def _written(name: str) -> Draft:
    return _in_file(name) or abort(404)


def _wanted(draft: Draft, told: RuleWanted) -> Draft:
    if (told.values is None) == (told.toml is None):
        abort(refusal(422, _("нужно одно: values или toml")))
    if told.toml is not None:
        try:
            draft = rule_drafts.with_toml(draft, told.toml)
        except ConfigError as error:
            abort(refusal(422, "; ".join(error.problems)))
    elif told.values is not None:
        if has_null(told.values):
            abort(refusal(422, _("в TOML нет null: чего нет, того не пишут")))
        draft = rule_drafts.with_values(draft, told.values)
    return replace(draft, state=told.state or draft.state)


def has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(has_null, value.values()))
    return any(map(has_null, value)) if isinstance(value, list) else value is None


def _refusing(deed: Callable[[], object]) -> None:
    try:
        deed()
    except ConfigError as error:
        abort(refusal(422 if isinstance(error, Unfit) else 409, "; ".join(error.problems)))


def _block(draft: Draft) -> RuleBlock:
    return RuleBlock(
        name=draft.name,
        state=draft.state,
        values={key: value for key, value in draft.before.items() if key not in rule_drafts.STATE_KEYS},
        toml=draft.toml(),
        mark=current_account().file.read().mark,
    )


def _kind(kind: Kind) -> dict[str, Any]:
    return {
        "name": kind.name,
        "title": kind.title,
        "says": kind.sentence,
        "is_own": kind.is_own,
        "clauses": kind.clauses,
        "rules": [rule.name for rule in kind.rules],
        "examples": [
            RuleExample(name=one.name, source=one.source, clause=one.clause, says=one.says, toml=one.text)
            for one in kind.examples
        ],
    }


def option_shape(control: Control) -> RuleOption:
    return RuleOption(
        key=control.key,
        kind=control.kind,
        title=control.title or option_title(control.key, russian=is_russian()),
        hint=control.hint,
        is_required=control.is_required,
        default=None if control.default is NO_DEFAULT else control.default,
        names=control.names,
        choices=list(control.choices),
        least=control.least,
        most=control.most,
        parts=[option_shape(part) for part in control.parts],
    )
