"""The API keeps what its OpenAPI description promises, for a thousand requests that Schemathesis makes of it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from veduta.server.app import create_app
from veduta.server.settings import Settings

from .running import Running

#: Requests for each route; those that answer about photos have the most ways to be asked.
_CASES = {"/v1/predictions": 640, "/v1/predictions/batch": 360}
_OTHERS = 60
_CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance, not_a_server_error]


def test_a_thousand_requests_get_nothing_that_is_not_documented(server: Running) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/v1/openapi.json")
    statuses: Counter[tuple[str, int]] = Counter()
    for each in schema.get_all_operations():
        operation = each.ok()
        cases = _CASES.get(operation.path, _OTHERS)
        takes_anything = any(True for _ in operation.iter_parameters()) or bool(operation.body)
        modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE] if takes_anything else [GenerationMode.POSITIVE]
        for mode in modes:
            ask(operation, mode, cases // 2 if takes_anything else 1, statuses)
    told = ", ".join(f"{path} {status} ×{count}" for (path, status), count in sorted(statuses.items()))
    print(f"{statuses.total()} requests: {told}")
    assert statuses.total() >= 1000
    assert statuses["/v1/predictions", 200] > 0


def ask(operation: Any, mode: GenerationMode, cases: int, statuses: Counter[tuple[str, int]]) -> None:
    """Make so many requests of an operation, valid ones or invalid ones, and check each answer."""

    @seed(7)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        response = case.call()
        statuses[operation.path, response.status_code] += 1
        case.validate_response(response, checks=_CHECKS)

    one()


def test_the_description_is_whole_and_names_the_form(client: httpx2.Client) -> None:
    described = client.get("/v1/openapi.json").json()
    form = described["paths"]["/v1/predictions"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert set(form["schema"]["properties"]) == {"file", "url", "sample"}
    text = json.dumps(described)
    for name in described["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in text
    assert "HTTPValidationError" not in text
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path


@pytest.mark.parametrize("workers", [1, 3])
def test_the_description_does_not_depend_on_settings(workers: int) -> None:
    assert create_app(Settings.read(workers=workers)).openapi() == create_app(Settings.read()).openapi()
