"""Security: keys, tokens, limits, sealing, and the address guard."""
