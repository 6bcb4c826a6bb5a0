"""The tables of channels: every name stands once, and what the config connects is served by whom it says."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields, replace
from typing import Any, get_args

import pytest
from support.channel_fakes import ScriptedPort
from support.command_line import EXAMPLE
from support.fakes import ACCOUNT, ScriptedCrm, clock, rule_engine

from amo_bridge.channels import registry, vendors
from amo_bridge.channels.port import Port
from amo_bridge.channels.registry import OWN_PORTS, ChannelContext, UnconnectedPort, ports_of, ports_to_nowhere
from amo_bridge.channels.vendors import (
    BUILT_IN,
    CHANNEL_OF_OPTIONS,
    VENDORS,
    Vendor,
    channels_wanted,
    connected,
    unconnected,
    vendor_of,
)
from amo_bridge.cli.check import warnings
from amo_bridge.config.channels import VENDOR_SECTIONS, Channels, MailSection, TelegramSection, UnisenderGoSection
from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.engine.effects import CHANNEL_KINDS, OUTSIDE, OutsideKind
from amo_bridge.rules.handler import Handler, OutsideChannel
from amo_bridge.rules.options import ActionsSpec
from amo_bridge.rules.registry import shipped
from amo_bridge.storage.database import AccountStore, Store

MAIL = MailSection.model_validate({"host": "mail.example", "from": "info@agency.example", "templates": "letters"})
FROM = MAIL.model_copy(update={"host": ""})
GO = UnisenderGoSection()
TELEGRAM = TelegramSection()
OWN = {"series", "ledger", "storage", "chats"}
"""What the bridge serves without any vendor."""


def config(**sections: Any) -> Config:
    return replace(load(EXAMPLE, {}), channels=Channels(**sections))


def context(store: Store, of: Config) -> ChannelContext:
    crm: Any = ScriptedCrm()
    return ChannelContext(of, {}, AccountStore(store, ACCOUNT), crm, rule_engine, clock(), clock())


def served(ports: list[Port]) -> set[str]:
    return {port.channel for port in ports if not isinstance(port, UnconnectedPort)}


def test_every_channel_and_every_kind_of_effect_stands_in_the_table_once() -> None:
    assert {"crm", *CHANNEL_KINDS} == {"crm", *get_args(OutsideChannel)}
    named = [effect for kind in CHANNEL_KINDS.values() for effect in kind.effects]
    assert sorted(named) == sorted(get_args(OutsideKind)) == sorted(OUTSIDE)
    keys = [key for kind in CHANNEL_KINDS.values() for key in kind.action_keys]
    assert set(keys) <= set(ActionsSpec.model_fields)


def test_every_vendor_has_its_section_and_every_section_its_vendor() -> None:
    assert sorted(vendor.section for vendor in VENDORS) == sorted(VENDOR_SECTIONS)
    assert {field.name for field in fields(Channels)} == {
        *VENDOR_SECTIONS, "dial", "people", "series", "approvals", "spend_sheet",
    }  # fmt: skip
    assert not any(set(vendor.ports) & set(BUILT_IN) for vendor in VENDORS)
    assert set(OWN_PORTS) == set(BUILT_IN)


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.section)
def test_a_vendors_client_and_ports_are_where_its_row_says(vendor: Vendor[Any]) -> None:
    assert all(callable(vendors.named(path)) for path in (vendor.client, *vendor.ports.values()))


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({}, OWN),
        ({"telegram": TELEGRAM}, {*OWN, "notices"}),
        ({"mail": MAIL}, {*OWN, "mail", "notices"}),
        ({"mail": MAIL, "telegram": TELEGRAM}, {*OWN, "mail", "notices"}),
        ({"mail": FROM, "unisender_go": GO}, {*OWN, "mail", "notices"}),
    ],
    ids=["nothing", "telegram", "mail", "both", "service"],
)
def test_a_port_for_every_channel_whatever_is_connected(
    store: Store, sections: dict[str, Any], expected: set[str]
) -> None:
    of = config(**sections)
    ports = ports_of(context(store, of))
    assert [port.channel for port in ports] == list(CHANNEL_KINDS)
    assert served(ports) == connected(of) == expected
    assert served(ports_to_nowhere(context(store, of))) == {"series"}


def test_what_rules_want_of_what_is_not_connected() -> None:
    wanted = channels_wanted(config().rules)
    assert {"mail", "notices"} <= set(wanted)
    assert set(unconnected(config())) == set(wanted) - OWN
    assert set(unconnected(config(mail=MAIL))) == set(wanted) - connected(config(mail=MAIL))


@pytest.mark.parametrize(
    "name",
    [
        "stage_needs_task.thinking",
        "foreign_client_is_written_to.abroad",
        "manager_takes_deal.own_client",
        "loss_needs_note.explained",
        "stage_needs_full_payment.won",
        "stage_needs_fields.loss_reason",
    ],
)
def test_a_rule_that_tells_people_by_itself_wants_notices(name: str) -> None:
    of = load(EXAMPLE.parent / "examples" / "webinar.toml", {})
    (rule,) = [rule for rule in of.rules if rule.name == name]
    assert channels_wanted([replace(rule, enabled=True)]) == {"notices": [name]}
    assert channels_wanted([replace(rule, enabled=False)]) == {}
    told = list(warnings(replace(of, rules=(replace(rule, enabled=True),), channels=Channels())))
    assert f"канал «уведомления» не подключён, никуда не отправится то, чего хотят: {name}" in told


SENDING = {
    "Notify": "notices", "RollBack": "notices", "put_back": "notices", "SendLetter": "mail", "SendSms": "sms",
    "JoinAudience": "audiences", "LeaveAudience": "audiences", "StartAutoDial": "dial", "StoreFile": "storage",
}  # fmt: skip


@pytest.mark.parametrize(
    "handler", [*shipped("handlers").values(), *shipped("schedules").values()], ids=lambda handler: handler.name
)
def test_a_rule_says_which_channels_it_uses(handler: Handler) -> None:
    """By ``sends``, or by options that stand in the table of channels."""
    module = inspect.getmodule(handler.judge)
    assert module is not None
    calls = [node.func for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Call)]
    called = {call.id if isinstance(call, ast.Name) else getattr(call, "attr", "") for call in calls}
    by_options = {
        channel
        for options, channel in CHANNEL_OF_OPTIONS.items()
        for field in handler.options.model_fields.values()
        if options.__name__ in str(field.annotation)
    }
    assert {SENDING[name] for name in called & set(SENDING)} <= {*handler.sends, *by_options}


def sms_port(_: ChannelContext, vendor: Vendor[Any]) -> Port:
    port = ScriptedPort(channel="sms")
    port.vendor = vendor.section  # type: ignore[attr-defined]
    return port


def test_of_two_vendors_of_one_channel_the_first_serves_it_and_check_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    both: Any = [Vendor(name, "", "", {"sms": "registry.sms_port"}) for name in ("telegram", "mail")]
    monkeypatch.setattr(vendors, "VENDORS", tuple(both))
    monkeypatch.setattr(registry, "sms_port", sms_port)
    of = config(mail=MAIL, telegram=TELEGRAM)
    (port,) = [port for port in ports_of(context(store, of)) if port.channel == "sms"]
    assert port.vendor == "telegram"  # type: ignore[attr-defined]
    told = "канал «SMS» подключён к нескольким: [telegram], [mail]; работает только [telegram]"
    assert told in list(warnings(of))


def test_a_service_takes_letters_before_the_server_and_check_says_so() -> None:
    assert vendor_of(config(mail=FROM, unisender_go=GO))["mail"] == "unisender_go"
    both = config(mail=MAIL, unisender_go=GO)
    assert vendor_of(both)["mail"] == "unisender_go"
    told = "канал «почта» подключён к нескольким: [unisender_go], [mail]; работает только [unisender_go]"
    assert told in list(warnings(both))


def test_notices_by_two_ways_are_no_rivals() -> None:
    assert not [words for words in warnings(config(mail=MAIL, telegram=TELEGRAM)) if "к нескольким" in words]
