"""The config is changed while the bridge works: what is new counts at once, what is broken changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, EXAMPLE, UNHURRIED, RunningBridge, wait_until
from support.vendor_requests import FORM, form

from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.runtime import config_reload

IVAN = "Иван Петров"
NEW = "Продажи / Новый клиент"
FIRST_TASK = "[handlers.stage_creates_tasks.new_client]\nenabled = true"


@pytest.fixture
def path(tmp_path: Path, sandbox: LocalCrm) -> Path:
    """The example in a file of its own, for the sandbox."""
    path = tmp_path / "config.toml"
    text = EXAMPLE.read_text("utf-8").replace('url = "https://example.amocrm.ru"', f'url = "{sandbox.url}"')
    assert sandbox.url in text
    assert FIRST_TASK in text
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def reloading(path: Path, start_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    return start_bridge(unhurried(load(path, {}))).wait_ready()


def unhurried(config: Config) -> Config:
    return replace(config, account=config.account.model_copy(update={"requests_per_second": UNHURRIED}))


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def deal_on_first_stage(office: CrmUser, bridge: RunningBridge, crm: LocalCrm) -> int:
    deal = office.new_deal(IVAN, "Ромашка", NEW, office.new_contact(IVAN, "Ольга"), 0)
    bridge.settle(crm)
    return deal


def decided(bridge: RunningBridge, deal: int) -> dict[str, str]:
    """Rule → what it said, of those that heard."""
    return {entry.rule: entry.verdict for entry in bridge.journal(deal) if entry.rule}


def in_force(bridge: RunningBridge) -> None:
    """Wait until the leader works by the config that it has taken."""
    work = bridge.bridge._work
    wait_until(lambda: work is not None and work.worker is not None and not work.wants_to_begin_anew, "begun anew")


def test_a_rule_switched_off_in_the_file_is_silent_and_on_again_it_acts(
    reloading: RunningBridge, path: Path, office: CrmUser, sandbox: LocalCrm
) -> None:
    first = deal_on_first_stage(office, reloading, sandbox)
    assert decided(reloading, first)["stage_creates_tasks.new_client"] == "acts"
    rewrite(path, FIRST_TASK, FIRST_TASK.replace("true", "false"))
    wait_until(lambda: not rule_of(reloading).enabled, "the watch has seen the file by itself")
    in_force(reloading)
    second = deal_on_first_stage(office, reloading, sandbox)
    assert "stage_creates_tasks.new_client" not in decided(reloading, second)
    rewrite(path, FIRST_TASK.replace("true", "false"), FIRST_TASK)
    assert reloading.bridge.watch.look().problems == ()
    in_force(reloading)
    third = deal_on_first_stage(office, reloading, sandbox)
    assert decided(reloading, third)["stage_creates_tasks.new_client"] == "acts"


def rule_of(bridge: RunningBridge, name: str = "stage_creates_tasks.new_client"):  # type: ignore[no-untyped-def]
    return next(rule for rule in bridge.bridge.config.rules if rule.name == name)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (FIRST_TASK, FIRST_TASK.replace("true", '"да"'), "enabled"),
        (FIRST_TASK, FIRST_TASK.replace("]", ""), "не TOML"),
        ('stages = ["Продажи / Новый клиент"]', 'stages = ["Продажи / Новый клинт"]', "Новый клиент"),
    ],
    ids=["a wrong value", "no TOML", "a stage that the account does not have"],
)
def test_a_broken_file_changes_nothing_and_is_told(
    reloading: RunningBridge, path: Path, office: CrmUser, sandbox: LocalCrm, old: str, new: str, told: str
) -> None:
    rewrite(path, old, new)
    state = reloading.bridge.watch.look()
    assert state.problems
    assert any(told in problem and "config.toml" in problem for problem in state.problems), state.problems
    deal = deal_on_first_stage(office, reloading, sandbox)
    assert decided(reloading, deal)["stage_creates_tasks.new_client"] == "acts"
    rewrite(path, new, old)
    assert reloading.bridge.watch.look().problems == ()


def test_what_is_settled_at_the_start_waits_for_the_next_one(reloading: RunningBridge, path: Path) -> None:
    before = reloading.bridge.config
    rewrite(path, "[bridge]", '[bridge]\npublic_url = "https://elsewhere.example"')
    state = reloading.bridge.watch.look()
    assert state.problems == ()
    assert "[bridge] public_url" in state.needs_restart
    assert reloading.bridge.config.bridge.public_url == before.bridge.public_url


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file of the bridge's code, which may be replaced."""
    kind = tmp_path / "code" / "stage_creates_tasks.py"
    kind.parent.mkdir()
    kind.write_text("", "utf-8")
    monkeypatch.setattr(config_reload, "shipped_folder", lambda section: kind.parent)
    config_reload._code_at_start.cache_clear()
    yield kind
    config_reload._code_at_start.cache_clear()


def test_a_process_whose_code_was_replaced_takes_no_config_until_it_is_started_anew(
    code: Path, reloading: RunningBridge, path: Path
) -> None:
    """A kind of rule that it has not imported yet would be the new release's."""
    code.write_text("NEW = True\n", "utf-8")
    rewrite(path, FIRST_TASK, FIRST_TASK.replace("true", "false"))
    (problem,) = reloading.bridge.watch.look().problems
    assert "после перезапуска" in problem
    assert rule_of(reloading).enabled
    config_reload._code_at_start.cache_clear()
    assert reloading.bridge.watch.look(again=True).problems == ()
    assert not rule_of(reloading).enabled


def test_enquiries_come_in_once_the_file_that_was_broken_at_the_start_is_mended(
    path: Path, start_bridge: Callable[..., RunningBridge]
) -> None:
    """A bridge that starts with a broken file knows of no ``[intake]``."""
    told = {**ENVIRONMENT, "AMO_BRIDGE_INTAKE_TILDA_KEY": "tilda-key"}
    begun = replace(unhurried(load(path, {})), intake=None)
    bridge = start_bridge(begun, environment=told).wait_ready()
    path.write_text(path.read_text("utf-8") + "\n# исправлено\n", "utf-8")
    assert "[intake] prefix" not in bridge.bridge.watch.look().needs_restart
    (tilda,) = [one for one in bridge.bridge.intake_addresses.all() if one.vendor.name == "tilda"]
    headers = {"Content-Type": FORM, "X-Key": "tilda-key"}
    body = form(tranid="1:1", Name="Анна", Phone="+79161234567")
    answer = requests.post(f"{bridge.url}{tilda.path}", data=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text


def test_another_beginning_of_the_addresses_waits_for_the_next_start(reloading: RunningBridge, path: Path) -> None:
    rewrite(path, 'prefix = "/in"', 'prefix = "/requests"')
    assert "[intake] prefix" in reloading.bridge.watch.look().needs_restart
    assert all(one.path.startswith("/in/") for one in reloading.bridge.intake_addresses.all())


def test_a_file_that_is_gone_is_no_reason_to_stop(
    reloading: RunningBridge, path: Path, office: CrmUser, sandbox: LocalCrm
) -> None:
    text = path.read_bytes()
    path.unlink()
    assert "нет" in reloading.bridge.watch.look().problems[0]
    deal = deal_on_first_stage(office, reloading, sandbox)
    assert decided(reloading, deal)["stage_creates_tasks.new_client"] == "acts"
    path.write_bytes(text)
    assert reloading.bridge.watch.look().problems == ()
