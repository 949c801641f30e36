"""Replaces this folder by the repository on the search path; every script here imports it first.

Python searches the folder of a script first, and an http.py in it would hide Python's own module.
"""

import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent
sys.path[:] = [str(_FOLDER.parent), *(entry for entry in sys.path if Path(entry or ".").resolve() != _FOLDER)]
