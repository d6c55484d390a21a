"""A configuration in a few lines: what will happen when it runs."""

from __future__ import annotations

from settings.config import Config
from settings.evaluation import GateSettings


def describe_config(config: Config) -> str:
    """Return name, data, features, model and gate, one a line."""
    source = config.data.source
    rows = {
        "name": config.name,
        "data": f"{source.kind}, {source.path or 'obtained by itself'}; split by {config.data.split.kind}",
        "features": ", ".join(record.name for record in config.features),
        "model": f"{config.model.name} ({type(config.model).task}), at most {config.training.epochs} epochs",
        "slices": ", ".join(piece.feature for piece in config.evaluation.slices) or "none",
        "gate": "\n".join(describe_gate(config.gate)),
    }
    indent = "\n" + " " * 12
    return "\n".join(f"  {key:<10}{value.replace(chr(10), indent)}" for key, value in rows.items())


def describe_gate(gate: GateSettings) -> list[str]:
    """Return each condition of the gate in words.

    Example:
      >>> from settings.evaluation import Floor, Regression
      >>> floors, regressions = (Floor(metric="auc", at_least=0.7),), (Regression(metric="auc"),)
      >>> describe_gate(GateSettings(floors=floors, regressions=regressions))
      ['auc at least 0.7', 'auc at most 2 % worse than the blessed baseline']
    """
    lines = []
    for floor in gate.floors:
        bounds = [("at least", floor.at_least), ("at most", floor.at_most)]
        lines += [f"{floor.metric} {word} {bound:g}" for word, bound in bounds if bound is not None]
    if gate.popularity_metric:
        lift = f"at least {gate.min_popularity_lift:.0%} " if gate.min_popularity_lift else ""
        lines.append(f"{gate.popularity_metric} {lift}better than popularity's")
    for regression in gate.regressions:
        line = f"{regression.metric} at most {regression.max_relative_loss * 100:g} % worse than the blessed baseline"
        if regression.max_relative_loss_per_slice is not None:
            line += f", {regression.max_relative_loss_per_slice * 100:g} % on a slice"
        lines.append(line)
    return lines
