"""One module for each format. Each has ``detects``, which looks at a sample, and ``read``, which returns entries."""
