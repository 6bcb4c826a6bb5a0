"""Daily reading of statistics from Yandex Direct and VK Ads: yesterday, and the days before again.

How far a service was read is a cursor in the store. A bridge that dies in the middle reads the same days again, which
changes nothing: they replace themselves. Errors come with any status, so the clients map them (ChannelError).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

from amo_bridge.channels.vendors import YANDEX_DIRECT, vk_ads_api
from amo_bridge.channels.vk_ads import MOST_IN_STATISTICS, VkAdsApi
from amo_bridge.channels.yandex_direct import YandexDirect
from amo_bridge.clock import Clock
from amo_bridge.config.model import Config
from amo_bridge.engine.ad_campaigns import take_statistics
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import ChannelBusy, ChannelError, ChannelRefused, UnknownName
from amo_bridge.logs import log
from amo_bridge.mirror.ad_statistics import CampaignDay
from amo_bridge.retry import Backoff, delay
from amo_bridge.rules.deal import AdDay
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import AccountStore

READ_FROM_HOUR = time(6)
"""By the account's clocks: what a service counts late at night is there by then."""
FIRST_DAYS = 14
AGAIN_DAYS = 3
"""Days before yesterday that are read once more: services go on counting leads for a while."""
MOST_DAYS = 60
POLL_SECONDS = 300.0
# A cursor is a day, as a number (``date.toordinal``); the name is stored.
READ_UNTIL = "ads_until:{}"


class AdService(Protocol):
    """A service's statistics."""

    name: Literal["yandex", "vk"]
    title: str

    def read(self, first: date, last: date, currency: str, *, mark: str) -> Iterator[CampaignDay]:
        """The rows of these days. Raises ChannelError."""


class DirectStatistics:
    """Yandex Direct. Money comes in whole units with two places."""

    name: Literal["yandex", "vk"] = "yandex"
    title = "Яндекс Директ"

    def __init__(self, direct: YandexDirect) -> None:
        self._direct = direct

    def read(self, first: date, last: date, currency: str, *, mark: str) -> Iterator[CampaignDay]:
        for row in self._direct.statistics(first, last, mark=mark):
            figures = _figures(
                self,
                row.get("Date", ""),
                row.get("Impressions"),
                row.get("Clicks"),
                row.get("Cost"),
                row.get("Conversions"),
                currency,
                placement=row.get("AdNetworkType", ""),
            )
            yield CampaignDay(row.get("CampaignName", ""), figures)


class VkStatistics:
    """VK Ads: it does not tell placements apart."""

    name: Literal["yandex", "vk"] = "vk"
    title = "VK Реклама"

    def __init__(self, api: VkAdsApi) -> None:
        self._api = api

    def read(self, first: date, last: date, currency: str, *, mark: str) -> Iterator[CampaignDay]:
        names = self._api.campaigns()
        numbers = sorted(names)
        for begin in range(0, len(numbers), MOST_IN_STATISTICS):
            for item in self._api.statistics(numbers[begin : begin + MOST_IN_STATISTICS], first, last):
                campaign = names.get(int(item.get("id") or 0), "")
                rows = item.get("rows")
                for row in rows if campaign and isinstance(rows, list) else ():
                    base, events = row.get("base") or {}, row.get("events") or {}
                    yield CampaignDay(
                        campaign,
                        _figures(
                            self,
                            row.get("date", ""),
                            base.get("shows"),
                            base.get("clicks"),
                            base.get("spent"),
                            events.get("sending_form"),
                            currency,
                        ),
                    )


def _figures(
    service: AdService,
    day: Any,
    shows: Any,
    clicks: Any,
    cost: Any,
    leads: Any,
    currency: str,
    *,
    placement: str = "",
) -> AdDay:
    """Raises ChannelRefused for what is no number or no day."""
    try:
        return AdDay(
            day=date.fromisoformat(str(day)),
            shows=int(str(shows or 0)),
            clicks=int(str(clicks or 0)),
            cost=round(Decimal(str(cost or 0)) * 100),
            # Not told is not none: a campaign whose leads nobody counts has no price of a lead.
            leads=None if leads in (None, "", "--") else int(str(leads)),
            placement=placement[:80],
            currency=currency,
            service=service.name,
        )
    except (ValueError, InvalidOperation) as error:
        told = f"{day}: показы {shows}, клики {clicks}, расход {cost}, лиды {leads}"
        raise ChannelRefused(f"{service.title}: цифры не читаются — {told}") from error


