"""Rules of working in the CRM: texts with versions, and who has acknowledged which (S3).

A text is typed on the page, or stands in a Markdown file of ``[policies] folder``: a changed file is the next version.
Everybody named has to acknowledge the version in force; what he has not read of an older one is no longer asked for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Row, and_, insert, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.config.files import difference
from amo_bridge.config.model import PoliciesSection
from amo_bridge.crm.account import User
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.alerts import DUE, notice_or_task
from amo_bridge.engine.effects import NO_DEAL, Effect
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.people import Reach
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.errors import UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.tables import acknowledgements, outbox, policies, policy_versions

RULE = "policies"
ABOUT = "Правила работы в CRM"
LONGEST_TITLE = 160
LONGEST_TEXT = 100_000
LONGEST_NOTICE = 1200
SUFFIX = ".md"
# A file that is just being written is not published half.
UNTOUCHED = timedelta(minutes=1)
# So long a file is missing, beside others that are there, before its text is out of force.
GONE = timedelta(minutes=15)
# An absence without an end moves a term no further.
LONGEST_LEAVE = timedelta(days=366)
_HEADING = re.compile(r"#{1,6} +(.+)")


@dataclass(frozen=True)
class PolicyVersion:
    """What a text said from ``at`` on. ``who``: the login, or the file."""

    version: int
    at: datetime
    who: str
    title: str
    text: str


@dataclass(frozen=True)
class Policy:
    """``current``: the version in force."""

    number: int
    name: str
    is_file: bool
    withdrawn_at: datetime | None
    current: PolicyVersion


@dataclass(frozen=True, kw_only=True)
class Acknowledgement:
    """One person and one version. ``due``: until when; ``term``: which time he is asked for it, 1 at first."""

    number: int
    policy_id: int
    version: int
    user_id: int
    person: str
    asked_at: datetime
    remind: datetime
    due: datetime
    reminded_at: datetime | None
    escalated_at: datetime | None
    read_at: datetime | None
    read_by: str
    term: int
    is_set_aside: bool

    def step(self, name: str) -> str:
        """The name of what is done once in each term."""
        return name if self.term == 1 else f"{name}{self.term}"


class Policies:
    """One account's texts. Reads and writes raise StoreUnavailable when the store is."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    # --- reading ---

    def all(self) -> list[Policy]:
        """Those in force, by title."""
        with self._store.read() as connection:
            rows = connection.execute(_current().where(self._store.owns(policies), policies.c.withdrawn_at.is_(None)))
            return sorted((_policy(row) for row in rows), key=lambda one: one.current.title)

    def withdrawn(self) -> list[Policy]:
        """Those out of force, by title."""
        with self._store.read() as connection:
            mine = (self._store.owns(policies), policies.c.withdrawn_at.is_not(None))
            rows = connection.execute(_current().where(*mine))
            return sorted((_policy(row) for row in rows), key=lambda one: one.current.title)

    def of(self, number: int) -> Policy | None:
        """Also one that was withdrawn."""
        with self._store.read() as connection:
            row = connection.execute(_current().where(self._store.owns(policies), policies.c.id == number)).first()
        return _policy(row) if row else None

    def versions(self, number: int) -> list[PolicyVersion]:
        """The newest first."""
        mine = (self._store.owns(policy_versions), policy_versions.c.policy_id == number)
        query = select(policy_versions).where(*mine).order_by(policy_versions.c.version.desc())
        with self._store.read() as connection:
            return [_version(row) for row in connection.execute(query)]

    def readers(self, number: int, version: int | None = None) -> list[Acknowledgement]:
        """Everybody who was asked to acknowledge this text, or this version of it; the newest version first, then by
        name."""
        mine = [self._store.owns(acknowledgements), acknowledgements.c.policy_id == number]
        if version is not None:
            mine.append(acknowledgements.c.version == version)
        order = (acknowledgements.c.version.desc(), acknowledgements.c.person)
        with self._store.read() as connection:
            return [_acknowledgement(row) for row in connection.execute(_asked().where(*mine).order_by(*order))]

    def acknowledgement(self, number: int) -> Acknowledgement | None:
        mine = (self._store.owns(acknowledgements), acknowledgements.c.id == number)
        with self._store.read() as connection:
            row = connection.execute(_asked().where(*mine)).first()
        return _acknowledgement(row) if row else None

    def unread(self, user_ids: Iterable[int]) -> list[Acknowledgement]:
        """What these people still have to read of the versions in force, oldest first."""
        in_force = and_(policies.c.id == acknowledgements.c.policy_id, policies.c.version == acknowledgements.c.version)
        wanted = (
            self._store.owns(acknowledgements),
            acknowledgements.c.read_at.is_(None),
            acknowledgements.c.set_aside_at.is_(None),
            policies.c.withdrawn_at.is_(None),
        )
        asked = set(user_ids)
        with self._store.read() as connection:
            rows = connection.execute(
                _asked().select_from(acknowledgements.join(policies, in_force)).where(*wanted)
                .order_by(acknowledgements.c.id)
            )  # fmt: skip
            return [_acknowledgement(row) for row in rows if row.user_id in asked]

    def not_asked(self, user_ids: Iterable[int]) -> list[int]:
        """Numbers of what nobody has to read now, and which is not set aside yet: of texts out of force, and of people
        who are not among these."""
        asked = set(user_ids)
        same = and_(policies.c.id == acknowledgements.c.policy_id, policies.c.version == acknowledgements.c.version)
        query = (
            select(acknowledgements.c.id, acknowledgements.c.user_id, policies.c.withdrawn_at)
            .select_from(acknowledgements.join(policies, same))
            .where(
                self._store.owns(acknowledgements),
                acknowledgements.c.read_at.is_(None),
                acknowledgements.c.set_aside_at.is_(None),
            )
        )
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        return [row.id for row in rows if row.withdrawn_at is not None or row.user_id not in asked]

    # --- writing; in the caller's transaction ---

    def publish(
        self, connection: Connection, name: str, title: str, text: str, who: str, *, is_file: bool = False
    ) -> int | None:
        """The next version of the text of this name; its number, or None if it says that already."""
        same = (self._store.owns(policies), policies.c.name == name)
        row = {
            "account": self._store.account_id, "name": name, "title": title[:LONGEST_TITLE], "is_file": is_file,
            "version": 0,
        }  # fmt: skip
        insert_new(connection, policies, [row])
        number, version = connection.execute(select(policies.c.id, policies.c.version).where(*same)).one()
        kept = select(policy_versions.c.title, policy_versions.c.text).where(
            policy_versions.c.policy_id == number, policy_versions.c.version == version
        )
        before = connection.execute(kept).first()
        changes = {"withdrawn_at": None}
        if before is not None and (before.title, before.text) == (title[:LONGEST_TITLE], text):
            connection.execute(update(policies).where(*same).values(changes))
            return None
        changed = update(policies).where(*same, policies.c.version == version)
        values = {"version": version + 1, "title": title[:LONGEST_TITLE], **changes}
        if not connection.execute(changed.values(values)).rowcount:
            return None
        made = {
            "policy_id": number, "version": version + 1, "account": self._store.account_id,
            "at": self._clock.now().timestamp(), "who": who[:160], "title": title[:LONGEST_TITLE], "text": text,
        }  # fmt: skip
        connection.execute(insert(policy_versions).values(made))
        return int(number)

    def withdraw(self, connection: Connection, number: int) -> None:
        """Nobody has to read it any more; its versions stay."""
        mine = (self._store.owns(policies), policies.c.id == number)
        connection.execute(update(policies).where(*mine).values(withdrawn_at=self._clock.now().timestamp()))

    def enrol(
        self, connection: Connection, policy: Policy, people: Iterable[User], remind: datetime, due: datetime
    ) -> None:
        """Ask these people to acknowledge the version in force, each once."""
        rows = [
            {
                "account": self._store.account_id, "policy_id": policy.number, "version": policy.current.version,
                "user_id": user.id, "person": user.name[:255], "asked_at": self._clock.now().timestamp(),
                "remind_at": remind.timestamp(), "due_at": due.timestamp(), "read_by": "",
            }
            for user in people
        ]  # fmt: skip
        insert_new(connection, acknowledgements, rows)

    def set_aside(self, connection: Connection, number: int) -> None:
        """He is not asked any more; what he has read stays read."""
        self.mark_unread(connection, number, set_aside_at=self._clock.now().timestamp())

    def ask_anew(self, connection: Connection, one: Acknowledgement, remind: datetime, due: datetime) -> None:
        """He is asked again, and his term begins anew."""
        values = {
            "set_aside_at": None, "term": one.term + 1, "asked_at": self._clock.now().timestamp(),
            "remind_at": remind.timestamp(), "due_at": due.timestamp(), "reminded_at": None, "escalated_at": None,
        }  # fmt: skip
        self.mark_unread(connection, one.number, **values)

    def acknowledge(self, connection: Connection, number: int, who: str) -> Literal["done", "already"]:
        mine = (self._store.owns(acknowledgements), acknowledgements.c.id == number)
        values = {"read_at": self._clock.now().timestamp(), "read_by": who[:160]}
        unread = update(acknowledgements).where(*mine, acknowledgements.c.read_at.is_(None)).values(values)
        return "done" if connection.execute(unread).rowcount else "already"

    def mark_unread(self, connection: Connection, number: int, **values: object) -> bool:
        """``reminded_at``, ``escalated_at``; False if it has just been read."""
        mine = (self._store.owns(acknowledgements), acknowledgements.c.id == number)
        unread = update(acknowledgements).where(*mine, acknowledgements.c.read_at.is_(None)).values(**values)
        return bool(connection.execute(unread).rowcount)


