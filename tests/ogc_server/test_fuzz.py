"""A thousand valid and invalid requests made from the API document: none may fail inside the server."""

from __future__ import annotations

from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.generation import GenerationMode

REQUESTS = 1_000
SEED = 20260101


@pytest.fixture(scope="module")
def operations(embedded):
    schema = schemathesis.openapi.from_dict(embedded.get("/api").json())
    return [result.ok() for result in schema.get_all_operations()]


def test_no_request_made_from_the_api_document_fails_inside(operations, embedded):
    statuses: Counter[int] = Counter()
    each = -(-REQUESTS // (2 * len(operations)))
    for operation in operations:
        # nothing can be wrong in a request without parameters
        modes = list(GenerationMode) if operation.definition.raw.get("parameters") else [GenerationMode.POSITIVE]
        for mode in modes:

            @seed(SEED)
            @settings(
                max_examples=each,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(operation.as_strategy(generation_mode=mode))
            def ask(case):
                request = case.as_transport_kwargs(base_url="http://127.0.0.1:8010")
                headers = {k: v for k, v in request["headers"].items() if k.lower() in {"accept", "accept-language"}}
                url, query = request["url"], request.get("params")
                answer = embedded.request(request["method"], url, params=query, headers=headers)
                statuses[answer.status_code] += 1
                assert answer.status_code < 500, (url, query, answer.text)

            ask()
    print(dict(statuses))
    assert sum(statuses.values()) >= REQUESTS * 0.9
    assert statuses[200] > REQUESTS / 5
    assert statuses[400] + statuses[404] > REQUESTS / 5
