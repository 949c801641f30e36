"""Every package has the same files, and the tree names no machine and no registry."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest

# In parts, so that this file does not contain the forbidden names.
REGISTRIES = [
    ".".join(labels)
    for labels in [
        ("py" + "pi", "org"),
        ("python" + "hosted", "org"),
        ("npm" + "js", "org"),
        ("npm" + "js", "com"),
        ("crates", "io"),
        ("proxy", "golang"),
        ("repo", "maven"),
        ("repo1", "maven"),
        ("deb", "debian"),
        ("files", "pythonhosted"),
    ]
]
MACHINE_PATH = re.compile(
    r"(?:^|[^A-Za-z0-9_.])/(?:" + "|".join(["work", "farm", "root"]) + ")/", re.MULTILINE
)


# Extras that install model libraries.
MODELS = {"fastembed", "flashrank", "model2vec", "sentence-transformers", "use-m3"}


def names_of(requirements):
    return {re.match(r"[A-Za-z0-9._-]+", line)[0] for line in requirements if isinstance(line, str)}


@pytest.fixture(scope="session")
def workspace(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["pyproject.toml", "README.md", "LICENSE"])
def test_a_package_has_its_files(package, name):
    assert (package.folder / name).is_file()


def test_a_package_is_typed(package):
    assert (package.source / "py.typed").is_file()


def test_a_package_is_named_after_its_folder(package):
    assert package.project["name"] == package.folder.name


def test_a_package_has_the_licence_of_the_repository(package, root):
    assert package.project["license"] == "MIT"
    assert (package.folder / "LICENSE").read_text() == (root / "LICENSE").read_text()


def test_a_readme_names_the_distribution_and_shows_code(package):
    readme = (package.folder / "README.md").read_text(encoding="utf-8")
    assert readme.startswith(f"# {package.name}\n")
    assert "```python\n" in readme


def test_all_packages_have_one_version(packages):
    assert {package.project["version"] for package in packages} == {packages[0].project["version"]}


def test_all_packages_need_the_same_python(packages):
    assert {package.project["requires-python"] for package in packages} == {">=3.11"}


def extras_of(package):
    """The extras of a package that the tests install; those of MODELS bring model libraries, one of them torch."""
    optional = package.project.get("optional-dependencies", {})
    return {name: lines for name, lines in optional.items() if name not in MODELS}


def test_siblings_are_pinned_to_this_major_version(package, packages):
    optional = package.project.get("optional-dependencies", {})
    requirements = [
        *package.project["dependencies"],
        *(line for lines in optional.values() for line in lines),
    ]
    ours = {sibling.name for sibling in packages}
    siblings = {line for line in requirements if names_of([line]) <= ours}
    assert {re.sub(r"^[a-z-]+(\[[a-z,]+\])?", "", line) for line in siblings} <= {">=2.0,<3"}
    assert names_of(siblings) == set(package.config.get("tool", {}).get("uv", {}).get("sources", {}))


def test_the_workspace_knows_every_package(package, workspace):
    assert workspace["tool"]["uv"]["sources"][package.name] == {"workspace": True}
    assert package.name in names_of(workspace["dependency-groups"]["dev"])


def test_plain_pip_installs_every_package_with_all_extras(packages, root):
    lines = set()
    for package in packages:
        extras = ",".join(sorted(extras_of(package)))
        lines |= {
            f"-e packages/{package.name}",
            f"-e packages/{package.name}" + (f"[{extras}]" if extras else ""),
        }
    listed = (root / "packages/dev.txt").read_text().splitlines()
    assert sorted(line for line in listed if not line.startswith("#")) == sorted(lines)


def test_the_dev_group_has_all_extras(package, workspace):
    [line] = [line for line in workspace["dependency-groups"]["dev"] if names_of([line]) == {package.name}]
    extras = set(re.findall(r"[a-z]+", line.partition("[")[2]))
    assert extras == set(extras_of(package))


def test_coverage_measures_every_package(packages, workspace):
    sources = {folder.name for package in packages for folder in (package.folder / "src").iterdir()}
    assert set(workspace["tool"]["coverage"]["run"]["source_pkgs"]) == sources


def test_all_packages_name_the_same_addresses(package, packages):
    urls = package.project["urls"]
    assert urls == packages[0].project["urls"]
    assert {"Homepage", "Documentation", "Repository", "Changelog", "Issues"} <= set(urls)


def test_the_root_is_not_a_distribution(workspace):
    assert "project" not in workspace


def test_constraints_are_bare_pins(root):
    lines = (root / "packages/constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    assert [line for line in pins if not re.fullmatch(r"[a-z0-9.-]+==[A-Za-z0-9.+!]+( ; .+)?", line)] == []


def test_everything_that_a_package_needs_is_pinned(package, packages, root):
    needed = names_of(
        [*package.project["dependencies"], *(line for lines in extras_of(package).values() for line in lines)]
    )
    pinned = set(re.findall(r"^[a-z0-9.-]+", (root / "packages/constraints.txt").read_text(), re.MULTILINE))
    assert needed - pinned - {sibling.name for sibling in packages} == set()


def test_no_registry_is_named(texts):
    assert [(path, host) for path, text in texts.items() for host in REGISTRIES if host in text] == []


def test_no_path_of_one_machine_is_named(texts):
    assert [path for path, text in texts.items() if MACHINE_PATH.search(text)] == []


def test_the_lock_file_is_not_tracked(root):
    try:
        listing = ["git", "ls-files", "--", "uv.lock", "**/uv.lock"]
        tracked = subprocess.run(listing, cwd=root, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        # An exported tree tracks nothing.
        tracked = ""
    assert tracked == ""
    assert "uv.lock" in (root / ".gitignore").read_text().splitlines()


def test_no_large_file(root, texts):
    assert [path for path in texts if (root / path).stat().st_size > 1024 * 1024] == []


def test_what_a_framework_inspects_at_run_time_has_real_annotations(package):
    """Postponed annotations break the injection of configuration and state (langchain-ai/langgraph#8941)."""
    if package.name in {"onebrain-sdk", "onebrain-engine", "onebrain-server"}:
        return
    inspected = [
        path
        for path in package.modules
        if re.fullmatch(r"_?(?:.*_)?(?:tools?|nodes?)", path.stem)
        or {"tools", "nodes"} & set(package.parts_of(path))
    ]
    postponed = re.compile(r"^from __future__ import .*\bannotations\b", re.MULTILINE)
    assert [path.name for path in inspected if postponed.search(path.read_text(encoding="utf-8"))] == []
