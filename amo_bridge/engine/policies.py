"""Rules of working in the CRM: texts with versions, and who has acknowledged which (S3).

A text is typed on the page, or stands in a Markdown file of ``[policies] folder``: a changed file is the next version.
Everybody named has to acknowledge the version in force; what he has not read of an older one is no longer asked for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import structlog
from sqlalchemy import Row, and_, insert, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.config.files import difference
from amo_bridge.config.model import PoliciesSection
from amo_bridge.crm.account import User
from amo_bridge.engine.alerts import notice_or_task
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.errors import UnknownName
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.tables import acknowledgements, outbox, policies, policy_versions

log = structlog.get_logger()
RULE = "policies"
NO_DEAL = 0
ABOUT = "Правила работы в CRM"
LONGEST_TITLE = 160
LONGEST_TEXT = 100_000
LONGEST_NOTICE = 1200
SUFFIX = ".md"
# A file that is just being written is not published half.
UNTOUCHED = timedelta(minutes=1)
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
    """One person and one version. ``due``: until when."""

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
            policies.c.withdrawn_at.is_(None),
        )
        asked = set(user_ids)
        with self._store.read() as connection:
            rows = connection.execute(
                _asked().select_from(acknowledgements.join(policies, in_force)).where(*wanted)
                .order_by(acknowledgements.c.id)
            )  # fmt: skip
            return [_acknowledgement(row) for row in rows if row.user_id in asked]

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

    def run(self) -> None:
        """Raises StoreUnavailable."""
        engine = self._rules.get()
        section = engine.config.policies
        if section is None or engine.config.bridge.dry_run:
            return
        now = self._account_clock.now()
        if (folder := engine.config.policies_folder) is not None:
            self._read_folder(folder)
        people = named_people(engine, section)
        self._enrol(engine, section, people, now)
        self._ask_again(engine, section, people, now)

    # --- files ---

    def _read_folder(self, folder: Path) -> None:
        files = {path.stem: path for path in folder.glob(f"*{SUFFIX}")} if folder.is_dir() else None
        if files is None:
            self._tell(f"папки с правилами нет: {folder} ([policies] folder)", "policies")
            return
        for name, path in sorted(files.items()):
            self._read_file(name, path)
        for policy in self._policies.all():
            if policy.is_file and policy.name not in files:
                with self._store.write() as connection:
                    self._policies.withdraw(connection, policy.number)
                self._seen.pop(policy.name, None)
                log.warning("a text of rules is no longer in its folder", name=policy.name)

    def _read_file(self, name: str, path: Path) -> None:
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
        first, _, rest = text.partition("\n")
        heading = _HEADING.fullmatch(first.strip())
        title, body = (heading[1], rest.strip()) if heading else (name, text)
        with self._store.write() as connection:
            self._policies.publish(connection, name, title, body, f"файл {path.name}", is_file=True)
        self._seen[name] = digest

    # --- people ---

    def _enrol(self, engine: RuleEngine, section: PoliciesSection, people: Sequence[User], now: datetime) -> None:
        calendar = engine.calendar
        for policy in self._policies.all():
            asked = {one.user_id for one in self._policies.readers(policy.number, policy.current.version)}
            missing = [user for user in people if user.id not in asked]
            if missing:
                # In the morning: who reads it in the evening would be late at once.
                remind = calendar.open_of(calendar.local(calendar.add_working_days(now, section.remind_days)).date())
                due = calendar.add_working_days(now, section.days)
                with self._store.write() as connection:
                    self._policies.enrol(connection, policy, missing, remind, due)

    def _ask_again(self, engine: RuleEngine, section: PoliciesSection, people: Sequence[User], now: datetime) -> None:
        today = engine.calendar.local(now).date()
        at_work = {user.id for user in people if engine.people.is_at_work(user, today)}
        titles: Mapping[int, str] = {one.number: one.current.title for one in self._policies.all()}
        for one in self._policies.unread(at_work):
            title = titles.get(one.policy_id, "")
            url = policy_page(engine.viewer.pages_url, one.policy_id)
            if one.reminded_at is None and now >= one.remind:
                until = engine.calendar.local(_term(engine, section, one, now))
                text = f"Вы ещё не ознакомились с правилами «{title}». Сделайте это до {until:%d.%m.%Y}"
                with self._store.write() as connection:
                    if self._policies.mark_unread(connection, one.number, reminded_at=now.timestamp()):
                        self._put(connection, notice_of(one, "remind", one.user_id, text, url))
            elif one.escalated_at is None and one.reminded_at and now >= _term(engine, section, one, one.reminded_at):
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
        rows = notice_or_task(engine, rule, f"{one.number}|escalate", section.escalate_to, text, ABOUT, url, now)
        if section.violation is not None:
            clause = section.violation.clause
            body = {
                "user_id": one.user_id, "clause": clause, "penalty": section.violation.penalty,
                "at": int(now.timestamp()), "deal_name": "", "why": f"правила «{title}» не прочитаны в срок",
            }  # fmt: skip
            effect = Effect("record_violation", NO_DEAL, body, f"нарушение пункта {clause} — {one.person}")
            rows = [*rows, Planned(None, rule, f"{rule}|{one.number}|violation|{one.user_id}", effect)]
        with self._store.write() as connection:
            if self._policies.mark_unread(connection, one.number, escalated_at=now.timestamp()):
                self._put(connection, *rows)

    def _put(self, connection: Connection, *rows: Planned) -> None:
        now = self._clock.now()
        insert_new(connection, outbox, [one.row(self._store.account_id, now) for one in rows])


def _term(engine: RuleEngine, section: PoliciesSection, one: Acknowledgement, reminded_at: datetime) -> datetime:
    """When the head is told: not before the person has had time after the reminder, if that came late."""
    return max(one.due, engine.calendar.add_working_days(reminded_at, section.days - section.remind_days))


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
    )
