"""Form of a deal's services: rows as people fill them in → service lines, or what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import field, replace
from hashlib import sha256
from typing import Literal

from flask import abort
from flask_babel import gettext as _

from amo_bridge.crm.account import Account, Field, Stage
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.data_sources import known_by_name
from amo_bridge.engine.deal_view import FieldReader, deal_url
from amo_bridge.engine.manual_edits import ManualEdit, ManualEdits
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.mirror.deals import Mirror
from amo_bridge.rules.service_lines import (
    CONTACT,
    MOST_SERVICES,
    Blogger,
    Service,
    ServiceLines,
    ServicesSection,
    Unread,
    read,
)
from amo_bridge.storage.secrets import small_state
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.context import audit, who

MOST_BLOGGERS = 60
SHOWN_AT_FIRST = 3


@dataclass
class LineRow:
    """One service of a blogger; ``trouble``: what is wrong with it."""

    platform: str = ""
    service: str = ""
    trouble: str = ""

    @property
    def is_empty(self) -> bool:
        return not self.platform and not self.service


@dataclass
class Group:
    """A blogger as he stands in the form: «Бузова Ольга (контакт 40000012)»."""

    name: str = ""
    rows: list[LineRow] = field(default_factory=list)
    trouble: str = ""

    @classmethod
    def of(cls, name: str, contact_id: int | None, services: Iterable[tuple[str, str]]) -> Group:
        """``services``: platforms with what is done on them."""
        contact = f" (контакт {contact_id})" if contact_id else ""
        rows = [LineRow(_one_line(platform), _one_line(service)) for platform, service in services]
        return cls(f"{_one_line(name)}{contact}", rows)

    @property
    def is_empty(self) -> bool:
        return not self.name and all(row.is_empty for row in self.rows)

    @property
    def has_no_service(self) -> bool:
        return not self.is_empty and all(row.is_empty for row in self.rows)

    @property
    def problems(self) -> list[str]:
        """Its own and its rows'."""
        return [one for one in (self.trouble, *(row.trouble for row in self.rows)) if one]

    @property
    def can_grow(self) -> bool:
        return len(self.rows) < MOST_SERVICES


@dataclass
class ServiceForm:
    """``loaded``: the mark of the text that the form was filled from, to see whether somebody has changed it since."""

    groups: list[Group]
    unread: str = ""
    loaded: str = ""

    @classmethod
    def of_text(cls, text: str, platforms: Collection[str]) -> ServiceForm:
        found = read(text, platforms)
        groups = [_group(blogger) for blogger in found.bloggers] or [_empty()]
        return cls(groups, "\n".join(piece.text for piece in found.unread), mark_of(text))

    @classmethod
    def of_form(cls, sent: Mapping[str, str]) -> ServiceForm:
        groups = []
        for number in range(MOST_BLOGGERS):
            if (name := sent.get(f"blogger.{number}")) is None:
                break
            groups.append(Group(_one_line(name), list(_rows(sent, number))))
        return cls(groups or [_empty()], sent.get("unread", "").strip(), sent.get("loaded", ""))

    @property
    def problems(self) -> list[str]:
        """What is wrong, for whoever does not see the rows."""
        told = [(group.name, words) for group in self.groups for words in group.problems]
        return [f"{name}: {words}" for name, words in told]

    def changed(self, deed: str) -> ServiceForm:
        """After a button of the form: «add», «line.0», «drop.0»; any other changes nothing."""
        verb, _dot, place = deed.partition(".")
        groups = list(self.groups)
        number = int(place) if place.isdecimal() else -1
        if verb == "add" and len(groups) < MOST_BLOGGERS:
            groups.append(_empty())
        elif verb == "line" and 0 <= number < len(groups) and groups[number].can_grow:
            groups[number] = replace(groups[number], rows=[*groups[number].rows, LineRow()])
        elif verb == "drop" and 0 <= number < len(groups):
            groups.pop(number)
        return replace(self, groups=groups or [_empty()])

    def lines(self) -> ServiceLines | None:
        """What is to be saved; None if something is wrong, which is told in the rows and groups."""
        bloggers = [blogger for group in self.groups if not group.is_empty and (blogger := _blogger(group))]
        for one in _namesakes(self.groups):
            one.trouble = _("Этот блогер уже есть выше")
        for one in self.groups:
            if one.has_no_service:
                one.trouble = one.trouble or _("Добавьте хотя бы одну услугу: площадку и что на ней")
        if any(group.problems for group in self.groups):
            return None
        return ServiceLines(tuple(bloggers), tuple(Unread(row, "") for row in self.unread.splitlines() if row.strip()))


def mark_of(text: str) -> str:
    """The same for the same text, however amoCRM ends its lines."""
    return sha256("\n".join(text.split()).encode()).hexdigest()[:16]


def _empty() -> Group:
    return Group(rows=[LineRow() for _row in range(SHOWN_AT_FIRST)])


