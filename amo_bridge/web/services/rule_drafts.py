"""Drafts of rules by form: kinds, mistakes, conflicts, a trial on the last events, saving.

Pages and programs alike. Nothing is judged here: mistakes are the loader's and the account's, conflicts the map's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from functools import cache, cached_property
from typing import Any, Literal

from flask_babel import gettext as _

from amo_bridge.clock import FixedClock
from amo_bridge.config.account_fit import fit
from amo_bridge.config.blocks import SWITCHES, BlockPath, keys_of_block, values_of
from amo_bridge.config.loader import RULES, Readable, RuleSwitches
from amo_bridge.config.model import Config
from amo_bridge.config.rule_blocks import Example, examples
from amo_bridge.crm.records import EPOCH
from amo_bridge.engine.forecast import ExistingDeal
from amo_bridge.engine.replay import Backtest, backtest
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError, UnknownName
from amo_bridge.events import StepDue
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.handler import Handler, Rule
from amo_bridge.rules.option_controls import Control, controls_of
from amo_bridge.rules.option_types import Text
from amo_bridge.rules.option_words import HINTS, TEXT_HINT, kind_words
from amo_bridge.rules.registry import own_readable, shipped
from amo_bridge.rules.stage_map import Conflict, StageMap
from amo_bridge.runtime.config_reload import FileState
from amo_bridge.runtime.connection import account_client
from amo_bridge.text.names import LATIN, plain
from amo_bridge.versioned_file import Written
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.services import config as config_service
from amo_bridge.web.services.block_drafts import (
    BlockDraft,
    CheckedBlock,
    Merge,
    Places,
    check_block,
    is_russian,
    unknown_in,
)
from amo_bridge.web.services.option_forms import (
    HERE,
    THERE,
    Habits,
    Path,
    place_mistakes,
    tree_of_values,
)

State = Literal["off", "dry", "live"]
STATES: tuple[State, ...] = ("dry", "live", "off")
NAME = re.compile(r"[^\W\d_][\w-]{0,59}")
STATE_KEYS = ("enabled", "dry_run")
"""Of a block: one switch of the form."""
OFTEN, OFTEN_WITHIN = 1 / 3, 0.12
"""An option that so many of a kind's examples set, or so many of the steps and tasks within them, is shown at once;
others are folded away."""


@dataclass(frozen=True)
class Kind:
    """A kind of rule. ``rules``: those of this config."""

    handler: Handler
    is_own: bool
    rules: tuple[Rule, ...] = ()

    @property
    def name(self) -> str:
        return self.handler.name

    @property
    def title(self) -> str:
        return self._words[0]

    @property
    def sentence(self) -> str:
        return self._words[1]

    @property
    def flow(self) -> list[tuple[str, str]]:
        """The kind as a picture: (what the box is about, its words), from what happens to what is done."""
        when, *then = [part.strip() for part in self.sentence.split("→")]
        if not then:
            return [("", when)]
        options = self.handler.options.model_fields
        parts = [one for control in controls_of(self.handler.options) for one in control.walk()]
        where = [(_("Где"), _("на этапах, которые вы назовёте"))] if "stages" in options else []
        ifs = [(_("Если"), _("подходит ваше условие"))] if any(one.of == "Condition" for one in parts) else []
        return [(_("Когда"), when), *where, *ifs, *((_("Тогда"), one) for one in then)]

    @property
    def examples(self) -> tuple[Example, ...]:
        return examples().rules.get(self.name, ())

    @property
    def clauses(self) -> list[str]:
        """Of the agency's own config; where it has none, of the examples."""
        here = [rule.clause for rule in self.rules if rule.clause]
        return list(dict.fromkeys(here or [one.clause for one in self.examples if one.clause]))

    @cached_property
    def controls(self) -> tuple[Control, ...]:
        """Of its own options, with the words above them in the examples, and of those that every rule has."""
        return (*(self._explained(one) for one in controls_of(self.handler.options)), *self.switches)

    @cached_property
    def switches(self) -> tuple[Control, ...]:
        """Those that every rule has, but its state."""
        return tuple(self._explained(one) for one in controls_of(RuleSwitches) if one.key not in STATE_KEYS)

    @property
    def order(self) -> tuple[str, ...]:
        named = examples().order.get(self.name, ())
        return (*named, *(one.key for one in self.controls if one.key not in named))

    @cached_property
    def habits(self) -> Habits:
        """How the examples set its options."""
        order = self.order

        def place(keys: tuple[str, ...]) -> float:
            if len(keys) > 1:
                return examples().place(*keys[-2:])
            return float(order.index(keys[0]) if keys[0] in order else len(order))

        return Habits(_common(self.name), place)

    def example(self, name: str) -> Example | None:
        return next((one for one in self.examples if one.name == name), None)

    @cached_property
    def _words(self) -> tuple[str, str]:
        if self.is_own:
            title = self.name.replace("_", " ").capitalize()
            return title, self.handler.summary
        return kind_words(self.name, self.handler.summary, russian=is_russian())

    def _explained(self, control: Control) -> Control:
        if control.hint or not is_russian():
            return control
        hint = HINTS.get(control.key) or examples().hint(self.name, control.key)
        return replace(control, hint=hint, parts=tuple(map(_with_places, control.parts)))


