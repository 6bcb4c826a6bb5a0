"""Validation of request bodies, object by object.

One wrong object refuses the whole batch, and nothing is written. The answer is amoCRM's ``validation-errors``
(amoCRM docs, error-codes); ``NotSupportedChoice``, ``InvalidType`` and ``TooLong`` were seen in its answers, the other
codes are of the same validator's family.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from flask import g, request

from amo_bridge.sandbox.http import Refused, request_json

if TYPE_CHECKING:
    from amo_bridge.sandbox.world import World

T = TypeVar("T")

MAX_BATCH = 250
DETAILS = {
    "NotSupportedChoice": "The value you selected is not a valid choice.",
    "FieldMissing": "This field is missing.",
    "NotBlank": "This value should not be blank.",
    "InvalidFormat": "This value is not valid.",
    "NotUnique": "This value is already used.",
}


class Reader:
    """One object of a request: gives its values by kind and notes in ``errors`` what is wrong with them."""

    def __init__(self, world: World, body: Mapping[str, Any], request_id: str, user_id: int) -> None:
        self.world = world
        self.body = body
        self.request_id = request_id
        self.user_id = user_id
        self.errors: list[dict[str, str]] = []

    def fail(self, code: str, path: str, detail: str | None = None) -> None:
        self.errors.append({"code": code, "path": path, "detail": detail or DETAILS[code]})

    def wrong_type(self, path: str, expected: str) -> None:
        self.fail("InvalidType", path, f"This value should be of type {expected}.")

    def not_a_choice(self, path: str) -> None:
        self.fail("NotSupportedChoice", path)

    def __contains__(self, name: object) -> bool:
        return name in self.body

    def require(self, *names: str) -> None:
        for name in names:
            if name not in self.body:
                self.fail("FieldMissing", name)
            elif self.body[name] in (None, ""):
                self.fail("NotBlank", name)

    def text(self, name: str, max_length: int = 255) -> str | None:
        value = self._typed(name, str, "string")
        if value is not None and len(value) > max_length:
            self.fail("TooLong", name, too_long(max_length))
        return value

    def integer(self, name: str) -> int | None:
        return self._typed(name, int, "int")

    def flag(self, name: str) -> bool | None:
        return self._typed(name, bool, "bool")

    def mapping(self, name: str) -> dict[str, Any] | None:
        return self._typed(name, dict, "array")

    def objects(self, name: str, body: Mapping[str, Any] | None = None, path: str = "") -> list[dict[str, Any]]:
        """A list of objects, empty when it is absent, null or wrong."""
        value = (self.body if body is None else body).get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.wrong_type(f"{path}{name}", "array")
            return []
        return value

    def embedded(self) -> dict[str, Any]:
        return self.mapping("_embedded") or {}

    def choice(self, name: str, allowed: Sequence[Any] | Mapping[Any, Any]) -> Any:
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, list | dict | bool) or value not in allowed:
            self.not_a_choice(name)
            return None
        return value

    def user(self, name: str, *, robot: bool = False) -> int | None:
        """An active user of the account; ``robot``: 0 stands for none and is right too."""
        value = self.integer(name)
        if value is None or (robot and value == 0):
            return value
        user = self.world.table("users").get(value)
        # A full record sent back with a deactivated user in it is refused: the best known trap of this API.
        if user is None or not user["is_active"]:
            self.not_a_choice(name)
            return None
        return value

    def _typed(self, name: str, kind: type[T], type_name: str) -> T | None:
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.wrong_type(name, type_name)
            return None
        return value


def too_long(max_length: int) -> str:
    return f"This value is too long. It should have {max_length} characters or less."


def acting_user() -> int:
    """Whose token (or ``X-Context-User-ID``) the request carries."""
    return int(g.user_id)


def read_json() -> Any:
    body = request_json()
    if body is None and request.get_data().strip() not in (b"", b"null"):
        raise Refused(400, "Invalid JSON in request body")
    if body is None or body in ([], {}):
        raise Refused(400, "Request data can not be empty")
    return body


def read_batch(world: World, max_items: int = MAX_BATCH) -> list[Reader]:
    """The objects of a collection's POST or PATCH. Raises Refused."""
    body = read_json()
    if not isinstance(body, list):
        raise Refused(400, "Request validation failed", **_report("0", [_not_an_array("")]))
    if len(body) > max_items:
        raise Refused(422, f"Limit {max_items} per page")
    for number, item in enumerate(body):
        if not isinstance(item, dict):
            raise Refused(400, "Request validation failed", **_report(str(number), [_not_an_array("")]))
    return [_reader(world, item, str(number)) for number, item in enumerate(body)]


def read_one(world: World, **given: Any) -> Reader:
    """The one object of a request to ``/{id}``; ``given`` stands in the address and wins. Raises Refused."""
    body = read_json()
    if not isinstance(body, dict):
        raise Refused(400, "Request validation failed", **_report("0", [_not_an_array("")]))
    return _reader(world, {**body, **given}, "0")


def checked(readers: Sequence[Reader], read: Callable[[Reader], T]) -> list[tuple[Reader, T]]:
    """Reads every object, and raises Refused with all errors of all of them if there is any."""
    drafts = [(reader, read(reader)) for reader in readers]
    wrong = [{"request_id": reader.request_id, "errors": reader.errors} for reader in readers if reader.errors]
    if wrong:
        raise Refused(400, "Request validation failed", **{"validation-errors": wrong})
    return drafts


def _reader(world: World, item: Mapping[str, Any], default_id: str) -> Reader:
    request_id = item.get("request_id")
    return Reader(world, item, default_id if request_id is None else str(request_id), acting_user())


def _not_an_array(path: str) -> dict[str, str]:
    return {"code": "InvalidType", "path": path, "detail": "This value should be of type array."}


def _report(request_id: str, errors: list[dict[str, str]]) -> dict[str, Any]:
    return {"validation-errors": [{"request_id": request_id, "errors": errors}]}
