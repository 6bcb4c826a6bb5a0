"""``/rules``: what each says, whether it is on; its switches."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import abort
from flask_babel import lazy_gettext as _l

from amo_bridge.config.edit import difference, with_key
from amo_bridge.errors import ConfigError
from amo_bridge.rules import Rule as ConfigRule
from amo_bridge.web.admission.roles import Role
from amo_bridge.web.api.described import Door, refusal
from amo_bridge.web.api.shape import Shape
from amo_bridge.web.api.version import doors
from amo_bridge.web.here import account, write_down
from amo_bridge.web.office import PageAccount


class Rule(Shape):
    """``says``: in words. ``last_acted``: null if it has not, as far back as the journal goes."""

    name: str
    clause: str
    says: str
    enabled: bool
    dry_run: bool
    last_acted: datetime | None


class Rules(Shape):
    """All rules of the config, in its order."""

    rules: list[Rule]


class RuleChange(Shape):
    """What is left out stays as it is."""

    enabled: bool | None = None
    dry_run: bool | None = None


@doors.open(Door("/rules", "GET", Role.VIEWER, _l("Все правила"), Rules))
def rules() -> Rules:
    here = account()
    return Rules(rules=[_rule(here, rule) for rule in here.config.rules])


@doors.open(Door("/rules/<name>", "GET", Role.VIEWER, _l("Одно правило"), Rule))
def rule(name: str) -> Rule:
    here = account()
    return _rule(here, _known(here, name))


@doors.open(
    Door(
        "/rules/<name>",
        "PATCH",
        Role.ADMIN,
        _l("Включить или выключить правило; действует сразу"),
        Rule,
        takes=RuleChange,
    )
)
def switch(name: str, told: RuleChange) -> Rule:
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


def _known(here: PageAccount, name: str) -> ConfigRule:
    return next((rule for rule in here.config.rules if rule.name == name), None) or abort(404)


def _rule(here: PageAccount, rule: ConfigRule) -> Rule:
    acted = here.history.last_acted(rule.name) if here.is_known else None
    return Rule(
        name=rule.name,
        clause=rule.clause,
        says=rule.words,
        enabled=rule.enabled,
        dry_run=rule.dry_run,
        last_acted=None if acted is None else datetime.fromtimestamp(acted, UTC),
    )
