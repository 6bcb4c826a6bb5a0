"""Trimming of rules: what one can do without is taken out, never a condition or a list's last item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tomlkit

from amo_bridge.config.toml_lines import KeyPath
from amo_bridge.lazy.dataclasses import dataclass

Unit = tuple[str, ...]
"""The name of a rule's block, or of a section."""
LISTS = frozenset({
    "stages", "entering", "leaving", "from_stages", "goes_on", "fields", "or_fields", "carry_fields", "dates",
    "contact_dates", "reasons", "responsible", "pipelines", "people", "to", "tasks", "task", "steps", "per_line",
    "per_blogger",
})  # fmt: skip
"""Lists that are still what they were when one of several elements falls out: a stage that is not there, a step."""
LISTS_THAT_MAY_BE_EMPTY = frozenset(
    {"not_from", "may_pass", "may", "may_assign", "not_by", "closed", "unless_open_in", "secret_fields"}
)
KEYS = frozenset({"type", "link_field", "page_field", "visit_field", "counts_from", "links", "carry_as", "utm_fields"})
"""Keys that a rule can do without."""
TABLES = frozenset({"utm_fields", "source_values", "links", "carry_as", "tag_by_reason", "tags", "one_of", "or_linked"})
"""Tables whose lines stand each for itself."""
SECTION_KEYS: frozenset[tuple[str, str]] = frozenset({("services", "responsible"), ("webinar", "buttons_field")})


def unit_name(unit: Unit) -> str:
    """How people call it: «stage_creates_tasks.brief», «[services]»."""
    return ".".join(unit[1:]) if len(unit) > 1 else f"[{unit[0]}]"


@dataclass(frozen=True)
class Lost:
    """A place of the config that names what the account has not. ``words``: what that is (Russian).
    ``is_unspeakable``: a rule that names it can't even stand in the file switched off."""

    path: KeyPath
    words: str
    is_unspeakable: bool = False


def take_out(document: tomlkit.TOMLDocument, paths: Sequence[KeyPath], unit: Unit) -> bool:
    """Take out all that names these; False (and nothing taken) if the rule can't do without one of them."""
    cuts: list[KeyPath] = []
    for path in dict.fromkeys(paths):
        cut = _cut(document, path, unit)
        if cut is None:
            return False
        cuts.append(cut)
    # What goes with something around it need not be taken out of it.
    whole = {cut for cut in cuts if not any(cut[:length] in cuts for length in range(1, len(cut)))}
    for cut in whole:
        holder = _at(document, cut[:-1])
        siblings = sum(1 for one in whole if one[:-1] == cut[:-1])
        name = str(next(step for step in reversed(cut[:-1]) if isinstance(step, str)))
        if siblings >= len(holder) and cut[-1] not in KEYS and name not in LISTS_THAT_MAY_BE_EMPTY:
            return False
    # From behind: what is taken out of a list moves all that follows it.
    for cut in sorted(whole, key=_in_order, reverse=True):
        del _at(document, cut[:-1])[cut[-1]]
    return True


def _cut(document: tomlkit.TOMLDocument, path: KeyPath, unit: Unit) -> KeyPath | None:
    """The smallest thing around a name that its rule can do without, as the document's own path to it."""
    steps: list[str | int] = []
    place: Any = document
    for raw in path:
        step = raw.rstrip("_") if isinstance(raw, str) else raw
        if isinstance(step, int) and not isinstance(place, list):
            # One thing where a list would do.
            continue
        if isinstance(step, str) and (not isinstance(place, dict) or step not in place):
            # A key that the rule has without its being written, or a place in a text.
            break
        place = place[step]
        steps.append(step)
    for length in range(len(steps), len(unit), -1):
        step, before = steps[length - 1], steps[: length - 1]
        around = [name for name in before if isinstance(name, str)]
        if step == "when":
            # Without its condition a rule, or a step of it, would do more than it may.
            return None
        if isinstance(step, int):
            if around[-1] in LISTS | LISTS_THAT_MAY_BE_EMPTY or TABLES & set(around):
                return tuple(steps[:length])
        elif around[-1] in TABLES or step in KEYS or (unit[0], step) in SECTION_KEYS:
            return tuple(steps[:length])
    return None


def _in_order(cut: KeyPath) -> list[tuple[str, int]]:
    return [("", step) if isinstance(step, int) else (step, 0) for step in cut]


def _at(document: Any, path: KeyPath) -> Any:
    for step in path:
        document = document[step]
    return document
