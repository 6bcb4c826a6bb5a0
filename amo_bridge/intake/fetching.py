"""Fetching of what a webhook only gives the id of: leads, names at Messenger, call records.

A lead waits until its answers are there; without them nothing is made of it. A name that can't be had stops nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from amo_bridge.channels.telephony import Zadarma
from amo_bridge.config.intake import MetaSection
from amo_bridge.config.loader import secret
from amo_bridge.config.model import Config
from amo_bridge.errors import ChannelDown, ChannelError, ChannelRefused, ConfigError
from amo_bridge.intake.call_history import asked_exchanges
from amo_bridge.intake.enquiries import EnquiryRepository, StoredEnquiry, title_of
from amo_bridge.intake.model import Enquiry, NoEnquiry
from amo_bridge.intake.reception import settings_of
from amo_bridge.intake.request import text_at
from amo_bridge.intake.social import GRAPH_TOKEN, MESSENGER, META_SECRET, GraphPage, meta_answers
from amo_bridge.logs import log

LEAD_FIELDS = "created_time,ad_id,ad_name,campaign_name,form_id,is_organic,platform,field_data"
# The worker does nothing else meanwhile.
MOST_AT_ONCE = 20
PAUSE_SECONDS = 300.0
LEADS = "meta_leadgen"


class Fetching:
    """``environment``: where the tokens are. ``tell(text, about)`` tells a person, at most once a day about one thing.

    All raises StoreUnavailable.
    """

    def __init__(
        self,
        repository: EnquiryRepository,
        config: Config,
        environment: Mapping[str, str],
        tell: Callable[[str, str], None],
    ) -> None:
        self._repository = repository
        self._config = config
        self._environment = environment
        self._tell = tell

    def complete(self, rows: Sequence[StoredEnquiry]) -> set[int]:
        """Ask for what these lack; the numbers of those that can't be judged yet, or whose words are new now."""
        wanting = [row for row in rows if isinstance(row.body, Enquiry) and row.body.fetch]
        leads = [row for row in wanting if row.source == LEADS]
        nameless = [row for row in wanting if row.source == MESSENGER]
        return self._fetch_leads(leads) | self._fetch_names(nameless)

    def _fetch_leads(self, rows: Sequence[StoredEnquiry]) -> set[int]:
        page = self._page(LEADS) if rows else None
        for place, row in enumerate(rows[:MOST_AT_ONCE]):
            try:
                if page is None:
                    words = f"нет {GRAPH_TOKEN}, токена страницы: ответы лида отдаёт только сама Meta"
                    raise ChannelRefused(f"{words}; задайте его, перезапустите мост и повторите обращение")
                self._take_lead(row, page.read(_number(row), fields=LEAD_FIELDS))
            except ChannelRefused as error:
                self._repository.write([row.id], state="refused", error=str(error))
                self._tell(
                    f"Лид Meta {_number(row)} не получен: {error}", f"fetch:{LEADS}:{row.id if page else GRAPH_TOKEN}"
                )
            except ChannelError as error:
                waiting = [one.id for one in rows[place:]]
                self._repository.put_off(waiting, error.retry_after or PAUSE_SECONDS, error=str(error))
                log.warning("leads can't be fetched", vendor=LEADS, waiting=len(waiting), error=str(error))
                if isinstance(error, ChannelDown):
                    self._tell(f"Лиды Meta ждут ответов, мост спросит снова сам. {error}", f"fetch:{LEADS}")
                break
        return {row.id for row in rows}

    def _take_lead(self, row: StoredEnquiry, told: Mapping[str, object]) -> None:
        settings = settings_of(self._config, LEADS, self._environment)
        found = meta_answers({**told, "id": _number(row)}, settings)
        if isinstance(found, NoEnquiry):
            self._repository.write([row.id], state="skipped", outcome=found.reason, error="")
        else:
            whole = replace(found, source=row.source, key=row.body.key, extra={**row.body.extra, **found.extra})
            self._repository.complete(row.id, whole)

    def _fetch_names(self, rows: Sequence[StoredEnquiry]) -> set[int]:
        """A fault ends it: the others are judged without a name, each would wait as long for it."""
        page = self._page("messenger") if rows else None
        if page is None:
            return set()
        named: set[int] = set()
        for row in rows[:MOST_AT_ONCE]:
            try:
                told = page.read(_number(row), fields="first_name,last_name")
            except ChannelError as error:
                log.warning("a name can't be fetched", source=row.source, enquiry=row.id, error=str(error))
                if isinstance(error, ChannelDown):
                    self._tell(f"{title_of('messenger')}: имена неизвестны. {error}", f"fetch:{LEADS}")
                if isinstance(error, ChannelRefused):
                    continue
                break
            name = " ".join(filter(None, [text_at(told, "first_name"), text_at(told, "last_name")]))
            self._repository.complete(row.id, replace(row.body, name=name or None, fetch=None))
            named.add(row.id)
        return named

    def record_of(self, vendor: str, number: str) -> str:
        """The link to the record of a call. Raises ChannelError; ChannelRefused where there is none."""
        exchange = self._exchange(vendor)
        if exchange is None:
            raise ChannelRefused(f"запись звонка отдаёт только АТС, её номер {number}: её API мосту не подключён")
        link = exchange.record_of(number)
        if not link:
            raise ChannelRefused(f"{title_of(vendor)}: ссылки на запись {number} нет")
        return link

    def knows_records_of(self, vendor: str) -> bool:
        """Can the exchange be asked for the records of its calls?"""
        return self._exchange(vendor) is not None

    def _exchange(self, vendor: str) -> Zadarma | None:
        try:
            exchange = asked_exchanges(self._config, self._environment).get(vendor)
        except ConfigError as error:
            log.warning("the exchange's secret can't be read", vendor=vendor, error="; ".join(error.problems))
            return None
        return exchange if isinstance(exchange, Zadarma) else None

    def _page(self, vendor: str) -> GraphPage | None:
        """The page; None where no token is there."""
        section = self._config.intake.of(vendor) if self._config.intake else None
        if not isinstance(section, MetaSection):
            return None
        try:
            token = secret(self._environment, GRAPH_TOKEN)
            word = settings_of(self._config, vendor, self._environment).secrets.get(META_SECRET, "")
        except ConfigError as error:
            log.warning("the page's token can't be read", error="; ".join(error.problems))
            return None
        return GraphPage(section.api, token, word) if token else None


def _number(row: StoredEnquiry) -> str:
    return str(row.body.fetch).rpartition("/")[2]
