"""The former address of `onebrain.cli.app`."""

from __future__ import annotations

from onebrain._core.former import moved

__getattr__ = moved(__name__, "onebrain.cli.app", "cli")
