"""Config for pages and API: checked, saved, put back, each with an entry in the audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask_babel import gettext as _

from amo_bridge.config.files import difference, with_new_names
from amo_bridge.config.loader import Readable
from amo_bridge.config.model import Config
from amo_bridge.errors import BridgeError, ConfigError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.handler import Rule
from amo_bridge.runtime.config_reload import FileState
from amo_bridge.versioned_file import Backup
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.context import accounts, audit
from amo_bridge.web.template_filters import moment

DEED = "config.save"
CONFIG_BYTES = 2 * 1024 * 1024
LONGEST_SECRET = 10_000
"""A service account's key of Google is a JSON of two kilobytes."""
SWITCHED: dict[str, Callable[[Rule, Rule], bool]] = {
    "Включено": lambda old, new: new.enabled and not old.enabled,
    "Выключено": lambda old, new: old.enabled and not new.enabled,
    "Вхолостую": lambda old, new: new.dry_run and not old.dry_run,
    "Всерьёз": lambda old, new: old.dry_run and not new.dry_run,
    "Изменено": lambda old, new: old.options != new.options,
}


@dataclass(frozen=True)
class Version:
    """A version that was replaced; ``who`` did it, and ``words`` say what was done by that: empty where a file was
    replaced by something else than pages and programs."""

    backup: Backup
    who: str
    words: str


class Unfit(ConfigError):
    """The text itself is wrong."""


def problems_of(here: AccountView, text: str) -> list[str]:
    """Everything that is wrong with the text, names that the account does not know included."""
    return problems_in(here, here.file.readable(text))


def problems_in(here: AccountView, found: Readable) -> list[str]:
    """The same of a text that has been read."""
    if found.config is None:
        return list(found.problems)
    try:
        misfits = here.bridge.misfits(found.config)
    except BridgeError as error:
        # What is wrong with the text itself is enough to go on with.
        return list(found.problems) or [
            _("Имена не сверены: amoCRM сейчас не отвечает (%(why)s). Повторите чуть позже.", why=str(error))
        ]
    return found.without_unread(misfits)


def save(here: AccountView, text: str, mark: str, restored: Backup | None = None) -> FileState:
    """Write the file in place of the version of this mark; the bridge takes it at once. What stands there already is
    not written again. ``restored``: the text is this version's.

    Raises Unfit, or ConfigError when the file can't be written or has changed meanwhile."""
    before = here.file.read()
    if problems := problems_of(here, text):
        raise Unfit(problems)
    if text != before.text:
        here.file.save(text, mark)
        deed = _audit_words(_config_or_none(here, before.text), here.file.checked(text))
        if restored is not None:
            deed = f"Возвращена версия, заменённая {moment(restored.at)}. {deed}"
        audit(DEED, deed, details="\n".join(difference(before.text, text)))
    return here.bridge.watch.look(again=True)


@contextmanager
def with_secret(here: AccountView, variable: str, word: str | None) -> Iterator[None]:
    """A vendor's secret is kept (an empty one forgotten, None left alone), and put back if what is done inside fails,
    unless somebody has kept another one meanwhile. Raises ConfigError, StoreUnavailable."""
    before = here.bridge.environment.get(variable, "")
    if word is not None:
        here.bridge.keep_secret(variable, word)
    try:
        yield
    except BaseException:
        if word is not None:
            here.bridge.keep_secret(variable, before, instead_of=word)
        raise


def take_new_names(here: AccountView) -> FileState:
    """Write the new names of what was renamed in amoCRM into the file. Raises Unfit, ConfigError."""
    before = here.file.read()
    return save(here, with_new_names(before.text, here.fit.renamed), before.mark)


def versions_before(here: AccountView) -> list[Version]:
    """Newest first."""
    backups = here.file.backups()
    if not backups:
        return []
    saves = accounts().audit.of_kind(DEED, here.name, backups[-1].at)
    # Whatever replaces a version is written down right after it, and before the next one is replaced.
    ends = [None, *(one.at for one in backups)]
    told = []
    for backup, end in zip(backups, ends, strict=False):
        then = next((one for one in saves if backup.at <= one.at and (end is None or one.at < end)), None)
        told.append(Version(backup, then.who if then else "", then.words if then else ""))
    return told


def version_before(here: AccountView, name: str) -> tuple[Backup, str]:
    """A version that was replaced, and its text. Raises ConfigError."""
    text = here.file.backup(name)
    return next(one for one in here.file.backups() if one.name == name), text


def _audit_words(old: Config | None, new: Config) -> str:
    """What the audit says of a change (Russian)."""
    before = {rule.name: rule for rule in old.rules} if old else {}
    after = {rule.name: rule for rule in new.rules}
    told = []
    for words, having in SWITCHED.items():
        names = [name for name, rule in after.items() if name in before and having(before[name], rule)]
        told += [f"{words}: {', '.join(names)}"] if names else []
    told += [f"Добавлено: {', '.join(names)}" for names in [sorted(after.keys() - before.keys())] if names and before]
    told += [f"Удалено: {', '.join(names)}" for names in [sorted(before.keys() - after.keys())] if names]
    return "; ".join(told) or "Изменена настройка"


def _config_or_none(here: AccountView, text: str) -> Config | None:
    try:
        return here.file.checked(text)
    except ConfigError:
        return None
