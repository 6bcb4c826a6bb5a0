"""Connections to the vendors' APIs: webhooks checked and set.

Is the webhook set, is the token alive, does it reach us?

A vendor is asked only when the token of its API is there: requests come in without one too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.channels.telegram import BotAddress
from amo_bridge.channels.telephony import OnlinePbx, zadarma_request
from amo_bridge.channels.unisender_go import UnisenderGo
from amo_bridge.channels.vendors import vk_ads_api
from amo_bridge.channels.vk_ads import MOST_LISTED, VkAdsApi
from amo_bridge.config.advertising import VKADS_SECRET
from amo_bridge.config.channels import (
    MAX_TOKEN,
    ONLINEPBX_KEY,
    TELEGRAM_TOKEN,
    UNISENDER_GO_KEY,
    MaxBotSection,
    OnlinePbxSection,
    UnisenderGoSection,
)
from amo_bridge.config.intake import (
    INTAKE_TOKENS,
    CommunitySection,
    LeadFormsSection,
    MaxSection,
    MetaSection,
    TelegramIntakeSection,
    ZadarmaIntakeSection,
)
from amo_bridge.config.loader import secret
from amo_bridge.config.model import Config
from amo_bridge.errors import ChannelDown, ChannelError, ChannelRefused
from amo_bridge.intake.chats import MAX_SECRET, TELEGRAM_SECRET
from amo_bridge.intake.mailbox import MailboxConnection, MailboxSecret
from amo_bridge.intake.presses import MAX_STAFF_SECRET, TELEGRAM_STAFF_SECRET
from amo_bridge.intake.reception import VENDORS, settings_of
from amo_bridge.intake.repository import IntakeAddresses
from amo_bridge.intake.request import objects, text_at
from amo_bridge.intake.social import GRAPH_TOKEN, META_SECRET, VK_ADS, VK_CONFIRMATION, VK_SECRET, GraphPage
from amo_bridge.intake.telephony import ONLINEPBX
from amo_bridge.lazy.dataclasses import dataclass

VK_VERSION = "5.199"
# VK takes no longer title.
VK_TITLE = "amo-bridge"
VK_EVENTS = ("message_new", "lead_forms_new")
_VK_DEAD_TOKEN = (5, 27, 28)
_VK_NO_RIGHT = (7, 15)
# VK asks the server a moment after it was added.
CONFIRMED_WITHIN_SECONDS, LOOK_AGAIN_SECONDS = 15.0, 0.5
TELEGRAM_UPDATES = ("message",)
MAX_UPDATES = ("message_created", "bot_started")
TELEGRAM_STAFF_UPDATES = ("callback_query", "message", "edited_message")
MAX_STAFF_UPDATES = ("message_callback", "message_created", "message_edited", "bot_started")
STAFF_BOTS = ("telegram_staff", "max_staff")
META_FIELDS = {"meta_leadgen": "leadgen", "messenger": "messages"}
"""Vendor → what the page has to be subscribed to."""
HISTORY_LOOK = timedelta(days=1)
_ZADARMA_SWITCHES = ("start", "internal", "answer", "end", "out_start", "out_end", "record")
UNISENDER_GO = "unisender_go"
# What the API of a vendor shows nobody.
PASTED = "сверьте его с amo-bridge intake addresses"
SET_BY = "amo-bridge intake connect {}"

Finding = tuple[bool, str]
"""(is it well, in words)."""


@dataclass(frozen=True)
class VendorConnection:
    """One vendor.

    ``url``: where it is to post. ``secrets``: of the receiver, by name. ``token``: of the vendor's API. ``wait`` passes
    the time between two looks.
    """

    url: str
    secrets: Mapping[str, str]
    token: str
    wait: Callable[[float], None] = time.sleep

    def check(self) -> Iterator[Finding]:
        """What is well and what is not. Raises ChannelError."""
        raise NotImplementedError

    def connect(self) -> Iterator[str]:
        """Set the webhook; what was done (Russian). Raises ChannelError, ChannelRefused with what to do first."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class VkConnection(VendorConnection):
    """The Callback API of a community."""

    section: CommunitySection

    def check(self) -> Iterator[Finding]:
        self._call("groups.getById")
        yield True, f"ВКонтакте: токен сообщества {self._group} действует"
        yield from self._of_confirmation()
        server = self._own_server()
        if server is None:
            yield False, f"ВКонтакте: адреса моста нет в Callback API; {_set_by('vk')}"
            return
        if server.get("status") != "ok":
            words = "сервер не подтверждён: мост должен отвечать из интернета по адресу [bridge] public_url"
            yield False, f"ВКонтакте: {words} (состояние «{server.get('status')}»); потом {_set_by('vk')}"
        if server.get("secret_key") != self.secrets.get(VK_SECRET):
            yield False, f"ВКонтакте: секретный ключ там другой, события не принимаются; {_set_by('vk')}"
        told = self._call("groups.getCallbackSettings", server_id=str(server["id"]))
        events = told.get("events", {}) if isinstance(told, dict) else {}
        if missing := [name for name in VK_EVENTS if not events.get(name)]:
            yield False, f"ВКонтакте: не включены события {', '.join(missing)}; {_set_by('vk')}"
        elif server.get("status") == "ok":
            yield True, "ВКонтакте: адрес моста подтверждён, сообщения и заявки приходят"

    def connect(self) -> Iterator[str]:
        _need(self.secrets, "vk", VK_SECRET)
        for is_well, words in self._of_confirmation():
            if not is_well:
                raise ChannelRefused(words)
        server = self._own_server()
        given = {"url": self.url, "title": VK_TITLE, "secret_key": self.secrets[VK_SECRET]}
        if server is None:
            number = str(self._call("groups.addCallbackServer", **given)["server_id"])
        else:
            number = str(server["id"])
            self._call("groups.editCallbackServer", server_id=number, **given)
        switches = dict.fromkeys(VK_EVENTS, "1")
        self._call("groups.setCallbackSettings", server_id=number, api_version=VK_VERSION, **switches)
        yield "ВКонтакте: адрес вписан, события включены"
        yield self._confirmed()

    def _confirmed(self) -> str:
        """Wait for VK's own request; what came of it."""
        left = CONFIRMED_WITHIN_SECONDS
        while True:
            server = self._own_server()
            status = server.get("status") if server else "нет"
            if status == "ok":
                return "ВКонтакте: сервер подтверждён"
            if left <= 0 or status == "failed":
                words = "мост не ответил строкой подтверждения: работает ли он, открыт ли из интернета адрес"
                raise ChannelRefused(f"ВКонтакте: {words} {self.url.rpartition('/')[0]}/… ?")
            self.wait(LOOK_AGAIN_SECONDS)
            left -= LOOK_AGAIN_SECONDS

    def _of_confirmation(self) -> Iterator[Finding]:
        code = str(self._call("groups.getCallbackConfirmationCode").get("code", ""))
        if code != self.secrets.get(VK_CONFIRMATION, ""):
            variable = _variable("vk", VK_CONFIRMATION)
            yield False, f"ВКонтакте: строка подтверждения — {code}; задайте {variable}={code} и перезапустите мост"

    def _own_server(self) -> dict[str, Any] | None:
        found = self._call("groups.getCallbackServers")
        servers = found.get("items", []) if isinstance(found, dict) else []
        return next((one for one in servers if one.get("url") == self.url), None)

    @property
    def _group(self) -> int:
        if self.section.group is None:
            raise ChannelRefused("ВКонтакте: впишите group, номер сообщества, в [intake.vk]")
        return self.section.group

    def _call(self, method: str, **given: str) -> Any:
        form = {"access_token": self.token, "v": VK_VERSION, "group_id": str(self._group), **given}
        client = HttpClient("ВКонтакте", self.section.api, self.token)
        answer = client.ask("POST", f"/method/{method}", form=form)
        # Errors come with HTTP 200.
        error = answer.get("error") if isinstance(answer, dict) else None
        if isinstance(error, dict):
            code, words = error.get("error_code"), str(error.get("error_msg", ""))
            if code in _VK_DEAD_TOKEN:
                raise ChannelDown(
                    "ВКонтакте: токен не действует. Создайте ключ доступа: Управление сообществом → Работа с API,"
                    " права «управление сообществом» и «сообщения»; впишите его в AMO_BRIDGE_INTAKE_VK_TOKEN"
                )
            if code in _VK_NO_RIGHT:
                raise ChannelDown(f"ВКонтакте: у токена нет прав на сообщество {self._group}: {words}")
            raise ChannelRefused(f"ВКонтакте: {method}: {code} {words}")
        return answer.get("response") if isinstance(answer, dict) else None


