"""``amo-bridge check``: the config against the account, logins of channels, channels wanted in vain."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from pydantic import BaseModel

from amo_bridge.channels.vendors import PAGED_STORAGES, connected_vendors, rivals, unconnected
from amo_bridge.cli.click_ru import Command
from amo_bridge.cli.common import CONFIG_BROKEN, config_option, tell, tell_and_exit
from amo_bridge.config.diagnostics import text_of
from amo_bridge.config.loader import readable
from amo_bridge.config.model import Config, is_local
from amo_bridge.engine.effects import CHANNEL_KINDS
from amo_bridge.errors import ConfigError
from amo_bridge.lazy.collecting import no_garbage
from amo_bridge.rules.old_import_paths import old_imports
from amo_bridge.rules.options import AudienceSpec, FolderSpec, SmsSpec
from amo_bridge.rules.stage_map import StageMap
from amo_bridge.text.names import nearest, same_name
from amo_bridge.text.sms_size import sms_size

if TYPE_CHECKING:
    from amo_bridge.crm.account import Account

Spec = TypeVar("Spec", bound=BaseModel)


def warnings(config: Config) -> Iterator[str]:
    """What works, but not as one might think (Russian); asks nobody."""
    for folder in filter(None, (config.bridge.own_handlers, config.bridge.own_schedules)):
        for path in sorted((config.path.parent / folder).glob("*.py")):
            for line, old, new in old_imports(path):
                words = f"{old} переехало, импортируйте {new}; старое имя исчезнет в следующем выпуске"
                yield f"{path}, строка {line}: {words}"
    channels = config.channels
    for channel, rules in unconnected(config).items():
        label = CHANNEL_KINDS[channel].label
        yield f"канал «{label}» не подключён, никуда не отправится то, чего хотят: {', '.join(rules)}"
    for channel, sections in rivals(config).items():
        named = ", ".join(f"[{section}]" for section in sections)
        yield f"канал «{CHANNEL_KINDS[channel].label}» подключён к нескольким: {named}; работает только [{sections[0]}]"
    if any("dial" in vendor.ports for vendor in connected_vendors(config)) and not any(
        person.extension or person.pbx_employee for person in channels.people.values()
    ):
        yield 'автодозвон никому не позвонит: ни у кого в [people."…"] нет номера АТС (extension)'
    yield from _sms_warnings(config)
    yield from _storage_warnings(config)
    yield from _audience_warnings(config)
    if channels.unisender_go and channels.mail is None:
        yield "[unisender_go] без [mail] писем не отправит: там написано, от кого они (from) и где шаблоны"
    if channels.unisender_go and (config.intake is None or config.intake.unisender_go is None):
        yield "без [intake.unisender_go] мост не узнает, кто отписался, пожаловался на спам и чьего адреса нет"
    if channels.mail and channels.series.named:
        if channels.mail.consent is None:
            yield "серии писем — реклама, а поле согласия (consent в [mail]) не названо: согласия никто не спросит"
        if config.bridge.public_url is None:
            yield "серии писем без [bridge] public_url не отправляются: отписаться было бы негде"


def _sms_warnings(config: Config) -> Iterator[str]:
    """Advertising by SMS that nobody is asked about, and texts of several parts (more, once they are filled in)."""
    section = config.channels.smsru or config.channels.smsc
    if section is None:
        return
    for rule in config.rules:
        for spec in _specs(SmsSpec, rule.options) if rule.enabled else ():
            size = sms_size(spec.text)
            if size.parts > 1:
                yield f"SMS правила {rule.name}: {size.words}; каждая часть стоит как отдельная SMS"
            if not spec.service and section.consent is None:
                yield f"SMS правила {rule.name} — реклама: без consent не уйдёт; если она о деле — service = true"


def _storage_warnings(config: Config) -> Iterator[str]:
    """Fields that are to lead to documents, and nobody knows where the bridge's pages are."""
    rules = [rule.name for rule in config.rules if rule.enabled and _wants_links(rule.options)]
    services = [vendor.section for vendor in connected_vendors(config) if "storage" in vendor.ports]
    knows_pages = config.bridge.public_url is not None or is_local(config.account.url)
    if rules and not knows_pages and set(services[:1]) & PAGED_STORAGES:
        names = ", ".join(rules)
        yield f"без [bridge] public_url ссылок на документы в полях сделок не будет, хотя их хотят: {names}"


