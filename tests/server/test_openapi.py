"""schemathesis over the OpenAPI documents: no answer of 5xx, no undocumented status, every answer as its schema says.

Off by default for its time: ``ONEBRAIN_FUZZ=25`` asks 25 cases of each operation, about 8,500 in all with the coverage phase.
What only the program knows (that a cursor is one it gave, that one of two fields must be there) is refused with a
documented 400, so the check that every input of the right shape is accepted is left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from onebrain_server.dialects import DIALECTS

# Checks that a format's own rules rule out.
LEFT_OUT = {
    # Links name two things: 404 says that the other one is not there, not the one that was just made.
    "onebrain": ["ensure_resource_availability"],
    # A tenantId is any name, so an id in its place is a tenant that knows nothing of what another one stored.
    "herobrain": ["ensure_resource_availability"],
}
_REMEMBEROS = "/compat/rememberos/v1/memory"
# What answers 501 or 503 in every case: a failure that is documented, and a failure all the same to schemathesis.
NOT_OFFERED = {
    "ai-memory": ["/compat/ai-memory/api/v1/cluster"],
    "rememberos": [
        *(
            f"{_REMEMBEROS}/{path}"
            for path in (
                "signup", "recover-key", "reveal/{token}", "email/address", "email/address/rotate", "email/senders",
                "stripe/checkout/create", "stripe/portal", "storage/config", "database/config",
                "connections/oauth/{provider}/start", "connections/oauth/{provider}/callback", "connections/{id}/sync",
                "collections/{collection}/drop/presign", "collections/{collection}/drop/complete",
                "collections/{collection}/memories/upload", "collections/{collection}/memories/{id}/images",
            )
        ),
        "/compat/rememberos/v1/proxy/chat/completions",
        # After this one the key is dead, and nothing else would be asked.
        f"{_REMEMBEROS}/admin/rotate-key",
    ],
}  # fmt: skip
each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


@pytest.mark.skipif(
    "ONEBRAIN_FUZZ" not in os.environ, reason="takes minutes: set ONEBRAIN_FUZZ to cases for each operation"
)
@each_dialect
def test_the_server_keeps_its_documents(dialect, onebrain_server_url, onebrain_api_key, tmp_path):
    program = shutil.which("schemathesis") or Path(sys.executable).with_name("schemathesis")
    document = f"{dialect.prefix}/openapi.json" if dialect.prefix else "/v1/openapi"
    scheme = "Bearer" if dialect.prefix else "ApiKey"
    left_out = [option for path in NOT_OFFERED.get(dialect.name, []) for option in ("--exclude-path", path)]
    done = subprocess.run(
        [
            program, "run", onebrain_server_url + document, "--no-color", "--checks", "all",
            "--exclude-checks", ",".join(["positive_data_acceptance", *LEFT_OUT.get(dialect.name, [])]),
            "-n", os.environ["ONEBRAIN_FUZZ"], "-H", f"Authorization: {scheme} {onebrain_api_key}",
            "-H", f"X-API-Key: {onebrain_api_key}", *left_out,
        ],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:]


@each_dialect
def test_every_operation_is_documented_with_its_failures(dialect, onebrain_server):
    document = onebrain_server.server.documents[dialect.name]()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            statuses = set(operation["responses"])
            assert {"400", "429", "503"} <= statuses, (method, path)
            assert dialect.shapes.invalid == 422 or "422" not in statuses or path == "/v1/memory/ingest-url"
            if operation.get("security"):
                assert {"401", "403"} <= statuses, (method, path)
            assert operation["description"]


@each_dialect
def test_operation_ids_are_unique(dialect, onebrain_server):
    found = [
        operation["operationId"]
        for methods in onebrain_server.server.documents[dialect.name]()["paths"].values()
        for operation in methods.values()
    ]
    assert len(found) == len(set(found))
