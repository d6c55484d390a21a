"""Where the pipeline's nodes run on Kubernetes, with what resources, and where they keep their state."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from settings.section import Section

# The value that NVIDIA's GPU feature discovery gives the node label `nvidia.com/gpu.product`.
GPU_PRODUCTS = {
    "t4": "Tesla-T4",
    "v100": "Tesla-V100-SXM2-16GB",
    "a10g": "NVIDIA-A10G",
    "l4": "NVIDIA-L4",
    "l40s": "NVIDIA-L40S",
    "a100-40gb": "NVIDIA-A100-SXM4-40GB",
    "a100-80gb": "NVIDIA-A100-SXM4-80GB",
    "h100": "NVIDIA-H100-80GB-HBM3",
    "h200": "NVIDIA-H200",
    "b200": "NVIDIA-B200",
}
GPU_NODES = ("Trainer", "Tuner")
# The step that ends with the run's exit code: tried again, it would only say it again.
REPORT = "Report"
STORE_PORTS = {"mysql": 3306, "postgresql": 5432, "grpc": 8080}


def _quantity(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d*(\.\d+)?(m|[kMGTP]i?)?", text):
        raise ValueError(f"should be a Kubernetes quantity such as 2, 500m or 8Gi. Received: {text!r}")
    return text


def _product(name: str) -> str:
    if name not in GPU_PRODUCTS:
        raise ValueError(f"unknown GPU type {name!r}. Expected one of {', '.join(GPU_PRODUCTS)}")
    return name


def _store_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"metadata store {url!r} cannot be read: {error}") from None
    if parts.password is not None:
        raise ValueError("a password has no place in a URL: keep it in the Secret and name that in password_secret")
    if parts.scheme == "sqlite" and parts.path.startswith("/"):
        return url
    database = parts.scheme == "grpc" or (parts.username and parts.path.strip("/"))
    if parts.scheme not in STORE_PORTS or not parts.hostname or not database:
        raise ValueError(
            "should be mysql://user@host:3306/database, postgresql://user@host:5432/database, grpc://host:8080 "
            f"or sqlite:///absolute/path. Received: {url!r}"
        )
    return url


def _image(reference: str) -> str:
    if not re.fullmatch(r"[a-z0-9][\w./:-]*(@sha256:[0-9a-f]{64})?", reference):
        raise ValueError(f"should be registry/name@sha256:digest or registry/name:tag. Received: {reference!r}")
    return reference


Quantity = Annotated[str, AfterValidator(_quantity)]
Image = Annotated[str, AfterValidator(_image)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253)]


class Gpu(Section):
    """Accelerators of one node."""

    count: int = Field(1, ge=1, le=16)
    type: Annotated[str, AfterValidator(_product)] | None = Field(
        None, description=f"Empty: any. Else one of {', '.join(GPU_PRODUCTS)}."
    )
    resource: str = Field("nvidia.com/gpu", description="Name under which the device plugin offers them.")


class Toleration(Section):
    """A taint that the pod accepts."""

    key: str
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class NodeRequirement(Section):
    """One required node affinity expression."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = "In"
    values: tuple[str, ...] = ()


class ClaimVolume(Section):
    """A persistent volume claim, mounted as a folder."""

    claim: Name
    path: str = Field(pattern=r"^/.+", description="Where the containers see it.")
    sub_path: str = ""


class SecretFiles(Section):
    """A Secret, each of whose keys is mounted as a file."""

    secret: Name
    path: str = Field(pattern=r"^/.+", description="Folder of the files.")


class Retries(Section):
    """How often a failed node is tried again; the wait doubles each time."""

    limit: int = Field(2, ge=0, le=10)
    first_wait_seconds: int = Field(30, ge=0, le=3600)
    longest_wait_seconds: int = Field(600, ge=1, le=3600)


class NodeSettings(Section):
    """Resources and placement of a pipeline node's pod; what a node does not set, it takes from the defaults."""

    image: Image | None = Field(None, description="Empty: kubernetes.image.")
    cpu: Quantity = Field("1", description="CPU requested; the limit is cpu_limit.")
    cpu_limit: Quantity | None = Field(None, description="Empty: the same as cpu.")
    memory: Quantity = Field("4Gi", description="Memory requested and its limit: above it the pod is killed.")
    gpu: Gpu | None = None
    node_selector: dict[str, str] = Field({}, description="Labels that the machine must have.")
    tolerations: tuple[Toleration, ...] = ()
    affinity: tuple[NodeRequirement, ...] = ()
    retries: Retries = Retries()
    timeout_seconds: int = Field(6 * 3600, ge=1, description="The pod is stopped after this time.")
    volumes: tuple[ClaimVolume, ...] = ()
    secrets: tuple[SecretFiles, ...] = ()


