"""The channel of audiences with stand-ins of the services and a clock moved by hand; clients by the thousand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select

from amo_bridge.channels.audience_lists import listed
from amo_bridge.channels.audience_log import AudienceLog
from amo_bridge.channels.audience_records import Next, Verdict
from amo_bridge.channels.audience_services import AudienceVendor, Digests, VkAds, YandexAudience
from amo_bridge.channels.audiences import AudiencePort
from amo_bridge.channels.sender import ChannelSender
from amo_bridge.channels.vk_ads import VkAdsApi
from amo_bridge.config.advertising import AudienceList, AudiencesSection, VkAdsSection, YandexAudienceSection
from amo_bridge.crm.records import ContactRecord, DealRecord
from amo_bridge.engine.alerts import RULE
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import CrmTemporary
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.standins.audiences import VkAdsStandIn, YandexAudienceStandIn
from amo_bridge.standins.server import StandIns
from amo_bridge.storage.database import AccountStore, Store, insert_or_replace
from amo_bridge.storage.tables import contacts, outbox, suppressed
from support.dial_office import moscow
from support.fakes import ACCOUNT, BRIEF, ScriptedCrm, agency, api_row, clock, queue, record, rule_engine

CONSENT = agency().fields("contacts")[0].name
FIRST_DEAL, FIRST_CONTACT = 10_000, 50_000


class AudienceOffice:
    """Clients are numbered: number n is the main contact of deal FIRST_DEAL + n, and of those given to it besides."""

    def __init__(self, store: Store, stand_ins: StandIns, *, note: bool = True) -> None:
        self.store = AccountStore(store, ACCOUNT)
        self.stand_ins = stand_ins
        self.hands = clock(moscow(23, 12))
        self.crm = ScriptedCrm(rows={"/api/v4/leads": [], "/api/v4/contacts": []})
        self.dry_run = False
        self.has_consent_field = True
        # As large as a real one takes too long for most tests; see ``with_real_sizes``.
        self.vk.least_base = 50
        lists = {
            "Яндекс": AudienceList(service="yandex"),
            "VK": AudienceList(service="vk"),
        }
        self.section = AudiencesSection(consent=CONSENT, lists=lists, note=note)  # type: ignore[arg-type]
        self.log = AudienceLog(self.store)
        self._made: tuple[tuple[object, ...], RuleEngine] | None = None
        self._events = 0
        self._clients: dict[int, dict[str, Any]] = {}
        self._deals: dict[int, DealRecord] = {}
        self._seen: list[MirroredDeal] = []
        self._heard: list[dict[str, Any]] = []
        self.restart()

    @property
    def yandex(self) -> YandexAudienceStandIn:
        made = self.stand_ins["yandex_audience"]
        assert isinstance(made, YandexAudienceStandIn)
        return made

    @property
    def vk(self) -> VkAdsStandIn:
        made = self.stand_ins["vkads"]
        assert isinstance(made, VkAdsStandIn)
        return made

    def restart(self) -> None:
        """As after a crash: nothing is remembered but the store."""
        url = self.stand_ins.url
        yandex = YandexAudience(YandexAudienceSection(api=f"{url}/yandex_audience"), self.yandex.token)
        vk = VkAds(VkAdsApi(VkAdsSection(api=f"{url}/vkads", client_id=self.vk.client_id), self.vk.client_secret))
        vk.least_base = self.vk.least_base
        vendors: Mapping[str, AudienceVendor] = {"yandex": yandex, "vk": vk}
        self.port = AudiencePort(vendors, self.store, self.crm, self.rule_engine, self.hands, self.hands)  # type: ignore[arg-type]
        self.sender = ChannelSender(self.store, self.port, self.hands, self.hands)
        self.sender.recover()

    def rule_engine(self) -> RuleEngine:
        """A round asks for it hundreds of times, and most rounds change nothing of it."""
        told = (self.section, self.dry_run, self.has_consent_field)
        if self._made is None or self._made[0] != told:
            self._made = told, self._rule_engine()
        return self._made[1]

    def _rule_engine(self) -> RuleEngine:
        account = replace(agency(), is_api_filter_enabled=True)
        if not self.has_consent_field:
            lost = [field for field in account.all_fields if field.name != CONSENT]
            account = replace(account, all_fields=tuple(lost))
        engine = replace(rule_engine(), account=account)
        channels = replace(engine.config.channels, audiences=self.section)
        bridge = engine.config.bridge.model_copy(update={"dry_run": self.dry_run, "tell": "Иван Петров"})
        return replace(engine, config=replace(engine.config, channels=channels, bridge=bridge))

    def with_real_sizes(self) -> None:
        """VK wants two thousand for a base list."""
        self.vk.least_base = VkAds.least_base
        self.restart()

    # --- clients ---

    def client(self, number: int, *, phone: str | None = "", consent: str = "да", tags: Iterable[str] = ()) -> None:
        """A client as amoCRM shows him, and as the mirror heard of him just now."""
        cells: list[dict[str, Any]] = []
        if phone is not None:
            cells.append(
                {"field_id": 1, "field_code": "PHONE", "values": [{"value": phone or f"+7916{number:07}"}]}
            )  # fmt: skip
        if consent:
            cells.append({"field_id": agency().field(CONSENT, "contacts").id, "values": [{"value": consent}]})
        now = self.hands.now().timestamp()
        contact_id = FIRST_CONTACT + number
        self._clients[contact_id] = {
            "id": contact_id, "name": "Ольга", "updated_at": int(now), "custom_fields_values": cells,
            "_embedded": {"tags": [{"name": tag} for tag in tags]},
        }  # fmt: skip
        row = {"account": ACCOUNT, "contact_id": contact_id, "updated_at": int(now), "read_at": now, "record": "{}"}
        self._heard.append(row)
        self.deal(FIRST_DEAL + number, number)

    def clients(self, count: int, first: int = 0) -> list[int]:
        """So many of them, all of whom agree; their deals."""
        for number in range(first, first + count):
            self.client(number)
        return [FIRST_DEAL + number for number in range(first, first + count)]

    def deal(self, deal_id: int, number: int, tags: tuple[str, ...] = ()) -> None:
        contact_id = FIRST_CONTACT + number
        seconds = (self.hands.now() - moscow(23, 12)).total_seconds()
        made = record(BRIEF, deal_id, seconds, main_contact_id=contact_id, contact_ids=(contact_id,), tags=tags)
        self._deals[deal_id] = made
        self._seen.append(MirroredDeal(made, made.updated_at))

    def _tell(self) -> None:
        """The mirror hears of all that has changed, amoCRM shows it."""
        if not self._seen and not self._heard:
            return
        with self.store.write() as connection:
            Mirror(self.store).put(connection, self._seen, self.hands.now())
            insert_or_replace(connection, contacts, ("account", "contact_id"), self._heard)
        self._seen, self._heard = [], []
        self.crm.rows = {
            "/api/v4/leads": [api_row(one) for one in self._deals.values()],
            "/api/v4/contacts": list(self._clients.values()),
        }

    def unsubscribe_address(self, key: str) -> None:
        row = {"account": ACCOUNT, "address_key": key, "reason": "unsubscribed", "words": "", "at": self._now}
        with self.store.write() as connection:
            connection.execute(insert(suppressed), [row])

    @property
    def _now(self) -> float:
        return self.hands.now().timestamp()

    # --- what rules want ---

    def join(self, audience: str, *deals: int) -> None:
        self._want("join_audience", audience, deals)

    def fill(self, audience: str, count: int, first: int = 0) -> None:
        """So many have joined; without the outbox, whose every row is a transaction."""
        self.clients(count, first)
        self._tell()
        how = listed(self.section, audience)[1].service
        home = "vk" if how == "vk" else "yandex"
        now = self.hands.now()
        with self.store.write() as connection:
            for number in range(first, first + count):
                deal_id, contact_id = FIRST_DEAL + number, FIRST_CONTACT + number
                contact = ContactRecord(id=contact_id, updated_at=now, phones=(f"+7916{number:07}",))
                verdict = Verdict(Digests.of(contact, home, "RU"), "", now)  # type: ignore[arg-type]
                self.log.hold(connection, audience, deal_id, contact_id, "rule.one", 1, now, now)
                self.log.put(connection, audience, contact_id, None, verdict, Next("queued", ""), now)
        self.round()

    def leave(self, audience: str, *deals: int) -> None:
        self._want("leave_audience", audience, deals)

    def _want(self, kind: Any, audience: str, deals: Iterable[int]) -> None:
        self._events += 1
        effects = [Effect(kind, deal, {"audience": audience}, f"{kind} {audience}") for deal in deals]
        queue(self.store.store, *effects, event_key=f"event {self._events}")
        self.round()

    def move(self, audience: str, how: AudienceList) -> None:
        """The config keeps it so from now on."""
        self.section = self.section.model_copy(update={"lists": {**self.section.lists, audience: how}})

    def forget_contact(self, number: int) -> None:
        """It was deleted in amoCRM, and the mirror knows it no more."""
        contact_id = FIRST_CONTACT + number
        del self._clients[contact_id]
        self.crm.rows = {**self.crm.rows, "/api/v4/contacts": list(self._clients.values())}
        with self.store.write() as connection:
            connection.execute(delete(contacts).where(contacts.c.contact_id == contact_id))

    def crm_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """amoCRM answers nobody who asks for contacts or deals, until the patch is undone."""

        def fails(*_: Any, **__: Any) -> Any:
            raise CrmTemporary("504")

        for name in ("get", "pages"):
            monkeypatch.setattr(self.crm, name, fails)

    def alerts(self) -> list[str]:
        """What the person of ``[bridge] tell`` was told."""
        with self.store.read() as connection:
            query = select(outbox.c.payload).where(outbox.c.rule == RULE).order_by(outbox.c.id)
            return [json.loads(one)["body"]["text"] for one in connection.execute(query).scalars()]

    def round(self) -> None:
        """All that can be done at this moment."""
        self._tell()
        for _ in range(200):
            if not self.sender.send():
                return
        raise AssertionError("the channel never rests")

    def later(self, **time: float) -> None:
        """So much later, in steps of a minute, of a long time in longer ones: the services work meanwhile."""
        left = timedelta(**time)
        longest = timedelta(minutes=1 if left <= timedelta(minutes=5) else 4)
        while left > timedelta():
            step = min(left, longest)
            left -= step
            self.hands.advance(step)
            self.stand_ins.timeline.advance(step.total_seconds())
            self.round()

    # --- what came of it ---

    def states(self, audience: str) -> dict[str, int]:
        return self.log.counts(audience).get(audience, {})

    def state(self, audience: str, number: int) -> tuple[str, str]:
        member = self.log.members([FIRST_CONTACT + number])[audience, FIRST_CONTACT + number]
        return member.state, member.words

    def notes(self) -> list[str]:
        with self.store.read() as connection:
            query = select(outbox.c.payload).where(outbox.c.kind == "add_note").order_by(outbox.c.id)
            return [json.loads(one)["body"]["params"]["text"] for one in connection.execute(query).scalars()]

    def words(self) -> list[str]:
        """What the outbox says of each row of the channel."""
        with self.store.read() as connection:
            query = select(outbox.c.state, outbox.c.error).where(outbox.c.kind.like("%_audience"))
            return [f"{row.state}: {row.error}" for row in connection.execute(query.order_by(outbox.c.id))]
