"""``python -m onebrain.cli``: the same as ``onebrain``."""

from onebrain.cli import main

if __name__ == "__main__":  # not where a process that it has started reads it again
    main()
