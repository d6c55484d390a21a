"""What only a live cluster can show, one proof after the other, on the cluster that `cluster.sh` has started.

    .venv/bin/python kubernetes/e2e/proofs.py CACHE [PROOF ...]

Prints what it does and sees, and ends with the first thing that is not as it should be.
"""

from __future__ import annotations

import datetime
import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
NAMESPACE = "shortlist-dev"
OPERATOR = f"--as=system:serviceaccount:{NAMESPACE}:shortlist-operator"
CONFIG = "configs/movielens_100k.yaml"
DATA = "/shortlist/data"  # as the pods see it
USER = 10001


class Cluster:
    """The cluster, and the folder behind its claim."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.claim = cache / "claim"
        self.canary_file = cache / "canary"

    def prepare(self) -> None:
        """Apply the dev overlay and what one machine has in place of a storage class; the database stays out."""
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
        kubectl("delete", "persistentvolume", "shortlist-runs", "--ignore-not-found")
        data = Path(os.environ.get("SHORTLIST_DATA", REPOSITORY / "data")) / "ml-100k"
        shutil.rmtree(self.claim, ignore_errors=True)
        (self.claim / "data").mkdir(parents=True)
        for name in ("u.data", "u.item", "u.user"):
            shutil.copyfile(data / name, self.claim / "data" / name)
        for path in (self.claim, *self.claim.rglob("*")):
            os.chown(path, USER, USER)
        self.canary_file.write_text(f"canary-{secrets.token_hex(12)}")
        say(kubectl("apply", "-f", str(HERE / "restricted.yaml")))
        say(kubectl("apply", "-k", "kubernetes/overlays/dev"))
        kubectl("-n", NAMESPACE, "scale", "statefulset/shortlist-metadata", "--replicas=0")
        password = f"--from-file=password={self.canary_file}"
        kubectl("-n", NAMESPACE, "create", "secret", "generic", "shortlist-metadata", password)
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": "shortlist-runs"},
            "spec": {
                "capacity": {"storage": "10Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": str(self.claim)},
                "claimRef": {"namespace": NAMESPACE, "name": "shortlist-runs"},
            },
        }
        say(kubectl("apply", "-f", "-", stdin=json.dumps(volume)))


def restricted(_: Cluster) -> None:
    """The API server refuses pods that break the standard, and the operator's role is enough for Jobs and no more."""
    root = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root", "namespace": NAMESPACE},
        "spec": {
            "containers": [{"name": "root", "image": "localhost/shortlist:e2e", "securityContext": {"runAsUser": 0}}]
        },
    }
    refused = kubectl("apply", "-f", "-", stdin=json.dumps(root), code=1)
    say(refused)
    expect("running with the root UID is forbidden" in refused, "the API server refuses a pod that is root")
    for verb, what, answer in (
        ("create", "jobs.batch", "yes"), ("create", "cronjobs.batch", "yes"), ("create", "configmaps", "yes"),
        ("get", "pods/log", "yes"), ("get", "secrets", "no"), ("create", "pods", "no"), ("delete", "configmaps", "no"),
    ):  # fmt: skip
        said = kubectl("-n", NAMESPACE, "auth", "can-i", verb, what, OPERATOR, code=0 if answer == "yes" else 1)
        expect(said.startswith(answer), f"shortlist-operator, {verb} {what}: {answer}")


def job(cluster: Cluster) -> None:
    """The Jobs variant from data to a pushed model, as user 10001 on a read-only root, beside a local run's time."""
    local = cluster.cache / "local"
    shutil.rmtree(local, ignore_errors=True)
    started = time.monotonic()
    pipeline("run", "--config", CONFIG, "--data-path", str(cluster.claim / "data"), "--output-root", str(local))
    seconds_here = time.monotonic() - started
    name = apply(print_job("--data-path", DATA))
    record = finish(name)
    status = record["status"]
    job_status(name)
    pod = json.loads(kubectl("-n", NAMESPACE, "get", "pods", f"--selector=job-name={name}", "-o", "json"))["items"][0]
    expect("succeeded" in status, f"Job {name} succeeded on {pod['spec']['nodeName']}")
    say("\n".join(kubectl("-n", NAMESPACE, "logs", pod["metadata"]["name"]).splitlines()[-12:]))
    (run,) = (cluster.claim / "runs").iterdir()
    summary = json.loads((run / "summary.json").read_text())
    states = {entry["name"]: entry["state"] for entry in summary["nodes"]}
    say("  ".join(f"{node}={state}" for node, state in states.items()))
    expect(set(states.values()) == {"complete"}, "each node is complete; InfraValidator asked the model in the pod")
    pushed = cluster.claim / Path(summary["pushed_path"]).relative_to("/shortlist")
    expect((pushed / "saved_model.pb").is_file(), f"blessed, pushed, and on the claim: {summary['pushed_path']}")
    seconds_there = seconds(record["metadata"]["creationTimestamp"], status["completionTime"])
    ratio = seconds_there / seconds_here
    expect(ratio <= 2, f"local run {seconds_here:.0f} s, Job {seconds_there:.0f} s: {ratio:.2f} times, at most 2")


