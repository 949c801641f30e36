"""The packages and the text files of the repository."""

from __future__ import annotations

import subprocess
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = {".venv", "venv", "build", "dist", "__pycache__", "node_modules"}


@dataclass(frozen=True)
class Package:
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def config(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "pyproject.toml").read_text(encoding="utf-8"))

    @property
    def project(self) -> dict[str, Any]:
        return self.config["project"]

    @property
    def source(self) -> Path:
        folders = [path for path in (self.folder / "src").iterdir() if path.is_dir()]
        # A package may also have a module by the name that an earlier version had.
        own = [path for path in folders if path.name == self.name.replace("-", "_")]
        [folder] = own or folders
        return folder

    @property
    def modules(self) -> list[Path]:
        return sorted((self.folder / "src").rglob("*.py"))

    def parts_of(self, module: Path) -> tuple[str, ...]:
        """Return the folders and the name of a module within its import name."""
        return module.relative_to(self.folder / "src").parts[1:]


PACKAGES = [Package(path.parent) for path in sorted(ROOT.glob("packages/*/src"))]


def tree() -> list[Path]:
    """All files that are tracked, or new and not ignored; without git, all but hidden folders and environments."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        output = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True).stdout
        paths = [ROOT / name for name in output.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [
            path
            for path in ROOT.rglob("*")
            if LEFT_OUT.isdisjoint(parts := path.relative_to(ROOT).parts)
            and not any(part.startswith(".") for part in parts[:-1])
            and path.name != "uv.lock"
        ]
    return sorted({path for path in paths if path.is_file()})


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(params=PACKAGES, ids=lambda package: package.name)
def package(request: pytest.FixtureRequest) -> Package:
    return request.param


@pytest.fixture(scope="session")
def packages() -> list[Package]:
    return PACKAGES


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    """The text files of the tree, by their path from the root."""
    found = {}
    for path in tree():
        content = path.read_bytes()
        if b"\0" not in content:
            found[path.relative_to(ROOT).as_posix()] = content.decode("utf-8", errors="replace")
    return found
