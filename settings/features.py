"""Declarative feature records: what becomes of each raw column, and which tower it feeds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from datasets import columns
from settings.section import Section

Tower = Literal["query", "candidate"]
ListEncoding = Literal["pooled", "recurrent", "attention"]


class FeatureRecord(Section):
    """What every feature record has."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Name of the transformed feature.")
    column: str | None = Field(None, description="Raw column; empty: the column called `name`.")
    tower: Tower = Field(description="`query` (user, context, history) or `candidate` (item).")

    @property
    def source(self) -> str:
        """The raw column."""
        return self.column or self.name

    @property
    def sources(self) -> tuple[str, ...]:
        """All raw columns that the feature is made of."""
        return (self.source,)


class NumericFeature(FeatureRecord):
    """A number: clipped, as its logarithm, imputed, and then scaled, in this order.

    `standardize` gives mean 0 and variance 1, `min_max` 0 to 1, `bucketize` quantile buckets, `none` the number itself.
    `impute: multivariate` fills a gap with what is expected beside the row's other numbers that are imputed so.
    """

    kind: Literal["numeric"] = "numeric"
    clip: tuple[float, float] | None = Field(None, description="Move what is lower or higher to these bounds.")
    log: bool = Field(False, description="Take sign(x) log(1 + |x|).")
    scaling: Literal["standardize", "min_max", "bucketize", "none"] = "standardize"
    num_buckets: int = Field(10, ge=2, description="Quantile buckets, with `scaling: bucketize`.")
    impute: Literal["mean", "median", "constant", "multivariate"] = "mean"
    fill_value: float = Field(0.0, description="What a missing value becomes, with `impute: constant`.")
    missing_indicator: bool = Field(False, description="Add `<name>_missing`, 1.0 where the value was missing.")

    @model_validator(mode="after")
    def _bounds(self) -> NumericFeature:
        if self.clip is not None and not self.clip[0] < self.clip[1]:
            raise ValueError(f"clip should hold a lower and a higher bound. Received: {list(self.clip)}")
        return self


class CyclicFeature(FeatureRecord):
    """A moment in seconds since 1970 (UTC) as its place in a recurring period: `<name>_sin` and `<name>_cos`."""

    kind: Literal["cyclic"] = "cyclic"
    period: Literal["day", "week", "year"] = Field(description="What recurs.")


class HashedFeature(FeatureRecord):
    """One token a row, or several columns' tokens crossed, by hash: no vocabulary. Id 0 where any of them is missing.

    How many tokens share an id is counted on train and reported.
    """

    kind: Literal["hashed"] = "hashed"
    cross: tuple[str, ...] = Field((), description="Further raw columns: the token is then the combination of all.")
    num_buckets: int = Field(ge=2, description="Ids that tokens are spread over.")

    @property
    def sources(self) -> tuple[str, ...]:
        """All raw columns that the feature is made of."""
        return (self.source, *self.cross)


class VocabularyFeature(FeatureRecord):
    """What every feature with a vocabulary has. Ids: 0 pads or is missing, then OOV buckets, then tokens."""

    vocabulary: str | None = Field(None, description="Share the vocabulary of this name; empty: its own.")
    min_count: int = Field(1, ge=1, description="Tokens seen less often in train are out of vocabulary.")
    top_k: int | None = Field(None, ge=1, description="Keep only the most frequent tokens.")
    num_oov_buckets: int = Field(1, ge=1, description="Ids shared by the tokens outside the vocabulary.")
    grow: bool = Field(
        False,
        description="Keep the tokens that the latest run over other data learnt, with their ids, and put new ones "
        "behind them, up to `top_k`. False: learn anew.",
    )
    encoding: ListEncoding = Field(
        "pooled",
        description="How several tokens a row become one vector: pooled as the model does it, read in their order by "
        "recurrent units, or weighted by attention.",
    )

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
    """Several tokens a row, in no order: tags, words, neighbours in a network (with their `vocabulary`)."""

    kind: Literal["multivalent"] = "multivalent"
    max_length: int = Field(8, ge=1, description="Tokens kept a row.")


class SequenceFeature(VocabularyFeature):
    """Several tokens a row, oldest first; the newest are kept and padding stands in front."""

    kind: Literal["sequence"] = "sequence"
    max_length: int = Field(50, ge=1, description="Tokens kept a row: the newest.")


class TextFeature(VocabularyFeature):
    """A text as its words in lower case, in their order; the first are kept."""

    kind: Literal["text"] = "text"
    max_length: int = Field(16, ge=1, description="Words kept a row: the first.")


class VectorFeature(FeatureRecord):
    """Numbers that were computed elsewhere and belong together: the embedding of a text, an image or a graph's node."""

    kind: Literal["vector"] = "vector"
    dimension: int = Field(ge=1, description="Numbers a row; a row without any gets zeros.")


class ImageFeature(FeatureRecord):
    """An encoded picture, scaled to one size and read by a small convolutional network."""

    kind: Literal["image"] = "image"
    height: int = Field(32, ge=8, description="Pixels.")
    width: int = Field(32, ge=8, description="Pixels.")


Feature = Annotated[
    NumericFeature
    | CyclicFeature
    | HashedFeature
    | CategoricalFeature
    | MultivalentFeature
    | SequenceFeature
    | TextFeature
    | VectorFeature
    | ImageFeature,
    Field(discriminator="kind"),
]
# Columns that say what a model is to predict.
LABELS = (columns.RATING, columns.RELEVANT, columns.LIKED)


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
            if told := sorted(set(record.sources) & set(LABELS)):
                raise ValueError(f"feature {record.name!r} reads {told[0]!r}, which is the label. Leave it out")
            if isinstance(record, CategoricalFeature) and record.encoding != "pooled":
                raise ValueError(
                    f"feature {record.name!r} is one token a row: encoding: {record.encoding} reads several. Expected "
                    "kind: multivalent or sequence, or no encoding"
                )
            if isinstance(record, VocabularyFeature) and record.vocabulary_name not in known:
                raise ValueError(
                    f"feature {record.name!r} shares vocabulary {record.vocabulary!r}, which no feature owns. "
                    f"Vocabularies: {sorted(known)}"
                )
        joint = [r.name for r in self.records if isinstance(r, NumericFeature) and r.impute == "multivariate"]
        if len(joint) == 1:
            raise ValueError(
                f"feature {joint[0]!r} has impute: multivariate, and is the only one. Expected at least two such "
                "numbers, each telling of the others; or impute: mean"
            )
        return self
