"""``python -m onebrain.cli``: the same as ``onebrain``."""

from onebrain.cli import main

main()
