"""What the server does by itself: writing counts, tidying up, delivering briefings."""

from onebrain_server.jobs.housekeeping import begin

__all__ = ["begin"]