def named_people(engine: RuleEngine, section: PoliciesSection) -> list[User]:
    """Who has to acknowledge; without those who are switched off."""
    found = []
    for name in section.people:
        try:
            user = engine.account.user(name)
        except UnknownName:
            # The config's check tells it.
            continue
        if user.is_active:
            found.append(user)
    return found


def policy_page(pages_url: str, number: int) -> str:
    """Where a text is read; empty while the bridge does not know its own address."""
    return f"{pages_url}/policies/{number}" if pages_url else ""


def change_text(engine: RuleEngine, policy: Policy, before: PolicyVersion | None, due: datetime) -> str:
    """What a person is told of a version (Russian)."""
    current = policy.current
    until = engine.calendar.local(due)
    what = "новые правила" if before is None else f"правила изменились (версия {current.version}, {current.who})"
    head = f"«{current.title}»: {what}. Прочитайте и подтвердите до {until:%d.%m.%Y}."
    if before is None:
        return head
    lines = [line for line in difference(before.text, current.text) if line[:1] in "+-…"]
    shown = "\n".join(lines)
    if len(shown) > LONGEST_NOTICE:
        shown = f"{shown[:LONGEST_NOTICE].rstrip()}…"
    return f"{head}\n\nЧто изменилось:\n{shown}" if shown else head


