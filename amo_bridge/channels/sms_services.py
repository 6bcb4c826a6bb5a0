"""SMS services: SMS.ru and SMSC. An error comes with HTTP 200, so each reads the body.

SMSC takes our own number of a message and can be asked by it; SMS.ru gives numbers of its own only, so a message whose
answer was lost is never found there.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.channels.telephony import digits
from amo_bridge.config.channels import SMSC_PASSWORD, SMSRU_ID, SmscSection, SmsRuSection
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused
from amo_bridge.lazy.dataclasses import dataclass


@dataclass(frozen=True)
class SmsTaken:
    """A message that the service has taken. ``cost``, ``balance``: None where it does not say."""

    vendor_id: str
    cost: float | None = None
    balance: float | None = None


SmsState = Literal["sent", "delivered", "failed"]


@dataclass(frozen=True)
class SmsReport:
    """What became of a message. ``words``: why it failed (Russian)."""

    state: SmsState
    words: str = ""


class SmsService(Protocol):
    """A service. ``vendor``: its section of the config. ``finds_lost``: it can be asked by our own number."""

    vendor: ClassVar[str]
    finds_lost: ClassVar[bool] = False

    @abstractmethod
    def check(self) -> str:
        """See VendorClient."""

    @abstractmethod
    def balance(self) -> float | None:
        """Money on the account. Raises ChannelError."""

    @abstractmethod
    def price(self, phone: str, text: str) -> float | None:
        """What it would cost. Raises ChannelError."""

    @abstractmethod
    def send(self, number: int, phone: str, text: str) -> SmsTaken:
        """``number``: our own of the message. Raises ChannelError."""

    @abstractmethod
    def state(self, vendor_id: str, phone: str) -> SmsReport | None:
        """What became of it; None: the service does not know it. Raises ChannelError."""


def _money(value: object) -> float | None:
    try:
        return float(str(value).replace(",", "."))
    except ValueError:
        return None


# --- SMS.ru -----------------------------------------------------------------------------------------------------------

_RU_ERRORS: Mapping[int, tuple[type[ChannelError], str]] = {
    200: (ChannelDown, f"неправильный api_id, проверьте {SMSRU_ID}"),
    201: (ChannelDown, "не хватает денег на счёте, пополните его"),
    202: (ChannelRefused, "номер получателя неправильный"),
    203: (ChannelRefused, "нет текста сообщения"),
    204: (ChannelDown, "имя отправителя (sender) не согласовано с операторами"),
    205: (ChannelRefused, "сообщение слишком длинное"),
    206: (ChannelBusy, "превышен дневной лимит сообщений"),
    207: (ChannelRefused, "на этот номер отправить нельзя"),
    209: (ChannelRefused, "номер в стоп-листе"),
    212: (ChannelRefused, "текст не в UTF-8"),
    214: (ChannelRefused, "номер за рубежом, отправка туда не подключена"),
    216: (ChannelRefused, "в тексте запрещённое слово"),
    220: (ChannelBusy, "сервис временно недоступен"),
    230: (ChannelRefused, "на этот номер сегодня отправлено слишком много"),
    231: (ChannelBusy, "одинаковые сообщения на номер: не чаще раза в минуту"),
    232: (ChannelRefused, "одинаковых сообщений на номер сегодня слишком много"),
    300: (ChannelDown, f"неправильный ключ, проверьте {SMSRU_ID}"),
    301: (ChannelDown, f"неправильный ключ, проверьте {SMSRU_ID}"),
    302: (ChannelDown, "аккаунт SMS.ru не подтверждён кодом из SMS"),
    500: (ChannelBusy, "ошибка сервиса, повторим"),
}  # fmt: skip
_RU_OK = 100
RU_STATES: Mapping[int, SmsReport] = {
    100: SmsReport("sent"), 101: SmsReport("sent"), 102: SmsReport("sent"), 103: SmsReport("delivered"),
    110: SmsReport("delivered"), 104: SmsReport("failed", "истекло время жизни"),
    105: SmsReport("failed", "удалено оператором"), 106: SmsReport("failed", "сбой в телефоне"),
    107: SmsReport("failed", "неизвестная причина"), 108: SmsReport("failed", "отклонено"),
    150: SmsReport("failed", "не найден маршрут на этот номер"),
}  # fmt: skip


def ru_error(code: int, words: str = "") -> ChannelError:
    """What to do about an error of SMS.ru, in Russian words."""
    kind, known = _RU_ERRORS.get(code, (ChannelRefused, words or "отказ"))
    return kind(f"SMS.ru: {known} ({code})")


class SmsRu(SmsService):
    vendor = "smsru"

    def __init__(self, section: SmsRuSection, api_id: str) -> None:
        self._section = section
        self._api_id = api_id
        self._http = HttpClient("SMS.ru", section.api, api_id)

    def check(self) -> str:
        return f"SMS.ru пускает, на счёте {self.balance():g} ₽"

    def balance(self) -> float:
        return _money(self._ask("/my/balance", {}).get("balance")) or 0.0

    def price(self, phone: str, text: str) -> float | None:
        form = {"to": digits(phone), "msg": text, **self._sender()}
        return _money(self._one(self._ask("/sms/cost", form), digits(phone)).get("cost"))

    def send(self, number: int, phone: str, text: str) -> SmsTaken:
        form = {"to": digits(phone), "msg": text, **self._sender(), **({"test": "1"} if self._section.test else {})}
        told = self._ask("/sms/send", form)
        row = self._one(told, digits(phone))
        return SmsTaken(str(row.get("sms_id", "")), _money(row.get("cost")), _money(told.get("balance")))

    def state(self, vendor_id: str, phone: str) -> SmsReport | None:
        told = self._ask("/sms/status", {"sms_id": vendor_id})
        rows = told.get("sms")
        row = rows.get(vendor_id) if isinstance(rows, dict) else None
        code = row.get("status_code") if isinstance(row, dict) else None
        return RU_STATES.get(code) if isinstance(code, int) else None

    def _sender(self) -> dict[str, str]:
        return {"from": self._section.sender} if self._section.sender else {}

    def _one(self, told: Mapping[str, Any], phone: str) -> Mapping[str, Any]:
        """The part of an answer about one number: it may say «no» though the whole says OK."""
        rows = told.get("sms")
        row = rows.get(phone) if isinstance(rows, dict) else None
        if not isinstance(row, dict):
            raise self._http.unreadable(ValueError("в ответе нет этого номера"))
        if row.get("status") != "OK":
            raise ru_error(int(row.get("status_code") or 0), str(row.get("status_text", "")))
        return row

    def _ask(self, path: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        told = self._http.ask("POST", path, form={"api_id": self._api_id, "json": "1", **form})
        if not isinstance(told, dict):
            raise self._http.unreadable(ValueError("в ответе не объект"))
        if told.get("status") != "OK":
            raise ru_error(int(told.get("status_code") or 0), str(told.get("status_text", "")))
        return told


# --- SMSC -------------------------------------------------------------------------------------------------------------

_SMSC_ERRORS: Mapping[int, tuple[type[ChannelError], str]] = {
    1: (ChannelRefused, "ошибка в параметрах"),
    2: (ChannelDown, f"неправильный логин или пароль, проверьте login и {SMSC_PASSWORD}"),
    3: (ChannelDown, "не хватает денег на счёте, пополните его"),
    4: (ChannelDown, "адрес моста заблокирован из-за частых ошибок"),
    5: (ChannelRefused, "неправильный формат даты"),
    6: (ChannelRefused, "сообщение запрещено: по тексту или имени отправителя (sender)"),
    7: (ChannelRefused, "неправильный формат номера"),
    8: (ChannelRefused, "на этот номер сообщение доставить нельзя"),
    9: (ChannelBusy, "слишком много одинаковых запросов за минуту"),
}
SMSC_STATES: Mapping[int, SmsReport] = {
    -2: SmsReport("failed", "остановлено"), -1: SmsReport("sent"), 0: SmsReport("sent"), 1: SmsReport("delivered"),
    2: SmsReport("delivered"), 3: SmsReport("failed", "истекло время жизни"), 4: SmsReport("delivered"),
    20: SmsReport("failed", "доставить невозможно"), 22: SmsReport("failed", "неверный номер"),
    23: SmsReport("failed", "запрещено"), 24: SmsReport("failed", "не хватило денег"),
    25: SmsReport("failed", "номер недоступен"),
}  # fmt: skip


class Smsc(SmsService):
    """SMSC's HTTP API (fmt=3: JSON)."""

    vendor = "smsc"
    finds_lost = True

    def __init__(self, section: SmscSection, password: str) -> None:
        self._section = section
        self._password = password
        self._http = HttpClient("SMSC", f"{section.api}/sys", password)

    def check(self) -> str:
        return f"SMSC пускает, на счёте {self.balance():g}"

    def balance(self) -> float:
        return _money(self._ask("balance", {}).get("balance")) or 0.0

    def price(self, phone: str, text: str) -> float | None:
        form = {"phones": digits(phone), "mes": text, "cost": "1", **self._sender()}
        return _money(self._ask("send", form).get("cost"))

    def send(self, number: int, phone: str, text: str) -> SmsTaken:
        # In test mode only the price is asked.
        form = {"phones": digits(phone), "mes": text, "id": str(number), **self._sender()}
        told = self._ask("send", {**form, "cost": "1" if self._section.test else "3"})
        return SmsTaken(str(told.get("id") or number), _money(told.get("cost")), _money(told.get("balance")))

    def state(self, vendor_id: str, phone: str) -> SmsReport | None:
        told = self._ask("status", {"id": vendor_id, "phone": digits(phone)})
        try:
            return SMSC_STATES.get(int(str(told.get("status"))))
        except ValueError:
            return None

    def _sender(self) -> dict[str, str]:
        return {"sender": self._section.sender} if self._section.sender else {}

    def _ask(self, method: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        common = {"login": self._section.login, "psw": self._password, "fmt": "3", "charset": "utf-8"}
        told = self._http.ask("POST", f"/{method}.php", form={**common, **form})
        if not isinstance(told, dict):
            raise self._http.unreadable(ValueError("в ответе не объект"))
        if (code := told.get("error_code")) is not None:
            kind, words = _SMSC_ERRORS.get(int(code), (ChannelRefused, str(told.get("error", "отказ"))))
            raise kind(f"SMSC: {words} ({code})")
        return told
