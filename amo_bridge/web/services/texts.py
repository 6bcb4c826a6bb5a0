"""Scripts and letters by form: checked, filled in with a deal's data, saved, put back.

The files in their folders stay the source: an edit made there meanwhile is never overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from flask_babel import gettext as _

from amo_bridge.channels.trials import Trial, kind_of, send_trial
from amo_bridge.channels.vendors import connected_vendors
from amo_bridge.config.account_check import Misfit, look_up
from amo_bridge.config.channels import UNSUBSCRIBE_PATH
from amo_bridge.config.files import difference
from amo_bridge.errors import ChannelRefused, ConfigError, UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import mask_text
from amo_bridge.rules.option_types import FieldName, TemplateName
from amo_bridge.text.scripts import asks_of
from amo_bridge.text.template_check import Checked, check
from amo_bridge.text.templates import SUBJECT, BadTemplate, Finding, Templates, enclosed
from amo_bridge.versioned_file import CHANGED_MEANWHILE, Backup, VersionedFile, Written
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.context import audit
from amo_bridge.web.services.scripts import INPUTS, ScriptService

Kind = Literal["scripts", "letters"]
BACKUPS = "text-backups"
TEXT, HTML = ".txt", ".html"
PARTS: Mapping[Kind, tuple[str, ...]] = {"scripts": (TEXT,), "letters": (TEXT, HTML)}
NAMES: Mapping[Kind, re.Pattern[str]] = {
    "scripts": re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII),
    "letters": re.compile(r"(?:[^\W_][\w ,().-]{0,38}\w/)?[^\W_](?:[\w ,()-]{0,38}[\w)])?"),
}
"""What a new text may be called: the name is its file's, and in a folder of versions part of a longer one."""
MOST_BYTES = 2 * 1024 * 1024
LONGEST_ADDRESS = 200


@dataclass(frozen=True)
class Listed:
    """A text of the list. ``title``: its first line; ``problem``: the first thing that is wrong with its files."""

    name: str
    title: str
    problem: str
    uses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Version:
    """A version that was replaced. ``part``: of which of the text's files."""

    part: str
    backup: Backup