def notice_of(one: Acknowledgement, step: str, whom: int, text: str, url: str) -> Planned:
    """A notice about one person's acknowledgement, once for a step."""
    rule = f"{RULE}.{one.policy_id}"
    body = {"user_id": whom, "text": text, "urgent": False, "about": ABOUT, "url": url}
    return Planned(None, rule, f"{rule}|{one.number}|{step}|{whom}", Effect("notify", NO_DEAL, body, text))


def personal_notice(engine: RuleEngine, one: Acknowledgement, step: str, text: str, url: str, now: datetime) -> Planned:
    """What tells the person himself, once for a step: a notice; for one whom no notice reaches a task in amoCRM, on no
    card, with the first paragraph. Raises UnknownName if he is switched off and nobody is there instead."""
    if Reach(engine.config.channels, engine.account).is_reachable(one.user_id):
        return notice_of(one, step, one.user_id, text, url)
    words = text.partition("\n\n")[0]
    body = engine.resolver.free_task(f"{words} {url}".rstrip(), one.user_id, DUE, DealRecord(id=NO_DEAL), now)
    rule = f"{RULE}.{one.policy_id}"
    effect = Effect("create_task", NO_DEAL, body, words, not_before=now.timestamp())
    return Planned(None, rule, f"{rule}|{one.number}|{step}|{one.user_id}", effect)


