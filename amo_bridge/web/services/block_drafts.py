"""Drafts of blocks by form, rules and sections alike: values, merge, mistakes beside fields.

Nothing is judged here: mistakes are the loader's and the account's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Generic, Self, TypeVar

from flask_babel import get_locale

from amo_bridge.config.account_check import Misfit, look_up, simple_names
from amo_bridge.config.blocks import SWITCHES, BlockPath, block_of, with_block
from amo_bridge.config.files import difference
from amo_bridge.config.loader import Readable
from amo_bridge.config.model import Config
from amo_bridge.config.rule_blocks import examples
from amo_bridge.errors import ConfigError, UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.option_controls import Control
from amo_bridge.rules.option_types import OptionName
from amo_bridge.versioned_file import Written
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.services.config import problems_in
from amo_bridge.web.services.option_forms import (
    MOST_FIELDS,
    Habits,
    Node,
    Path,
    Tree,
    Values,
    fields_of_tree,
    nodes_of,
    place_mistakes,
    tree_of_values,
    values_of_tree,
)


def is_russian() -> bool:
    locale = get_locale()
    return locale is None or locale.language == "ru"


@dataclass
class BlockDraft(ABC):
    """A block of a form, before it is saved. ``before``: its keys as the file has them; ``is_new``: no such block is in
    the file yet."""

    tree: Tree
    before: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    is_new: bool = field(default=False, kw_only=True)

    @property
    @abstractmethod
    def path(self) -> BlockPath: ...

    @property
    @abstractmethod
    def known_controls(self) -> Sequence[Control]: ...

    @property
    @abstractmethod
    def order(self) -> Sequence[str]: ...

    @property
    @abstractmethod
    def habits(self) -> Habits: ...

    @abstractmethod
    def values(self) -> tuple[dict[str, Any], list[tuple[Path, str]]]:
        """The keys of the block, and what is not TOML."""

    def comment_for(self, values: Mapping[str, Any]) -> str:
        """Above a new block."""
        return ""

    def path_within(self, path: Path) -> Path | None:
        """A key's path in the file → its option's in the form; None for what is of another block."""
        length = len(self.path)
        return path[length:] if path[:length] == self.path else None

    @property
    def controls(self) -> tuple[Control, ...]:
        """The known ones, and those of keys that the block has and nobody knows."""
        return (*self.known_controls, *strange({**self.tree, **self.before}, self.known_controls))

    @property
    def nodes(self) -> list[Node]:
        return nodes_of(self.controls, self.tree, self.habits)

    def option_values(self) -> Values:
        made = values_of_tree(self.controls, self.tree)
        made.values = {key: examples().in_order(value, key) for key, value in made.values.items()}
        return made

    def toml(self) -> str:
        """The block alone."""
        values = self.values()[0]
        return block_of(self.path, values, self.order, self.comment_for(values))

    @property
    def base(self) -> str:
        """The block as the file had it when the form was opened; empty for a new one."""
        return "" if self.is_new else block_of(self.path, self.before)

    def text_in(self, text: str) -> str:
        """The file with the block as it is wanted. Raises ConfigError."""
        values = self.with_kept(self.values()[0])
        return with_block(
            text, self.path, values, order=self.order, comment=self.comment_for(values), means=self.meaning
        )

    def with_kept(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """With what is written there and says no more than the default: it is somebody's own way to put it."""
        kept = {key: one for key, one in self.before.items() if key not in values and self.meaning(key, one) is None}
        return {**values, **kept}

    def meaning(self, key: str, value: Any) -> Any:
        """What the form would write for a value; None: nothing, it is the default."""
        control = next((one for one in self.controls if one.key == key), None)
        if control is None:
            return value
        made = values_of_tree([control], tree_of_values([control], {key: value}))
        return examples().in_order(made.values.get(key), key)

    def with_keys(self, keys: Mapping[str, Any]) -> Self:
        """The draft with the form saying these keys. Raises ConfigError."""
        typed = replace(self, tree={key: {} for key in keys})
        typed.tree = tree_of_values(typed.controls, keys)
        if sum(1 for _field in fields_of_tree(typed.tree)) > MOST_FIELDS:
            raise ConfigError([f"больше {MOST_FIELDS} полей: столько форма не пришлёт"])
        return typed

    def merged_tree(self, base: Mapping[str, Any]) -> tuple[Tree, list[str], list[str]]:
        """Three-way merge of the form with the file's block. ``base``: what the block said when the form was opened.
        What others have changed since then, and the form has not, is as the file has it: those keys come second; those
        that both have changed, each in its own way, third: the form's stand."""
        tree = dict(self.tree)
        taken: list[str] = []
        at_odds: list[str] = []
        for control in (*self.controls, *strange(base, self.controls)):
            then, now = (tree_of_values([control], one) for one in (base, self.before))
            was, present, wanted = (_value(control, one) for one in (then, now, self.tree))
            if present in (was, wanted):
                continue
            if wanted == was:
                tree.pop(control.key, None)
                tree |= now
            (taken if wanted == was else at_odds).append(control.key)
        return tree, taken, at_odds


