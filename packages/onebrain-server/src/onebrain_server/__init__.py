"""A self-hosted memory server: the OneBrain engine over HTTP.

Most people never import it: ``onebrain serve`` starts it. `create_app` is for those who run it in a server of their own.
"""

from onebrain_server.app import create_app
from onebrain_server.settings import Settings

__version__ = "2.0.0"

__all__ = ["Settings", "__version__", "create_app"]