def _group(blogger: Blogger) -> Group:
    group = Group.of(blogger.name, blogger.contact_id, ((one.platform, one.service) for one in blogger.services))
    while len(group.rows) < SHOWN_AT_FIRST:
        group.rows.append(LineRow())
    return group


def _rows(sent: Mapping[str, str], number: int) -> Iterator[LineRow]:
    for place in range(MOST_SERVICES):
        platform, service = (sent.get(f"{part}.{number}.{place}") for part in ("platform", "service"))
        if platform is None or service is None:
            return
        yield LineRow(_one_line(platform), _one_line(service))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _blogger(group: Group) -> Blogger | None:
    """The blogger of a group; None if something is wrong with it, which is told in it."""
    services = []
    for row in group.rows:
        if row.is_empty:
            continue
        if not row.platform or not row.service:
            row.trouble = _("Нужны и площадка, и услуга")
            continue
        try:
            services.append(Service(row.platform, row.service))
        except ValueError as error:
            row.trouble = str(error)
    contact = CONTACT.search(group.name)
    try:
        return Blogger(group.name, tuple(services), int(contact[1]) if contact else None)
    except ValueError:
        group.trouble = _("Назовите блогера")
    return None


def _namesakes(groups: list[Group]) -> Iterator[Group]:
    seen = set()
    for group in groups:
        if group.name and not group.trouble:
            mark = Blogger(group.name).mark
            if mark in seen:
                yield group
            seen.add(mark)


# What the services page knows of one deal and of the account's bloggers: from the store, without asking amoCRM. And
# what it saves; by the API as well.

LETTERS = 3
"""So many letters of the surname are asked for (regulation A70)."""
PAGE = "services"
Outcome = Literal["saved", "wrong", "meanwhile", "dry"]
"""Of a form: «wrong» is told in it, «meanwhile» somebody else has saved, «dry»: the bridge changes nothing."""


@dataclass(frozen=True)
class ServiceLinesService:
    """One deal of an account whose config has a section ``[services]``. ``at`` ends the request with 404 when the
    account or the deal is not known, or the config has no such section."""

    page: AccountView
    services: ServicesSection
    account: Account
    record: DealRecord

    @classmethod
    def at(cls, page: AccountView, deal_id: int) -> ServiceLinesService:
        services = page.config.services
        kept = small_state(page.config, page.bridge.environment).accounts.read(page.config.account.url)
        record = Mirror(page.account_store).record(deal_id) if kept else None
        if services is None or kept is None or record is None:
            abort(404)
        return cls(page, services, Account.from_json(kept["account"]), record)

    @property
    def field(self) -> Field:
        return self.account.field(self.services.field)

    @property
    def stage(self) -> Stage:
        return self.account.stage_of(self.record.pipeline_id, self.record.status_id)

    @property
    def url(self) -> str:
        """The deal's card in amoCRM."""
        return deal_url(self.page.config.account.url, self.record.id)

    @property
    def last_saving(self) -> ManualEdit | None:
        return self._by_hand.last(self.record.id)

    @property
    def text(self) -> str:
        """The field as it is, or as it will be in a moment."""
        saving = self.last_saving
        if saving and saving.is_under_way:
            return saving.value
        return FieldReader(self.account).texts(self.record).get(self.field.name, "")

    @property
    def all_services(self) -> list[str]:
        """What the config offers, each once."""
        return list(dict.fromkeys(one for platform in self.services.platforms.values() for one in platform.services))

    def people(self, letters: str) -> list[MirroredContact]:
        """Bloggers whose surname begins so; fewer letters than three find nobody."""
        if len(letters.strip()) < LETTERS:
            return []
        return self._index.by_surname(
            letters, field_id=self._kind.id if self._kind else None, value=self.services.blogger
        )

    def take(self, form: ServiceForm) -> Outcome:
        """Save what the form says, if that can be."""
        lines = form.lines()
        if lines is None:
            return "wrong"
        if form.loaded != mark_of(self.text):
            return "meanwhile"
        if self.page.config.bridge.dry_run:
            return "dry"
        self._save(lines)
        audit("services.save", f"Сохранены услуги сделки {self.record.id}")
        return "saved"

    def _save(self, lines: ServiceLines) -> None:
        """Keep the lines, with the contacts of those bloggers of whom it is clear who they are."""
        known = ServiceLines(tuple(self._with_contact(one) for one in lines.bloggers), lines.unread)
        self._by_hand.fill(self.record.id, self.field, known.as_text(), who())

    def _with_contact(self, blogger: Blogger) -> Blogger:
        if blogger.contact_id:
            return blogger
        found = known_by_name(self._index, blogger.name, self._kind, self.services.blogger)
        return replace(blogger, contact_id=found[0].id) if len(found) == 1 else blogger

    @property
    def _kind(self) -> Field | None:
        name = self.services.classification
        return self.account.field(name, "contacts") if name else None

    @property
    def _index(self) -> ContactIndex:
        return ContactIndex(self.page.account_store)

    @property
    def _by_hand(self) -> ManualEdits:
        return ManualEdits(self.page.account_store, self.page.clock, PAGE)