def cron(_: Cluster) -> None:
    """A CronJob that fires each minute starts nothing while its last run is still going."""
    records = list(
        yaml.safe_load_all(
            pipeline(
                "kubeflow", "job", "--config", CONFIG, "--cluster", str(HERE / "cluster.yaml"), "--data-path", DATA,
                "--cron", "* * * * *", "--set", "training.epochs=40", "--set", "training.early_stopping_patience=0",
            )
        )
    )  # fmt: skip
    # What Kubernetes 1.20 does not know yet.
    records[1]["apiVersion"] = "batch/v1beta1"
    del records[1]["spec"]["timeZone"]
    say(kubectl("apply", "--validate=false", OPERATOR, "-f", "-", stdin=yaml.safe_dump_all(records)))
    schedule = records[1]["metadata"]["name"]
    name = await_that("the CronJob's first Job", 150, lambda: jobs_of(schedule))[0]
    started, most = time.monotonic(), 1
    while time.monotonic() < started + 150 and "completionTime" not in job_record(name)["status"]:
        most = max(most, len(jobs_of(schedule)))
        time.sleep(1)
    minutes = (time.monotonic() - started) / 60
    say(kubectl("-n", NAMESPACE, "get", "cronjobs.v1beta1.batch,jobs,pods"))
    say(kubectl("-n", NAMESPACE, "get", "events", f"--field-selector=involvedObject.name={schedule}"))
    kubectl("-n", NAMESPACE, "delete", "cronjobs.v1beta1.batch", schedule)
    expect(
        minutes > 1 and most == 1, f"{minutes:.1f} minutes after the first tick there is still one Job: Forbid holds"
    )


def memory(_: Cluster) -> None:
    """A pod that is killed for want of memory is told in words, with the setting to raise."""
    name = apply(print_job("--data-path", DATA, memory="400Mi"))
    record = finish(name)
    said = job_status(name)
    expect("failed" in record["status"], f"Job {name} failed")
    expect("killed for want of memory (OOMKilled" in said, "the kill is told in words")
    expect("raise kubernetes.nodes.Job.memory" in said, "and the setting to raise")


def mistakes(_: Cluster) -> None:
    """Wrong input, an image that is nowhere and a claim that is missing are told in words."""
    name = apply(print_job("--data-path", "/shortlist/absent"))
    finish(name)
    expect("exit code 2, bad configuration or input" in job_status(name), "data that are not there: exit code 2")
    refused = print_job("--data-path", DATA, code=2, output_root={"claim": "absent", "path": "/shortlist"})
    say(refused)
    expect("no PersistentVolumeClaim absent" in refused, "a claim that is missing is named before anything is applied")
    for words, text in (
        ("cannot start: ErrImageNeverPull", print_job("--data-path", DATA, image="localhost/absent:1")),
        ('1 persistentvolumeclaim "absent" not found', print_job("--data-path", DATA, "--set", "training.epochs=2")
         .replace("claimName: shortlist-runs", "claimName: absent")),
    ):  # fmt: skip
        name = apply(text)
        await_that(words, 60, lambda name=name, words=words: words in job_status(name, quiet=True))
        expect(words in job_status(name), f"waits, and says why: {words}")
        kubectl("-n", NAMESPACE, "delete", "job", name)


def secret(cluster: Cluster) -> None:
    """The password that every Job above had mounted stands in no object, log or file."""
    canary = cluster.canary_file.read_text()
    kinds = "all,configmaps,events,persistentvolumeclaims,serviceaccounts,networkpolicies"
    places = {"objects": kubectl("-n", NAMESPACE, "get", kinds, "-o", "yaml")}
    for pod in json.loads(kubectl("-n", NAMESPACE, "get", "pods", "-o", "json"))["items"]:
        places[f"log of {pod['metadata']['name']}"] = kubectl(
            "-n", NAMESPACE, "logs", pod["metadata"]["name"], code=None
        )
    files = [path for path in cluster.claim.rglob("*") if path.is_file()]
    found = [place for place, text in places.items() if canary in text]
    found += [str(path) for path in files if canary.encode() in path.read_bytes()]
    expect(
        not found, f"it is in no object, in none of {len(places) - 1} logs and none of {len(files)} files {found or ''}"
    )


PROOFS: dict[str, Callable[[Cluster], None]] = {
    proof.__name__: proof for proof in (restricted, job, cron, memory, mistakes, secret)
}


