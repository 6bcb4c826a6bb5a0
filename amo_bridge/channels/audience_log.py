"""Repository of audiences: members, who holds whom, consent, uploads, the services' lists and sizes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime

from sqlalchemy import ColumnElement, and_, exists, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from amo_bridge.channels.audience_records import (
    Hold,
    KeptList,
    KeptUpload,
    Member,
    Next,
    NotedMember,
    State,
    Verdict,
    hold_of,
    list_of,
    member_of,
    moment,
    moment_or_none,
    upload_of,
)
from amo_bridge.channels.audience_services import Digests, UploadKind
from amo_bridge.channels.mail_log import Suppression
from amo_bridge.channels.recipients import is_yes
from amo_bridge.config.advertising import AudiencesSection, FileFormat
from amo_bridge.crm.records import ContactRecord, DealRecord
from amo_bridge.engine.deal_view import FieldReader
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import UnknownName
from amo_bridge.storage.database import AccountStore, chunks, insert_new, insert_or_replace, values_of
from amo_bridge.storage.tables import (
    UNCHECKED,
    audience_holds,
    audience_lists,
    audience_members,
    audience_sizes,
    audience_uploads,
    contacts,
    deals,
    letters,
    suppressed,
)
from amo_bridge.text.names import normalise, same_name

OPEN_UPLOAD = ("asking", "doubt", "processing")
MOST_SHOWN = 200


class AudienceLog:
    """One account's audiences. All raise StoreUnavailable."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._holds = store.owns(audience_holds)
        self._members = store.owns(audience_members)
        self._uploads = store.owns(audience_uploads)
        self._lists = store.owns(audience_lists)

    # --- who holds whom ---

    def hold(
        self, connection: Connection, audience: str, deal_id: int, contact_id: int, rule: str, event_id: int | None,
        now: datetime, seen_at: datetime,
    ) -> None:  # fmt: skip
        """A deal holds its client in, from now on; one that does so already goes on."""
        row = {
            "account": self._store.account_id, "audience": audience, "deal_id": deal_id, "contact_id": contact_id,
            "rule": rule, "event_id": event_id, "since": now.timestamp(), "ended_at": None, "why": "",
            "seen_at": seen_at.timestamp(), "is_noted": False,
        }  # fmt: skip
        key = (self._holds, audience_holds.c.audience == audience, audience_holds.c.deal_id == deal_id)
        if not insert_new(connection, audience_holds, [row]):
            again = {name: row[name] for name in ("contact_id", "rule", "event_id", "since", "ended_at", "why")}
            ended = audience_holds.c.ended_at.is_not(None)
            connection.execute(update(audience_holds).where(*key, ended).values(**again))

    def let_go(self, connection: Connection, audience: str, deal_id: int, why: str, now: datetime) -> int | None:
        """A deal holds its client no more; the contact, or None if it held nobody."""
        mine = (self._holds, audience_holds.c.audience == audience, audience_holds.c.deal_id == deal_id)
        is_open = audience_holds.c.ended_at.is_(None)
        changed = (
            update(audience_holds)
            .where(*mine, is_open)
            .values(ended_at=now.timestamp(), why=why)
            .returning(audience_holds.c.contact_id)
        )
        return connection.execute(changed).scalar()

    def change_hold(self, connection: Connection, audience: str, deal_id: int, **values: object) -> None:
        mine = (self._holds, audience_holds.c.audience == audience, audience_holds.c.deal_id == deal_id)
        connection.execute(update(audience_holds).where(*mine).values(**values))

    def holds_of_deal(self, deal_id: int) -> list[Hold]:
        """Those that a deal has now."""
        return self._read_holds(audience_holds.c.deal_id == deal_id, audience_holds.c.ended_at.is_(None))

    def holds_of(self, contact_ids: Iterable[int]) -> dict[tuple[str, int], list[Hold]]:
        """(audience, contact) → all holds, open and ended."""
        found: dict[tuple[str, int], list[Hold]] = {}
        for some in chunks(sorted(set(contact_ids))):
            for hold in self._read_holds(audience_holds.c.contact_id.in_(some)):
                found.setdefault((hold.audience, hold.contact_id), []).append(hold)
        return found

    def holds_of_changed_deals(self) -> list[tuple[Hold, datetime]]:
        """Open holds of deals that have changed since they were looked at, and when they did."""
        same = and_(deals.c.account == audience_holds.c.account, deals.c.deal_id == audience_holds.c.deal_id)
        is_open = and_(self._holds, audience_holds.c.ended_at.is_(None))
        query = (
            select(audience_holds, deals.c.updated_at)
            .join(deals, same)
            .where(is_open, deals.c.updated_at > audience_holds.c.seen_at)
        )
        with self._store.read() as connection:
            return [(hold_of(row), moment(row.updated_at)) for row in connection.execute(query)]

    def deals_unseen(self) -> list[Hold]:
        """Open holds of deals that the mirror does not know (any more)."""
        same = and_(deals.c.account == audience_holds.c.account, deals.c.deal_id == audience_holds.c.deal_id)
        is_open = and_(self._holds, audience_holds.c.ended_at.is_(None), deals.c.deal_id.is_(None))
        query = select(audience_holds).outerjoin(deals, same).where(is_open)
        with self._store.read() as connection:
            return [hold_of(row) for row in connection.execute(query)]

    def _read_holds(self, *conditions: ColumnElement[bool]) -> list[Hold]:
        query = select(audience_holds).where(self._holds, *conditions).order_by(audience_holds.c.since)
        with self._store.read() as connection:
            return [hold_of(row) for row in connection.execute(query)]

    def to_note(self, most: int) -> list[tuple[Hold, NotedMember]]:
        """Holds whose card does not say yet that the client is in, or that he is no more."""
        members, holds = audience_members.c, audience_holds.c
        same = and_(
            members.account == holds.account,
            members.audience == holds.audience,
            members.contact_id == holds.contact_id,
        )
        came = and_(holds.ended_at.is_(None), holds.is_noted.is_(False), members.state == "in")
        left = and_(holds.is_noted.is_(True), members.state.in_(("out", "refused")))
        names = ("state", "since", "words", "id")
        told = [members[name].label(f"member_{name}") for name in names]
        query = select(audience_holds, *told).join(audience_members, same)
        query = query.where(self._holds, or_(came, left)).limit(most)
        with self._store.read() as connection:
            rows = connection.execute(query).all()
        return [
            (hold_of(row), NotedMember(row.member_id, row.member_state, moment(row.member_since), row.member_words))
            for row in rows
        ]

    # --- clients ---

    def members(self, contact_ids: Iterable[int]) -> dict[tuple[str, int], Member]:
        found: dict[tuple[str, int], Member] = {}
        for some in chunks(sorted(set(contact_ids))):
            for member in self._read_members(audience_members.c.contact_id.in_(some)):
                found[member.audience, member.contact_id] = member
        return found

    def in_states(self, audience: str, *states: State) -> list[Member]:
        """Clients of an audience, the longest in their state first."""
        return self._read_members(audience_members.c.audience == audience, audience_members.c.state.in_(states))

    def of_upload(self, upload_id: int) -> list[Member]:
        return self._read_members(audience_members.c.upload_id == upload_id)

    def to_check(self, upload_id: int | None = None) -> set[int]:
        """Contacts that have changed, or followed a link for unsubscribing, since they were looked at; and those of
        whom something was learned besides. Whoever is in an upload just now waits for its end: of these, only those
        who are in ``upload_id``."""
        members = audience_members.c
        where = members.upload_id.is_(None) if upload_id is None else members.upload_id == upload_id
        alive = and_(self._members, members.state != "out", where)
        same = and_(contacts.c.account == members.account, contacts.c.contact_id == members.contact_id)
        changed = select(members.contact_id).join(contacts, same).where(alive, contacts.c.updated_at > members.seen_at)
        written = and_(letters.c.account == members.account, letters.c.contact_id == members.contact_id)
        address = and_(suppressed.c.account == letters.c.account, suppressed.c.address_key == letters.c.address_key)
        unsubscribed = (
            select(members.contact_id)
            .join(letters, written)
            .join(suppressed, address)
            .where(alive, suppressed.c.reason == "unsubscribed", suppressed.c.at >= members.checked_at)
        )
        unchecked = select(members.contact_id).where(self._members, UNCHECKED, where)
        with self._store.read() as connection:
            return {one for query in (changed, unsubscribed, unchecked) for one in connection.execute(query).scalars()}

    def unchecked(self) -> set[int]:
        """Only those who are known to be judged anew: of whom something was learned in an upload or of a deal."""
        query = select(audience_members.c.contact_id).where(
            self._members, UNCHECKED, audience_members.c.upload_id.is_(None)
        )
        with self._store.read() as connection:
            return set(connection.execute(query).scalars())

    def contacts_unseen(self) -> set[int]:
        """Contacts that the mirror does not know (any more), of clients who are in or are to be in."""
        members = audience_members.c
        same = and_(contacts.c.account == members.account, contacts.c.contact_id == members.contact_id)
        alive = and_(self._members, members.state.in_(("queued", "in")), members.upload_id.is_(None))
        query = select(members.contact_id).outerjoin(contacts, same).where(alive, contacts.c.contact_id.is_(None))
        with self._store.read() as connection:
            return set(connection.execute(query).scalars())

    def check_again(self, connection: Connection, audience: str, contact_ids: Iterable[int], now: datetime) -> None:
        """These are to be judged anew, those who were never in among them; see ``to_check``."""
        wanted = sorted(set(contact_ids))
        missing = [
            {
                "account": self._store.account_id, "audience": audience, "contact_id": contact_id, "state": "out",
                "since": now.timestamp(), "words": "", "is_urgent": False, "digests": "", "sent_digests": "",
                "upload_id": None, "checked_at": 0.0, "seen_at": 0.0,
            }
            for contact_id in wanted
        ]  # fmt: skip
        insert_new(connection, audience_members, missing)
        for some in chunks(wanted):
            mine = (self._members, audience_members.c.audience == audience, audience_members.c.contact_id.in_(some))
            connection.execute(update(audience_members).where(*mine).values(checked_at=0.0))

    def check_consents(self, connection: Connection, words: str, *, is_lost: bool) -> None:
        """Judge anew whoever is in or is to be in, if the field of consent is lost; else whoever was kept out by
        that, whose words begin so."""
        members = audience_members.c
        whom = members.state.in_(("queued", "in")) if is_lost else members.words.startswith(words)
        connection.execute(update(audience_members).where(self._members, whom).values(checked_at=0.0))

    def put(
        self, connection: Connection, audience: str, contact_id: int, member: Member | None, verdict: Verdict,
        into: Next, now: datetime,
    ) -> None:  # fmt: skip
        """Keep by what a client was judged, and where he is now."""
        values: dict[str, object] = {
            "checked_at": now.timestamp(),
            "seen_at": verdict.seen_at.timestamp(),
            "digests": "" if verdict.problem or into.state == "out" else verdict.digests.to_json(),
        }
        if member is not None:
            connection.execute(update(audience_members).where(audience_members.c.id == member.id).values(**values))
            self.move(connection, member, into, now)
            return
        row = {
            "account": self._store.account_id, "audience": audience, "contact_id": contact_id, "state": into.state,
            "since": now.timestamp(), "words": into.words, "is_urgent": into.is_urgent, "sent_digests": "",
            "upload_id": None, **values,
        }  # fmt: skip
        insert_new(connection, audience_members, [row])

    def move(self, connection: Connection, member: Member, into: Next, now: datetime) -> None:
        """Into another state; whoever is in an upload just now is looked at again after it."""
        values: dict[str, object] = {"checked_at": 0.0}
        if member.upload_id is None:
            since = member.since if member.state == into.state else now
            values = {"state": into.state, "words": into.words, "is_urgent": into.is_urgent, "since": since.timestamp()}
            if into.state == "out":
                values["digests"] = ""
        connection.execute(update(audience_members).where(audience_members.c.id == member.id).values(**values))

    def counts(self, audience: str = "") -> dict[str, dict[str, int]]:
        """Audience → state → how many; of all, or of this one."""
        mine = [self._members, *([audience_members.c.audience == audience] if audience else [])]
        columns = (audience_members.c.audience, audience_members.c.state)
        query = select(*columns, func.count().label("count")).where(*mine).group_by(*columns)
        found: dict[str, dict[str, int]] = {}
        with self._store.read() as connection:
            for row in connection.execute(query):
                found.setdefault(row.audience, {})[row.state] = row._mapping["count"]
        return found

    def is_anybody_urgent(self, audience: str) -> bool:
        """Does somebody leave by his own wish, or because he no longer agrees?"""
        mine = (self._members, audience_members.c.audience == audience, audience_members.c.state == "leaving")
        with self._store.read() as connection:
            query = select(audience_members.c.id).where(*mine, audience_members.c.is_urgent).limit(1)
            return connection.execute(query).first() is not None

    def shown(self, audience: str, states: Collection[State], most: int = MOST_SHOWN) -> list[Member]:
        """The latest first, for pages."""
        mine = (self._members, audience_members.c.audience == audience, audience_members.c.state.in_(states))
        query = select(audience_members).where(*mine).order_by(audience_members.c.since.desc()).limit(most)
        with self._store.read() as connection:
            return [member_of(row) for row in connection.execute(query)]

    def _read_members(self, *conditions: ColumnElement[bool]) -> list[Member]:
        order = (audience_members.c.since, audience_members.c.id)
        query = select(audience_members).where(self._members, *conditions).order_by(*order)
        with self._store.read() as connection:
            return [member_of(row) for row in connection.execute(query)]

    # --- uploads ---

    def begin_upload(
        self, connection: Connection, audience: str, service: str, kind: UploadKind, joiners: Sequence[Member],
        leavers: Sequence[Member], now: datetime,
    ) -> int:  # fmt: skip
        """Write an upload down before anybody is asked, with those who are in it; its number."""
        values = {
            "account": self._store.account_id, "audience": audience, "service": service, "kind": kind,
            "state": "processing" if kind == "file" else "asking", "ref": "", "joined": len(joiners),
            "left": len(leavers), "asked_at": now.timestamp(), "looks": 0, "words": "",
        }  # fmt: skip
        made = insert(audience_uploads).values(**values).returning(audience_uploads.c.id)
        upload_id = int(connection.execute(made).scalar_one())
        for some in chunks([member.id for member in (*joiners, *leavers)]):
            mine = (self._members, audience_members.c.id.in_(some))
            connection.execute(update(audience_members).where(*mine).values(upload_id=upload_id))
        return upload_id

    def set_upload(self, connection: Connection, upload_id: int, **values: object) -> None:
        mine = (self._uploads, audience_uploads.c.id == upload_id)
        connection.execute(update(audience_uploads).where(*mine).values(**values))

    def doubt_interrupted(self, now: datetime) -> None:
        """The process died while it asked: what became of these only the service knows."""
        mine = (self._uploads, audience_uploads.c.state == "asking")
        values = {"state": "doubt", "look_at": now.timestamp(), "words": "мост остановился, не дождавшись ответа"}
        with self._store.write() as connection:
            connection.execute(update(audience_uploads).where(*mine).values(**values))

    def open_upload(self, audience: str) -> KeptUpload | None:
        """The one that is on its way."""
        conditions = (audience_uploads.c.audience == audience, audience_uploads.c.state.in_(OPEN_UPLOAD))
        return next(iter(self._read_uploads(*conditions)), None)

    def upload(self, upload_id: int) -> KeptUpload | None:
        return next(iter(self._read_uploads(audience_uploads.c.id == upload_id)), None)

    def uploads_of(self, audience: str, most: int = 20) -> list[KeptUpload]:
        """The latest first."""
        return self._read_uploads(audience_uploads.c.audience == audience, most=most)

    def last_upload_at(self, audience: str) -> datetime | None:
        """When the service was asked for this audience last, and took it."""
        mine = (self._uploads, audience_uploads.c.audience == audience, audience_uploads.c.state != "dropped")
        return self._newest(*mine)

    def uploads_since(self, service: str, moment: datetime) -> tuple[int, datetime | None]:
        """How many a service has been asked for since then, and when last."""
        mine = (self._uploads, audience_uploads.c.service == service, audience_uploads.c.state != "dropped")
        recent = audience_uploads.c.asked_at > moment.timestamp()
        with self._store.read() as connection:
            count = connection.execute(select(func.count()).select_from(audience_uploads).where(*mine, recent))
            return int(count.scalar_one()), self._newest(*mine)

    def end_upload(self, connection: Connection, upload_id: int, state: str, words: str, now: datetime) -> bool:
        """Whoever is in it is free again; False if it had ended before."""
        mine = (self._uploads, audience_uploads.c.id == upload_id, audience_uploads.c.state.in_(OPEN_UPLOAD))
        values = {"state": state, "words": words, "ended_at": now.timestamp(), "look_at": None}
        if not connection.execute(update(audience_uploads).where(*mine).values(**values)).rowcount:
            return False
        members = (self._members, audience_members.c.upload_id == upload_id)
        connection.execute(update(audience_members).where(*members).values(upload_id=None))
        return True

    def arrived(self, connection: Connection, upload_id: int, now: datetime) -> None:
        """The service has it: who was queued is in, who was leaving is out. Before ``end_upload``."""
        members = audience_members.c
        mine = (self._members, members.upload_id == upload_id)
        moment = {"since": now.timestamp(), "is_urgent": False}
        held = exists().where(
            audience_holds.c.account == members.account,
            audience_holds.c.audience == members.audience,
            audience_holds.c.contact_id == members.contact_id,
            audience_holds.c.ended_at.is_(None),
        )
        # His number has changed, or he agrees no more: a deal holds him still, so it is to be seen what follows.
        again = update(audience_members).where(*mine, members.state == "leaving", held)
        connection.execute(again.values(checked_at=0.0))
        out = update(audience_members).where(*mine, members.state == "leaving")
        connection.execute(out.values(state="out", digests="", sent_digests="", **moment))
        into = update(audience_members).where(*mine, members.state == "queued")
        # What was uploaded is what was known when it began; see ``freeze``.
        connection.execute(into.values(state="in", words="", **moment))

    def freeze(self, connection: Connection, upload_id: int) -> None:
        """The hashes of joiners are on their way: they are kept as those that the service has."""
        members = audience_members.c
        mine = (self._members, members.upload_id == upload_id, members.state == "queued")
        connection.execute(update(audience_members).where(*mine).values(sent_digests=members.digests))

    def _newest(self, *conditions: ColumnElement[bool]) -> datetime | None:
        with self._store.read() as connection:
            newest = connection.execute(select(func.max(audience_uploads.c.asked_at)).where(*conditions)).scalar()
        return moment_or_none(newest)

    def _read_uploads(self, *conditions: ColumnElement[bool], most: int | None = None) -> list[KeptUpload]:
        order = audience_uploads.c.id.desc()
        query = select(audience_uploads).where(self._uploads, *conditions).order_by(order).limit(most)
        with self._store.read() as connection:
            return [upload_of(row) for row in connection.execute(query)]

    # --- what services have ---

    def list_of(self, audience: str) -> KeptList:
        query = select(audience_lists).where(self._lists, audience_lists.c.audience == audience)
        with self._store.read() as connection:
            row = connection.execute(query).first()
        return KeptList() if row is None else list_of(row)

    def set_list(self, connection: Connection, audience: str, service: str, /, **values: object) -> None:
        """``service``: of one that is not kept yet."""
        row = {
            "account": self._store.account_id, "audience": audience, "service": service, "list_ref": "",
            "segment_ref": "", "words": "", "trouble": "", "failures": 0,
            "format": "",
        }  # fmt: skip
        insert_new(connection, audience_lists, [row])
        mine = (self._lists, audience_lists.c.audience == audience)
        if values:
            connection.execute(update(audience_lists).where(*mine).values(**values))

    def forget_list(self, connection: Connection, audience: str, service: str) -> None:
        """The service has nothing of it any more: whoever was in waits anew, whoever was leaving is out."""
        self.set_list(connection, audience, service, list_ref="", segment_ref="", segment_at=None, words="")
        members = audience_members.c
        mine = (self._members, members.audience == audience, members.upload_id.is_(None))
        again = update(audience_members).where(*mine, members.state == "in")
        connection.execute(again.values(state="queued", sent_digests="", checked_at=0.0))
        out = update(audience_members).where(*mine, members.state == "leaving")
        connection.execute(out.values(state="out", sent_digests="", checked_at=0.0))

    def begin_list(self, connection: Connection, audience: str, service: str, kind: str) -> None:
        """It is kept elsewhere from now on, or in another format: nothing of the old hashes is of use there."""
        self.forget_list(connection, audience, service)
        more = {"trouble": "", "trouble_at": None, "failures": 0, "retry_at": None}
        self.set_list(connection, audience, service, service=service, format=kind, **more)
        mine = (self._members, audience_members.c.audience == audience)
        connection.execute(update(audience_members).where(*mine).values(digests="", checked_at=0.0))

    # --- sizes ---

    def names(self) -> list[str]:
        """All audiences that ever had a client."""
        query = values_of(audience_members.c.audience, self._members)
        with self._store.read() as connection:
            return sorted(connection.execute(query).scalars())

    def keep_sizes(self, day: date, names: Iterable[str]) -> None:
        """How large each audience is at the end of this day, as far as it is known by now."""
        counts = self.counts()
        rows = [
            {
                "account": self._store.account_id,
                "audience": name,
                "day": day.isoformat(),
                "size": sum(counts.get(name, {}).get(state, 0) for state in ("in", "leaving")),
                "waiting": counts.get(name, {}).get("queued", 0),
            }
            for name in names
        ]
        with self._store.write() as connection:
            insert_or_replace(connection, audience_sizes, ("account", "audience", "day"), rows)

    def sizes(self, audience: str) -> list[tuple[date, int, int]]:
        """(day, size, waiting), oldest first; only days on which something was kept."""
        mine = (self._store.owns(audience_sizes), audience_sizes.c.audience == audience)
        query = select(audience_sizes).where(*mine).order_by(audience_sizes.c.day)
        with self._store.read() as connection:
            return [(date.fromisoformat(row.day), row.size, row.waiting) for row in connection.execute(query)]


