"""What keeps strangers out and secrets in: keys, tokens, limits, sealing, and the address guard."""
