"""Anomalies as a table for people: where, which rule, what was found, what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

WHOLE_SPLIT = "(all rows)"
# Values of a closed set that are spelled out.
MAX_VALUES_SHOWN = 8


class Finding(NamedTuple):
    """One broken rule."""

    split: str
    feature: str
    rule: str
    found: str
    expected: str


def findings(anomalies: Mapping[str, anomalies_pb2.Anomalies], schema: schema_pb2.Schema) -> list[Finding]:
    """Return every broken rule.

    Args:
      anomalies: by split.
      schema: what the splits were checked against.
    """
    features = {feature.name: feature for feature in schema.feature}
    found = []
    for split, checked in anomalies.items():
        if checked.data_missing:
            found.append(Finding(split, WHOLE_SPLIT, "No examples", "0 rows", "at least one row"))
        for reason in checked.dataset_anomaly_info.reason:
            found.append(Finding(split, WHOLE_SPLIT, reason.short_description, reason.description, ""))
        for name, info in sorted(checked.anomaly_info.items()):
            feature = features.get(name)
            wanted = describe(feature, schema) if feature else "no such column"
            for reason in info.reason:
                found.append(Finding(split, name, reason.short_description, reason.description, wanted))
    return found


def describe(feature: schema_pb2.Feature, schema: schema_pb2.Schema) -> str:
    """Return in a few words what the schema asks of a feature.

    Example:
      >>> from google.protobuf import text_format
      >>> schema = text_format.Parse('''feature {
      ...   name: "stars" type: FLOAT presence { min_fraction: 0.9 } value_count { min: 1 max: 1 }
      ...   float_domain { min: 1 max: 5 }
      ... }''', schema_pb2.Schema())
      >>> describe(schema.feature[0], schema)
      'FLOAT, in at least 90% of the rows, one value a row, 1 to 5'
    """
    words = [schema_pb2.FeatureType.Name(feature.type)]
    if feature.presence.min_fraction:
        words.append(f"in at least {100 * feature.presence.min_fraction:.3g}% of the rows")
    if feature.value_count.min == feature.value_count.max == 1:
        words.append("one value a row")
    bounds = feature.int_domain if feature.HasField("int_domain") else feature.float_domain
    low = f"{bounds.min:g}" if bounds.HasField("min") else ""
    high = f"{bounds.max:g}" if bounds.HasField("max") else ""
    if low or high:
        words.append(f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}")
    domain = next((domain for domain in schema.string_domain if domain.name == feature.domain), feature.string_domain)
    if domain.value:
        shown = ", ".join(
            [*domain.value[:MAX_VALUES_SHOWN], *(["..."] if len(domain.value) > MAX_VALUES_SHOWN else [])]
        )
        constraint = feature.distribution_constraints
        share = 100 * constraint.min_domain_mass if feature.HasField("distribution_constraints") else 100
        words.append(f"at least {share:.3g}% of the values among {{{shown}}}")
    return ", ".join(words)


def render(rows: Sequence[Finding]) -> str:
    """Return the findings as aligned text, one a line under a header.

    Example:
      >>> print(render([Finding("test", "stars", "Out-of-range values", "Unexpectedly high values: 9>5.", "1 to 5")]))
      split  feature  rule                 found                           expected
      test   stars    Out-of-range values  Unexpectedly high values: 9>5.  1 to 5
    """
    table = [tuple(name for name in Finding._fields), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(Finding._fields))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(line.rstrip() for line in lines)
