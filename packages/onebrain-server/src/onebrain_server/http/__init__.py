"""How requests become calls and results become answers, for every dialect."""