@dataclass(frozen=True)
class TextFile:
    """A script or a letter in its folder; ``parts``: ending → what stands in that file. Raises ConfigError."""

    here: AccountView
    kind: Kind
    name: str

    @property
    def parts(self) -> dict[str, Written]:
        return {ending: self._file(ending).read_or_none() for ending in PARTS[self.kind]}

    @property
    def is_there(self) -> bool:
        return self.name in names_of(self.here, self.kind)

    def versions(self) -> list[Version]:
        """Newest first."""
        found = [Version(ending, one) for ending in PARTS[self.kind] for one in self._file(ending).backups()]
        return sorted(found, key=lambda one: one.backup.at, reverse=True)

    def version(self, name: str) -> tuple[str, str]:
        """(part, text) of a version before. Raises ConfigError."""
        found = next((one for one in self.versions() if one.backup.name == name), None)
        if found is None:
            raise ConfigError([_("Прежней версии %(name)s нет", name=name)])
        return found.part, self._file(found.part).backup(name)

    def check(self, parts: Mapping[str, str], deal: ScriptService | None = None) -> Checked:
        """What is wrong with these parts; with a deal also how they come out. Nothing is written."""
        edited = {f"{self.name}{ending}": text if text.strip() else "" for ending, text in parts.items()}
        facts = deal.facts(f"{self.here.config.bridge.public_url or ''}{UNSUBSCRIBE_PATH}…") if deal else None
        found = check(self._folder, self.name, edited, facts, is_script=self.kind == "scripts")
        more = list(self._unknown_fields(found, parts))
        if not more:
            return found
        return replace(found, findings=(*found.findings, *more), rendered=None, script=None)

    def save(self, parts: Mapping[str, str], marks: Mapping[str, str]) -> bool:
        """Write what has changed; was there anything? ``marks``: of the versions that it is an edit of. Raises
        ConfigError: what is wrong with the text, or that a file can't be written or has changed meanwhile."""
        before = self.parts
        wanted = {ending: _with_end(text) for ending, text in parts.items()}
        if not before[TEXT].mark and not is_fit_name(self.kind, self.name):
            raise ConfigError([name_hint(self.kind)])
        changed = [ending for ending in wanted if wanted[ending] != before[ending].text]
        if any(before[ending].mark != marks.get(ending, "") for ending in wanted):
            raise ConfigError([CHANGED_MEANWHILE])
        if found := self.check(wanted).words:
            raise ConfigError(found)
        for ending in changed:
            if wanted[ending]:
                self._file(ending).save(wanted[ending], before[ending].mark)
            else:
                self._file(ending).remove(before[ending].mark)
        if changed:
            lines = [line for ending in changed for line in difference(before[ending].text, wanted[ending])]
            audit("texts.save", f"{_WORDS[self.kind][0]} «{self.name}»", details="\n".join(lines))
        return bool(changed)

    def remove(self, marks: Mapping[str, str]) -> None:
        """Take its files away; their last versions are kept. Raises ConfigError, also while something uses it."""
        if used := uses_of(self.here, self.kind).get(self.name):
            raise ConfigError([_("На этот текст ссылаются: %(who)s", who=", ".join(used))])
        before = self.parts
        if any(one.mark != marks.get(ending, "") for ending, one in before.items()):
            raise ConfigError([CHANGED_MEANWHILE])
        for ending, one in before.items():
            if one.mark:
                self._file(ending).remove(one.mark)
        audit("texts.remove", f"{_WORDS[self.kind][1]} «{self.name}»", details=before[TEXT].text)

    def send(self, parts: Mapping[str, str], deal: ScriptService, to: str) -> str:
        """Send the letter, filled in with the deal's data, to this address; what the mail server says. Raises
        ChannelError, ConfigError."""
        found = self.check(parts, deal)
        if found.rendered is None:
            raise ConfigError(found.words)
        vendor = next((one for one in connected_vendors(self.here.config) if kind_of(one) == "mail"), None)
        if vendor is None:
            raise ChannelRefused(_("почта не подключена"))
        content = replace(found.rendered, subject=f"[Проба] {found.rendered.subject}")
        to = to.strip()[:LONGEST_ADDRESS]
        trial = Trial(to, "", self.here.clock.now(), self.here.account_store.account_id, content)
        words = send_trial(vendor, self.here.config, self.here.bridge.environment, trial)
        audit("texts.trial", f"Пробное письмо «{self.name}»: {mask_text(to)}", details=mask_text(words))
        return words

    def _unknown_fields(self, found: Checked, parts: Mapping[str, str]) -> Iterator[Finding]:
        account = self.here.crm_account
        if account is None:
            return
        told = {(one.file, one.line) for one in found.findings}
        for file, line, name in found.fields:
            if (file, line) in told:
                continue
            try:
                look_up(FieldName(name), self.here.config, account)
            except (UnknownName, Misfit) as error:
                yield Finding(file, line, str(error))
        asked = asks_of(parts[TEXT]) if self.kind == "scripts" else ()
        for line, kind, name in asked:
            if kind != "field" or not name:
                continue
            try:
                field = account.field(name)
            except UnknownName as error:
                yield Finding(f"{self.name}{TEXT}", line, str(error))
            else:
                if field.type not in INPUTS:
                    words = _("поле «%(name)s» скрипту не заполнить: полей такого типа страница не умеет", name=name)
                    yield Finding(f"{self.name}{TEXT}", line, str(words))

    @property
    def _folder(self) -> Path:
        folder = folder_of(self.here, self.kind)
        if folder is None:
            raise ConfigError([no_folder(self.kind)])
        return folder

    def _file(self, ending: str) -> VersionedFile:
        try:
            path = enclosed(self._folder, f"{self.name}{ending}")
        except ValueError as error:
            raise ConfigError([str(error)]) from error
        # One flat folder: what closes the data folder to others looks no deeper.
        stem = f"{self.kind}/{self.name}".replace("/", "∕")
        return VersionedFile(path, self.here.config.data_folder / BACKUPS, stem)


