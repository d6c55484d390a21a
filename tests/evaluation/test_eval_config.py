from __future__ import annotations

import pytest
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_specs

from evaluation import item_table
from evaluation.eval_config import OUTPUTS, build_eval_config
from evaluation.metric_table import metric_names
from evaluation.results import ARRAYS
from tests.evaluation.echo import config, echo_models  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("echo_models")


@pytest.mark.parametrize(
    "sections", [{}, {"rating_thresholds": {"normal": 3.5, "strict": 4.5}, "propensity_column": "propensity_score"}]
)
@pytest.mark.parametrize("task", ["retrieval", "ranking", "rating"])
def test_tfma_computes_exactly_the_metrics_of_the_table(task, sections, tmp_path):
    items_path = str(tmp_path / "items.npz")
    item_table.make([b"a"], [b""], [1], [[]]).save(items_path)
    configuration = config(task, evaluation={"top_k": [3, 1], **sections})
    eval_config = build_eval_config(configuration, items_path=items_path)
    computed = {
        key.name if key.sub_key is None else f"{key.name}@{key.sub_key.top_k}"
        for computation in metric_specs.to_computations(eval_config.metrics_specs, eval_config)
        for key in computation.keys
        if key.output_name == OUTPUTS[task][0] and "." not in key.name and key.name not in ARRAYS
    }

    assert computed == set(metric_names(task, configuration.evaluation))


def test_numeric_slices_are_one_spec_a_bucket():
    slices = [{"feature": "gender"}, {"feature": "user_event_count", "boundaries": [10, 50]}]
    specs = build_eval_config(config("retrieval", evaluation={"slices": slices})).slicing_specs

    assert [(list(spec.feature_keys), dict(spec.feature_values)) for spec in specs] == [
        ([], {}),
        (["gender"], {}),
        ([], {"user_event_count": "<10"}),
        ([], {"user_event_count": "10-50"}),
        ([], {"user_event_count": ">=50"}),
    ]


@pytest.mark.parametrize(("task", "label"), [("retrieval", "relevant"), ("ranking", "liked"), ("rating", "rating")])
def test_both_models_answer_the_same_signature_and_label(task, label):
    specs = build_eval_config(config(task), with_baseline=True).model_specs

    assert [(spec.name, spec.signature_name, spec.label_key, spec.is_baseline) for spec in specs] == [
        ("candidate", "evaluate", label, False),
        ("baseline", "evaluate", label, True),
    ]


def test_tfma_accepts_it():
    eval_config = tfma.utils.update_eval_config_with_defaults(
        build_eval_config(config("rating"), with_baseline=True), has_baseline=True
    )

    tfma.utils.verify_eval_config(eval_config)
