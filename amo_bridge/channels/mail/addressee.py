"""To whom a letter goes: the deal's main contact, at the first of his addresses that can be used; or why to nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from amo_bridge.channels.mail.address import address_key, usable
from amo_bridge.channels.mail.memory import Suppression
from amo_bridge.crm.records import ContactRecord


@dataclass(frozen=True)
class Addressee:
    contact: ContactRecord
    address: str
    address_key: str


@dataclass(frozen=True)
class Nobody:
    """``why`` in Russian. ``is_mendable``: somebody may find out a (better) address."""

    why: str
    is_mendable: bool = True


def keys_of(account: int, contacts: Iterable[ContactRecord]) -> list[str]:
    """The digests of all addresses of these contacts that can be used."""
    return [address_key(account, address) for contact in contacts for address in _usable(contact)]


def addressee(
    account: int,
    contact: ContactRecord | None,
    suppressions: Mapping[str, Suppression],
    *,
    is_service: bool,
    has_consent: bool,
) -> Addressee | Nobody:
    """``is_service``: the letter is about work in hand; otherwise it is advertising."""
    if contact is None:
        return Nobody("у сделки нет контакта")
    addresses = _usable(contact)
    if not addresses:
        return Nobody("у клиента нет e-mail" if not contact.emails else "e-mail клиента записан с ошибкой")
    known = {address: suppressions.get(address_key(account, address)) for address in addresses}
    if not is_service and any(one and one.reason == "unsubscribed" for one in known.values()):
        return Nobody("клиент отписался от рассылок", is_mendable=False)
    if not is_service and not has_consent:
        return Nobody("нет согласия клиента на рассылку", is_mendable=False)
    for address, suppression in known.items():
        if suppression is None or suppression.reason != "refused":
            return Addressee(contact, address, address_key(account, address))
    refusal = next(iter(known.values()))
    assert refusal is not None
    return Nobody(f"почтовый сервер раньше отказал этому адресу: {refusal.words}")


def _usable(contact: ContactRecord) -> list[str]:
    """People put several addresses into one cell."""
    typed = [part for cell in contact.emails for part in cell.replace(";", ",").split(",")]
    return list(dict.fromkeys(address for one in typed if (address := usable(one))))