def _with_places(control: Control) -> Control:
    """Within groups only what a text may hold is said: the rest is told by the words around."""
    parts = tuple(map(_with_places, control.parts))
    is_text = control.name_type is not None and issubclass(control.name_type, Text)
    return replace(control, hint=control.hint or (TEXT_HINT if is_text else ""), parts=parts)


@dataclass(frozen=True)
class Kinds:
    """``problems``: why the agency's own files can't be used, with the line (Russian)."""

    by_name: Mapping[str, Kind]
    problems: tuple[str, ...] = ()

    def get(self, name: str) -> Kind | None:
        return self.by_name.get(name)


def kinds_of(here: AccountView) -> Kinds:
    """All kinds that a rule of this account may be of: the agency's own first, then the shipped ones."""
    found: dict[str, Handler] = {name: one for section in RULES for name, one in shipped(section).items()}
    ours: dict[str, Handler] = {}
    problems: list[str] = []
    for section in RULES:
        folder = getattr(here.config.bridge, f"own_{section}")
        if folder:
            found_here, wrong = own_readable(section, here.config.path.parent / folder, taken=found)
            ours |= found_here
            problems += wrong
    rules: dict[str, list[Rule]] = {}
    for rule in here.config.rules:
        rules.setdefault(rule.handler.name, []).append(rule)
    named = {
        name: Kind(handler, is_own, tuple(rules.get(name, ())))
        for group, is_own in ((ours, True), (found, False))
        for name, handler in group.items()
    }
    return Kinds(named, tuple(problems))


@cache
def _common(kind: str) -> Callable[[tuple[str, ...]], bool]:
    """By what the examples set. Of a kind without examples: by what other kinds' examples set in such tables."""
    known = examples().rules.get(kind, ())
    uses, tables = _usage(known)
    all_uses, all_tables = _usage(one for each in examples().rules.values() for one in each)

    def common(keys: tuple[str, ...]) -> bool:
        if keys[0] in ("says", "clause"):
            return True
        if keys[:-1] in tables:
            return uses[keys] >= (OFTEN_WITHIN if keys[:-1] else OFTEN) * tables[keys[:-1]]
        around = keys[-2:-1]
        return bool(around) and all_uses[keys[-2:]] >= OFTEN_WITHIN * max(all_tables[around], 1)

    return common


def _usage(rules: Iterable[Example]) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
    """How often each option is set, by its keys and by its last two; how many tables there are around it."""
    uses: Counter[tuple[str, ...]] = Counter()
    tables: Counter[tuple[str, ...]] = Counter()

    def count(value: Any, path: tuple[str, ...]) -> None:
        if isinstance(value, Mapping):
            for end in {path, path[-1:]}:
                tables[end] += 1
            for key, item in value.items():
                inner = (*path, str(key))
                for one in {inner, inner[-2:]}:
                    uses[one] += 1
                count(item, inner)
        elif isinstance(value, list):
            for item in value:
                count(item, path)

    for rule in rules:
        count({key: value for key, value in rule.values.items() if key not in SWITCHES}, ())
    return uses, tables


# --- a draft ----------------------------------------------------------------------------------------------------------


