"""What the services page knows of one deal and of the account's bloggers: from the store, without asking amoCRM. And
what it saves; by the API as well."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from flask import abort

from amo_bridge.crm.account import Account, Field, Stage
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.data_sources import known_by_name
from amo_bridge.engine.deal_view import FieldReader, deal_url
from amo_bridge.engine.manual_edits import ByHand, Saving
from amo_bridge.mirror.contacts import ContactIndex, IndexedContact
from amo_bridge.mirror.deals import Mirror
from amo_bridge.rules.service_lines import Blogger, ServiceLines, ServicesSection
from amo_bridge.storage.secrets import small_state
from amo_bridge.web.here import who, write_down
from amo_bridge.web.office import PageAccount
from amo_bridge.web.service_form import ServiceForm, mark_of

LETTERS = 3
"""So many letters of the surname are asked for (regulation A70)."""
PAGE = "services"
Outcome = Literal["saved", "wrong", "meanwhile", "dry"]
"""Of a form: «wrong» is told in it, «meanwhile» somebody else has saved, «dry»: the bridge changes nothing."""


@dataclass(frozen=True)
class ServiceDesk:
    """One deal of an account whose config has a section ``[services]``. ``at`` ends the request with 404 when the
    account or the deal is not known, or the config has no such section."""

    page: PageAccount
    services: ServicesSection
    account: Account
    record: DealRecord

    @classmethod
    def at(cls, page: PageAccount, deal_id: int) -> ServiceDesk:
        services = page.config.services
        kept = small_state(page.config, page.bridge.environment).accounts.read(page.config.account.url)
        record = Mirror(page.store, page.key).record(deal_id) if kept else None
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
    def last_saving(self) -> Saving | None:
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

    def people(self, letters: str) -> list[IndexedContact]:
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
        write_down("services.save", f"Сохранены услуги сделки {self.record.id}")
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
        return ContactIndex(self.page.store, self.page.key)

    @property
    def _by_hand(self) -> ByHand:
        return ByHand(self.page.store, self.page.key, self.page.clock, PAGE)
