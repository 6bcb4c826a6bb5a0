"""Connecting vendors over their API, against the stand-ins: what is set, and how each fault is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from support.imap_server import PASSWORD, imap_server, needs_dovecot

from amo_bridge.config.loader import load
from amo_bridge.errors import ChannelError
from amo_bridge.intake.connections import IntakeConnections, VendorConnection
from amo_bridge.standins.audiences import VkAdsStandIn
from amo_bridge.standins.bots import MaxStandIn, TelegramStandIn
from amo_bridge.standins.meta import MetaStandIn
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.standins.unisender_go import UnisenderGoStandIn
from amo_bridge.standins.vk import VkStandIn
from amo_bridge.standins.zadarma import ZadarmaStandIn
from tests.standins.conftest import Received, receiving

CONFIG = """
[account]
url = "https://agency.amocrm.ru"

[intake.vk]
group = 200000001
api = "{url}/vk"

[intake.telegram]
api = "{url}/telegram"

[intake.max]
api = "{url}/max"

[intake.telegram_staff]

[telegram]
api = "{url}/telegram"

[intake.max_staff]

[max]
api = "{url}/max"

[intake.zadarma]
api = "{url}/zadarma"
key = "zadarma-test-key"

[intake.onlinepbx]

[onlinepbx]
api = "{url}/onlinepbx"
domain = "test.onpbx.ru"

[intake.unisender_go]

[mail]
from = "info@agency.example"

[unisender_go]
api = "{url}/unisender_go"

[intake.meta_leadgen]
api = "{url}/meta"

[intake.messenger]
api = "{url}/meta"
"""
SECRETS = {
    "AMO_BRIDGE_INTAKE_VK_TOKEN": "vk-test-token",
    "AMO_BRIDGE_INTAKE_VK_SECRET": "vk-s3cret",
    "AMO_BRIDGE_INTAKE_VK_CONFIRMATION": "1a2b3c4d",
    "AMO_BRIDGE_INTAKE_TELEGRAM_TOKEN": "123456789:AAtest-token-of-thirty-five-characters",
    "AMO_BRIDGE_INTAKE_TELEGRAM_SECRET": "tg-s3cret",
    "AMO_BRIDGE_INTAKE_MAX_TOKEN": "max-test-token",
    "AMO_BRIDGE_INTAKE_MAX_SECRET": "max-s3cret",
    "AMO_BRIDGE_TELEGRAM_TOKEN": "123456789:AAtest-token-of-thirty-five-characters",
    "AMO_BRIDGE_INTAKE_TELEGRAM_STAFF_SECRET": "tg-staff-s3cret",
    "AMO_BRIDGE_MAX_TOKEN": "max-test-token",
    "AMO_BRIDGE_INTAKE_MAX_STAFF_SECRET": "max-staff-s3cret",
    "AMO_BRIDGE_INTAKE_ZADARMA_SECRET": "zadarma-test-secret",
    "AMO_BRIDGE_VKADS_SECRET": "vkads-test-secret",
    "AMO_BRIDGE_ONLINEPBX_KEY": "onlinepbx-test-key",
    "AMO_BRIDGE_UNISENDER_GO_KEY": "unisender-go-test-key",
    "AMO_BRIDGE_INTAKE_META_TOKEN": "EAAtesttoken",
    "AMO_BRIDGE_INTAKE_META_SECRET": "meta-test-app-secret",
    "AMO_BRIDGE_KEY": Fernet.generate_key().decode(),
}


class Agency:
    """A config for the stand-ins; ``bridge`` stands for the bridge's own addresses."""

    def __init__(self, stand_ins: StandIns, bridge: Received, folder: Path) -> None:
        self.stand_ins, self.bridge, self.folder = stand_ins, bridge, folder
        self.environment = dict(SECRETS)
        self.more = ""

    @property
    def connections(self) -> IntakeConnections:
        path = self.folder / "config.toml"
        path.write_text(CONFIG.format(url=self.stand_ins.url) + self.more, "utf-8")
        where = {"AMO_BRIDGE_DATA": str(self.folder), "AMO_BRIDGE_PUBLIC_URL": "https://bridge.example"}
        return IntakeConnections(load(path, where), self.environment, wait=self.stand_ins.timeline.advance)

    def of(self, vendor: str) -> VendorConnection:
        """The connection, its webhooks sent to the receiver of the test."""
        made = self.connections.of(vendor)
        assert isinstance(made, VendorConnection), made
        return replace(made, url=self.bridge.url)

    def findings(self, vendor: str) -> list[str]:
        return [words for is_well, words in self.of(vendor).check() if not is_well]

    def connect(self, vendor: str) -> list[str]:
        return list(self.of(vendor).connect())