class MetadataStore(Section):
    """The ML metadata store that all nodes share."""

    url: Annotated[str, AfterValidator(_store_url)] = Field(
        "mysql://shortlist@shortlist-metadata:3306/shortlist", description="Without a password."
    )
    password_secret: Name | None = Field("shortlist-metadata", description="Secret with a key `password`.")
    password_path: str = Field("/var/run/shortlist/metadata", pattern=r"^/.+", description="Where it is mounted.")
    patience_seconds: int = Field(120, ge=1, description="How long a node waits for a store that does not answer.")

    @property
    def password_file(self) -> str | None:
        """Path of the password inside a container."""
        return f"{self.password_path}/password" if self.password_secret else None


class KubernetesSettings(Section):
    """One cluster: images, storage, metadata store and the pods of the pipeline's nodes."""

    image: Image = Field(description="The project's image, for every node; by digest in production.")
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[Name, ...] = ()
    namespace: Name = "shortlist"
    service_account: Name = "shortlist-node"
    host: str = Field(
        "http://ml-pipeline.kubeflow.svc:8888", pattern=r"^https?://", description="Kubeflow Pipelines API server."
    )
    output_root: ClaimVolume = ClaimVolume(claim="shortlist-runs", path="/shortlist")
    pipeline_root: str | None = Field(
        None, pattern=r"^gs://.+", description="Artifacts go here instead of output_root/artifacts."
    )
    metadata: MetadataStore = MetadataStore()
    user: int = Field(10001, ge=1, description="User and group id of every container; not root.")
    gpu_node_label: str = Field("nvidia.com/gpu.present", description="Node label of GPU nodes.")
    gpu_type_label: str = Field("nvidia.com/gpu.product", description="Node label that names the GPU's type.")
    defaults: NodeSettings = NodeSettings()
    nodes: dict[str, NodeSettings] = Field({}, description="By node id, what differs from the defaults.")

    @model_validator(mode="after")
    def _mount_paths_differ(self) -> KubernetesSettings:
        for node in ("", *self.nodes):
            paths = [volume.path for volume in self.volumes(node)] + [files.path for files in self.secrets(node)]
            twice = sorted({path for path in paths if paths.count(path) > 1})
            if twice:
                raise ValueError(f"two volumes of node {node or 'defaults'} are mounted at {', '.join(twice)}")
        return self

    def node(self, node_id: str) -> NodeSettings:
        """Return the settings of one node: its own over the defaults; Trainer and Tuner get a GPU unless told not to.

        Example:
          >>> settings = KubernetesSettings(image="shortlist:1", nodes={"Transform": {"memory": "16Gi"}})
          >>> settings.node("Transform").memory, settings.node("Trainer").gpu.count, settings.node("Pusher").gpu
          ('16Gi', 1, None)
        """
        own = self.nodes.get(node_id, NodeSettings())
        changes = {name: getattr(own, name) for name in own.model_fields_set}
        if node_id == REPORT and "retries" not in own.model_fields_set:
            changes["retries"] = Retries(limit=0)
        if node_id in GPU_NODES and "gpu" not in self.defaults.model_fields_set | own.model_fields_set:
            changes["gpu"] = Gpu()
        return self.defaults.model_copy(update=changes)

    def requirements(self, node_id: str) -> tuple[NodeRequirement, ...]:
        """Return what a cluster node must fulfil to run this pipeline node: a GPU where asked for, none elsewhere."""
        node = self.node(node_id)
        if node.gpu is None:
            return (*node.affinity, NodeRequirement(key=self.gpu_node_label, operator="DoesNotExist"))
        if node.gpu.type is None:
            return node.affinity
        product = NodeRequirement(key=self.gpu_type_label, values=(GPU_PRODUCTS[node.gpu.type],))
        return (*node.affinity, product)

    def tolerations(self, node_id: str) -> tuple[Toleration, ...]:
        """Return the taints the pod accepts; that of GPU nodes where a GPU is asked for."""
        node = self.node(node_id)
        if node.gpu is None:
            return node.tolerations
        return (*node.tolerations, Toleration(key=node.gpu.resource, effect="NoSchedule"))

    def volumes(self, node_id: str) -> tuple[ClaimVolume, ...]:
        """Return every claim that the node's pod mounts."""
        return (self.output_root, *self.node(node_id).volumes)

    def secrets(self, node_id: str) -> tuple[SecretFiles, ...]:
        """Return every Secret that the node's pod mounts as files."""
        own = self.node(node_id).secrets
        if self.metadata.password_secret is None:
            return own
        return (SecretFiles(secret=self.metadata.password_secret, path=self.metadata.password_path), *own)
