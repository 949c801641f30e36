"""LlamaIndex components over a OneBrain memory."""
