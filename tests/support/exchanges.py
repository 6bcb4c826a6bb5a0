"""Clients of the stand-ins of exchanges."""

from __future__ import annotations

from amo_bridge.channels.telephony import Novofon, Novofon2, OnlinePbx, Telephony, Zadarma
from amo_bridge.config.channels import Novofon2Section, NovofonSection, OnlinePbxSection, ZadarmaSection
from amo_bridge.standins.server import StandIns

EXCHANGES = ("onlinepbx", "novofon2", "zadarma", "novofon")


def client_of(name: str, stand_ins: StandIns) -> Telephony:
    told, url = stand_ins[name].settings(), stand_ins.url
    if name == "onlinepbx":
        return OnlinePbx(OnlinePbxSection(api=f"{url}/onlinepbx", domain=told["domain"]), told["auth_key"])
    if name == "novofon2":
        section = Novofon2Section(api=f"{url}/novofon2", reports=f"{url}/novofon2", number=told["line"])
        return Novofon2(section, told["access_token"])
    if name == "zadarma":
        return Zadarma(ZadarmaSection(api=f"{url}/zadarma", key=told["key"]), told["secret"])
    return Novofon(NovofonSection(api=f"{url}/novofon", key=told["key"]), told["secret"])
