"""The demo's stories of documents W, S and C, in good weather and with every hook coming twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.running_bridge import RunningBridge, wait_until
from support.shipped_examples import example, stopped_at

from amo_bridge.cli import main
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.demo.documents import DOCUMENTS
from amo_bridge.demo.player import BEGINS
from amo_bridge.demo.stories import Act, Missing, Scene
from amo_bridge.sandbox.account_file import SHIPPED

OTHERS = [letter for letter in DOCUMENTS if letter != "A"]


def holds(act: Act, scene: Scene) -> bool:
    try:
        return bool(list(act.sees(scene)))
    except Missing:
        return False


@pytest.mark.parametrize("twice", [False, True], ids=["good weather", "every hook twice"])
@pytest.mark.parametrize("letter", OTHERS)
def test_a_documents_story_is_what_the_crm_holds(
    letter: str, twice: bool, start_bridge: Callable[..., RunningBridge], tmp_path: Path
) -> None:
    document = DOCUMENTS[letter]
    with stopped_at(BEGINS, SHIPPED[document.account]) as crm:
        bridge = start_bridge(example(Path(document.config).stem, crm, tmp_path)).wait_ready()
        office = CrmUser(crm.url)
        if twice:
            office.every_hook_twice()
        for story in document.stories:
            scene = Scene(office)
            for act in story.acts:
                crm.later()
                act.happens(scene)
                bridge.settle_at(crm, advance=1)
                wait_until(lambda act=act, scene=scene: holds(act, scene), act.title, patience=10)
                bridge.settle(crm)
                assert len(office.tasks(scene.deal)) == act.tasks, act.title
                decided = {entry.clause for entry in bridge.journal(scene.deal) if entry.verdict == "acts"}
                assert set(act.rules) <= decided, act.title
        bridge.stop()


def test_every_example_that_is_played_is_there() -> None:
    root = Path(__file__).parents[2]
    assert all((root / document.config).is_file() for document in DOCUMENTS.values())
    assert {document.account for document in DOCUMENTS.values()} <= set(SHIPPED)


def test_all_is_played_by_the_examples_alone() -> None:
    told = CliRunner().invoke(main, ["demo", "--all", "--stay"])
    assert told.exit_code != 0
    assert "без --stay и --config" in told.output
