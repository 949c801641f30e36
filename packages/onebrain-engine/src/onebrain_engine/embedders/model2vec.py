"""Embedders of the library model2vec: static vectors of tokens, as fast as the default embedder."""

from __future__ import annotations

from typing import Any

from onebrain_engine.embedders.loading import Loaded, NamedEmbedder, digest, original_name, weights_in


class Model2Vec(NamedEmbedder):
    """A static model by its name, or in a folder that `save_pretrained` wrote.

    Example:
        >>> Model2Vec("minishlab/potion-multilingual-128M")
        Model2Vec('minishlab/potion-multilingual-128M')
    """

    kind = "model2vec"
    # Static vectors know less than a network: words decide as with the default embedder.
    evidence_weight = 1.0
    static = True

    def _load(self) -> Loaded:
        library = self._library("model2vec", "model2vec")

        def make(source: str) -> Any:
            # The library's default fetches a published model at each start.
            return library.StaticModel.from_pretrained(source, force_download=False, **self._options)

        folder = self._folder()
        if folder is not None:
            identity, published = f"folder-{digest(weights_in(folder))}", original_name(folder)
            model = make(str(folder))
        else:
            identity = published = self.model
            model = self._fetched(
                lambda: make(self._cached()), lambda: make(self.model), (FileNotFoundError, OSError)
            )

        def documents(texts: list[str]) -> Any:
            return model.encode(texts)

        return Loaded(
            identity, int(model.dim), self._prefixes(published), documents, lambda text: documents([text])[0]
        )

    def _cached(self) -> str:
        """Return the folder in which a published model lies on this disk.

        Raises:
            FileNotFoundError: It is not there.
        """
        hub = self._library("huggingface_hub", "model2vec")
        try:
            found: str = hub.snapshot_download(self.model, local_files_only=True)
        except ValueError as error:  # also for names that no model may have
            raise FileNotFoundError(self.model) from error
        return found