@pytest.fixture
def agency(tmp_path: Path) -> Iterator[Agency]:
    made = StandIns(live=False)
    with serving(made), receiving() as bridge:
        bridge.answers = [("1a2b3c4d", 200)]
        yield Agency(made, bridge, tmp_path)


def test_vk_is_connected_and_then_nothing_is_missing(agency: Agency) -> None:
    assert agency.findings("vk") == [
        "ВКонтакте: адреса моста нет в Callback API; поставить: amo-bridge intake connect vk"
    ]
    assert agency.connect("vk")[-1] == "ВКонтакте: сервер подтверждён"
    assert agency.findings("vk") == []
    vk = agency.stand_ins["vk"]
    assert isinstance(vk, VkStandIn)
    (server,) = vk.servers.values()
    assert (server["secret_key"], server["events"]) == ("vk-s3cret", {"message_new": 1, "lead_forms_new": 1})


def test_vk_connected_again_has_one_server_with_the_new_secret(agency: Agency) -> None:
    agency.connect("vk")
    agency.environment["AMO_BRIDGE_INTAKE_VK_SECRET"] = "another"
    assert any("секретный ключ там другой" in words for words in agency.findings("vk"))
    agency.bridge.answers = [("1a2b3c4d", 200)]
    agency.connect("vk")
    vk = agency.stand_ins["vk"]
    assert isinstance(vk, VkStandIn)
    assert [one["secret_key"] for one in vk.servers.values()] == ["another"]


def test_vk_that_is_not_confirmed_is_told(agency: Agency) -> None:
    agency.bridge.answers = [("ok", 200)]
    with pytest.raises(ChannelError, match="мост не ответил строкой подтверждения"):
        agency.connect("vk")
    assert any("сервер не подтверждён" in words for words in agency.findings("vk"))


def test_vk_says_its_confirmation_code_where_another_is_set(agency: Agency) -> None:
    agency.environment["AMO_BRIDGE_INTAKE_VK_CONFIRMATION"] = "old"
    with pytest.raises(ChannelError, match="AMO_BRIDGE_INTAKE_VK_CONFIRMATION=1a2b3c4d"):
        agency.connect("vk")
    vk = agency.stand_ins["vk"]
    assert isinstance(vk, VkStandIn)
    assert vk.servers == {}


def test_events_that_are_switched_off_are_told(agency: Agency) -> None:
    agency.connect("vk")
    vk = agency.stand_ins["vk"]
    assert isinstance(vk, VkStandIn)
    next(iter(vk.servers.values()))["events"]["lead_forms_new"] = 0
    assert any("не включены события lead_forms_new" in words for words in agency.findings("vk"))


def test_telegram_is_connected_and_its_own_error_is_shown(agency: Agency) -> None:
    assert agency.findings("telegram") == [
        "Telegram: вебхук не поставлен; поставить: amo-bridge intake connect telegram"
    ]
    agency.connect("telegram")
    assert agency.findings("telegram") == []
    telegram = agency.stand_ins["telegram"]
    assert isinstance(telegram, TelegramStandIn)
    assert (telegram.webhook_secret, telegram.allowed) == ("tg-s3cret", ["message"])
    agency.bridge.answers = [("", 503)]
    telegram.write(7001, "да")
    agency.stand_ins.timeline.advance()
    assert any(
        "до моста не достучаться: Wrong response from the webhook: 503" in one for one in agency.findings("telegram")
    )
    telegram.webhook_url = "https://somebody.example"
    assert any("вебхук стоит на другой адрес" in words for words in agency.findings("telegram"))


