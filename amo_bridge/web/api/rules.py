"""A decision of a rule, as several subjects tell it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from flask import abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from amo_bridge.channels.vendors import unconnected_of
from amo_bridge.config.files import with_key
from amo_bridge.engine.forecast import Fate, choices_of
from amo_bridge.engine.history import Line
from amo_bridge.errors import ConfigError
from amo_bridge.rules.handler import Rule as ConfigRule
from amo_bridge.web.accounts import NotMet
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, one_of, refusal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.services import config as config_service
from amo_bridge.web.services.rules import Facts, RuleFacts
from amo_bridge.web.stored_sentences import stored, stored_by_whom


class RuleDecision(Shape):
    """``verdict``: acts, would_act, skipped, failed, held, retried or dropped; ``outcome``: the verdict, or what became
    of it: at_work, refused, unsent, unknown or partly; awaits, where the rule's steps come by the clock. ``actions``:
    in words."""

    at: datetime
    rule: str
    clause: str
    deal_id: int | None
    what: str
    verdict: str
    outcome: str
    reason: str
    actions: list[str]


def decision_of(line: Line) -> RuleDecision:
    return RuleDecision(
        at=datetime.fromtimestamp(line.at, UTC),
        rule=line.rule,
        clause=line.clause,
        deal_id=line.deal_id,
        what=stored(line.what),
        verdict=line.verdict,
        outcome=line.outcome,
        reason=stored_by_whom(line.reason) if line.verdict == "undone" else stored(line.reason),
        actions=[stored(words) for words in line.actions],
    )


# ``/rules``: what each says, whether it is on, what it did and why it did not; its switches.


class Skip(Shape):
    """Why it did not act, and how often, of its last decisions."""

    reason: str
    times: int


class Rule(Shape):
    """``says``: in words. ``matching``: how many deals are where it works; null: ``unmatched`` says why that can't be
    told. ``last_acted``: null if it has not, as far back as the journal goes. ``broken``: why it does not work though
    it is on (Russian); empty if it works. ``dry_run``: its own key; ``dry_because``: what makes it change nothing, its
    own key or the whole bridge's; ``would_act``: how often it would have acted in the last 14 days, in dry run."""

    name: str
    clause: str
    says: str
    enabled: bool
    broken: str
    dry_run: bool
    dry_because: list[Literal["bridge", "rule"]]
    would_act: int
    last_would_act: datetime | None
    matching: int | None
    unmatched: str
    last_acted: datetime | None
    skips: list[Skip]


class Rules(Shape):
    """In the order of the config."""

    rules: list[Rule]


class RuleDetails(Rule):
    """``off_reason``: why it is off, if the config says. ``block``: its lines of the file. ``existing``: what it does
    about deals that were there before it, one of ``choices``; null for a rule that makes no such difference.
    ``unconnected``: channels that it calls, in Russian, and nobody has connected them."""

    off_reason: str
    block: str
    existing: str | None
    choices: list[str]
    unconnected: list[str]


class RuleChange(Shape):
    """What is left out stays as it is."""

    enabled: bool | None = None
    dry_run: bool | None = None
    existing: str | None = None


class ExistingStep(Shape):
    """A step of the rule. ``fate``: it is done already, would be done at once, is too late to be done, or its time is
    to come; ``at_once``: that fate. ``violates``: it writes down a violation."""

    step: str
    due: datetime
    at_once: bool
    fate: Fate
    violates: bool


class ExistingDeal(Shape):
    """``since``: when it came to its stage. ``choices``: of ``existing`` → what the rule would do."""

    deal_id: int
    name: str
    stage: str
    since: datetime
    choices: dict[str, list[ExistingStep]]


class ExistingDeals(Shape):
    """The deals that have steps by one of the choices, the most urgent first; at most 1,000. No choices: the rule makes
    no difference between old and new deals."""

    chosen: str | None
    choices: list[str]
    deals: list[ExistingDeal]


class RuleHistory(Shape):
    """Its last 50 decisions, newest first."""

    decisions: list[RuleDecision]


