"""A sequence model made of gated recurrent units."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from models.archetypes.retrieval import Features, SequenceModel
from models.feature_space import Field
from models.layers.token_embedding import TokenEmbedding


class RecurrentModel(SequenceModel):
    """Item vectors through layers of gated recurrent units; each item has output weights and a bias.

        x_t = dropout(table[h_t]),   s_t = GRU(x_t, s_(t-1)),   score = W_item·s_t + b_item

    Args:
      history: the sequence field.
      item: the candidate's item id; of the history's vocabulary.
      embedding_dim: length of item vectors and of the output weights.
      hidden_units: width of each layer but the last, which is as wide as the item vectors.
      dropout: share of the inputs and of each layer's outputs set to 0 in training.
    """

    def __init__(
        self,
        history: Field,
        item: Field,
        embedding_dim: int,
        hidden_units: tuple[int, ...],
        dropout: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(history.name, **kwargs)
        self.item = item.name
        self.tokens = TokenEmbedding(item.vocabulary_size, embedding_dim, scale=0.1, name="tokens")
        self.outputs_of_items = TokenEmbedding(item.vocabulary_size, embedding_dim + 1, scale=0.1, name="outputs")
        self.layers_of_units = [
            keras.layers.GRU(units, return_sequences=True, use_cudnn=False) for units in (*hidden_units, embedding_dim)
        ]
        self.drop = keras.layers.Dropout(dropout)

    def encode_positions(self, features: Features, training: bool = False) -> Any:
        """Return the last layer's state after each position, and 1; padding leaves the state at zeros."""
        ids = features[self.history]
        # Masked, so that the units are still at their initial state when the first item comes.
        present = ops.cast(ids != 0, self.compute_dtype)[..., None]
        x = self.drop(self.tokens(ids), training=training) * present
        for layer in self.layers_of_units:
            x = self.drop(layer(x, mask=ids != 0), training=training) * present
        return ops.concatenate([x, ops.ones_like(x[..., :1])], axis=-1)

    def encode_candidate(self, features: Features, training: bool = False) -> Any:
        """Return the items' output weights and biases."""
        return self.outputs_of_items(features[self.item])
