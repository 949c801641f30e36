"""Rerankers that run on this machine, chosen by a name such as ``fastembed:Xenova/ms-marco-MiniLM-L-6-v2``.

Importing this package imports no model library. A model is loaded at its first use.
"""