_WORDS: Mapping[Kind, tuple[str, str]] = {
    "scripts": ("Изменён скрипт", "Удалён скрипт"),
    "letters": ("Изменено письмо", "Удалено письмо"),
}


def folder_of(here: AccountView, kind: Kind) -> Path | None:
    return here.config.scripts_folder if kind == "scripts" else here.config.letters_folder


def is_fit_name(kind: Kind, name: str) -> bool:
    """May a new text be called so? «new» is the address of the form for it."""
    return name != "new" and NAMES[kind].fullmatch(name) is not None


def no_folder(kind: Kind) -> str:
    if kind == "scripts":
        return str(_('Скрипты выключены: в [bridge] стоит scripts = ""'))
    return str(_("Писем нет: раздела [mail] в настройке нет, подключите почту на странице «Каналы»"))


def name_hint(kind: Kind) -> str:
    if kind == "scripts":
        return str(_("Имя — конец адреса страницы: латинские строчные буквы, цифры и дефисы, до 40 знаков"))
    return str(_("Имя — имя файла: буквы, цифры, пробелы и дефисы, до 40 знаков; папка — через «/», одна"))


def names_of(here: AccountView, kind: Kind) -> list[str]:
    folder = folder_of(here, kind)
    if folder is None or not folder.is_dir():
        return []
    paths = folder.glob(f"*{TEXT}") if kind == "scripts" else folder.rglob(f"*{TEXT}")
    found = (path.relative_to(folder) for path in paths if path.is_file())
    # What begins so is included by others, and no letter.
    return sorted(path.with_suffix("").as_posix() for path in found if not path.name.startswith((".", "_")))


def text_file(here: AccountView, kind: Kind, name: str) -> TextFile | None:
    """None if there is none of this name."""
    found = TextFile(here, kind, name)
    return found if found.is_there else None


def listed(here: AccountView, kind: Kind) -> list[Listed]:
    folder = folder_of(here, kind)
    if folder is None:
        return []
    templates, uses = Templates(folder), uses_of(here, kind)
    found = []
    for name in names_of(here, kind):
        try:
            text = enclosed(folder, f"{name}{TEXT}").read_text("utf-8-sig")
            problem = next(iter(templates.problems_of(name)), "")
        except (OSError, ValueError, BadTemplate, RecursionError) as error:
            text, problem = "", str(error)
        subject = SUBJECT.match(text.partition("\n")[0])
        found.append(Listed(name, subject["subject"].strip() if subject else "", problem, uses.get(name, ())))
    return found


def uses_of(here: AccountView, kind: Kind) -> dict[str, tuple[str, ...]]:
    """Name of a text → the rules and series that speak of it."""
    found: dict[str, dict[str, None]] = {}
    for rule in here.config.rules:
        for _path, name in rule.account_names:
            if kind == "letters" and isinstance(name, TemplateName):
                found.setdefault(str(name), {})[rule.name] = None
            elif kind == "scripts":
                for script in re.findall(r"/scripts/([a-z0-9-]+)", str(name)):
                    found.setdefault(script, {})[rule.name] = None
    if kind == "letters":
        for series, spec in here.config.channels.series.named.items():
            for letter in spec.letters:
                found.setdefault(str(letter.template), {})[f"[series.{series}]"] = None
    return {name: tuple(users) for name, users in found.items()}


def _with_end(text: str) -> str:
    """Browsers end lines their own way; a file ends with a line."""
    text = text.replace("\r\n", "\n").rstrip()
    return f"{text}\n" if text else ""
