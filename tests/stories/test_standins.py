"""An admin connects the stand-ins to a running bridge and writes as a client: every vendor's request is let in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, EXAMPLE, RunningBridge, wait_until

from amo_bridge.cli import main
from amo_bridge.config.loader import load
from amo_bridge.intake.repository import IntakeRequests
from amo_bridge.standins.bots import BotStandIn
from amo_bridge.standins.calls import CallScript
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore
from bench.processes import free_port

SECRETS = {
    "AMO_BRIDGE_INTAKE_VK_TOKEN": "vk-test-token",
    "AMO_BRIDGE_INTAKE_VK_SECRET": "vk-s3cret",
    "AMO_BRIDGE_INTAKE_VK_CONFIRMATION": "1a2b3c4d",
    "AMO_BRIDGE_INTAKE_TELEGRAM_TOKEN": "123456789:AAtest-token-of-thirty-five-characters",
    "AMO_BRIDGE_INTAKE_TELEGRAM_SECRET": "tg-s3cret",
    "AMO_BRIDGE_INTAKE_MAX_TOKEN": "max-test-token",
    "AMO_BRIDGE_INTAKE_MAX_SECRET": "max-s3cret",
    "AMO_BRIDGE_INTAKE_ZADARMA_SECRET": "zadarma-test-secret",
    "AMO_BRIDGE_INTAKE_TILDA_KEY": "tilda-test-key",
    "AMO_BRIDGE_INTAKE_META_SECRET": "meta-test-app-secret",
    "AMO_BRIDGE_INTAKE_META_VERIFY": "meta-test-verify",
    "AMO_BRIDGE_INTAKE_NOVOFON_SECRET": "novofon-test-secret",
}
SWITCHED_ON = ("novofon", "novofon2", "onlinepbx", "meta_leadgen", "messenger")


class Agency:
    def __init__(self, bridge: RunningBridge, stand_ins: StandIns) -> None:
        self.bridge, self.stand_ins = bridge, stand_ins
        self.urls = {one.vendor.name: f"{bridge.url}{one.path}" for one in bridge.bridge.intake_addresses.all()}

    def kept(self) -> list[str]:
        store = self.bridge.bridge.resources.store
        key = known_key(store, self.bridge.config.account.url)
        assert key is not None
        return [one.vendor for one in IntakeRequests(AccountStore(store, key)).latest(1000)]


@pytest.fixture
def run() -> Callable[..., Result]:
    """A command of the admin's."""

    def invoke(*words: str, config: Path) -> Result:
        return CliRunner().invoke(main, [*words, "--config", str(config)])

    return invoke


@pytest.fixture
def agency(
    sandbox: LocalCrm,
    tmp_path: Path,
    start_bridge: Callable[..., RunningBridge],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Agency]:
    stand_ins = StandIns(live=True)
    with serving(stand_ins) as url:
        text = EXAMPLE.read_text("utf-8").replace("# group = 200000001", "group = 200000001")
        text = text.replace('# api = "https://api.vk.com"', f'api = "{url}/vk"')
        text = text.replace("[intake.telegram]\n", f'[intake.telegram]\napi = "{url}/telegram"\n')
        text = text.replace("[intake.max]\n", f'[intake.max]\napi = "{url}/max"\n')
        text = text.replace(
            "[intake.zadarma]\n", f'[intake.zadarma]\napi = "{url}/zadarma"\nkey = "zadarma-test-key"\n'
        )
        for name in SWITCHED_ON:
            text = text.replace(f"# [intake.{name}]", f"[intake.{name}]")
        path = tmp_path / "config.toml"
        path.write_text(text, "utf-8")
        port = free_port()
        environment = {
            **ENVIRONMENT,
            **SECRETS,
            "AMO_BRIDGE_ACCOUNT_URL": sandbox.url,
            "AMO_BRIDGE_DATA": str(tmp_path / "data"),
            "AMO_BRIDGE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        bridge = start_bridge(load(path, environment), environment=environment, port=port).wait_ready()
        yield Agency(bridge, stand_ins)


NOT_BY_ITSELF = ("plan", "ring", "press", "answer")
"""What needs something before it: a call that goes on, a message with buttons, an SMS."""


def test_what_clients_write_at_every_vendor_comes_in(
    agency: Agency, run: Callable[..., Result], tmp_path: Path
) -> None:
    for vendor in ("vk", "telegram", "max", "zadarma"):
        told = run("intake", "connect", vendor, config=tmp_path / "config.toml")
        assert told.exit_code == 0, told.stderr
    stand_ins = agency.stand_ins
    stand_ins["site"].configure({"webhook_url": agency.urls["html"], "tilda_url": agency.urls["tilda"]})
    for name in ("novofon", "novofon2", "onlinepbx"):
        stand_ins[name].configure({"webhook_url": agency.urls[name]})
    stand_ins["meta"].configure({"webhook_url": agency.urls["meta_leadgen"], "messenger_url": agency.urls["messenger"]})
    for stand_in in stand_ins.all.values():
        for action in stand_in.actions():
            if action.name not in NOT_BY_ITSELF:
                action.do({field.name: field.default for field in action.fields})
    for name in ("zadarma", "novofon", "novofon2", "onlinepbx"):
        stand_ins.board(name).call_in("79000000101", "100", "74950000001", CallScript("talked", talk=30))
    stand_ins.timeline.advance(300)
    wanted = {
        "html", "tilda", "vk", "telegram", "max", "meta_leadgen", "messenger", "zadarma", "novofon", "novofon2",
        "onlinepbx",
    }  # fmt: skip
    wait_until(lambda: set(agency.kept()) == wanted, f"all of {wanted}")
    refused = {
        f"{one.vendor} {one.event}: {one.status} {one.answer}"
        for stand_in in stand_ins.all.values()
        for one in stand_in.attempts
        if one.status is None or one.status >= 400
    }
    assert refused == set()


def test_a_webhook_with_somebody_elses_proof_is_kept_out(
    agency: Agency, run: Callable[..., Result], tmp_path: Path
) -> None:
    assert run("intake", "connect", "max", config=tmp_path / "config.toml").exit_code == 0
    agency.stand_ins.faults.add("hook_wrong_proof", vendor="max")
    bot = agency.stand_ins["max"]
    assert isinstance(bot, BotStandIn)
    bot.write(7001, "подделка")
    agency.stand_ins.timeline.advance(1)
    wait_until(lambda: bot.attempts, "it was sent")
    assert bot.attempts[0].status == 403
    assert agency.kept() == []


def test_check_says_what_is_not_connected_yet(agency: Agency, run: Callable[..., Result], tmp_path: Path) -> None:
    told = run("check", config=tmp_path / "config.toml")
    assert told.exit_code == 4
    assert "поставить: amo-bridge intake connect vk" in told.stderr
    for vendor in ("vk", "telegram", "max", "zadarma"):
        assert run("intake", "connect", vendor, config=tmp_path / "config.toml").exit_code == 0
    told = run("check", config=tmp_path / "config.toml")
    assert told.exit_code == 0, told.stderr
    assert "ВКонтакте: адрес моста подтверждён" in told.output