class PolicyJob:
    """A job: ``run()`` every minute. ``account_clock`` is amoCRM's."""

    def __init__(
        self,
        store: AccountStore,
        rules: CurrentRules,
        account_clock: Clock,
        clock: Clock,
        tell: Callable[[str, str], None] = lambda text, about: None,
    ) -> None:
        """``tell`` passes a sentence about a file that can't be read to a person."""
        self._store = store
        self._rules = rules
        self._account_clock = account_clock
        self._clock = clock
        self._tell = tell
        self._policies = Policies(store, account_clock)
        self._seen: dict[str, str] = {}
        """File → digest of what was published of it by this process: an unchanged folder costs no question."""
        self._gone: dict[str, datetime] = {}
        """Text → since when its file is missing, as this process has seen it."""

    def run(self) -> None:
        """Raises StoreUnavailable."""
        engine = self._rules.get()
        section = engine.config.policies
        if section is None or engine.config.bridge.dry_run:
            return
        now = self._account_clock.now()
        if (folder := engine.config.policies_folder) is not None:
            self._read_folder(folder)
        else:
            self._withdraw(one for one in self._policies.all() if one.is_file)
        people = named_people(engine, section)
        self._set_aside(people)
        self._enrol(engine, section, people, now)
        self._ask_again(engine, section, people, now)

    # --- files ---

    def _read_folder(self, folder: Path) -> None:
        try:
            files = {path.stem: path for path in folder.glob(f"*{SUFFIX}")} if folder.is_dir() else None
        except OSError as error:
            self._tell(f"папку с правилами не прочитать: {folder} ([policies] folder): {error}", "policies")
            return
        if files is None:
            self._tell(f"папки с правилами нет: {folder} ([policies] folder)", "policies")
            return
        if not files:
            # An unmounted disk looks like that too: nobody is told that the rules have gone.
            words = "пуста или не читается: прежние тексты остаются в силе; чтобы их отменить, уберите folder"
            self._tell(f"папка с правилами {words}: {folder} ([policies] folder)", "policies")
            self._gone.clear()
            return
        for name, path in sorted(files.items()):
            try:
                self._read_file(name, path)
            except ValueError as error:
                self._tell(f"правила не прочитать, {_printable(path)}: {error}", f"policies:{_printable(path)}")
        now = self._clock.now()
        missing = {one.name: one for one in self._policies.all() if one.is_file and one.name not in files}
        # A deploy takes files away and brings them back.
        self._gone = {name: self._gone.get(name, now) for name in missing}
        self._withdraw(missing[name] for name, since in self._gone.items() if now - since >= GONE)

    def _withdraw(self, texts: Iterable[Policy]) -> None:
        for policy in texts:
            with self._store.write() as connection:
                self._policies.withdraw(connection, policy.number)
            self._seen.pop(policy.name, None)
            log.warning("a text of rules is no longer in its folder", name=policy.name)

    def _read_file(self, name: str, path: Path) -> None:
        if _printable(path) != str(path):
            self._tell(f"правила не взяты, {_printable(path)}: имя файла не в UTF-8", f"policies:{_printable(path)}")
            return
        try:
            untouched = self._clock.now().timestamp() - path.stat().st_mtime >= UNTOUCHED.total_seconds()
            text = path.read_text("utf-8-sig").replace("\r\n", "\n").strip()
        except (OSError, UnicodeDecodeError) as error:
            self._tell(f"правила не прочитать, {path}: {error}", f"policies:{name}")
            return
        digest = hashlib.sha256(text.encode()).hexdigest()
        if not untouched or not text or self._seen.get(name) == digest:
            return
        if len(text) > LONGEST_TEXT or len(name) > LONGEST_TITLE:
            self._tell(f"правила не взяты, {path}: текст длиннее {LONGEST_TEXT} знаков", f"policies:{name}")
            return
        if "\0" in text:
            self._tell(f"правила не взяты, {path}: в тексте есть знак с кодом 0", f"policies:{name}")
            return
        first, _, rest = text.partition("\n")
        heading = _HEADING.fullmatch(first.strip())
        title, body = (heading[1], rest.strip()) if heading else (name, text)
        with self._store.write() as connection:
            self._policies.publish(connection, name, title, body, f"файл {path.name}", is_file=True)
        self._seen[name] = digest

    # --- people ---

    def _set_aside(self, people: Iterable[User]) -> None:
        if numbers := self._policies.not_asked(user.id for user in people):
            with self._store.write() as connection:
                for number in numbers:
                    self._policies.set_aside(connection, number)

    def _enrol(self, engine: RuleEngine, section: PoliciesSection, people: Sequence[User], now: datetime) -> None:
        calendar = engine.calendar
        for policy in self._policies.all():
            asked = {one.user_id: one for one in self._policies.readers(policy.number, policy.current.version)}
            missing = [user for user in people if user.id not in asked]
            back = [asked[user.id] for user in people if user.id in asked and asked[user.id].is_set_aside]
            if missing or back:
                # In the morning: who reads it in the evening would be late at once.
                remind = calendar.open_of(calendar.local(calendar.add_working_days(now, section.remind_days)).date())
                due = calendar.add_working_days(now, section.days)
                with self._store.write() as connection:
                    self._policies.enrol(connection, policy, missing, remind, due)
                    for one in back:
                        self._policies.ask_anew(connection, one, remind, due)

    def _ask_again(self, engine: RuleEngine, section: PoliciesSection, people: Sequence[User], now: datetime) -> None:
        calendar = engine.calendar
        today = calendar.local(now).date()
        if not calendar.is_working_day(today) or now < calendar.open_of(today):
            return
        at_work = {user.id: user for user in people if engine.people.is_at_work(user, today)}
        titles: Mapping[int, str] = {one.number: one.current.title for one in self._policies.all()}
        for one in self._policies.unread(at_work):
            title = titles.get(one.policy_id, "")
            url = policy_page(engine.viewer.pages_url, one.policy_id)
            terms = _Terms(engine, section, at_work[one.user_id], one)
            if one.reminded_at is None and now >= terms.remind:
                until = calendar.local(terms.due(now))
                text = f"Вы ещё не ознакомились с правилами «{title}». Сделайте это до {until:%d.%m.%Y}"
                with self._store.write() as connection:
                    if self._policies.mark_unread(connection, one.number, reminded_at=now.timestamp()):
                        self._put(connection, personal_notice(engine, one, one.step("remind"), text, url, now))
            elif one.escalated_at is None and one.reminded_at and now >= terms.due(one.reminded_at):
                self._escalate(engine, section, one, title, url, now)

    def _escalate(
        self,
        engine: RuleEngine,
        section: PoliciesSection,
        one: Acknowledgement,
        title: str,
        url: str,
        now: datetime,
    ) -> None:
        rule = f"{RULE}.{one.policy_id}"
        text = f"{one.person}: нет отметки, что правила «{title}» прочитаны; срок прошёл"
        rows = notice_or_task(
            engine, rule, f"{one.number}|{one.step('escalate')}", section.escalate_to, text, ABOUT, url, now
        )
        if section.violation is not None:
            clause = section.violation.clause
            body = {
                "user_id": one.user_id, "clause": clause, "penalty": section.violation.penalty,
                "at": int(now.timestamp()), "deal_name": "", "why": f"правила «{title}» не прочитаны в срок",
            }  # fmt: skip
            effect = Effect("record_violation", NO_DEAL, body, f"нарушение пункта {clause} — {one.person}")
            rows = [*rows, Planned(None, rule, f"{rule}|{one.number}|{one.step('violation')}|{one.user_id}", effect)]
        with self._store.write() as connection:
            if self._policies.mark_unread(connection, one.number, escalated_at=now.timestamp()):
                self._put(connection, *rows)

    def _put(self, connection: Connection, *rows: Planned) -> None:
        now = self._clock.now()
        insert_new(connection, outbox, [one.row(self._store.account_id, now) for one in rows])


