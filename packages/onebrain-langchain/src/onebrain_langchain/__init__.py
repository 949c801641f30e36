"""LangChain and LangGraph components over a OneBrain memory."""