@dataclass(frozen=True, kw_only=True)
class TelegramConnection(VendorConnection):
    """The bot to which clients write."""

    section: BotAddress
    vendor: str = "telegram"
    whose: str = "бот для клиентов"
    updates: tuple[str, ...] = TELEGRAM_UPDATES
    secret: str = TELEGRAM_SECRET

    def check(self) -> Iterator[Finding]:
        me = self._call("getMe")
        yield True, f"Telegram: {self.whose} @{me.get('username', '?')} на связи"
        info = self._call("getWebhookInfo")
        if info.get("url") != self.url:
            words = "вебхук стоит на другой адрес" if info.get("url") else "вебхук не поставлен"
            yield False, f"Telegram: {words}; {_set_by(self.vendor)}"
            return
        if error := info.get("last_error_message"):
            waiting = info.get("pending_update_count", 0)
            yield False, f"Telegram: до моста не достучаться: {error}; ждут отправки сообщений: {waiting}"
            return
        yield True, "Telegram: вебхук на месте"

    def connect(self) -> Iterator[str]:
        _need(self.secrets, self.vendor, self.secret)
        given = {
            "url": self.url,
            "secret_token": self.secrets[self.secret],
            "allowed_updates": list(self.updates),
            # What was written while nothing was set up is not lost.
            "drop_pending_updates": False,
        }
        self._call("setWebhook", given)
        yield "Telegram: вебхук поставлен; то, что боту написали раньше, придёт сейчас"

    def _call(self, method: str, body: Mapping[str, Any] | None = None) -> Any:
        client = HttpClient("Telegram", self.section.api, self.token, proxy=self.section.proxy)
        try:
            answer = client.ask("POST", f"/bot{self.token}/{method}", body or {})
        except ChannelError as error:
            if _is_status(error, 401, 404):
                words = f"токен не действует: возьмите его у @BotFather и впишите в {API_TOKENS[self.vendor]}"
                raise ChannelDown(f"Telegram: {words}") from error
            raise
        return answer.get("result") if isinstance(answer, dict) else {}


