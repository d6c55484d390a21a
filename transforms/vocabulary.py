"""How many ids each vocabulary has, for the embedding tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from settings.features import FeatureRecord, VocabularyFeature

if TYPE_CHECKING:
    from tensorflow_transform import TFTransformOutput


def vocabulary_sizes(records: Sequence[FeatureRecord], tft_output: TFTransformOutput) -> dict[str, int]:
    """Return the number of ids of each vocabulary: padding, OOV buckets and tokens.

    Args:
      records: all feature records; those without a vocabulary are passed over.
      tft_output: what Transform learnt.

    Returns:
      Sizes by vocabulary name; every transformed id lies in `0 .. size - 1`.
    """
    owners = [r for r in records if isinstance(r, VocabularyFeature) and r.vocabulary is None]
    return {
        owner.vocabulary_name: 1 + owner.num_oov_buckets + tft_output.vocabulary_size_by_name(owner.vocabulary_name)
        for owner in owners
    }


def vocabulary_keys(
    records: Sequence[FeatureRecord], tft_output: TFTransformOutput
) -> dict[str, tuple[list[bytes], int]]:
    """Return the tokens of each vocabulary in the order of their ids, and how many ids come before them.

    Args:
      records: all feature records; those without a vocabulary are passed over.
      tft_output: what Transform learnt.
    """
    owners = [r for r in records if isinstance(r, VocabularyFeature) and r.vocabulary is None]
    return {
        owner.vocabulary_name: (tft_output.vocabulary_by_name(owner.vocabulary_name), 1 + owner.num_oov_buckets)
        for owner in owners
    }