def test_max_is_connected(agency: Agency) -> None:
    assert agency.findings("max") == ["MAX: подписки на адрес моста нет; поставить: amo-bridge intake connect max"]
    agency.connect("max")
    assert agency.findings("max") == []
    bot = agency.stand_ins["max"]
    assert isinstance(bot, MaxStandIn)
    assert (bot.webhook_secret, bot.types) == ("max-s3cret", ["message_created", "bot_started"])


# --- VK Ads ----------------------------------------------------------------------------------------------------------


VK_ADS = """
[intake.vkads]
forms = [19]

[vkads]
api = "{url}/vkads"
client_id = "vkads-test"
"""


@pytest.fixture
def advertiser(agency: Agency) -> Agency:
    agency.more = VK_ADS.format(url=agency.stand_ins.url)
    return agency


def vk_ads_of(agency: Agency) -> VkAdsStandIn:
    made = agency.stand_ins["vkads"]
    assert isinstance(made, VkAdsStandIn)
    return made


def test_lead_forms_of_vk_ads_are_connected_once(advertiser: Agency) -> None:
    before = [words for _, words in advertiser.of("vkads").check()]
    assert before[:2] == [
        "VK Реклама: токен действует, лид-форм в кабинете 1",
        "VK Реклама: список лидов читается, за сутки 0",
    ]
    assert "поставить: amo-bridge intake connect vkads" in before[2]
    assert advertiser.connect("vkads") == ["VK Реклама: вебхук лидов поставлен"]
    assert "уже стоит" in advertiser.connect("vkads")[0]
    assert advertiser.findings("vkads") == []
    (subscription,) = vk_ads_of(advertiser).lead_forms.subscriptions.values()
    assert (subscription["resource"], subscription["callback_url"]) == ("LEAD", advertiser.bridge.url)


def test_leads_of_vk_ads_may_be_called_otherwise(advertiser: Agency) -> None:
    vk_ads_of(advertiser).lead_forms.resources = ("BANNER", "CAMPAIGN", "OKLEADAD")
    advertiser.connect("vkads")
    (subscription,) = vk_ads_of(advertiser).lead_forms.subscriptions.values()
    assert subscription["resource"] == "OKLEADAD"


def test_a_webhook_of_vk_ads_that_is_refused_is_told(advertiser: Agency) -> None:
    vk_ads_of(advertiser).lead_forms.resources = ("BANNER",)
    with pytest.raises(ChannelError, match="validation_failed"):
        advertiser.connect("vkads")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"forms": {20: "Другая"}}, "формы 19 из [intake.vkads] forms в кабинете нет; есть 20 «Другая»"),
        ({"may_read": False}, "лид-формы не открыты: дайте право"),
        ({"is_listed": False}, "404"),
    ],
)
def test_what_keeps_leads_of_vk_ads_away_is_told(advertiser: Agency, state: dict[str, object], words: str) -> None:
    for name, value in state.items():
        setattr(vk_ads_of(advertiser).lead_forms, name, value)
    asked = [told for is_well, told in advertiser.connections.check() if not is_well]
    assert any(words in told for told in asked), asked


def test_a_wrong_secret_of_vk_ads_is_told_and_not_shown(advertiser: Agency) -> None:
    advertiser.environment["AMO_BRIDGE_VKADS_SECRET"] = "wrong-word"
    asked = [told for is_well, told in advertiser.connections.check() if not is_well]
    assert any("проверьте client_id и AMO_BRIDGE_VKADS_SECRET" in told for told in asked), asked
    assert not any("wrong-word" in told for told in asked)
    advertiser.environment.pop("AMO_BRIDGE_VKADS_SECRET")
    asked = [told for is_well, told in advertiser.connections.check() if not is_well]
    assert any("нет секрета API (AMO_BRIDGE_VKADS_SECRET)" in told for told in asked), asked