NO_CONSENT_FIELD = "согласие не проверить"
"""How the words begin of whoever is kept out because of it."""


class Consent:
    """Who may be in an audience: he agreed, has not opted out, and has what the service knows people by."""

    def __init__(self, rule_engine: RuleEngine, section: AudiencesSection) -> None:
        self._section = section
        self._reader = FieldReader(rule_engine.account, "contacts")
        self._home = rule_engine.config.calendar.country or "RU"
        self._account = rule_engine.account
        self.issue = ""
        """Why nobody's consent can be read (Russian): a field of the config is not in the account any more."""
        self._consent = self._field(section.consent)
        self._opt_out = self._field(section.opt_out_field) if section.opt_out_field else ""

    def verdict(
        self,
        contact: ContactRecord | None,
        deals: Iterable[DealRecord],
        kind: FileFormat,
        suppressions: Iterable[Suppression],
        now: datetime,
    ) -> Verdict:
        """``deals``: those that hold the client. ``suppressions``: of his addresses."""
        if contact is None:
            return Verdict(Digests(), "контакта в аккаунте нет: удалён, объединён или не виден мосту", now)
        own_wish = self._own_wish(contact, deals, suppressions)
        problem = own_wish or (f"{NO_CONSENT_FIELD}: {self.issue}" if self.issue else "")
        digests = Digests() if problem else Digests.of(contact, kind, self._home)
        if problem or digests:
            return Verdict(digests, problem, contact.updated_at, is_own_wish=bool(own_wish))
        lacking = "телефона" if kind == "vk" else "ни телефона, ни почты"
        return Verdict(digests, f"у клиента нет {lacking}", contact.updated_at)

    def _field(self, name: str) -> str:
        """As the account writes it; empty if there is no such field (any more)."""
        try:
            return self._account.field(name, "contacts").name
        except UnknownName as error:
            self.issue = str(error)
            return ""

    def _own_wish(
        self, contact: ContactRecord, deals: Iterable[DealRecord], suppressions: Iterable[Suppression]
    ) -> str:
        values = self._reader.values(contact)
        tags = [*contact.tags, *(tag for deal in deals for tag in deal.tags)]
        wanted = self._section.opt_out_tag
        if wanted and any(same_name(tag, wanted) for tag in tags):
            return f"тег «{wanted}»"
        if self._opt_out and _is_marked(values.get(self._opt_out)):
            return f"отмечено поле «{self._opt_out}»"
        if any(one.reason == "unsubscribed" for one in suppressions):
            return "клиент отписался от рассылок"
        if not self._consent:
            return ""
        return "" if is_yes(values.get(self._consent)) else f"нет согласия: поле «{self._consent}»"


def _is_marked(value: object) -> bool:
    """Whoever has written anything but «нет» there wants out."""
    return value not in (None, False, ()) and normalise(str(value)) != "нет"