def print_job(*options: str, code: int = 0, memory: str | None = None, **changes: Any) -> str:
    """Print a Job by the command that users call, for the cluster or one of changed settings."""
    settings = yaml.safe_load((HERE / "cluster.yaml").read_text()) | changes
    if memory:
        settings["nodes"]["Job"]["memory"] = memory
    cluster = HERE / "cluster.yaml"
    if memory or changes:
        cluster = Path(tempfile.mkdtemp(), "changed.yaml")
        cluster.write_text(yaml.safe_dump(settings))
        say(f"cluster.yaml with {changes or f'memory: {memory}'}:")
    return pipeline("kubeflow", "job", "--config", CONFIG, "--cluster", str(cluster), *options, code=code)


def apply(text: str) -> str:
    """Apply a printed Job as the operator, and return its name."""
    # 1.20 does not know the pod failure policy yet and leaves it out.
    say(kubectl("apply", "--validate=false", OPERATOR, "-f", "-", stdin=text))
    return str(list(yaml.safe_load_all(text))[1]["metadata"]["name"])


def finish(name: str) -> dict[str, Any]:
    """Wait until a Job has ended and return it."""
    ends = {"Complete", "Failed"}
    await_that(
        f"the end of Job {name}",
        1200,
        lambda: ends & {entry["type"] for entry in job_record(name)["status"].get("conditions", [])},
    )
    return job_record(name)


def job_record(name: str) -> dict[str, Any]:
    """Return a Job as the API server writes it."""
    record: dict[str, Any] = json.loads(kubectl("-n", NAMESPACE, "get", "job", name, "-o", "json", quiet=True))
    return record


def jobs_of(schedule: str) -> list[str]:
    """Return the names of the Jobs that a CronJob has started."""
    jobs = json.loads(kubectl("-n", NAMESPACE, "get", "jobs", "-o", "json", quiet=True))["items"]
    return [
        job["metadata"]["name"]
        for job in jobs
        if any(owner["name"] == schedule for owner in job["metadata"].get("ownerReferences", []))
    ]


def job_status(name: str, quiet: bool = False) -> str:
    """Return what `kubeflow job-status` says of one Job."""
    words = ("kubeflow", "job-status", "--config", CONFIG, "--cluster", str(HERE / "cluster.yaml"))
    said = pipeline(*words, quiet=quiet)
    text = "\n".join(block for block in said.split("\n\n") if block.startswith(name))
    if not quiet:
        say(text)
    return text


def pipeline(*words: str, code: int = 0, quiet: bool = False) -> str:
    """Run a command of the project, expect an exit code, and return what it printed."""
    return call([str(REPOSITORY / ".venv/bin/python"), "pipeline.py", *words], code=code, quiet=quiet)


def kubectl(*words: str, stdin: str | None = None, code: int | None = 0, quiet: bool = False) -> str:
    """Run kubectl, expect an exit code (None: any), and return what it printed."""
    return call(["kubectl", *words], stdin, code, quiet)


def call(words: list[str], stdin: str | None = None, code: int | None = 0, quiet: bool = False) -> str:
    """Show a command and run it; return its output and errors."""
    if not quiet:
        text = shlex.join(words).replace(f"{REPOSITORY}/", "").replace(str(Path(sys.argv[1]).resolve()), "CACHE")
        print("$", text, flush=True)
    done = subprocess.run(
        words, cwd=REPOSITORY, input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if code is not None and done.returncode != code:
        sys.exit(f"exit code {done.returncode}, expected {code}:\n{done.stdout}")
    return done.stdout


def await_that(what: str, patience_seconds: float, ask: Callable[[], Any]) -> Any:
    """Ask until the answer is true, and return it."""
    end = time.monotonic() + patience_seconds
    while not (answer := ask()):
        if time.monotonic() > end:
            sys.exit(f"{what}: not within {patience_seconds:.0f} s")
        time.sleep(1)
    return answer


def seconds(start: str, end: str) -> float:
    """Return the seconds between two of Kubernetes' times."""
    first, last = (datetime.datetime.fromisoformat(text) for text in (start, end))
    return (last - first).total_seconds()


def say(text: str) -> None:
    """Print an answer, indented."""
    print("".join(f"  {line}\n" for line in text.rstrip().splitlines()), end="", flush=True)


def expect(holds: bool, what: str) -> None:
    """Tick a statement off, or end."""
    if not holds:
        sys.exit(f"NOT TRUE: {what}")
    print(f"  \u2713 {what}", flush=True)


def main() -> None:
    """Run all proofs, or those named."""
    cluster = Cluster(Path(sys.argv[1]).resolve())
    os.environ["KUBECONFIG"] = str(cluster.cache / "admin.conf")
    names = sys.argv[2:] or list(PROOFS)
    if not sys.argv[2:] or not cluster.claim.exists():
        cluster.prepare()
    for name in names:
        print(f"\n== {name}: {PROOFS[name].__doc__}", flush=True)
        PROOFS[name](cluster)
    print(f"\n{len(names)} proofs, all as expected")


if __name__ == "__main__":
    main()
