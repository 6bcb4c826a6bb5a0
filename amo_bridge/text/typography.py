"""Typography of texts for people: nested quotes, sums of money, places for a deal to come."""

from __future__ import annotations

from functools import lru_cache

from babel.numbers import format_currency, format_decimal, is_currency

LATER = {"{new.url}": "адрес новой сделки", "{new.id}": "номер новой сделки"}
"""Places that are filled only when the new deal exists → what to say before that."""

# What the locale data of Russian leaves as a code.
SIGNS = {"KZT": "₸", "KGS": "сом", "UZS": "сум"}


def nested_quotes(text: str) -> str:
    """«a „b“ c» for «a «b» c». A text whose quotes don't pair is left as it is: nobody knows what was meant."""
    if text.count("«") < 2:
        return text
    found, depth = [], 0
    for sign in text:
        if sign == "«":
            found.append("„" if depth else sign)
            depth += 1
        elif sign == "»":
            depth -= 1
            if depth < 0:
                return text
            found.append("“" if depth else sign)
        else:
            found.append(sign)
    return text if depth else "".join(found)


def action_words(text: str) -> str:
    """What is done, as the journal and pages say it."""
    for place, words in LATER.items():
        text = text.replace(place, words)
    return nested_quotes(text)


@lru_cache(maxsize=4096)
def money(amount: int, currency: str, language: str = "ru") -> str:
    """«5 000 ₽» for 5000 and RUB; a code that nobody knows stays as it is. Kept: reports say the same sums again and
    again, and Babel takes a tenth of a millisecond for each."""
    code = currency.strip().upper()
    if code in SIGNS or not is_currency(code):
        currency = SIGNS.get(code, currency)
        return f"{format_decimal(amount, locale=language)}\N{NO-BREAK SPACE}{currency}".strip()
    pattern = "#,##0\N{NO-BREAK SPACE}¤"
    return format_currency(amount, code, pattern, locale=language, currency_digits=False)
