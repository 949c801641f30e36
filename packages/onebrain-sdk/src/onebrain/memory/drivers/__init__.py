"""One driver per memory service."""
