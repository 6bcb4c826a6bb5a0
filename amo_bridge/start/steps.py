"""Steps of a start, one after another, for whoever asks the questions: a command or pages.

The last is the first rehearsal: what the rules would do in the next days, on real deals or invented ones.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from amo_bridge.config.files import ConfigFile
from amo_bridge.config.model import Config
from amo_bridge.config.rule_blocks import shipped_file
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.errors import BridgeError, why_not
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.private_files import make_folder
from amo_bridge.provision.apply import CarryOut
from amo_bridge.provision.plan import Plan, plan
from amo_bridge.rehearsal.known_state import recalled
from amo_bridge.rehearsal.results import SimulatedAction, day_title
from amo_bridge.rehearsal.simulation import rehearsing
from amo_bridge.rehearsal.snapshot import from_account, with_example_deals
from amo_bridge.rules.deal import BUILT_IN_FIELDS
from amo_bridge.start.access import AccountAccess
from amo_bridge.start.draft import Choice, Draft, Drafting
from amo_bridge.start.matching import Kind, Matching
from amo_bridge.text.names import normalise
from amo_bridge.text.scripts import Scripts

CREATED: tuple[Kind, ...] = ("pipelines", "stages", "fields", "contact_fields", "reasons", "choices")
"""What ``provision`` makes."""


class Refused(BridgeError):
    """The start can't go on; the text (Russian) says why and what to do."""


@dataclass(frozen=True)
class Saved:
    """``copied``: files put beside the config; ``left_out``: scripts that were not, and why (Russian).
    ``is_replaced``: there was a config, and its copy is kept."""

    path: Path
    copied: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    is_replaced: bool = False


class Start:
    """``access``: connected already, ``account`` read by it. ``choose`` comes before everything else. ``has_created``:
    something may have been created in the account."""

    def __init__(
        self, path: Path, access: AccountAccess, account: Account, environment: Mapping[str, str], today: date
    ) -> None:
        self.path = path
        self.access = access
        self.account = account
        self.choice: Choice | None = None
        self.has_created = False
        self._environment = environment
        self._today = today

    def choose(self, choice: Choice, asked: Iterable[str] = ()) -> Matching:
        """Compare the regulation's names with the account's. ``asked``: see Matching."""
        self.choice = choice
        self._drafting = Drafting(choice, self.path, self._today, self._environment)
        self.matching = Matching(self._drafting.asked, self.account, {}, frozenset(asked))
        return self.matching

    @property
    def chosen(self) -> Choice:
        """The regulation, once it is chosen."""
        assert self.choice is not None
        return self.choice

    def about_person(self, name: str) -> str:
        """What somebody whom the regulation names is for (Russian)."""
        roles = self._drafting.roles_of(name)
        return "; ".join(roles) or f"на месте сотрудника «{name}» регламента"

    def lacking(self) -> Plan:
        """What of the regulation could be created in the account."""
        return plan(self._drafting.wanted(self.matching), self.account, ())

    def create(self) -> list[str]:
        """Create what is lacking now, and look again; what is left for people (Russian). Raises CrmError: then a part
        may be there, and the next call creates the rest."""
        client = self.access.client()
        # An earlier try may have ended in the middle, or somebody else was quicker: nothing is created twice.
        self._look_again(client, self.matching.answers)
        found = self.lacking()
        self.has_created |= bool(found.steps)
        carry_out = CarryOut(client)
        left = [words for step in found.steps for words in carry_out(step)]
        self._look_again(client, self._answers_that_stay())
        self.settle()
        return left

    def _look_again(self, client: CrmClient, answers: Mapping[str, str | None]) -> None:
        self.account = Account.read(client)
        self.matching = Matching(self._drafting.asked, self.account, dict(answers))

    def _answers_that_stay(self) -> dict[str, str | None]:
        """All but «нет такого» for what has just been created. What had that very name before was not meant."""
        told = {key: value for key, value in self.matching.answers.items() if value}
        before = {one.need.key for one in self.matching.with_answers(told).findings() if one.state == "exact"}
        kinds = {need.key: need.kind for need in self.matching.needs}
        return {
            key: value
            for key, value in self.matching.answers.items()
            if value or kinds.get(key) not in CREATED or key in before
        }

    def settle(self) -> None:
        """Nothing is left open: what nobody has answered, the account has not."""
        while found := self.matching.open_round():
            for one in found:
                self.matching.answer(one, None)

    def draft(self) -> Draft:
        """The config as it would be written. Raises ConfigError."""
        return self._drafting.draft(self.matching, self.account)

    def save(self, draft: Draft, *, replace: bool = False) -> Saved:
        """Write the config, what it names beside itself, and the secrets. Raises Refused, ConfigError."""
        is_there = self.path.exists()
        if is_there and not replace:
            raise Refused(_is_there(self.path))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            make_folder(draft.config.data_folder)
            self.access.keep()
            copied, left_out = self._copied(draft)
            # The config comes last, and whole: a start that ended before it can be begun again.
            if is_there:
                file = ConfigFile(self.path, draft.config.data_folder, self._environment)
                file.save(draft.text, file.read().mark)
            else:
                _write_new(self.path, draft.text)
            return Saved(self.path, copied, left_out, is_there)
        except OSError as error:
            raise Refused(f"в папку {self.path.parent} не записать: {why_not(error)}") from error

    def _copied(self, draft: Draft) -> tuple[list[Path], list[str]]:
        """What stands there already stays as it is. A script that asks for fields that the account has not is left out:
        the check would refuse it."""
        copied, left_out = [], []
        for shipped, name in self.chosen.regulation.folders:
            source, beside = shipped_file(shipped), self.path.parent / name
            for file in sorted(one for one in source.rglob("*") if one.is_file()):
                target = beside / file.relative_to(source)
                if target.exists():
                    continue
                is_script = target.parent.resolve() == draft.config.scripts_folder
                target.parent.mkdir(parents=True, exist_ok=True)
                if file.suffix == ".docx":
                    shutil.copyfile(file, target)
                else:
                    target.write_text(self._with_own_fields(file.read_text("utf-8")), "utf-8")
                    if is_script and (unknown := self._unknown_fields(target.parent, target.stem)):
                        target.unlink()
                        left_out.append(f"{target.name}: в аккаунте нет полей {', '.join(unknown)}")
                        continue
                copied.append(target)
        return copied, left_out

    def _with_own_fields(self, text: str) -> str:
        """The text of a script or letter that asks for fields by the account's names."""
        for one in self.matching.findings():
            if one.need.kind == "fields" and one.found and one.found != one.need.name:
                text = text.replace(f'поле["{one.need.name}"]', f'поле["{one.found}"]')
        return text

    def _unknown_fields(self, folder: Path, script: str) -> list[str]:
        known = {normalise(one.name) for one in self.account.fields()} | {normalise(one) for one in BUILT_IN_FIELDS}
        asked = (name for of, name in Scripts(folder).field_names() if of == script)
        return [f"«{name}»" for name in dict.fromkeys(asked) if normalise(name) not in known]


