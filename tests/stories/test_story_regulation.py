"""A deal's way through «Продажи» by the shipped example's rules: the demo's own script, in good weather and in bad."""

from __future__ import annotations

from collections.abc import Iterable

from local_crm import LocalCrm
from running_bridge import RunningBridge

from amo_bridge.demo.office import Office
from amo_bridge.demo.story import ACTS, Act, Scene


def play(acts: Iterable[Act], scene: Scene, bridge: RunningBridge, crm: LocalCrm) -> None:
    """After each act amoCRM holds what the story promises, and not a task more."""
    for act in acts:
        act.happens(scene)
        bridge.settle(crm)
        for e in bridge.journal(scene.deal)[-12:]: print(e)
        assert list(act.sees(scene)), act.title
        assert len(scene.office.tasks(scene.deal)) == act.tasks, act.title
        decided = {entry.clause for entry in bridge.journal(scene.deal) if entry.verdict == "acts"}
        assert set(act.rules) <= decided, act.title


def test_the_regulation_is_followed_from_the_first_call_to_the_loss(
    bridge: RunningBridge, sandbox: LocalCrm, office: Office
) -> None:
    play(ACTS, Scene(office), bridge, sandbox)