class AdPoll:
    """See channels/sender.Sending. ``tell(text, about)`` tells a person, at most once a day about one thing; ``came``
    hears that there is something to work on."""

    def __init__(
        self,
        service: AdService,
        store: AccountStore,
        rule_engine: Callable[[], RuleEngine],
        account_clock: Clock,
        tell: Callable[[str, str], None],
        came: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = f"ads {service.name}"
        self._service = service
        self._store = store
        self._rule_engine = rule_engine
        self._clock = account_clock
        self._tell = tell
        self._came = came
        self._cursors = Cursors(store)
        self._cursor = READ_UNTIL.format(service.name)
        self._backoff = Backoff(account_clock, patience=6)

    @property
    def is_put_off(self) -> bool:
        """After an error, until the statistics were read again."""
        return self._backoff.failures > 0

    def recover(self) -> None:
        """Nothing is in doubt: the same days are read again."""

    def send(self) -> int:
        """A round, if its time has come; how many rows came. Raises ChannelError, LeadLost, StoreUnavailable."""
        now = self._clock.now()
        if self._backoff.lasts:
            return 0
        try:
            taken = self._read(now)
        except ChannelBusy as error:
            # A report that is being made is no failure, but is asked for as the service says.
            self._backoff.put_off(error.retry_after or delay(self._backoff.failures + 5))
            self._backoff.failures += error.retry_after is None
            return 0
        except (ChannelError, UnknownName) as error:
            self._backoff.fail(error)
            if isinstance(error, UnknownName | ChannelRefused) or self._backoff.failures > 1:
                words = f"{self._service.title}: статистика рекламы не читается, мост спросит снова сам. {error}"
                self._tell(words, f"ads:{self._service.name}")
            raise
        self._backoff.rest(POLL_SECONDS)
        if taken:
            log.info("statistics read", service=self._service.name, rows=taken)
            self._came()
        return taken

    def _read(self, now: datetime) -> int:
        engine = self._rule_engine()
        section = engine.config.ads
        if section is None:
            return 0
        local = now.astimezone(ZoneInfo(engine.account.timezone))
        yesterday = local.date() - timedelta(days=1)
        told = self._cursors.read(self._cursor)
        until = None if told is None else date.fromordinal(int(told))
        if (until is not None and until >= yesterday) or local.time() < READ_FROM_HOUR:
            return 0
        first = yesterday - timedelta(days=FIRST_DAYS - 1)
        if until is not None:
            first = max(until - timedelta(days=AGAIN_DAYS - 1), yesterday - timedelta(days=MOST_DAYS))
        # The mark is the same all day: a report that is being made is asked for under its own name, also after a kill.
        rows = [
            row
            for row in self._service.read(first, yesterday, section.currency, mark=f"{local.date()}")
            if row.campaign and row.figures.day <= yesterday
        ]
        if rows:
            source = f"API, {self._service.title}"
            take_statistics(self._store, engine.account, section, rows, source=source, now=now)
        with self._store.write() as connection:
            self._cursors.write(connection, self._cursor, float(yesterday.toordinal()))
        return len(rows)


def ad_polls(
    config: Config,
    environment: Mapping[str, str],
    store: AccountStore,
    rule_engine: Callable[[], RuleEngine],
    account_clock: Clock,
    tell: Callable[[str, str], None],
    came: Callable[[], None],
) -> list[AdPoll]:
    """One for each service of ``[ads] ask`` that is connected. Raises ConfigError."""
    asked = config.ads.ask if config.ads else ()
    services: list[AdService] = []
    if "yandex" in asked and config.channels.yandex_direct is not None:
        services.append(DirectStatistics(YANDEX_DIRECT.client_of(config, environment)))
    if "vk" in asked and config.channels.vkads is not None:
        services.append(VkStatistics(vk_ads_api(config, environment)))
    return [AdPoll(service, store, rule_engine, account_clock, tell, came) for service in services]
