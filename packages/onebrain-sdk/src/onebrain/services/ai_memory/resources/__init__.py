"""The groups of ai-memory's calls."""
