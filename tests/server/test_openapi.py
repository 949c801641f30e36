"""schemathesis over the OpenAPI documents: no answer of 5xx, no undocumented status, every answer as its schema says.

Every run asks a case or two of each operation. ``ONEBRAIN_FUZZ=10`` asks 10 of each, every boundary that the schemas
name, and operations one after the other, about 15,000 in all; ``.ci/run`` does. ``ONEBRAIN_FUZZ_SEED`` chooses other
cases than the usual ones. All checks run on all operations; `fuzzing` says which findings are none.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from onebrain_server.dialects import DIALECTS
from onebrain_server.settings import Settings
from onebrain_server.testing import live_server

FUZZ = os.environ.get("ONEBRAIN_FUZZ")
SEED = os.environ.get("ONEBRAIN_FUZZ_SEED", "1")
# How many cases the long run asks at least: a run that asks nothing fails nothing either.
LEAST = {"onebrain": 5_000, "ai-memory": 1_500, "herobrain": 800, "brrain": 300, "rememberos": 2_500}
# After this one the key is dead, and nothing else would be asked.
LEFT_OUT = "/compat/rememberos/v1/memory/admin/rotate-key"
each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    """A server of their own: what they store, schedule and call concerns no other test."""
    file = tmp_path_factory.mktemp("fuzzed") / "server.db"
    settings = Settings(
        database_url=f"sqlite:///{file}", rate_limit_max=0, log_level="error", private_addresses=True
    )
    with live_server(settings) as live:
        yield live


@each_dialect
def test_the_server_keeps_its_documents(dialect, fuzzed, tmp_path):
    key = fuzzed.account(f"{uuid.uuid4().hex}@example.com")
    document = f"{dialect.prefix}/openapi.json" if dialect.prefix else "/v1/openapi"
    scheme = "Bearer" if dialect.prefix else "ApiKey"
    extent = ["-n", FUZZ] if FUZZ else ["-n", "1", "--phases", "fuzzing"]
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", fuzzed.url + document, "--no-color", "--checks", "all",
            *extent, "--seed", SEED, "--continue-on-failure", "--generation-database", "none",
            "-H", f"Authorization: {scheme} {key}", "-H", f"X-API-Key: {key}", "--exclude-path", LEFT_OUT,
        ],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("fuzzing.py"))},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-16_000:] + done.stderr[-4_000:]
    operations = re.search(r"^  Tested: (\d+)$", done.stdout, re.MULTILINE)
    cases = re.search(r"^  (\d+) generated, (\d+) passed", done.stdout, re.MULTILINE)
    assert operations is not None, done.stdout[-4_000:]
    assert cases is not None, done.stdout[-4_000:]
    asked = int(cases[1])
    print(f"{dialect.name}: {asked} cases of {operations[1]} operations, {cases[2]} passed, seed {SEED}")
    paths = fuzzed.server.documents[dialect.name]()["paths"]
    declared = [
        method for path, methods in paths.items() if path not in (document, LEFT_OUT) for method in methods
    ]
    assert int(operations[1]) == len(declared)
    assert asked == int(cases[2]) >= (LEAST[dialect.name] if FUZZ else len(declared))


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
