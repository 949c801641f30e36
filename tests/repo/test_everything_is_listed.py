"""Services, dialects and framework packages are found by their folders; every list of them names them all."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import onebrain
from onebrain_server.dialects import DIALECTS

ROOT = Path(__file__).resolve().parents[2]
CORE = {"onebrain-sdk", "onebrain-engine", "onebrain-server"}


def folders(path: str) -> set[str]:
    return {found.parent.name for found in ROOT.glob(f"packages/{path}/*/__init__.py")}


SERVICES = folders("onebrain-sdk/src/onebrain/services")
FRAMEWORKS = {
    name: folder
    for folder in ROOT.glob("packages/onebrain-*")
    if folder.name not in CORE
    for name in [folder.name.replace("-", "_")]
}
framework = pytest.mark.parametrize("name", sorted(FRAMEWORKS))


@pytest.fixture(scope="session")
def contracts():
    """The contracts of import-linter by their ids, and its packages."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return {one["id"]: one for one in linter["contracts"]} | {"": linter["root_packages"]}


# ---- services and dialects --------------------------------------------------------------------------------------------


def test_a_service_has_its_modules_a_driver_and_public_clients():
    assert SERVICES
    points = {point.name: point.value for point in entry_points(group="onebrain.drivers")}
    for service in SERVICES:
        modules = {
            path.stem for path in (ROOT / f"packages/onebrain-sdk/src/onebrain/services/{service}").iterdir()
        }
        assert {"client", "resources", "models", "service", "driver"} <= modules, service
        assert points[service.replace("_", "-")] == f"onebrain.services.{service}.driver:driver"
        clients = onebrain._HOMES[f"onebrain.services.{service}"]
        assert [f"Async{name}" for name in clients if f"Async{name}" in clients], service
        assert set(clients) <= set(onebrain.__all__)


def test_every_event_of_a_service_can_be_verified():
    from onebrain import webhooks

    with_events = {
        path.parent.name for path in ROOT.glob("packages/onebrain-sdk/src/onebrain/services/*/webhooks.py")
    }
    verifiers = {name.removeprefix("verify_") for name in webhooks.__all__ if name.startswith("verify_")}
    assert verifiers == with_events


def test_a_dialect_is_spoken():
    assert folders("onebrain-server/src/onebrain_server/dialects") == {
        dialect.name.replace("-", "_") for dialect in DIALECTS
    }


@pytest.mark.parametrize(
    ("contract", "key", "base"),
    [
        ("services", "modules", "onebrain.services"),
        ("service", "containers", "onebrain.services"),
        ("dialects", "modules", "onebrain_server.dialects"),
        ("dialect", "containers", "onebrain_server.dialects"),
    ],
)
def test_the_contracts_hold_for_every_folder(contracts, contract, key, base):
    package, _, inner = base.partition(".")
    distribution = "onebrain-server" if package == "onebrain_server" else "onebrain-sdk"
    expected = {f"{base}.{name}" for name in folders(f"{distribution}/src/{package}/{inner}")}
    assert set(contracts[contract][key]) == expected


def named(node: ast.AST) -> set[str]:
    """Return the services that the elements of a list or the keys of a dict name, keys that are routes included."""
    if isinstance(node, ast.Dict):
        elements, routes = node.keys, r"(?:.*/compat/)?([a-z-]+)(?:/.*)?"
    elif isinstance(node, ast.List | ast.Tuple | ast.Set):
        elements, routes = node.elts, r"([a-z-]+)"
    else:
        return set()
    texts = [one.value for one in elements if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    found = (re.fullmatch(routes, text.replace("_", "-")) for text in texts)
    return {match[1].replace("-", "_") for match in found if match} & SERVICES


def test_a_list_that_names_most_services_names_all():
    """The server's own may be missing, where its tests are others."""
    found = [
        (path.relative_to(ROOT).as_posix(), node.lineno, sorted(missing))
        for folder in ("tests", "packages", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if len(names := named(node)) > len(SERVICES) / 2 and (missing := SERVICES - names - {"onebrain"})
    ]
    assert found == []


# ---- packages ---------------------------------------------------------------------------------------------------------


def test_every_package_is_in_the_layers(contracts, packages):
    modules = {folder.name for package in packages for folder in (package.folder / "src").iterdir()}
    assert set(contracts[""]) == modules
    layers = {name for layer in contracts["packages"]["layers"] for name in re.findall(r"\w+", layer)}
    assert layers == modules


@framework
def test_a_framework_package_is_in_every_list(name):
    typed = (ROOT / "tests/typing/imports.py").read_text(encoding="utf-8")
    assert re.search(rf"^import {name}$", typed, re.MULTILINE)
    assert re.search(rf"^    {name},$", typed, re.MULTILINE)
    assert f'"import {name}": ' in (ROOT / "benchmarks/imports.py").read_text(encoding="utf-8")
    for page in ("README.md", "docs/index.md"):
        assert FRAMEWORKS[name].name in (ROOT / page).read_text(encoding="utf-8"), page


@framework
@pytest.mark.parametrize("file", [".ci/run", ".github/ISSUE_TEMPLATE/bug.yml"])
def test_versions_that_are_asked_for_are_those_of_every_framework(name, file):
    project = tomllib.loads((FRAMEWORKS[name] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [re.match(r"[a-z-]+", line)[0] for line in project["dependencies"]]
    [pattern] = re.findall(r"pip list \| grep -i?E '([^']+)'", (ROOT / file).read_text(encoding="utf-8"))
    assert [one for one in needed if not re.search(pattern, f"{one} ")] == []