class _Terms:
    """One acknowledgement's moments: working days on which the person is away do not count."""

    def __init__(self, engine: RuleEngine, section: PoliciesSection, user: User, one: Acknowledgement) -> None:
        self._engine = engine
        self._section = section
        self._user = user
        self._one = one

    @property
    def remind(self) -> datetime:
        """In the morning."""
        calendar, one = self._engine.calendar, self._one
        moved = self._moved(one.asked_at, one.remind)
        return one.remind if moved == one.remind else calendar.open_of(calendar.local(moved).date())

    def due(self, reminded_at: datetime) -> datetime:
        """When the head is told: not before the person has had time after the reminder, if that came late."""
        after = self._engine.calendar.add_working_days(reminded_at, self._section.days - self._section.remind_days)
        return max(self._moved(self._one.asked_at, self._one.due), self._moved(reminded_at, after))

    def _moved(self, begin: datetime, end: datetime) -> datetime:
        """``end``, by as many working days later as the person is away after the day of ``begin``."""
        calendar, people = self._engine.calendar, self._engine.people
        day, last = calendar.local(begin).date(), calendar.local(end).date()
        latest = last + LONGEST_LEAVE
        away = 0
        while (day := calendar.next_working_day(day)) <= last <= latest:
            if not people.is_at_work(self._user, day):
                away += 1
                last = calendar.next_working_day(last)
        return calendar.add_working_days(end, away) if away else end


