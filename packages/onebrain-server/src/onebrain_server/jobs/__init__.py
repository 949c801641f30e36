"""Background jobs: writing counts, tidying up, delivering briefings."""
