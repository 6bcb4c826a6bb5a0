"""A deal's call scripts with its data filled in: from the store, without asking amoCRM."""

from __future__ import annotations

from dataclasses import dataclass

from flask import abort

from amo_bridge.channels.mail import facts
from amo_bridge.crm.account import Account
from amo_bridge.crm.records import ContactRecord
from amo_bridge.engine.deal_view import Viewer
from amo_bridge.mirror.contacts import ContactIndex
from amo_bridge.mirror.deals import Mirror
from amo_bridge.rules.deal import Deal
from amo_bridge.storage.secrets import small_state
from amo_bridge.text.names import normalise
from amo_bridge.text.scripts import Script, Scripts
from amo_bridge.web.office import PageAccount


@dataclass(frozen=True)
class ScriptDesk:
    """One deal. ``at`` ends the request with 404 when the account or the deal is not known."""

    page: PageAccount
    account: Account
    deal: Deal

    @classmethod
    def at(cls, page: PageAccount, deal_id: int) -> ScriptDesk:
        kept = small_state(page.config, page.bridge.environment).accounts.read(page.config.account.url)
        record = Mirror(page.store, page.key).record(deal_id) if kept else None
        if kept is None or record is None:
            abort(404)
        names = Account.from_json(kept["account"])
        viewer = Viewer(names, page.config.account.url, secret=page.config.bridge.secret_fields)
        return cls(page, names, viewer.deal(record))

    @property
    def names(self) -> list[str]:
        return self._scripts.names

    def filled(self, name: str) -> Script:
        """Raises KeyError for a name that is not among ``names``, BadTemplate."""
        fields = {normalise(field.name): field.name for field in self.account.fields()}
        return self._scripts.filled(name, facts(self.deal, self._client, fields, ""))

    @property
    def _scripts(self) -> Scripts:
        return Scripts(self.page.config.scripts_folder)

    @property
    def _client(self) -> ContactRecord:
        """The main contact, as far as the index knows it; without a name else."""
        number = self.deal.main_contact_id or 0
        known = ContactIndex(self.page.store, self.page.key).get([number]).get(number)
        if known is None:
            return ContactRecord(id=number)
        surname = normalise(known.surname).split()
        first = " ".join(word for word in known.name.split() if normalise(word) not in surname)
        return ContactRecord(id=number, name=known.name, first_name=first, last_name=known.surname)
