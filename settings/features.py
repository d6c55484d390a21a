"""Declarative feature records: what becomes of each raw column, and which tower it feeds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.section import Section

Tower = Literal["query", "candidate"]


class FeatureRecord(Section):
    """What every feature record has."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Name of the transformed feature.")
    column: str | None = Field(None, description="Raw column; empty: the column called `name`.")
    tower: Tower = Field(description="`query` (user, context, history) or `candidate` (item).")

    @property
    def source(self) -> str:
        """The raw column."""
        return self.column or self.name


class NumericFeature(FeatureRecord):
    """A number: standardized to mean 0 and variance 1, or cut into quantile buckets, or taken as it is."""

    kind: Literal["numeric"] = "numeric"
    scaling: Literal["standardize", "bucketize", "none"] = "standardize"
    num_buckets: int = Field(10, ge=2, description="Quantile buckets, with `scaling: bucketize`.")
    impute: Literal["mean", "median", "constant"] = "mean"
    fill_value: float = Field(0.0, description="What a missing value becomes, with `impute: constant`.")
    missing_indicator: bool = Field(False, description="Add `<name>_missing`, 1.0 where the value was missing.")


class VocabularyFeature(FeatureRecord):
    """What every feature with a vocabulary has. Ids: 0 pads or is missing, then OOV buckets, then tokens."""

    vocabulary: str | None = Field(None, description="Share the vocabulary of this name; empty: its own.")
    min_count: int = Field(1, ge=1, description="Tokens seen less often in train are out of vocabulary.")
    top_k: int | None = Field(None, ge=1, description="Keep only the most frequent tokens.")
    num_oov_buckets: int = Field(1, ge=1, description="Ids shared by the tokens outside the vocabulary.")

    @property
    def vocabulary_name(self) -> str:
        """The vocabulary's name."""
        return self.vocabulary or self.name


class CategoricalFeature(VocabularyFeature):
    """One token a row."""

    kind: Literal["categorical"] = "categorical"
    impute: Literal["none", "most_frequent", "constant"] = "none"
    fill_value: str = Field("", description="What a missing token becomes, with `impute: constant`.")
    missing_indicator: bool = Field(False, description="Add `<name>_missing`, 1.0 where the token was missing.")


class MultivalentFeature(VocabularyFeature):
    """Several tokens a row, in no order; pooled by the model."""

    kind: Literal["multivalent"] = "multivalent"
    max_length: int = Field(8, ge=1, description="Tokens kept a row.")


class SequenceFeature(VocabularyFeature):
    """Several tokens a row, oldest first; the newest are kept and padding stands in front."""

    kind: Literal["sequence"] = "sequence"
    max_length: int = Field(50, ge=1, description="Tokens kept a row: the newest.")


Feature = Annotated[
    NumericFeature | CategoricalFeature | MultivalentFeature | SequenceFeature, Field(discriminator="kind")
]


class FeatureList(Section):
    """All features, checked against one another."""

    records: tuple[Feature, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_and_vocabularies(self) -> FeatureList:
        names = [record.name for record in self.records]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"feature names should be unique. Received twice: {doubled}")
        known = {r.name for r in self.records if isinstance(r, VocabularyFeature) and r.vocabulary is None}
        for record in self.records:
            if isinstance(record, VocabularyFeature) and record.vocabulary_name not in known:
                raise ValueError(
                    f"feature {record.name!r} shares vocabulary {record.vocabulary!r}, which no feature owns. "
                    f"Vocabularies: {sorted(known)}"
                )
        return self
