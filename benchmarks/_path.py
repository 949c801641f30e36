"""Imported first by every script here: puts the repository on the search path in place of this folder.

Python searches a script's own folder first, and an http.py in it would hide Python's own module from everybody.
"""

import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent
sys.path[:] = [str(_FOLDER.parent), *(entry for entry in sys.path if Path(entry or ".").resolve() != _FOLDER)]