@api.endpoint(
    Endpoint(
        "rules_rules",
        "/rules",
        "GET",
        Role.VIEWER,
        _l("Все правила"),
        Rules,
        query={"q": _l("пункт, слово или имя"), "only": "on | off | broken"},
        checks={"only": one_of(["on", "off", "broken"])},
    )
)
def rules() -> Rules:
    facts = RuleFacts(current_account())
    found = facts.find(request.args.get("q", ""), request.args.get("only", ""))
    return Rules(rules=[Rule(**_facts(facts.at_a_glance(rule))) for rule in found])


@api.endpoint(Endpoint("rules_rule", "/rules/<name>", "GET", Role.VIEWER, _l("Одно правило"), RuleDetails))
def rule(name: str) -> RuleDetails:
    return _details(name)


@api.endpoint(
    Endpoint(
        "rules_switch",
        "/rules/<name>",
        "PATCH",
        Role.ADMIN,
        _l("Включить или выключить правило; действует сразу"),
        RuleDetails,
        takes=RuleChange,
    )
)
def switch(name: str, told: RuleChange) -> RuleDetails:
    known = _known(name)
    if told.existing is not None and told.existing not in choices_of(known):
        abort(refusal(422, _wrong_choice(known)))
    here = current_account()
    try:
        before = here.file.read()
        text = before.text
        for key, value in told.model_dump(exclude_none=True).items():
            text = with_key(text, known.path, key, value)
        config_service.save(here, text, before.mark)
    except ConfigError as error:
        abort(refusal(409, "; ".join(error.problems)))
    return _details(name)


@api.endpoint(
    Endpoint(
        "rules_existing",
        "/rules/<name>/existing",
        "GET",
        Role.VIEWER,
        _l("Что правило сделает с прежними сделками"),
        ExistingDeals,
    )
)
def existing(name: str) -> ExistingDeals:
    known = _known(name)
    choices, deals = choices_of(known), current_account().existing(known)
    if choices and deals is None:
        raise NotMet
    return ExistingDeals(
        chosen=_chosen(known),
        choices=list(choices),
        deals=[ExistingDeal.model_validate(deal.to_json()) for deal in deals or ()],
    )


@api.endpoint(
    Endpoint(
        "rules_history",
        "/rules/<name>/history",
        "GET",
        Role.VIEWER,
        _l("Последние решения правила"),
        RuleHistory,
        query={"only": _l("acted: без «не подошло»")},
        checks={"only": one_of(["acted"])},
    )
)
def history(name: str) -> RuleHistory:
    lines = RuleFacts(current_account()).lines(_known(name), loud=request.args.get("only") == "acted")
    return RuleHistory(decisions=[decision_of(line) for line in lines])


def _known(name: str) -> ConfigRule:
    return RuleFacts(current_account()).get(name) or abort(404)


def _details(name: str) -> RuleDetails:
    facts, known = RuleFacts(current_account()), _known(name)
    return RuleDetails(
        **_facts(facts.of(known)),
        off_reason=known.off_reason,
        block=facts.block(known),
        existing=_chosen(known),
        choices=list(choices_of(known)),
        unconnected=unconnected_of(current_account().config).get(name, []),
    )


def _facts(facts: Facts) -> dict[str, Any]:
    rule, acted = facts.rule, facts.last_acted
    return {
        "name": rule.name,
        "clause": rule.clause,
        "says": rule.words,
        "enabled": rule.enabled,
        "broken": stored(rule.broken),
        "dry_run": rule.dry_run,
        "dry_because": list(facts.dry),
        "would_act": facts.dry_runs.times,
        "last_would_act": _moment(facts.dry_runs.last_at),
        "matching": facts.matching,
        "unmatched": str(facts.unmatched or ""),
        "last_acted": _moment(acted),
        "skips": [Skip(reason=stored(reason), times=times) for reason, times in facts.skips],
    }


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _chosen(rule: ConfigRule) -> str | None:
    return getattr(rule.options, "existing", None)


def _wrong_choice(rule: ConfigRule) -> str:
    if not choices_of(rule):
        return str(_("Правило не различает сделки, которые были до него"))
    return str(_("existing: годится %(choices)s", choices=", ".join(choices_of(rule))))
