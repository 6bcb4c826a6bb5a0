"""Secret fields are asked for and never told: no rule puts one into a text or takes it along into another deal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from amo_bridge.config.names import Text, names_in
from amo_bridge.config.problems import Problems
from amo_bridge.rules import Rule
from amo_bridge.text.names import same_name

CARRIED = ("carry_fields", "carry_as")
WHY = "названо в [bridge] secret_fields: можно проверять, заполнено ли оно, а подставить и перенести значение нельзя"


def check_secrets(secret: Iterable[str], rules: Iterable[Rule], problems: Problems) -> None:
    """A problem for every place where a rule would tell a secret field's value."""
    secret = tuple(secret)
    for rule in rules if secret else ():
        for path, name in _told(rule):
            if any(same_name(name, hidden) for hidden in secret):
                problems.add((*rule.path, *path), f"поле «{name}» {WHY}", block=len(rule.path))


def _told(rule: Rule) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for path, name in names_in(rule.options):
        if isinstance(name, Text):
            yield from ((path, field) for field in name.field_names)
        elif path[0] in CARRIED:
            yield path, name