@dataclass(frozen=True, kw_only=True)
class MaxConnection(VendorConnection):
    """MAX's subscription."""

    section: MaxSection | MaxBotSection
    vendor: str = "max"
    updates: tuple[str, ...] = MAX_UPDATES
    secret: str = MAX_SECRET

    def check(self) -> Iterator[Finding]:
        me = self._call("GET", "/me") or {}
        yield True, f"MAX: бот {me.get('name') or me.get('first_name') or me.get('username', '?')} на связи"
        if self._is_subscribed():
            yield True, "MAX: подписка на месте"
        else:
            yield False, f"MAX: подписки на адрес моста нет; {_set_by(self.vendor)}"

    def connect(self) -> Iterator[str]:
        _need(self.secrets, self.vendor, self.secret)
        body = {"url": self.url, "secret": self.secrets[self.secret], "update_types": list(self.updates)}
        answer = self._call("POST", "/subscriptions", body)
        if not isinstance(answer, dict) or not answer.get("success"):
            raise ChannelRefused(f"MAX: подписка не поставлена: {answer}")
        yield "MAX: подписка поставлена"

    def _is_subscribed(self) -> bool:
        told = self._call("GET", "/subscriptions") or {}
        return any(one.get("url") == self.url for one in told.get("subscriptions") or ())

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        client = HttpClient(
            "MAX", self.section.api, self.token, headers={"Authorization": self.token}, ca=self.section.ca
        )
        try:
            return client.ask(method, path, body)
        except ChannelDown as error:
            if _is_status(error, 401):
                words = f"токен не действует: возьмите его в кабинете MAX и впишите в {API_TOKENS[self.vendor]}"
                raise ChannelDown(f"MAX: {words}") from error
            raise


