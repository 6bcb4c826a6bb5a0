"""Size of an SMS: its parts, and the places that its text takes in them."""

from __future__ import annotations

from amo_bridge.lazy.dataclasses import dataclass

# GSM 03.38: what fits into seven bits; of the second line each sign takes two places.
_GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = set("^{}\\[~]|€\f")
_GSM_ALONE, _GSM_PART = 160, 153
_UCS2_ALONE, _UCS2_PART = 70, 67


@dataclass(frozen=True)
class SmsSize:
    """How long a text is for a telephone. ``places``: as the network counts them; ``in_part``: places of a part."""

    parts: int
    places: int
    in_part: int
    is_latin: bool

    @property
    def words(self) -> str:
        """«2 части, 95 знаков, по 67 в части» (Russian)."""
        part = "часть" if self.parts == 1 else "части" if self.parts < 5 else "частей"
        more = f", по {self.in_part} в части" if self.parts > 1 else ""
        return f"{self.parts} {part}, знаков {self.places}{more}"


def sms_size(text: str) -> SmsSize:
    """Seven-bit texts have 160 places (153 in each of several parts), all others 70 (67)."""
    is_latin = all(char in _GSM or char in _GSM_TWICE for char in text)
    if is_latin:
        places = sum(2 if char in _GSM_TWICE else 1 for char in text)
        alone, part = _GSM_ALONE, _GSM_PART
    else:
        places = len(text.encode("utf-16-le", "surrogatepass")) // 2
        alone, part = _UCS2_ALONE, _UCS2_PART
    parts = 1 if places <= alone else -(-places // part)
    return SmsSize(parts, places, alone if parts == 1 else part, is_latin)
