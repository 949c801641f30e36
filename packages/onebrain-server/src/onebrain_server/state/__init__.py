"""The server's own data, beside the engine's memories: accounts, keys, projects, skills, logs."""
