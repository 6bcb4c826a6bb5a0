"""What a handler may say."""

from __future__ import annotations

from amo_bridge.rules.actions import Action, Decision, RollBack, Skip


def well_formed(decision: Decision) -> Skip | RollBack | list[Action]:
    """What a handler said. One that says nothing at all (a forgotten ``return``) is wrong: TypeError."""
    if isinstance(decision, Skip | RollBack):
        return decision
    actions = decision if isinstance(decision, list) else [decision]
    if not all(isinstance(action, Action) and not isinstance(action, RollBack) for action in actions):
        raise TypeError(f"обработчик вернул {decision!r}, а нужны действия или Skip")
    return actions