def _printable(path: Path) -> str:
    """A file's name may be bytes that are no text at all."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _current() -> Any:
    """Texts with their version in force."""
    in_force = and_(policy_versions.c.policy_id == policies.c.id, policy_versions.c.version == policies.c.version)
    columns = (policies.c.id, policies.c.name, policies.c.is_file, policies.c.withdrawn_at)
    version = (policy_versions.c.version, policy_versions.c.at, policy_versions.c.who)
    return select(*columns, *version, policy_versions.c.title, policy_versions.c.text).select_from(
        policies.join(policy_versions, in_force)
    )


def _asked() -> Any:
    return select(acknowledgements)


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _version(row: Row[Any]) -> PolicyVersion:
    return PolicyVersion(row.version, datetime.fromtimestamp(row.at, UTC), row.who, row.title, row.text)


def _policy(row: Row[Any]) -> Policy:
    return Policy(row.id, row.name, row.is_file, _moment(row.withdrawn_at), _version(row))


def _acknowledgement(row: Row[Any]) -> Acknowledgement:
    return Acknowledgement(
        number=row.id,
        policy_id=row.policy_id,
        version=row.version,
        user_id=row.user_id,
        person=row.person,
        asked_at=datetime.fromtimestamp(row.asked_at, UTC),
        remind=datetime.fromtimestamp(row.remind_at, UTC),
        due=datetime.fromtimestamp(row.due_at, UTC),
        reminded_at=_moment(row.reminded_at),
        escalated_at=_moment(row.escalated_at),
        read_at=_moment(row.read_at),
        read_by=row.read_by,
        term=row.term,
        is_set_aside=row.set_aside_at is not None,
    )
