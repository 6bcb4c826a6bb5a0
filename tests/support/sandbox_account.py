"""How tests talk to a sandbox: by the names people use, over the API that clients use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from amo_bridge.sandbox.changes import Change
from amo_bridge.sandbox.server import create_app
from amo_bridge.sandbox.world import World

TOKEN = "sandbox-token"
INTEGRATION = "Интеграция amo-bridge"


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def errors(self) -> list[tuple[str, str]]:
        """``(path, code)`` of all validation errors."""
        return [(e["path"], e["code"]) for item in self.json["validation-errors"] for e in item["errors"]]


class SandboxAccount:
    """The agency's account; requests are a person's, so that no rate limit stands in a test's way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.changes: list[Change] = []
        self.http = create_app(world).test_client()
        world.subscribe(self.changes.append)

    def call(
        self, method: str, path: str, body: Any = None, *, by: str = INTEGRATION, raw: bytes | None = None
    ) -> Answered:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Sandbox-Person": str(self.user(by))}
        data = raw if raw is not None or body is None else json.dumps(body).encode()
        url = path if path.startswith("/") else f"/api/v4/{path}"
        answer = self.http.open(url, method=method, data=data, headers=headers)
        return Answered(answer.status_code, dict(answer.headers), answer.get_data())

    def get(self, path: str) -> Answered:
        return self.call("GET", path)

    def post(self, path: str, body: Any, *, by: str = INTEGRATION) -> Answered:
        return self.call("POST", path, body, by=by)

    def patch(self, path: str, body: Any, *, by: str = INTEGRATION) -> Answered:
        return self.call("PATCH", path, body, by=by)

    def user(self, name: str) -> int:
        return self._by_name("users", name)

    def pipeline(self, name: str = "Продажи") -> int:
        return self._by_name("pipelines", name)

    def stage(self, name: str, pipeline: str = "Продажи") -> dict[str, int]:
        """``{"pipeline_id", "status_id"}``."""
        pipeline_id = self.pipeline(pipeline)
        for status in self.world.table("statuses").values():
            if status["pipeline_id"] == pipeline_id and status["name"] == name:
                return {"pipeline_id": pipeline_id, "status_id": status["id"]}
        raise KeyError(name)

    def field(self, name: str, entity: str = "leads") -> int:
        return self._by_name(f"custom_fields/{entity}", name)

    def reason(self, name: str) -> int:
        return self._by_name("loss_reasons", name)

    def contact(self, name: str = "Анна Соколова") -> int:
        return self._by_name("contacts", name)

    def company(self) -> int:
        return self._by_name("companies", "ООО «Ромашка»")

    def add_lead(self, **lead: Any) -> int:
        return self._added("leads", lead)

    def add_contact(self, **contact: Any) -> int:
        return self._added("contacts", contact)

    def add_task(self, **task: Any) -> int:
        return self._added("tasks", {"text": "Позвонить", "complete_till": 2_000_000_000, **task})

    def lead(self, lead_id: int, with_: str = "contacts,loss_reason") -> dict[str, Any]:
        body: dict[str, Any] = self.get(f"leads/{lead_id}?with={with_}").json
        return body

    def value(self, lead_id: int, name: str) -> Any:
        """The values of a lead's field as the API answers with them; None when there are none."""
        for field in self.lead(lead_id)["custom_fields_values"] or ():
            if field["field_name"] == name:
                return field["values"]
        return None

    def changes_since(self, mark: int) -> list[tuple[str, str, int]]:
        return [(change.kind, change.action, change.entity_id) for change in self.changes[mark:]]

    def _added(self, kind: str, body: dict[str, Any]) -> int:
        answer = self.post(kind, [body])
        assert answer.status == 200, answer.raw.decode()
        return int(answer.json["_embedded"][kind][0]["id"])

    def _by_name(self, kind: str, name: str) -> int:
        return next(int(row["id"]) for row in self.world.table(kind).values() if row["name"] == name)
