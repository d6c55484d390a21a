from __future__ import annotations

from pathlib import Path

from models.registry import registry
from orchestration.commands.models import describe_models
from reporting.models_docs import model_section

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"


def test_the_documentation_lists_the_registry() -> None:
    assert model_section(describe_models()) in PAGE.read_text(), "run: python -m benchmarks.quality.table"


def test_every_model_has_a_word_on_when_to_take_it() -> None:
    advice = PAGE.read_text().partition("## All models")[0]
    missing = [name for name in registry() if f"`{name}`" not in advice]
    assert not missing