def _wants_links(options: BaseModel) -> bool:
    folder = getattr(options, "folder", None)
    return isinstance(folder, FolderSpec) and bool(folder.link_field or getattr(options, "links", None))


def _audience_warnings(config: Config) -> Iterator[str]:
    """Lists that no rule means: whoever misspells one gets a file to upload by hand instead of the service."""
    section = config.channels.audiences
    specs = [spec for rule in config.rules for spec in _specs(AudienceSpec, rule.options)]
    meant = [str(name) for spec in specs for name in (*spec.join, *spec.leave)]
    for name in section.lists if section else ():
        if not any(same_name(name, one) for one in meant):
            like = nearest(name, meant)
            hint = f"; может быть, «{like}»?" if like else ""
            yield f'[audiences.lists."{name}"]: такой аудитории не называет ни одно правило{hint}'


def _specs(kind: type[Spec], value: object) -> Iterator[Spec]:
    """What of a rule's options is of this kind."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _specs(kind, getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _specs(kind, item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _specs(kind, item)


# ``amo-bridge check``: is the config right, and does the account know every name in it?


@click.command(cls=Command)
@config_option
@click.option("--fix", is_flag=True, help="Записать в файл новые имена того, что переименовано в amoCRM.")
@click.option("--offline", is_flag=True, help="Только сам файл, без обращения к amoCRM, почте и Telegram.")
def check(config_path: Path, offline: bool, fix: bool) -> None:
    """Проверить настройку: сам файл и каждое имя в нём.

    Имена выключенных правил не сверяются. Что в amoCRM переименовали, мост находит по номеру и работает дальше; новое
    имя в файл запишет --fix.

    Код выхода: 0 — всё верно; 2 — ошибки в настройке; 3 — файл верен, но amoCRM не ответила и имена не сверены; 4 —
    почтовый сервер, бот, ящик или сервис обращений не пускает или не шлёт сюда.
    """
    config = _read_or_exit(config_path, is_offline=offline)
    enabled = sum(rule.enabled for rule in config.rules)
    click.echo(f"{config_path}: правил {len(config.rules)}, включено {enabled}, в самом файле ошибок нет")
    if offline:
        _warn(config)
        return
    # Only here: offline, the command starts without amoCRM's client, the vendors' and the database's libraries.
    from amo_bridge.cli.check_online import CHANNEL_UNREACHABLE, channels_let_us_in, compared_with_account

    config, account = compared_with_account(config, fix=fix)
    _warn(config, account)
    if not channels_let_us_in(config):
        sys.exit(CHANNEL_UNREACHABLE)


def _read_or_exit(path: Path, *, is_offline: bool) -> Config:
    """The config, or everything that is wrong with it, names that the account does not know included, and the exit
    code for that."""
    try:
        with no_garbage():
            found = readable(path, text_of(path))
    except ConfigError as error:
        tell_and_exit(error.problems)
    if found.config is not None and not found.problems:
        return found.config
    problems, not_compared = list(found.problems), ""
    if found.config is not None and not is_offline:
        from amo_bridge.cli.check_online import all_problems

        problems, not_compared = all_problems(found, found.config)
    tell(problems)
    if not_compared:
        click.echo(not_compared, err=True)
    sys.exit(CONFIG_BROKEN)


def _warn(config: Config, account: Account | None = None) -> None:
    for words in warnings(config):
        click.echo(f"Внимание: {words}", err=True)
    conflicts = StageMap.of(config.rules, account.stage_titles if account else None).conflicts()
    for one in conflicts:
        if one.is_sure:
            click.echo(f"Внимание: {one.words}", err=True)
    if other := sum(not one.is_sure for one in conflicts):
        click.echo(f"Смотря по сделке, правила могут помешать друг другу ({other}): amo-bridge rules --conflicts")
