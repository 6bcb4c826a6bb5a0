"""``/api/v1``: what the pages do, for programs. A token is sent as ``Authorization: Bearer …``; its role says how far
it goes."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, abort, jsonify, request
from flask_babel import lazy_gettext as _l

from amo_bridge.config.edit import difference, with_key
from amo_bridge.engine.failures import Failure as Failed
from amo_bridge.engine.failures import NotFailed
from amo_bridge.engine.violations import NoSuchViolation, Violation
from amo_bridge.errors import ConfigError
from amo_bridge.rules import Rule as ConfigRule
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.api import shapes
from amo_bridge.web.api.described import Door, Doors, refusal
from amo_bridge.web.gate import by_token
from amo_bridge.web.here import account, office, token, write_down
from amo_bridge.web.office import PageAccount
from amo_bridge.web.pages.reports import report_asked_for
from amo_bridge.web.pages.violations import asked_for as violations_asked_for
from amo_bridge.web.pages.violations import in_the_audit, ruling_of, violations_of
from amo_bridge.web.wellness import troubles

ROOT = "/api/v1"
MOST_DEEDS = 100
routes = Blueprint("api_v1", __name__, url_prefix=ROOT)
doors = Doors(routes)


@doors.open(Door("/state", "GET", Role.VIEWER, _l("Всё ли хорошо"), shapes.State))
def state() -> shapes.State:
    here = account()
    vitals = here.vitals()
    found = [shapes.Trouble(weight=one.weight, words=one.words) for one in troubles(here, vitals, here.clock.now())]
    told = vitals.to_json()
    return shapes.State(
        account=here.config.account.url,
        state=here.bridge.state,
        is_ready=here.bridge.is_ready,
        is_leading=here.bridge.is_leading,
        troubles=found,
        **{name: told[name] for name in shapes.State.model_fields if name in told},
    )


@doors.open(Door("/rules", "GET", Role.VIEWER, _l("Все правила"), shapes.Rules))
def rules() -> shapes.Rules:
    here = account()
    return shapes.Rules(rules=[_rule(here, rule) for rule in here.config.rules])


@doors.open(Door("/rules/<name>", "GET", Role.VIEWER, _l("Одно правило"), shapes.Rule))
def rule(name: str) -> shapes.Rule:
    here = account()
    return _rule(here, _known(here, name))


@doors.open(
    Door(
        "/rules/<name>",
        "PATCH",
        Role.ADMIN,
        _l("Включить или выключить правило; действует сразу"),
        shapes.Rule,
        takes=shapes.RuleChange,
    )
)
def switch(name: str, told: shapes.RuleChange) -> shapes.Rule:
    here = account()
    known = _known(here, name)
    file = here.file
    before = file.read()
    text = before.text
    try:
        for key, value in told.model_dump(exclude_none=True).items():
            text = with_key(text, known.path, key, value)
        if text != before.text:
            if problems := here.bridge.misfits(file.checked(text)):
                raise ConfigError(problems)
            file.save(text, before.mark)
            write_down("config.save", f"По API: правило {name}", details="\n".join(difference(before.text, text)))
    except ConfigError as error:
        abort(refusal(409, "; ".join(error.problems)))
    here.bridge.watch.look(again=True)
    return _rule(here, _known(here, name))


@doors.open(Door("/deals/<int:deal_id>/journal", "GET", Role.VIEWER, _l("Журнал одной сделки"), shapes.Journal))
def journal(deal_id: int) -> shapes.Journal:
    entries = [
        shapes.JournalEntry(
            at=entry.at,
            event_id=entry.event_id,
            what=entry.what,
            rule=entry.rule,
            clause=entry.clause,
            verdict=entry.verdict,
            reason=entry.reason,
            effects=[shapes.Effect(words=words, state=state, error=error) for words, state, error in entry.effects],
        )
        for entry in account().journal.of_deal(deal_id)
    ]
    return shapes.Journal(deal_id=deal_id, entries=entries)


@doors.open(Door("/failures", "GET", Role.VIEWER, _l("От чего мост отступился"), shapes.Failures))
def failures() -> shapes.Failures:
    return _failures(account().failures.all())


@doors.open(
    Door("/failures/retry", "POST", Role.ADMIN, _l("Вернуть отказы в работу"), shapes.Failures, takes=shapes.Names)
)
def retry(told: shapes.Names) -> shapes.Failures:
    return _decided("retry", told)


@doors.open(Door("/failures/drop", "POST", Role.ADMIN, _l("Снять отказы"), shapes.Failures, takes=shapes.Names))
def drop(told: shapes.Names) -> shapes.Failures:
    return _decided("drop", told)


@doors.open(
    Door(
        "/reports/overdue",
        "GET",
        Role.VIEWER,
        _l("Просроченные задачи, каждый человек × каждый день"),
        shapes.Overdue,
        query={
            "days": _l("7, 14 или 31"),
            "until": _l("последний день, 2026-11-25"),
            "count": _l("standing или missed"),
        },
    )
)
def overdue() -> shapes.Overdue:
    report, way = report_asked_for(account())
    people = {name: list(figures) for name, figures in report.rows.items()}
    return shapes.Overdue(count=way, days=list(report.days), people=people)


@doors.open(
    Door(
        "/violations",
        "GET",
        Role.VIEWER,
        _l("Кто какой пункт нарушил"),
        shapes.Violations,
        query={"month": "2026-11", "person": _l("имя"), "clause": "M7"},
    )
)
def violations() -> shapes.Violations:
    here = account()
    return _violations(violations_of(here, violations_asked_for(None)))


@doors.open(
    Door("/violations/forgive", "POST", Role.ADMIN, _l("Простить нарушения"), shapes.Violations, takes=shapes.Ruling)
)
def forgive(told: shapes.Ruling) -> shapes.Violations:
    return _ruled("forgive", told)


@doors.open(
    Door(
        "/violations/restore", "POST", Role.ADMIN, _l("Снова учесть нарушения"), shapes.Violations, takes=shapes.Ruling
    )
)
def restore(told: shapes.Ruling) -> shapes.Violations:
    return _ruled("restore", told)


@doors.open(
    Door("/audit", "GET", Role.ADMIN, _l("Кто что менял"), shapes.Deeds, query={"before": _l("только до этого номера")})
)
def audit() -> shapes.Deeds:
    deeds = office().audit.last(MOST_DEEDS, before=request.args.get("before", type=int))
    told = [
        shapes.Deed(id=one.id, at=one.at, who=one.who, account=one.account, deed=one.deed, words=one.words)
        for one in deeds
    ]
    return shapes.Deeds(deeds=told)


@routes.get("/openapi.json")
@by_token(Role.VIEWER)
def openapi() -> Response:
    return jsonify(doors.openapi(request.script_root + ROOT))


def _known(here: PageAccount, name: str) -> ConfigRule:
    return next((rule for rule in here.config.rules if rule.name == name), None) or abort(404)


def _rule(here: PageAccount, rule: ConfigRule) -> shapes.Rule:
    acted = here.history.last_acted(rule.name) if here.is_known else None
    return shapes.Rule(
        name=rule.name,
        clause=rule.clause,
        says=rule.words,
        enabled=rule.enabled,
        dry_run=rule.dry_run,
        last_acted=None if acted is None else datetime.fromtimestamp(acted, UTC),
    )


def _decided(decision: str, told: shapes.Names) -> shapes.Failures:
    here = account()
    act = {"retry": here.failures.retry, "drop": here.failures.drop}[decision]
    try:
        chosen = act(told.names, token().name)
    except NotFailed as error:
        abort(refusal(409, str(error)))
    write_down(f"failed.{decision}", f"По API: {', '.join(one.name for one in chosen)}")
    here.bridge.ring()
    return _failures(chosen)


def _failures(found: list[Failed]) -> shapes.Failures:
    told = [
        shapes.Failure(**{name: getattr(one, name) for name in shapes.Failure.model_fields})
        for one in found
    ]  # fmt: skip
    return shapes.Failures(failures=told)


def _ruled(decision: str, told: shapes.Ruling) -> shapes.Violations:
    try:
        found = ruling_of(account(), decision)(told.numbers, token().name, told.why)
    except NoSuchViolation as error:
        abort(refusal(404, str(error)))
    write_down(f"violations.{decision}", in_the_audit(decision, told.numbers, told.why))
    return _violations(found)


def _violations(found: list[Violation]) -> shapes.Violations:
    return shapes.Violations(violations=[shapes.Violation.model_validate(one.to_json()) for one in found])
