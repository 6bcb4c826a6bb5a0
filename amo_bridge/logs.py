"""Logs: one JSON line per fact on stderr, with personal data and secrets masked before they get there."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from typing import Any

import structlog

# In addresses and hooks "@" and "+" are percent-encoded.
EMAIL = re.compile(r"[\w.+-]+(?:@|%40)[\w-]+\.[\w.-]+")
# A phone as people and amoCRM write it: 10 to 15 digits after a "+", or eleven that begin with 7 or 8; perhaps with
# blanks, brackets and dashes. Times and ids of amoCRM (up to 10 digits) stay readable.
PHONE = re.compile(
    r"(?i)(?:(?<![\w.])\+|%2b)\d(?:[\s()-]{0,3}\d){9,14}(?!\d)"
    r"|(?<![\w.])[78][\s(-]*\d{3}[\s)-]*\d{3}[\s-]*\d{2}[\s-]*\d{2}(?!\w)"
)
SECRET_WORD = r"(?:bearer|\w*token|\w*secret|password)"
TOKEN = re.compile(
    rf"(?i)\bbearer\s+\S+|\b({SECRET_WORD}[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;}}]+|eyJ[\w-]+\.[\w-]+\.[\w-]+|def502[0-9a-f]{{20,}}"
)
SECRET_KEY = re.compile(rf"(?i){SECRET_WORD}|authorization|encryption_key")
LOGIN = re.compile(r"(://[^\s:/@]*:)[^\s@]+@")
HOOK_PATH = re.compile(r"(/hooks/amocrm/)[^/\s\"'?]+")
# The secret end of a vendor's address, see intake/repository.py; the beginning of the address is the config's.
INTAKE_PATH = re.compile(r"(/in-)[\w-]{32,}")
BOT_TOKEN = re.compile(r"(?<!\d)(\d{6,12}:)[\w-]{30,}")
UNSUBSCRIBE_LINK = re.compile(r"(/u/)[\w-]{16}\b")


def set_up(level: int = logging.INFO, *, file: Any = None) -> None:
    """Send every log line, our own and the libraries', through the masks to stderr (or ``file``)."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        masked,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(ensure_ascii=False)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file or sys.stderr),
    )
    handler = logging.StreamHandler(file or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def masked(logger: object, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """The event with mails, phones, tokens and the hook's secret path masked, at any depth."""
    return {key: value if key.startswith("_") else _mask_named(key, value) for key, value in event.items()}


def _mask_named(key: object, value: Any) -> Any:
    is_secret = value is not None and SECRET_KEY.fullmatch(str(key))
    return "***" if is_secret else _mask(value)


def _mask(value: Any) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return {key: _mask_named(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mask(item) for item in value]
    if value is None or isinstance(value, bool | float):
        return value
    # A phone may be a number; anything else (an exception, an event, bytes) is told as Python shows it.
    told = repr(value)
    hidden = mask_text(told)
    return value if isinstance(value, int) and hidden == told else hidden


def mask_text(text: str) -> str:
    for pattern, replacement in MASKS:
        text = pattern.sub(replacement, text)
    return text


def _keep_ends(match: re.Match[str]) -> str:
    return match[0][:2] + "***" + match[0][-2:]


MASKS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (TOKEN, lambda match: (match[1] or "") + "***"),
    (LOGIN, r"\1***@"),
    (HOOK_PATH, r"\1***"),
    (INTAKE_PATH, r"\1***"),
    (BOT_TOKEN, r"\1***"),
    (UNSUBSCRIBE_LINK, r"\1***"),
    (EMAIL, _keep_ends),
    (PHONE, _keep_ends),
)