@dataclass(frozen=True, kw_only=True)
class ZadarmaConnection(VendorConnection):
    """Zadarma's notifications. ``token`` is the API's secret, by which its notifications are signed too."""

    section: ZadarmaIntakeSection

    def check(self) -> Iterator[Finding]:
        told = self._call("GET", "/v1/pbx/callinfo/url/")
        yield True, "Zadarma: ключ и секрет действуют"
        if told.get("url") != self.url:
            words = "уведомления идут на другой адрес" if told.get("url") else "адрес уведомлений не вписан"
            yield False, f"Zadarma: {words}; {_set_by('zadarma')}"
            return
        switches = self._call("GET", "/v1/pbx/callinfo/notifications/").get("notifications") or {}
        wanted = ("notify_end", "notify_out_end")
        if missing := [name for name in wanted if str(switches.get(name)).casefold() not in ("true", "1")]:
            yield False, f"Zadarma: не включены уведомления {', '.join(missing)}; {_set_by('zadarma')}"
            return
        yield True, "Zadarma: уведомления о звонках приходят на адрес моста"

    def connect(self) -> Iterator[str]:
        self._call("POST", "/v1/pbx/callinfo/url/", url=self.url)
        self._call("POST", "/v1/pbx/callinfo/notifications/", **{f"notify_{one}": "true" for one in _ZADARMA_SWITCHES})
        yield "Zadarma: адрес вписан и проверен, уведомления включены"

    def _call(self, method: str, path: str, **given: str) -> dict[str, Any]:
        query, headers = zadarma_request(self.section.key, self.token, path, given)
        client = HttpClient("Zadarma", self.section.api, self.token)
        try:
            if method == "GET":
                answer = client.ask("GET", f"{path}?{query}", headers=headers)
            else:
                answer = client.ask("POST", path, form={**given, "format": "json"}, headers=headers)
        except ChannelDown as error:
            if _is_status(error, 401):
                words = "ключ или секрет не те: сверьте key в [intake.zadarma] и AMO_BRIDGE_INTAKE_ZADARMA_SECRET"
                raise ChannelDown(f"Zadarma: {words}") from error
            raise
        if not isinstance(answer, dict) or answer.get("status") != "success":
            raise ChannelRefused(f"Zadarma: {answer.get('message', answer) if isinstance(answer, dict) else answer}")
        return answer


@dataclass(frozen=True, kw_only=True)
class OnlinePbxConnection(VendorConnection):
    """onlinePBX, by the key of ``[onlinepbx]``. ``token``: the key. Nothing of its API concerns the webhook."""

    section: OnlinePbxSection

    def check(self) -> Iterator[Finding]:
        now = datetime.now(UTC)
        calls = OnlinePbx(self.section, self.token).incoming(now - HISTORY_LOOK, now)
        words = f"ключ API действует, история звонков открыта, входящих за сутки: {len(calls)}"
        yield True, f"onlinePBX: {words}; о каком не скажет вебхук, мост возьмёт из неё"
        yield True, f"onlinePBX: какой адрес вебхука вписан в кабинете, API не показывает: {PASTED}"

    def connect(self) -> Iterator[str]:
        words = "вебхук по API не поставить: вставьте адрес из amo-bridge intake addresses в кабинете АТС, «HTTP API»"
        raise ChannelRefused(f"onlinePBX: {words}")


