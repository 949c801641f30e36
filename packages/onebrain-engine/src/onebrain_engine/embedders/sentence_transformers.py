"""Embedders of the library sentence-transformers, which runs on torch."""

from __future__ import annotations

from typing import Any, cast

from onebrain_engine.embedders.loading import Loaded, NamedEmbedder, digest, original_name, weights_in
from onebrain_engine.embedders.prefixes import NONE, Prefixes


class SentenceTransformers(NamedEmbedder):
    """A model of sentence-transformers by its name, or in a folder.

    A model that brings prompts of its own gets those, and no other prefix unless one is given.

    Example:
        >>> SentenceTransformers("sentence-transformers/all-MiniLM-L6-v2", device="cpu")
        SentenceTransformers('sentence-transformers/all-MiniLM-L6-v2')
    """

    kind = "sentence-transformers"

    def _load(self) -> Loaded:
        library = self._library("sentence_transformers", "sentence-transformers")

        def make(source: str, local: bool) -> Any:
            return library.SentenceTransformer(source, local_files_only=local, **self._options)

        folder = self._folder()
        if folder is not None:
            identity, published = f"folder-{digest(weights_in(folder))}", original_name(folder)
            model = make(str(folder), True)
        else:
            identity = published = self.model
            model = self._fetched(
                lambda: make(self.model, True), lambda: make(self.model, False), (OSError, ValueError)
            )
        own = self._own_prompts(model)
        given = self._query_prefix is not None or self._document_prefix is not None
        # Some models leave the tokens of their own prompts out of the mean, which only the library knows.
        by_library = own is not None and not given
        prompt = {} if by_library else {"prompt": ""}

        def documents(texts: list[str]) -> Any:
            return model.encode_document(texts, show_progress_bar=False, **prompt)

        def query(text: str) -> Any:
            return model.encode_query(text, show_progress_bar=False, **prompt)

        prefixes = self._prefixes(published) if own is None else self._over(own)
        return Loaded(identity, len(query("dimension")), prefixes, documents, query, by_library)

    @staticmethod
    def _own_prompts(model: Any) -> Prefixes | None:
        prompts = cast("dict[str, str]", getattr(model, "prompts", None) or {})
        found = Prefixes(prompts.get("query") or "", prompts.get("document") or prompts.get("passage") or "")
        return None if found == NONE else found

    def _over(self, own: Prefixes) -> Prefixes:
        query, document = self._query_prefix, self._document_prefix
        return Prefixes(own.query if query is None else query, own.document if document is None else document)
