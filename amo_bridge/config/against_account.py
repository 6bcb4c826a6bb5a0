"""Compare every name in the config with the account: stages, fields, people, reasons, task types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from amo_bridge.config.lines import line_of
from amo_bridge.config.model import MANAGER, Config
from amo_bridge.config.names import (
    AccountName,
    CustomFieldName,
    FieldName,
    LossReasonName,
    PersonName,
    PipelineName,
    StageName,
    TaskTypeName,
    Text,
    UserName,
    names_in,
)
from amo_bridge.config.wording import dotted, problem
from amo_bridge.crm.account import Account
from amo_bridge.deal import BUILT_IN_FIELDS
from amo_bridge.errors import UnknownName
from amo_bridge.names import nearest, same_name


def unknown_names(config: Config, account: Account) -> list[str]:
    """All problems, each with file, line, block, key and the nearest right word; empty when every name is there."""
    found = []
    for path, name in _names(config):
        for error in _errors(name, config, account):
            block, key = (path[:3], path[3:]) if path[0] == "handlers" else (path[:1], path[1:])
            place = f"[{'.'.join(map(str, block))}] {dotted(key)}"
            found.append(problem(config.path.name, line_of(config.lines, path), place, str(error)))
    return list(dict.fromkeys(found))


def _names(config: Config) -> Iterator[tuple[tuple[Any, ...], AccountName]]:
    yield from names_in(config.roles, ("roles",))
    for rule in config.rules:
        # A rule that is switched off must be right as well: the switch may be turned any time.
        yield from names_in(rule.options, ("handlers", rule.handler.name, rule.block))


def _errors(name: AccountName, config: Config, account: Account) -> Iterator[UnknownName]:
    if isinstance(name, Text):
        for field in name.field_names:
            yield from _errors(FieldName(field), config, account)
        return
    try:
        LOOK_UPS[type(name)](name, config, account)
    except UnknownName as error:
        yield error


def _field(name: str, config: Config, account: Account) -> None:
    if any(same_name(name, built_in) for built_in in BUILT_IN_FIELDS):
        return
    try:
        account.field(name)
    except UnknownName as error:
        raise UnknownName("поля", name, nearest=error.nearest or nearest(name, BUILT_IN_FIELDS)) from error


def _person(name: str, config: Config, account: Account) -> None:
    roles = (MANAGER, *config.roles)
    if any(same_name(name, role) for role in roles):
        return
    try:
        account.user(name)
    except UnknownName as error:
        raise UnknownName("роли или пользователя", name, nearest=error.nearest or nearest(name, roles)) from error


LOOK_UPS: Mapping[type[AccountName], Callable[[str, Config, Account], Any]] = {
    StageName: lambda name, config, account: account.stage(name),
    PipelineName: lambda name, config, account: account.pipeline(name),
    FieldName: _field,
    CustomFieldName: lambda name, config, account: account.field(name),
    LossReasonName: lambda name, config, account: account.loss_reason(name),
    TaskTypeName: lambda name, config, account: account.task_type(name),
    UserName: lambda name, config, account: account.user(name),
    PersonName: _person,
}
