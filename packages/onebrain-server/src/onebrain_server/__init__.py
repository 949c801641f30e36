"""A self-hosted memory server: the OneBrain engine over HTTP."""
