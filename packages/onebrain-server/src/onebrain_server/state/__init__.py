"""What the server itself keeps, beside the engine's memories: accounts, keys, projects, skills, logs."""