def test_zadarma_is_connected(agency: Agency) -> None:
    assert agency.findings("zadarma") == [
        "Zadarma: адрес уведомлений не вписан; поставить: amo-bridge intake connect zadarma"
    ]
    agency.connect("zadarma")
    assert agency.findings("zadarma") == []
    zadarma = agency.stand_ins["zadarma"]
    assert isinstance(zadarma, ZadarmaStandIn)
    assert all(zadarma.switches.values())
    zadarma.switches["notify_end"] = False
    assert any("не включены уведомления notify_end" in words for words in agency.findings("zadarma"))


def test_zadarma_refuses_an_address_that_does_not_answer_its_check(agency: Agency) -> None:
    agency.bridge.echoes = False
    with pytest.raises(ChannelError, match="zd_echo"):
        agency.connect("zadarma")


def told(agency: Agency, vendor: str) -> list[str]:
    """What is well."""
    return [words for is_well, words in agency.of(vendor).check() if is_well]


def test_onlinepbx_tells_what_its_api_shows_and_what_it_does_not(agency: Agency) -> None:
    key, address = told(agency, "onlinepbx")
    assert "ключ API действует, история звонков открыта, входящих за сутки: 0" in key
    assert "какой адрес вебхука вписан в кабинете, API не показывает" in address
    with pytest.raises(ChannelError, match="вставьте адрес из amo-bridge intake addresses"):
        agency.connect("onlinepbx")


def test_unisender_go_is_told_where_to_tell_of_letters(agency: Agency) -> None:
    (missing,) = agency.findings("unisender_go")
    assert "вебхука на адрес моста нет; поставить: amo-bridge intake connect unisender_go" in missing
    assert agency.connect("unisender_go") == ["Unisender Go: вебхук поставлен, события включены"]
    assert agency.findings("unisender_go") == []
    service = agency.stand_ins["unisender_go"]
    assert isinstance(service, UnisenderGoStandIn)
    service.told_of.remove("spam")
    assert "не включены события spam" in agency.findings("unisender_go")[0]
    service.webhook_status = "stopped"
    assert "вебхук остановлен (stopped)" in agency.findings("unisender_go")[0]


@pytest.mark.parametrize(("vendor", "field"), [("meta_leadgen", "leadgen"), ("messenger", "messages")])
def test_a_page_of_meta_is_subscribed_and_keeps_its_other_subscriptions(
    agency: Agency, vendor: str, field: str
) -> None:
    meta = agency.stand_ins["meta"]
    assert isinstance(meta, MetaStandIn)
    meta.subscribed = ["feed"]
    (missing,) = agency.findings(vendor)
    assert missing.endswith(f"страница не подписана на {field}; поставить: amo-bridge intake connect {vendor}")
    assert "впишите в приложении сами" in agency.connect(vendor)[-1]
    assert meta.subscribed == ["feed", field]
    assert agency.findings(vendor) == []
    assert "какой адрес вписан в приложении, токеном страницы не узнать" in told(agency, vendor)[-1]


TOKENS = {
    "vk": ("AMO_BRIDGE_INTAKE_VK_TOKEN", "Работа с API"),
    "telegram": ("AMO_BRIDGE_INTAKE_TELEGRAM_TOKEN", "@BotFather"),
    "max": ("AMO_BRIDGE_INTAKE_MAX_TOKEN", "в кабинете MAX"),
    "telegram_staff": ("AMO_BRIDGE_TELEGRAM_TOKEN", "@BotFather"),
    "max_staff": ("AMO_BRIDGE_MAX_TOKEN", "в кабинете MAX"),
    "zadarma": ("AMO_BRIDGE_INTAKE_ZADARMA_SECRET", "key в [intake.zadarma]"),
    "onlinepbx": ("AMO_BRIDGE_ONLINEPBX_KEY", "AMO_BRIDGE_ONLINEPBX_KEY"),
    "unisender_go": ("AMO_BRIDGE_UNISENDER_GO_KEY", "AMO_BRIDGE_UNISENDER_GO_KEY"),
    "meta_leadgen": ("AMO_BRIDGE_INTAKE_META_TOKEN", "впишите его в AMO_BRIDGE_INTAKE_META_TOKEN"),
}


