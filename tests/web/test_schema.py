"""The API under schemathesis: whatever is sent, there is no server error and no undocumented answer."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance
from starlette.testclient import TestClient

# In a hub that belongs to somebody there may be a TOPCAT.
LEFT_OUT = ("/api/v1/connect/samp", "/api/v1/send/samp", "/api/v1/highlight/samp")


@pytest.mark.slow
def test_no_request_breaks_the_server(app: FastAPI) -> None:
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers={"host": "127.0.0.1"})
    operations = [found.ok() for found in schema.get_all_operations()]
    wanted = [operation for operation in operations if operation.path not in LEFT_OUT]
    for operation in wanted:
        _try(operation)
    tried = {operation.path for operation in wanted}
    assert {"/api/v1/search", "/api/v1/classify", "/api/v1/galaxies/{id_str}", "/api/v1/cutout/{id_str}"} <= tried


def _try(operation: Any) -> None:
    """Send an operation what its description allows, and check every answer."""

    @settings(
        max_examples=12,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
        database=None,
        derandomize=True,
    )
    @given(case=operation.as_strategy())
    def requests(case: Any) -> None:
        answer = case.call(headers={"host": "127.0.0.1"})
        case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])

    requests()


def test_bodies_that_are_no_json_are_refused(client: TestClient) -> None:
    for body in (b"", b"{", b"[]", b"\xff\xfe", b'{"parts": 3}', b'{"parts": [], "k": 1e999}'):
        answer = client.post("/api/v1/search", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422)
        assert isinstance(answer.json()["detail"], str)
