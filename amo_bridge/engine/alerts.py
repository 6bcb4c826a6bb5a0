"""Alerts about the bridge itself: a task in amoCRM at most daily for one thing, else a notice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from amo_bridge.clock import Clock
from amo_bridge.crm.records import DealRecord
from amo_bridge.dates.due import Due
from amo_bridge.engine.effects import NO_DEAL, Effect, Kind
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.people import Reach
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.errors import BridgeError, CrmStopped, UnknownName
from amo_bridge.logs import log
from amo_bridge.rules.actions import Person
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.tables import outbox

DUE = Due.parse("end of day")
RULE = "bridge.alarm"
STOPPED = (
    "amoCRM остановила мост {since:%d.%m.%Y %H:%M} UTC: {why}. Вебхуки мост записывал; что велят правила, сделано "
    "с опозданием. Что могло случиться и что проверить — docs/troubleshooting.md, раздел «401, 402, 403»"
)
STOPPED_NOW = (
    "amoCRM остановила мост {since:%d.%m.%Y %H:%M} UTC: {why}. Вебхуки мост записывает; задачи и переходы ждут, пока "
    "amoCRM не пустит его снова. Что проверить — docs/troubleshooting.md, раздел «401, 402, 403»"
)

SWITCHED_OFF = (
    "«{name}» отключён в amoCRM. Что правила поручили бы ему, теперь получает «{instead}»; открытые сделки и задачи "
    "остались за ним, передайте их"
)
NAMES_DIFFER = "имена в amoCRM и в настройке разошлись"
NAMES_ADVICE = "Остальные правила работают. Исправить — страница «Правила» моста или amo-bridge check --fix"
MOST_NAMES = 10


def notice_or_task(
    engine: RuleEngine,
    rule: str,
    key: str,
    person: Person,
    text: str,
    about: str,
    url: str,
    now: datetime,
    html: str = "",
) -> list[Planned]:
    """What tells a person, or whoever works for him today: a notice; for one whom no notice reaches a task in amoCRM,
    on no card. ``html``: the same as mail programs draw it. Once for a ``key``. Empty for a role that is nobody's,
    which is logged: the config's check tells it."""
    nobody = DealRecord(id=NO_DEAL)
    try:
        today = engine.calendar.local(now).date()
        user_id = engine.people.works_now(engine.people.user_id(person, nobody), today)
        body: dict[str, Any] = {"user_id": user_id, "text": text, "urgent": False, "about": about, "url": url}
        body |= {"html": html} if html else {}
        kind: Kind = "notify"
        if not Reach(engine.config.channels, engine.account).is_reachable(user_id):
            words = f"{text} {url}".rstrip()
            kind, body = "create_task", engine.resolver.free_task(words, user_id, DUE, nobody, now)
    except UnknownName as error:
        log.error("nobody could be told", about=text, person=str(person), error=str(error))
        return []
    effect = Effect(kind, NO_DEAL, body, text, not_before=now.timestamp())
    return [Planned(None, rule, f"{rule}|{key}|{user_id}", effect)]


class Alerts:
    def __init__(self, store: AccountStore, rules: CurrentRules, clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock

    def tell_of_stop(self, error: CrmStopped) -> None:
        """amoCRM wants nothing from us any more. A notice goes out at once, if the person has a way outside amoCRM. The
        task waits in the outbox until amoCRM takes it; then it tells why everything came late."""
        since, about = self._clock.now(), f"stopped:{type(error).__name__}"
        user_id = self._task(STOPPED.format(since=since, why=error), about)
        if user_id is not None and self._reach.is_reachable(user_id):
            text = STOPPED_NOW.format(since=since, why=error)
            body = {"user_id": user_id, "text": text, "urgent": True, "about": "amo-bridge", "url": self._url}
            self._put("notify", f"{about}|notice", body, text)

    def tell(self, text: str, about: str) -> None:
        """Set a task for the person of ``[bridge] tell``, on no card. ``about`` tells one thing from another."""
        self._task(text, about)

    def tell_of_stand_in(self, name: str, instead: str) -> None:
        """Tell, once and for all, who gets what rules would give to somebody who was switched off."""
        self._task(SWITCHED_OFF.format(name=name, instead=instead), f"off:{name}", is_daily=False)

    def tell_of_names(self, broken: Mapping[str, str], issues: Iterable[str]) -> None:
        """Set one task about all names that the account does not know as the config writes them."""
        words = [f"правило {rule} сломано и не работает: {why}" for rule, why in broken.items()]
        words += issues
        told = "; ".join(dict.fromkeys(words[:MOST_NAMES]))
        more = f" … и ещё {len(words) - MOST_NAMES}" if len(words) > MOST_NAMES else ""
        digest = hashlib.sha256(told.encode()).hexdigest()[:12]
        self._task(f"{NAMES_DIFFER}: {told}{more}. {NAMES_ADVICE}", f"names:{digest}")

    def _task(self, text: str, about: str, *, is_daily: bool = True) -> int | None:
        """The user id of whom the task is for; None if there is nobody."""
        person = self._rules.get().config.bridge.tell
        if person is None:
            return None
        now = self._clock.now()
        try:
            body = self._rules.get().resolver.free_task(f"amo-bridge: {text}", person, DUE, DealRecord(id=NO_DEAL), now)
        except (BridgeError, ValueError) as error:
            log.error("nobody could be told", about=about, error=str(error))
            return None
        self._put("create_task", about, body, text, is_daily=is_daily)
        return int(body["responsible_user_id"])

    @property
    def _reach(self) -> Reach:
        rule_engine = self._rules.get()
        return Reach(rule_engine.config.channels, rule_engine.account)

    @property
    def _url(self) -> str:
        return self._rules.get().config.account.url

    def _put(self, kind: Kind, about: str, body: Mapping[str, Any], words: str, *, is_daily: bool = True) -> None:
        """Into the outbox, unless the same was told today; or ever, if it is not to be told daily."""
        now = self._clock.now()
        effect = Effect(kind, NO_DEAL, body, words, slot=about)
        row = Planned(None, RULE, f"{RULE}|{about}|{f'{now:%Y-%m-%d}' if is_daily else 'once'}", effect).row(
            self._store.account_id, now
        )
        with self._store.write() as connection:
            insert_new(connection, outbox, [row])


# The token's end is told days ahead: a long-lived one has its date, a refresh token unused for three months dies.

WARN_BEFORE = timedelta(days=7)
ABOUT = "token"


def warning(ends_at: float | None, now: datetime) -> str:
    """What to tell people about a token that ends then (Unix seconds); empty while there is nothing to tell."""
    if ends_at is None:
        return ""
    end = datetime.fromtimestamp(ends_at, UTC)
    if end <= now:
        return f"доступ к amoCRM закончился {end:%d.%m.%Y}: создайте новый токен или подключите аккаунт заново"
    if end - now > WARN_BEFORE:
        return ""
    left = (end - now).days
    when = f"через {left} дн." if left else f"через {max(1, (end - now).seconds // 3600)} ч"
    return f"доступ к amoCRM закончится {when}, {end:%d.%m.%Y}: создайте новый токен или подключите аккаунт заново"


class TokenExpiryCheck:
    """A job: ``run()`` once an hour; the same is told once a day. ``tell`` passes a sentence to a person."""

    def __init__(self, ends_at: Callable[[], float | None], clock: Clock, tell: Callable[[str, str], None]) -> None:
        self._ends_at = ends_at
        self._clock = clock
        self._tell = tell

    def run(self) -> None:
        if words := warning(self._ends_at(), self._clock.now()):
            log.warning("token ends", words=words)
            self._tell(words, ABOUT)
