"""``python -m onebrain.cli`` is the same as ``onebrain``."""

from onebrain.cli import main

# Child processes of the server import this module again, and must not start a second server.
if __name__ == "__main__":
    main()
