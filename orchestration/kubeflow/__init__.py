"""The runner for Kubernetes: Kubeflow Pipelines 2, or plain Jobs, around TFX's own launcher."""