D = TypeVar("D", bound=BlockDraft)


@dataclass(frozen=True)
class Merge(Generic[D]):
    """A sent form merged with what the file has now. ``taken``: the keys that are as the file has them; ``at_odds``:
    those that both have changed, each in its own way: the form's stand. ``is_gone``: the block is out of the file."""

    draft: D
    taken: tuple[str, ...] = ()
    at_odds: tuple[str, ...] = ()
    is_gone: bool = False

    def __bool__(self) -> bool:
        return bool(self.taken or self.at_odds or self.is_gone)


def strange(values: Mapping[str, Any], controls: Iterable[Control]) -> tuple[Control, ...]:
    """For keys that no control is for."""
    known = {one.key for one in controls} | set(SWITCHES)
    return tuple(Control(key, "toml") for key in sorted(values.keys() - known))


def _value(control: Control, tree: Tree) -> Any:
    """What a form says of one option; None for nothing."""
    return values_of_tree([control], tree).values.get(control.key)


# --- looked at before it is saved -------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class CheckedBlock:
    """``nodes``: with the mistakes beside them. ``problems``: what belongs to no control. ``blocks``: may it not be
    saved as it is? ``text``: the file as it would be; empty if it can't be made. ``config``: as the loader reads it."""

    nodes: list[Node]
    mistakes: list[tuple[Path, str]]
    problems: list[str]
    blocks: bool = True
    text: str = ""
    difference: list[str] = field(default_factory=list)
    config: Config | None = None

    @property
    def is_fit(self) -> bool:
        return bool(self.text) and not self.blocks


Places = Mapping[str, tuple[Path, str]]
"""A problem → the path of its key, and its words alone."""


def check_block(
    here: AccountView,
    draft: BlockDraft,
    file: Written,
    problems: Sequence[str],
    names: Callable[[Readable], tuple[Places, bool]],
) -> CheckedBlock:
    """Find a draft's mistakes and what it changes in the file; nothing is written. ``problems``: known already.
    ``names``: those of the block that the account does not know, and whether they forbid saving."""
    found = CheckedBlock(nodes=draft.nodes, mistakes=draft.values()[1], problems=list(problems))
    try:
        text = draft.text_in(file.text)
    except ConfigError as error:
        place_mistakes(found.nodes, found.mistakes)
        found.problems += error.problems
        return found
    readable = here.file.readable(text)
    told = problems_in(here, readable)
    unknown, forbids = names(readable)
    found.blocks = bool(problems or found.mistakes or told or (unknown and forbids))
    places = {**unknown, **readable.places}
    for line in dict.fromkeys((*told, *unknown)):
        path, words = places.get(line, ((), line))
        inner = draft.path_within(path) if path else None
        if inner is None:
            found.problems.append(line)
        else:
            found.mistakes.append((inner, words))
    found.text, found.config, found.difference = text, readable.config, difference(file.text, text)
    return found


def unknown_in(here: AccountView, config: Config, nodes: Iterable[Node]) -> Iterator[tuple[Path, str]]:
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
