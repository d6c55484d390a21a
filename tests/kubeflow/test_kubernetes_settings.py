from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from settings.kubernetes import KubernetesSettings


def settings(**changes: Any) -> KubernetesSettings:
    return KubernetesSettings.model_validate({"image": "registry.example/shortlist:1", **changes})


def test_a_node_takes_from_the_defaults_what_it_does_not_set() -> None:
    ours = settings(defaults={"cpu": "2", "memory": "8Gi"}, nodes={"Transform": {"memory": "16Gi"}})
    assert (ours.node("Transform").cpu, ours.node("Transform").memory) == ("2", "16Gi")
    assert (ours.node("Pusher").cpu, ours.node("Pusher").memory) == ("2", "8Gi")


def test_trainer_goes_to_a_gpu_and_everything_else_away_from_them() -> None:
    ours = settings()
    trainer, pusher = ours.node("Trainer").gpu, ours.node("Pusher").gpu
    assert trainer is not None
    assert trainer.count == 1
    assert pusher is None
    assert [toleration.key for toleration in ours.tolerations("Trainer")] == ["nvidia.com/gpu"]
    (away,) = ours.requirements("Pusher")
    assert (away.key, away.operator) == ("nvidia.com/gpu.present", "DoesNotExist")
    assert ours.requirements("Trainer") == ()


@pytest.mark.parametrize("changes", [{"defaults": {"gpu": None}}, {"nodes": {"Trainer": {"gpu": None}}}])
def test_a_cluster_without_gpus_can_say_so(changes: dict[str, Any]) -> None:
    assert settings(**changes).node("Trainer").gpu is None


def test_a_gpu_type_becomes_the_label_that_the_device_plugin_sets() -> None:
    ours = settings(nodes={"Trainer": {"gpu": {"type": "l4", "count": 2}}})
    (where,) = ours.requirements("Trainer")
    assert (where.key, where.operator, where.values) == ("nvidia.com/gpu.product", "In", ("NVIDIA-L4",))


def test_the_reporting_step_is_not_tried_again_unless_told_to() -> None:
    assert settings(defaults={"retries": {"limit": 5}}).node("Report").retries.limit == 0
    assert settings(nodes={"Report": {"retries": {"limit": 1}}}).node("Report").retries.limit == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nodes": {"Trainer": {"gpu": {"type": "gtx-1080"}}}}, ["unknown GPU type 'gtx-1080'", "a100-80gb"]),
        ({"defaults": {"memory": "8 GB"}}, ["quantity", "'8 GB'", "8Gi"]),
        ({"image": "Not An Image"}, ["registry/name@sha256:digest"]),
        ({"metadata": {"url": "mysql://u:secret@db/x"}}, ["password has no place in a URL"]),
        ({"metadata": {"url": "oracle://u@db/x"}}, ["postgresql://", "oracle://u@db/x"]),
        ({"metadata": {"url": "mysql://db:3306/x"}}, ["user@host"]),
        ({"nodes": {"Trainer": {"volumes": [{"claim": "a", "path": "/shortlist"}]}}}, ["Trainer", "/shortlist"]),
        ({"pipeline_root": "s3://bucket"}, ["gs://"]),
    ],
)
def test_each_mistake_says_what_was_expected(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**changes)
    text = caught.value.errors(include_input=False, include_url=False)[0]["msg"]
    for word in words:
        assert word in text


def test_no_error_text_repeats_a_password() -> None:
    with pytest.raises(ValidationError) as caught:
        settings(metadata={"url": "mysql://u:canary-1234@db/x"})
    assert "canary-1234" not in caught.value.errors(include_input=False)[0]["msg"]
