"""Drafts of rules by form: kinds, mistakes, conflicts, a trial on the last events, saving.

Pages and programs alike. Nothing is judged here: mistakes are the loader's and the account's, conflicts the map's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any, Literal

from flask_babel import get_locale
from flask_babel import gettext as _

from amo_bridge.clock import FixedClock
from amo_bridge.config.account_check import Misfit, look_up, simple_names
from amo_bridge.config.account_fit import fit
from amo_bridge.config.blocks import SWITCHES, BlockPath, block_of, keys_of_block, values_of, with_block
from amo_bridge.config.files import Written, difference
from amo_bridge.config.loader import RULES, RuleSwitches
from amo_bridge.config.model import Config
from amo_bridge.config.rule_blocks import Example, examples
from amo_bridge.crm.records import EPOCH
from amo_bridge.engine.forecast import ExistingDeal
from amo_bridge.engine.replay import Backtest, backtest
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError, ConfigError, UnknownName
from amo_bridge.events import StepDue
from amo_bridge.rules.handler import Handler, Rule
from amo_bridge.rules.option_controls import Control, controls_of
from amo_bridge.rules.option_types import OptionName, Text
from amo_bridge.rules.option_words import HINTS, TEXT_HINT, kind_words
from amo_bridge.rules.registry import own, shipped
from amo_bridge.rules.stage_map import Conflict, StageMap
from amo_bridge.runtime.config_reload import FileState
from amo_bridge.runtime.connection import account_client
from amo_bridge.text.names import LATIN, plain
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.services import config as config_service
from amo_bridge.web.services.config import problems_in
from amo_bridge.web.services.rule_forms import (
    HERE,
    MOST_FIELDS,
    THERE,
    Habits,
    Node,
    Path,
    Tree,
    fields_of_tree,
    nodes_of,
    place_mistakes,
    tree_of_values,
    values_of_tree,
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


def is_russian() -> bool:
    locale = get_locale()
    return locale is None or locale.language == "ru"


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
            try:
                ours |= own(section, here.config.path.parent / folder, taken=found)
            except ConfigError as error:
                problems += error.problems
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
class Draft:
    """A rule of a form, before it is saved. ``block``: its name in the config; ``is_new``: no such block is in the file
    yet. ``controls``: of the kind, and of keys that the block has and nobody knows."""

    kind: Kind
    block: str
    tree: Tree
    state: State
    is_new: bool
    before: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> BlockPath:
        return (self.kind.handler.section, self.kind.name, self.block)

    @property
    def name(self) -> str:
        return f"{self.kind.name}.{self.block}"

    @property
    def controls(self) -> tuple[Control, ...]:
        return (*self.kind.controls, *_strange({**self.tree, **self.before}, self.kind.controls))

    def values(self) -> tuple[dict[str, Any], list[tuple[Path, str]]]:
        """The keys of the block, and what is not TOML."""
        made = values_of_tree(self.controls, self.tree)
        values: dict[str, Any] = {"enabled": self.state != "off"}
        if self.state == "dry" or "dry_run" in self.before:
            values["dry_run"] = self.before.get("dry_run", False) if self.state == "off" else self.state == "dry"
        return {**values, **{key: examples().in_order(value, key) for key, value in made.values.items()}}, made.mistakes

    def toml(self) -> str:
        """The block alone."""
        values = self.values()[0]
        return block_of(self.path, values, self.kind.order, _comment(self.kind, values))

    @property
    def base(self) -> str:
        """The block as the file had it when the form was opened; empty for a new rule."""
        return "" if self.is_new else block_of(self.path, self.before)

    def text_in(self, text: str) -> str:
        """The file with the rule as it is wanted. Raises ConfigError."""
        values = self.values()[0]
        # What is written there and says no more than the default is somebody's own way to put it.
        kept = {key: one for key, one in self.before.items() if key not in values and self._means(key, one) is None}
        comment = _comment(self.kind, values)
        return with_block(
            text, self.path, {**values, **kept}, order=self.kind.order, comment=comment, means=self._means
        )

    def _means(self, key: str, value: Any) -> Any:
        """What the form would write for a value; None: nothing, it is the default."""
        control = next((one for one in self.controls if one.key == key), None)
        if control is None:
            return value
        made = values_of_tree([control], tree_of_values([control], {key: value}))
        return examples().in_order(made.values.get(key), key)

    def merged(self, base: Mapping[str, Any]) -> Merge:
        """Three-way merge of the form with the file's block. ``base``: what the block said when the form was opened.
        What others have changed since then, and the form has not, is as the file has it."""
        made = replace(self, tree=dict(self.tree))
        taken: list[str] = []
        at_odds: list[str] = []
        for control in (*self.controls, *_strange(base, self.controls)):
            then, now = (tree_of_values([control], one) for one in (base, self.before))
            was, present, wanted = (_value(control, one) for one in (then, now, self.tree))
            if present in (was, wanted):
                continue
            if wanted == was:
                made.tree.pop(control.key, None)
                made.tree |= now
            (taken if wanted == was else at_odds).append(control.key)
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


@dataclass(frozen=True)
class Merge:
    """A sent form merged with what the file has now. ``taken``: the keys that are as the file has them; ``at_odds``:
    those that both have changed, each in its own way: the form's stand. ``is_gone``: the rule is out of the file."""

    draft: Draft
    taken: tuple[str, ...] = ()
    at_odds: tuple[str, ...] = ()
    is_gone: bool = False

    def __bool__(self) -> bool:
        return bool(self.taken or self.at_odds or self.is_gone)