@pytest.mark.parametrize("vendor", TOKENS)
def test_a_dead_token_is_told_with_where_to_get_another(agency: Agency, vendor: str) -> None:
    variable, where = TOKENS[vendor]
    agency.environment[variable] = "dead-token-of-long-ago"
    with pytest.raises(ChannelError) as raised:
        agency.findings(vendor)
    assert where in str(raised.value)
    assert "dead-token" not in str(raised.value)


@pytest.mark.parametrize("vendor", ["vk", "telegram", "max", "meta_leadgen"])
def test_without_the_receivers_secret_nothing_is_connected(agency: Agency, vendor: str) -> None:
    variable = f"AMO_BRIDGE_INTAKE_{vendor.partition('_')[0].upper()}_SECRET"
    del agency.environment[variable]
    with pytest.raises(ChannelError, match=f"приём закрыт: придумайте его и задайте {variable}"):
        agency.connect(vendor)


@pytest.mark.parametrize("vendor", TOKENS)
def test_a_vendor_that_is_busy_or_silent_is_told(agency: Agency, vendor: str) -> None:
    for kind in ("limited", "broken", "refuse_before"):
        agency.stand_ins.faults.add(kind, vendor=vendor if vendor in agency.stand_ins.all else vendor.partition("_")[0])
        with pytest.raises(ChannelError):
            agency.findings(vendor)


def test_check_knocks_only_where_a_token_is_there(agency: Agency) -> None:
    for variable, _ in TOKENS.values():
        del agency.environment[variable]
    assert list(agency.connections.check()) == []
    agency.environment["AMO_BRIDGE_INTAKE_MAX_TOKEN"] = "max-test-token"
    assert [is_well for is_well, _ in agency.connections.check()] == [True, False]


def test_what_is_missing_in_the_config_is_told(agency: Agency) -> None:
    del agency.environment["AMO_BRIDGE_INTAKE_MAX_TOKEN"]
    assert "нет AMO_BRIDGE_INTAKE_MAX_TOKEN" in str(agency.connections.of("max"))


@needs_dovecot
def test_check_knocks_at_the_mailboxes(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, _ in TOKENS.values():
        del agency.environment[variable]
    box = '\n[[intake.mail]]\nname = "info"\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\nuser = "info"\n'
    with imap_server() as server:
        agency.more = box.format(port=server.port)
        ((is_well, words),) = agency.connections.check()
        assert (is_well, "нет пароля (AMO_BRIDGE_INTAKE_MAIL_INFO_PASSWORD)" in words) == (False, True)
        agency.environment["AMO_BRIDGE_INTAKE_MAIL_INFO_PASSWORD"] = PASSWORD
        ((is_well, words),) = agency.connections.check()
        assert (is_well, "пускает" in words) == (True, True)


@pytest.mark.parametrize(
    ("vendor", "name", "updates"),
    [
        ("telegram_staff", "telegram", ["callback_query", "message", "edited_message"]),
        ("max_staff", "max", ["message_callback", "message_created", "message_edited", "bot_started"]),
    ],
)
def test_the_bot_for_colleagues_hands_over_presses(agency: Agency, vendor: str, name: str, updates: list[str]) -> None:
    assert any(words.endswith(f"amo-bridge intake connect {vendor}") for words in agency.findings(vendor))
    agency.connect(vendor)
    assert agency.findings(vendor) == []
    bot = agency.stand_ins[name]
    assert isinstance(bot, TelegramStandIn | MaxStandIn)
    taken = bot.allowed if isinstance(bot, TelegramStandIn) else bot.types
    assert (taken, bot.webhook_secret) == (updates, SECRETS[f"AMO_BRIDGE_INTAKE_{vendor.upper()}_SECRET"])


@pytest.mark.parametrize("vendor", ["telegram_staff", "max_staff"])
def test_the_bot_for_colleagues_needs_its_secret_and_its_own_section(agency: Agency, vendor: str) -> None:
    del agency.environment[f"AMO_BRIDGE_INTAKE_{vendor.upper()}_SECRET"]
    with pytest.raises(ChannelError, match=f"AMO_BRIDGE_INTAKE_{vendor.upper()}_SECRET"):
        agency.connect(vendor)