@dataclass
class Draft(BlockDraft):
    """A rule of a form, before it is saved. ``block``: its name in the config."""

    kind: Kind
    block: str
    state: State

    @property
    def path(self) -> BlockPath:
        return (self.kind.handler.section, self.kind.name, self.block)

    @property
    def name(self) -> str:
        return f"{self.kind.name}.{self.block}"

    @property
    def known_controls(self) -> tuple[Control, ...]:
        return self.kind.controls

    @property
    def order(self) -> tuple[str, ...]:
        return self.kind.order

    @property
    def habits(self) -> Habits:
        return self.kind.habits

    def values(self) -> tuple[dict[str, Any], list[tuple[Path, str]]]:
        """The keys of the block, and what is not TOML."""
        made = self.option_values()
        values: dict[str, Any] = {"enabled": self.state != "off"}
        if self.state == "dry" or "dry_run" in self.before:
            values["dry_run"] = self.before.get("dry_run", False) if self.state == "off" else self.state == "dry"
        return {**values, **made.values}, made.mistakes

    def comment_for(self, values: Mapping[str, Any]) -> str:
        words = " ".join(str(values.get("says") or self.kind.sentence).split())
        clause = values.get("clause")
        return f"{clause}: {words}" if clause else words

    def merged(self, base: Mapping[str, Any]) -> Merge[Draft]:
        """See merged_tree; the state is merged as the other keys are."""
        tree, taken, at_odds = self.merged_tree(base)
        made = replace(self, tree=tree)
        was, present = state_of(base), state_of(self.before)
        if present not in (was, self.state):
            # Of three states the form's is another one than both: its own wish.
            (taken if self.state == was else at_odds).append("state")
            made.state = present if self.state == was else self.state
        return Merge(made, tuple(taken), tuple(at_odds))

    def with_name(self) -> Draft:
        """The same; a name of its own is made from its words, where nobody has given one."""
        if self.block:
            return self
        told = self.tree.get("says", {}).get(HERE, "") or self.kind.title
        return replace(self, block=suggested_name(str(told), [rule.block for rule in self.kind.rules]))


def suggested_name(words: str, taken: Iterable[str]) -> str:
    """A name for the file: the first words in Latin letters, one that nobody has."""
    latin = "".join(LATIN.get(sign, sign) for sign in plain(words))
    parts = [part for part in re.split(r"[^a-z0-9]+", latin) if part]
    name = "_".join(parts[:4])[:40].strip("_") or "rule"
    name = name if name[0].isalpha() else f"rule_{name}"
    taken, number = set(taken), 2
    made = name
    while made in taken:
        made, number = f"{name}_{number}", number + 1
    return made


def new_draft(kind: Kind, like: Example | None = None) -> Draft:
    """A draft of a new rule: empty, or as the example. It begins dry: it decides and changes nothing."""
    taken = {rule.block for rule in kind.rules}
    values = {key: value for key, value in like.values.items() if key not in STATE_KEYS} if like else {}
    block = "" if like is None or like.path[2] in taken else like.path[2]
    tree = tree_of_values(kind.controls, values)
    for control in kind.controls:
        if control.is_required and control.kind == "rows" and control.parts[0].kind == "group":
            # The first row of what can't be left out needs no button.
            tree.setdefault(control.key, {HERE: THERE, "0": {HERE: THERE}})
    return Draft(tree, kind, block, "dry", is_new=True)


def draft_of(here: AccountView, kind: Kind, block: str) -> Draft | None:
    """The rule as the file has it; None if it is not there. Raises ConfigError."""
    path: BlockPath = (kind.handler.section, kind.name, block)
    values = values_of(here.file.read().text, path)
    if values is None:
        return None
    draft = Draft({}, kind, block, state_of(values), before=values)
    draft.tree = tree_of_values(draft.controls, {key: one for key, one in values.items() if key not in STATE_KEYS})
    return draft


def state_of(values: Mapping[str, Any]) -> State:
    if values.get("enabled") is not True:
        return "off"
    return "dry" if values.get("dry_run") is True else "live"


def with_toml(draft: Draft, toml: str) -> Draft:
    """The draft as a block that somebody has typed says. Raises ConfigError."""
    return with_values(draft, keys_of_block(toml))


def with_values(draft: Draft, keys: Mapping[str, Any]) -> Draft:
    """The draft as these keys of a block say; ``enabled`` and ``dry_run`` among them are its state. Raises
    ConfigError."""
    state = state_of(keys) if "enabled" in keys else draft.state
    told = {key: value for key, value in keys.items() if key not in STATE_KEYS}
    return replace(draft, state=state).with_keys(told)


# --- looked at before it is saved -------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Checked(CheckedBlock):
    """``rule``: as the loader reads it."""

    conflicts: list[Conflict] = field(default_factory=list)
    rule: Rule | None = None