def _strange(values: Mapping[str, Any], controls: Iterable[Control]) -> tuple[Control, ...]:
    """For keys that no control is for."""
    known = {one.key for one in controls} | set(SWITCHES)
    return tuple(Control(key, "toml") for key in sorted(values.keys() - known))


def _value(control: Control, tree: Tree) -> Any:
    """What a form says of one option; None for nothing."""
    return values_of_tree([control], tree).values.get(control.key)


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


def _comment(kind: Kind, values: Mapping[str, Any]) -> str:
    words = " ".join(str(values.get("says") or kind.sentence).split())
    clause = values.get("clause")
    return f"{clause}: {words}" if clause else words


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
    return Draft(kind, block, tree, "dry", is_new=True)


def draft_of(here: AccountView, kind: Kind, block: str) -> Draft | None:
    """The rule as the file has it; None if it is not there. Raises ConfigError."""
    path: BlockPath = (kind.handler.section, kind.name, block)
    values = values_of(here.file.read().text, path)
    if values is None:
        return None
    draft = Draft(kind, block, {}, state_of(values), is_new=False, before=values)
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
    typed = replace(draft, tree={key: {} for key in told}, state=state)
    typed.tree = tree_of_values(typed.controls, told)
    if sum(1 for _field in fields_of_tree(typed.tree)) > MOST_FIELDS:
        raise ConfigError([f"больше {MOST_FIELDS} полей: столько форма не пришлёт"])
    return typed


# --- looked at before it is saved -------------------------------------------------------------------------------------


@dataclass
class Checked:
    """``nodes``: with the mistakes beside them. ``problems``: what belongs to no control. ``blocks``: may it not be
    saved as it is? ``text``: the file as it would be; empty if it can't be made. ``rule``: as the loader reads it."""

    nodes: list[Node]
    mistakes: list[tuple[Path, str]]
    problems: list[str]
    conflicts: list[Conflict]
    blocks: bool
    text: str
    difference: list[str]
    rule: Rule | None = None
    config: Config | None = None

    @property
    def is_fit(self) -> bool:
        return bool(self.text) and not self.blocks


def nodes_for(draft: Draft) -> list[Node]:
    return nodes_of(draft.controls, draft.tree, draft.kind.habits)


def check(here: AccountView, draft: Draft, file: Written) -> Checked:
    """Find a draft's mistakes, its conflicts with other rules and what it changes in the file; nothing is written."""
    nodes = nodes_for(draft)
    mistakes = draft.values()[1]
    problems = _name_problems(draft)
    try:
        text = draft.text_in(file.text)
    except ConfigError as error:
        place_mistakes(nodes, mistakes)
        return Checked(nodes, mistakes, [*problems, *error.problems], [], True, "", [])
    readable = here.file.readable(text)
    told = problems_in(here, readable)
    blocks = bool(problems or mistakes or told)
    places = dict(readable.places)
    rule = None
    if readable.config is not None:
        rule = next((one for one in readable.config.rules if one.name == draft.name), None)
        for line, place in _names_of(here, readable.config, rule).items():
            places.setdefault(line, place)
            told.append(line)
            # A rule that is off is not compared with the account, yet it is better to know.
            blocks = blocks or draft.state != "off"
    for line in dict.fromkeys(told):
        path, words = places.get(line, ((), line))
        if path[:3] == draft.path:
            mistakes.append((path[3:], words))
        else:
            problems.append(line)
    if rule is None and readable.config is not None:
        # Another mistake keeps the loader from reading the rule; its names are compared all the same.
        mistakes += _unknown_in(here, readable.config, nodes)
    problems += [words for _path, words in place_mistakes(nodes, mistakes)]
    return Checked(
        nodes,
        mistakes,
        problems,
        conflicts_of(here, readable.config, rule) if readable.config else [],
        blocks,
        text,
        difference(file.text, text),
        rule,
        readable.config,
    )


def _name_problems(draft: Draft) -> list[str]:
    if not draft.is_new:
        return []
    if not NAME.fullmatch(draft.block):
        return [f"имя правила «{draft.block}» не годится: буква, дальше буквы, цифры, _ и -, не длиннее 60 знаков"]
    if any(rule.block == draft.block for rule in draft.kind.rules):
        return [f"правило {draft.name} уже есть: назовите это иначе"]
    return []


def _names_of(here: AccountView, config: Config, rule: Rule | None) -> dict[str, tuple[Path, str]]:
    """What this rule names and the account does not know: the problem → its path and its words."""
    account = here.crm_account
    if account is None or rule is None:
        return {}
    as_if_on = replace(config, rules=(replace(rule, enabled=True),))
    issues = fit(as_if_on, account).issues
    ours = [one for one in issues if one.rule == rule.name and one.is_to_mend]
    return {one.line: (one.path, one.words) for one in ours}


def _unknown_in(here: AccountView, config: Config, nodes: Iterable[Node]) -> Iterator[tuple[Path, str]]:
    """Look up in the account the names that stand in the form's fields."""
    account = here.crm_account
    if account is None:
        return
    for node in (inner for outer in nodes for inner in outer.walk()):
        known = node.control.name_type
        if known is None or not node.text.strip():
            continue
        try:
            name = OptionName.of(node.of_field, node.text) if known is OptionName else known.checked(node.text.strip())
            for one in simple_names(name):
                look_up(one, config, account)
        except (UnknownName, Misfit) as error:
            yield node.path, str(error)
        except ValueError:
            # The loader has told it.
            continue


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
