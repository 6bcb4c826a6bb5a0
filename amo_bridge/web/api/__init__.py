"""The JSON API ``/api/v1``: what the pages do, for programs. One file per subject, found by being here.

A token is sent as ``Authorization: Bearer …``; its role says how far it goes. A file has its shapes (pydantic models:
answers are made of them, and so is the description) and its doors, functions marked with ``doors.open``.
"""

from __future__ import annotations

import importlib
import pkgutil

from flask import Flask
from flask.json.provider import DefaultJSONProvider

# A door is known once its file was read; the description must know all of them, whoever asks first.
for _found in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_found.name}")


class _Readable(DefaultJSONProvider):
    ensure_ascii = False
    sort_keys = False


def install(app: Flask) -> None:
    # People read answers too, by curl: letters as letters, and a shape's fields in its own order.
    app.json = _Readable(app)
    app.register_blueprint(importlib.import_module(f"{__name__}.version").routes)