@dataclass(frozen=True, kw_only=True)
class UnisenderGoConnection(VendorConnection):
    """What becomes of our letters. ``token``: the key of the API, by which webhooks are signed too."""

    section: UnisenderGoSection

    def check(self) -> Iterator[Finding]:
        service = UnisenderGo(self.section, self.token)
        if problem := service.webhook_problem(self.url):
            yield False, f"Unisender Go: {problem}; {_set_by(UNISENDER_GO)}"
        else:
            yield True, "Unisender Go: вебхук на месте, о письмах мост узнаёт"

    def connect(self) -> Iterator[str]:
        UnisenderGo(self.section, self.token).set_webhook(self.url)
        yield "Unisender Go: вебхук поставлен, события включены"


@dataclass(frozen=True, kw_only=True)
class MetaConnection(VendorConnection):
    """A page of Meta. ``vendor``, ``title``: whether it is about leads or about messages."""

    section: MetaSection
    title: str
    vendor: str

    def check(self) -> Iterator[Finding]:
        page = self._page.read("me", fields="id,name")
        yield True, f"{self.title}: токен страницы «{text_at(page, 'name')}» действует"
        if self._field not in self._subscribed(page):
            yield False, f"{self.title}: страница не подписана на {self._field}; {_set_by(self.vendor)}"
            return
        yield True, f"{self.title}: страница подписана на {self._field}"
        yield True, f"{self.title}: какой адрес вписан в приложении, токеном страницы не узнать: {PASTED}"

    def connect(self) -> Iterator[str]:
        _need(self.secrets, self.vendor, META_SECRET)
        page = self._page.read("me", fields="id,name")
        # The list replaces the one that was there.
        fields = sorted({*self._subscribed(page), self._field})
        self._page.write(f"{page['id']}/subscribed_apps", subscribed_fields=",".join(fields))
        yield f"{self.title}: страница «{text_at(page, 'name')}» подписана на {', '.join(fields)}"
        words = "адрес и маркер проверки впишите в приложении сами: Webhooks → Page"
        yield f"{self.title}: {words}; адрес — amo-bridge intake addresses, маркер — AMO_BRIDGE_INTAKE_META_VERIFY"

    def _subscribed(self, page: Mapping[str, Any]) -> set[str]:
        told = self._page.read(f"{page['id']}/subscribed_apps")
        return {str(field) for app in objects(told.get("data")) for field in app.get("subscribed_fields") or ()}

    @property
    def _field(self) -> str:
        return META_FIELDS[self.vendor]

    @property
    def _page(self) -> GraphPage:
        return GraphPage(self.section.api, self.token, self.secrets.get(META_SECRET, ""))


@dataclass(frozen=True, kw_only=True)
class VkLeadsConnection(VendorConnection):
    """Lead forms of VK Ads: the list that is read, and the webhook beside it. ``url``: empty without a public one.
    ``forms``: those that the config wants."""

    api: VkAdsApi
    forms: tuple[int, ...]

    def check(self) -> Iterator[Finding]:
        known = self._forms()
        yield True, f"VK Реклама: токен действует, лид-форм в кабинете {len(known)}"
        missing = [str(number) for number in self.forms if number not in known]
        if missing and len(known) < MOST_LISTED:
            there = ", ".join(f"{number} «{name}»" for number, name in known.items()) or "ни одной"
            yield False, f"VK Реклама: формы {', '.join(missing)} из [intake.vkads] forms в кабинете нет; есть {there}"
        try:
            page = self.api.leads(datetime.now(UTC) - HISTORY_LOOK, None, self.forms)
            yield True, f"VK Реклама: список лидов читается, за сутки {page.total}"
            is_listed = True
        except ChannelRefused as error:
            yield False, f"{error}: опрос лидов не работает, остаются вебхук и выгрузка CSV"
            is_listed = False
        if self._is_set():
            yield True, "VK Реклама: вебхук лидов поставлен на адрес моста"
        elif is_listed:
            yield True, f"VK Реклама: вебхука нет, лиды берёт опрос раз в 2 минуты; {_set_by('vkads')}"
        else:
            yield False, f"VK Реклама: вебхука лидов нет; {_set_by('vkads')}"

    def connect(self) -> Iterator[str]:
        if not self.url:
            raise ChannelRefused("VK Реклама: впишите [bridge] public_url — адрес моста, по которому его видно извне")
        if self._is_set():
            yield "VK Реклама: вебхук лидов уже стоит на адрес моста"
            return
        self.api.subscribe(self.url)
        yield "VK Реклама: вебхук лидов поставлен"

    def _is_set(self) -> bool:
        return bool(self.url) and any(one.get("callback_url") == self.url for one in self.api.subscriptions())

    def _forms(self) -> dict[int, str]:
        try:
            return self.api.lead_forms()
        except ChannelDown as error:
            if _is_status(error, 403):
                words = "этому доступу к API лид-формы не открыты: дайте право на них владельцу client_id"
                raise ChannelDown(f"VK Реклама: {words} ({error})") from error
            raise