def _write_new(path: Path, text: str) -> None:
    """All of the file or none of it. Raises OSError, also for one that is there by now."""
    whole = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with whole.open("x", encoding="utf-8") as output:
            output.write(text)
            output.flush()
            os.fsync(output.fileno())
        try:
            os.link(whole, path)
        except OSError as error:
            # Not every file system has links: mounted folders, memory cards.
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS) or path.exists():
                raise
            os.replace(whole, path)
    finally:
        whole.unlink(missing_ok=True)


def _is_there(path: Path) -> str:
    """Why a start does not go on where a config is (Russian)."""
    return f"{path} уже есть. Начать заново: --force (прежний файл останется в папке данных, config-backups)"


def check_folder(folder: Path, *, replace: bool) -> None:
    """Raises Refused where no config can be written, before anybody is asked anything."""
    path = folder / "config.toml"
    if folder.exists() and not folder.is_dir():
        raise Refused(f"{folder} — файл, а нужна папка")
    if path.is_dir():
        raise Refused(f"{path} — папка, а нужен файл")
    if (path.exists() or path.is_symlink()) and not replace:
        raise Refused(_is_there(path))
    there = next(one for one in (folder, *folder.resolve().parents) if one.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            return
    except OSError as error:
        raise Refused(f"в папку {folder} не записать: {why_not(error)}") from error


DAYS = 14
MOST_SHOWN = 8


@dataclass(frozen=True)
class FirstRehearsal:
    """``deals``: how many there are in it; ``is_invented``: the account has none, so three were put on each stage."""

    deals: int
    is_invented: bool
    actions: tuple[SimulatedAction, ...]
    names: Mapping[int, str]
    zone: ZoneInfo

    @property
    def by_rule(self) -> list[tuple[str, int]]:
        """Rule → how often it acted, the busiest first."""
        return Counter(action.rule for action in self.actions if action.does).most_common()

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """The first action of each rule: when, which deal, which rule, what it does."""
        first: dict[str, SimulatedAction] = {}
        for action in self.actions:
            if action.does:
                first.setdefault(action.rule, action)
        return [
            (
                f"{day_title(action.at, self.zone)} {action.at.astimezone(self.zone):%H:%M}",
                self.names.get(action.deal_id, str(action.deal_id)),
                f"{action.clause} {action.rule}".strip(),
                "; ".join(action.does),
            )
            for action in list(first.values())[:MOST_SHOWN]
        ]

    @property
    def words(self) -> str:
        """All of it in one sentence (Russian)."""
        by_rule = self.by_rule
        acts = sum(count for _, count in by_rule)
        whose = (
            f"Открытых сделок в аккаунте нет, поэтому на его копии заведены учебные: {self.deals}"
            if self.is_invented
            else f"Сделок {self.deals}"
        )
        return f"{whose}. За {DAYS} дней правила сделали бы: {acts} (правил за работой — {len(by_rule)})"


def first_rehearsal(config: Config, client: CrmClient) -> FirstRehearsal:
    """Play the config's rules for two weeks on a copy of the account. Raises CrmError, ConfigError, BridgeError."""
    # The config may not be saved yet, and its folder of scripts not be there: a rehearsal opens none.
    config = replace(config, bridge=config.bridge.model_copy(update={"scripts": ""}))
    now = datetime.now(UTC)
    source = from_account(client, now, recalled(config, now))
    is_invented = not source.has_open_deals
    if is_invented:
        source = with_example_deals(source)
    source = source.with_rules_on_since(config, now)
    before = len(source.world.table("leads"))
    with (
        tempfile.TemporaryDirectory(prefix="amo-bridge-rehearsal-") as folder,
        rehearsing(config, source.world, Path(folder), source.taken_at, source.known) as play,
    ):
        play.until(source.taken_at + timedelta(days=DAYS))
        actions = tuple(play.actions())
    return FirstRehearsal(before, is_invented, actions, source.deal_names(), ZoneInfo(source.timezone))
