"""Consent to advertising: who may be in an audience, who has opted out, what services get."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from amo_bridge.channels.audience_records import Verdict
from amo_bridge.channels.audience_services import Digests
from amo_bridge.channels.mail_log import Suppression
from amo_bridge.channels.recipients import is_yes
from amo_bridge.config.advertising import AudiencesSection, FileFormat
from amo_bridge.crm.records import ContactRecord, DealRecord
from amo_bridge.engine.deal_view import FieldReader
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import UnknownName
from amo_bridge.text.names import normalise, same_name

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