API_TOKENS: Mapping[str, str] = {
    **{vendor: INTAKE_TOKENS[vendor] for vendor in ("vk", "telegram", "max")},
    "telegram_staff": TELEGRAM_TOKEN,
    "max_staff": MAX_TOKEN,
    "zadarma": "AMO_BRIDGE_INTAKE_ZADARMA_SECRET",
    VK_ADS: VKADS_SECRET,
    ONLINEPBX: ONLINEPBX_KEY,
    UNISENDER_GO: UNISENDER_GO_KEY,
    "meta_leadgen": GRAPH_TOKEN,
    "messenger": GRAPH_TOKEN,
}
"""Vendors whose API the bridge knows → the variable of its token."""
CONNECTABLE = ("vk", "telegram", "max", "telegram_staff", "max_staff", "zadarma", VK_ADS, UNISENDER_GO)
"""Those whose webhook the bridge sets itself."""


class IntakeConnections:
    """The vendors of one config. Everything raises ConfigError, StoreUnavailable."""

    def __init__(
        self, config: Config, environment: Mapping[str, str], *, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._config = config
        self._environment = environment
        self._wait = wait

    def of(self, vendor: str) -> VendorConnection | str:
        """The connection; or, in Russian, what is missing for one."""
        intake = self._config.intake
        section = intake.of(vendor) if intake else None
        title = VENDORS[vendor].title
        if section is None:
            return f"{title}: раздела [intake.{vendor}] в настройке нет"
        if isinstance(section, LeadFormsSection):
            return self._vk_leads(section)
        if not self._config.bridge.public_url:
            return f"{title}: впишите [bridge] public_url — адрес моста, по которому его видно из интернета"
        token = secret(self._environment, API_TOKENS[vendor])
        if not token:
            return f"{title}: нет {API_TOKENS[vendor]}, токена API: без него вебхук не поставить и не проверить"
        url = self._url(vendor)
        secrets = settings_of(self._config, vendor, self._environment).secrets
        if isinstance(section, CommunitySection):
            return VkConnection(url, secrets, token, self._wait, section=section)
        if isinstance(section, TelegramIntakeSection):
            return TelegramConnection(url, secrets, token, self._wait, section=section)
        if isinstance(section, MaxSection):
            return MaxConnection(url, secrets, token, self._wait, section=section)
        if vendor in STAFF_BOTS:
            return self._of_staff(vendor, url, secrets, token)
        if isinstance(section, ZadarmaIntakeSection) and section.key:
            return ZadarmaConnection(url, secrets, token, self._wait, section=section)
        if isinstance(section, MetaSection):
            return MetaConnection(url, secrets, token, self._wait, section=section, title=title, vendor=vendor)
        if vendor == ONLINEPBX:
            exchange = self._config.channels.onlinepbx
            if exchange is None:
                return f"{title}: нет раздела [onlinepbx] с domain: без него API не спросить"
            return OnlinePbxConnection(url, secrets, token, self._wait, section=exchange)
        if vendor == UNISENDER_GO:
            service = self._config.channels.unisender_go
            if service is None:
                return f"{title}: нет раздела [unisender_go]: без него API не спросить"
            return UnisenderGoConnection(url, secrets, token, self._wait, section=service)
        return f"{title}: впишите key, ключ API, в [intake.{vendor}]"

    def _url(self, vendor: str) -> str:
        addresses = IntakeAddresses(self._config, self._environment).all()
        path = next(one.path for one in addresses if one.vendor.name == vendor)
        return f"{self._config.bridge.public_url}{path}"

    def _vk_leads(self, section: LeadFormsSection) -> VkLeadsConnection | str:
        """Its list is read without a public address too."""
        if self._config.channels.vkads is None:
            return "VK Реклама: нет раздела [vkads] с client_id: без него API не спросить"
        if not secret(self._environment, VKADS_SECRET):
            return f"VK Реклама: нет секрета API ({VKADS_SECRET}): без него лиды не прочесть"
        api = vk_ads_api(self._config, self._environment)
        url = self._url(VK_ADS) if self._config.bridge.public_url else ""
        return VkLeadsConnection(url, {}, "", self._wait, api=api, forms=section.forms)

    def _of_staff(self, vendor: str, url: str, secrets: Mapping[str, str], token: str) -> VendorConnection | str:
        """The bot that tells colleagues; its own section says where it is."""
        channels = self._config.channels
        if vendor == "telegram_staff" and channels.telegram:
            return TelegramConnection(
                url, secrets, token, self._wait, section=channels.telegram, vendor=vendor, whose="бот для своих",
                updates=TELEGRAM_STAFF_UPDATES, secret=TELEGRAM_STAFF_SECRET,
            )  # fmt: skip
        if vendor == "max_staff" and channels.max:
            return MaxConnection(
                url, secrets, token, self._wait, section=channels.max, vendor=vendor,
                updates=MAX_STAFF_UPDATES, secret=MAX_STAFF_SECRET,
            )  # fmt: skip
        return f"{VENDORS[vendor].title}: нет раздела [{vendor.removesuffix('_staff')}]: без него бота у моста нет"

    def check(self) -> Iterator[Finding]:
        """Knock at every vendor whose token is there, and at every mailbox."""
        intake = self._config.intake
        if intake is None:
            return
        for vendor, variable in API_TOKENS.items():
            section = intake.of(vendor)
            is_asked = section is not None and bool(secret(self._environment, variable))
            if isinstance(section, LeadFormsSection):
                # Whoever has written its section wants the list to be read.
                is_asked = self._config.channels.vkads is not None
            if not is_asked or (isinstance(section, ZadarmaIntakeSection) and not section.key):
                continue
            connection = self.of(vendor)
            if isinstance(connection, str):
                yield False, connection
                continue
            try:
                yield from connection.check()
            except ChannelError as error:
                yield False, str(error)
        for box in intake.mail:
            try:
                yield True, MailboxConnection(box, MailboxSecret(box, self._environment)).check()
            except ChannelError as error:
                yield False, str(error)


def _is_status(error: ChannelError, *codes: int) -> bool:
    """Was it refused with one of these? HttpClient's words begin with the vendor and the status."""
    return str(error).partition(": ")[2].startswith(tuple(str(code) for code in codes))


def _variable(vendor: str, name: str) -> str:
    return next(one.variable for one in VENDORS[vendor].secrets if one.name == name)


def _need(secrets: Mapping[str, str], vendor: str, name: str) -> None:
    """Without the secret the receiver is closed, and a webhook would be of no use."""
    if not secrets.get(name):
        variable = _variable(vendor, name)
        words = f"придумайте его и задайте {variable}, перезапустите мост и повторите"
        raise ChannelRefused(f"{VENDORS[vendor].title}: нет секрета, приём закрыт: {words}")


def _set_by(vendor: str) -> str:
    return f"поставить: {SET_BY.format(vendor)}"