def check(here: AccountView, draft: Draft, file: Written) -> Checked:
    """Find a draft's mistakes, its conflicts with other rules and what it changes in the file; nothing is written."""

    def names(found: Readable) -> tuple[Places, bool]:
        # A rule that is off is not compared with the account, yet it is better to know.
        return _names_of(here, found.config, _rule_in(found.config, draft)), draft.state != "off"

    checked = Checked(**vars(check_block(here, draft, file, _name_problems(draft), names)))
    config = checked.config
    checked.rule = _rule_in(config, draft)
    if checked.rule is None and config is not None:
        # Another mistake keeps the loader from reading the rule; its names are compared all the same.
        checked.mistakes += unknown_in(here, config, checked.nodes)
    checked.problems += [words for _path, words in place_mistakes(checked.nodes, checked.mistakes)]
    checked.conflicts = conflicts_of(here, config, checked.rule) if config else []
    return checked


def _rule_in(config: Config | None, draft: Draft) -> Rule | None:
    rules = config.rules if config else ()
    return next((one for one in rules if one.name == draft.name), None)


def _name_problems(draft: Draft) -> list[str]:
    if not draft.is_new:
        return []
    if not NAME.fullmatch(draft.block):
        return [f"имя правила «{draft.block}» не годится: буква, дальше буквы, цифры, _ и -, не длиннее 60 знаков"]
    if any(rule.block == draft.block for rule in draft.kind.rules):
        return [f"правило {draft.name} уже есть: назовите это иначе"]
    return []


def _names_of(here: AccountView, config: Config | None, rule: Rule | None) -> dict[str, tuple[Path, str]]:
    """What this rule names and the account does not know: the problem → its path and its words."""
    account = here.crm_account
    if account is None or config is None or rule is None:
        return {}
    as_if_on = replace(config, rules=(replace(rule, enabled=True),))
    issues = fit(as_if_on, account).issues
    ours = [one for one in issues if one.rule == rule.name and one.is_to_mend]
    return {one.line: (one.path, one.words) for one in ours}


def conflicts_of(here: AccountView, config: Config, rule: Rule | None) -> list[Conflict]:
    """What the map says of this rule among the others, as if it were on."""
    if rule is None:
        return []
    rules = [replace(one, enabled=True) if one.name == rule.name else one for one in config.rules]
    account = here.crm_account
    found = StageMap.of(rules, account.stage_titles if account else None).conflicts()
    return [one for one in found if rule.name in one.rules]


@dataclass(frozen=True)
class DraftTrial:
    """What a draft would have done and would do. ``past``: on the last events; ``existing``: the deals that a rule by
    the clock would begin with, by each choice; None where there is nothing to look at. ``why_not``: Russian, for a
    person; empty if it could be tried."""

    past: Backtest | None = None
    existing: list[ExistingDeal] | None = None
    chosen: str = ""
    why_not: str = ""


def trial_of(here: AccountView, checked: Checked) -> DraftTrial:
    """Backtest a draft on the last events, forecast it on the deals that are there; nothing is written."""
    account, config, rule = here.crm_account, checked.config, checked.rule
    if rule is None or config is None:
        return DraftTrial(why_not=_("Сначала поправьте отмеченное: правило не читается."))
    if account is None or not here.is_known:
        return DraftTrial(why_not=_("Мост ещё не знает аккаунта и его сделок."))
    rule = replace(rule, enabled=True, dry_run=False, broken="")
    existing = here.existing(rule)
    if not set(rule.handler.on) - {StepDue}:
        chosen = getattr(rule.options, "existing", "")
        words = "" if existing is not None else _("Это правило ждёт своего часа: попробуйте его на репетиции.")
        return DraftTrial(existing=existing, chosen=chosen, why_not=words)
    # By a name of its own: what the rule has done already under this one must not keep the draft from acting.
    rule = replace(rule, block=f"{rule.block} (черновик)")
    alone = replace(config, rules=(rule,), bridge=config.bridge.model_copy(update={"dry_run": False}))
    try:
        client = account_client(here.config, here.bridge.environment)
        past = backtest(here.account_store, RuleEngine.of(alone, account, FixedClock(EPOCH)), rule, client)
    except (BridgeError, UnknownName) as error:
        return DraftTrial(why_not=str(error))
    return DraftTrial(past, existing, getattr(rule.options, "existing", ""))


def save(here: AccountView, draft: Draft, mark: str) -> FileState:
    """Write the draft into the file as the config's own page does: checked, the version before kept, written down.
    Raises Unfit, ConfigError."""
    if problems := _name_problems(draft):
        raise config_service.Unfit(problems)
    if mistakes := draft.values()[1]:
        raise config_service.Unfit([f"{'.'.join(map(str, path))}: {words}" for path, words in mistakes])
    return config_service.save(here, draft.text_in(here.file.read().text), mark)
