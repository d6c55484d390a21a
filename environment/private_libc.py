"""Give one virtual environment a newer C library than its host has.

ml-metadata and TFDV publish wheels for glibc 2.38 and later; Debian 12 has 2.36 and Ubuntu 22.04 has 2.35. The
libraries of the distribution's next release are unpacked inside the environment, and the environment's own copy of
the interpreter is told to load them. Nothing outside the environment is touched; programs that the interpreter starts
by another name keep the system's library.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

REQUIRED_GLIBC = (2, 38)
PACKAGES = ("libc6", "libstdc++6", "libgcc-s1")
LOADER = "ld-linux-x86-64.so.2"
# The release whose libraries are taken, and the keyring that both releases of that distribution are signed with.
NEXT_RELEASE = {
    "bullseye": ("trixie", "/usr/share/keyrings/debian-archive-keyring.gpg"),
    "bookworm": ("trixie", "/usr/share/keyrings/debian-archive-keyring.gpg"),
    "focal": ("noble", "/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
    "jammy": ("noble", "/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
}


class PrivateLibcError(RuntimeError):
    """The environment cannot be given a newer C library; the message says why."""


def glibc_version() -> tuple[int, int]:
    """Return the running interpreter's glibc version, `(0, 0)` where there is none."""
    try:
        found = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        found = ""
    match = re.match(r"glibc (\d+)\.(\d+)", found)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def install(environment: Path, patchelf: Path) -> None:
    """Unpack newer libraries under `environment` and let its interpreter load them.

    Args:
      environment: a virtual environment made with `--copies`, so that its interpreter is a file of its own.
      patchelf: the patchelf program.

    Raises:
      PrivateLibcError: the host is of no known distribution, apt is missing, or a command failed.
    """
    libraries = _unpack(environment / "private-libc", _codename())
    python = environment / "bin" / "python3.11"
    # The original interpreter's folder stays on the path: libpython lives there in a shared build.
    search_path = f"{libraries}:{sysconfig.get_config_var('LIBDIR')}"
    needed = [arg for lib in ("libstdc++.so.6", "libgcc_s.so.1") for arg in ("--add-needed", lib)]
    _call(patchelf, "--set-interpreter", libraries / LOADER, "--force-rpath", "--set-rpath", search_path, python)
    # Named here so that they are loaded first: NumPy would otherwise bring in the system's libstdc++.
    _call(patchelf, *needed, python)
    for name in ("python", "python3"):
        link = environment / "bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to(python.name)


def _codename() -> str:
    """Return the distribution's release name from os-release."""
    text = Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""
    match = re.search(r'^VERSION_CODENAME="?(\w+)', text, re.M)
    name = match[1] if match else ""
    if name not in NEXT_RELEASE:
        raise PrivateLibcError(
            f"glibc {'.'.join(map(str, glibc_version()))} is older than 2.38 and release {name or 'unknown'!r} is "
            f"none of {sorted(NEXT_RELEASE)}"
        )
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise PrivateLibcError("apt-get and dpkg-deb are needed to obtain a newer C library")
    return name


def _unpack(target: Path, codename: str) -> Path:
    """Download the next release's libraries with apt, verified by the host's keyring, and unpack them."""
    release, keyring = NEXT_RELEASE[codename]
    shutil.rmtree(target, ignore_errors=True)
    state, cache, root = target / "apt" / "lists", target / "apt" / "cache", target / "root"
    for folder in (state / "partial", cache / "archives" / "partial", root):
        folder.mkdir(parents=True)
    sources = target / "apt" / "sources.list"
    sources.write_text(f"deb [signed-by={keyring}] {_mirror(codename)} {release} main\n")
    apt = [
        "apt-get", "-q", "-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-",
        "-o", f"Dir::State::lists={state}", "-o", f"Dir::Cache={cache}", "-o", "APT::Sandbox::User=",
    ]  # fmt: skip
    _call(*apt, "update")
    _call(*apt, "download", *PACKAGES, cwd=cache)
    for package in sorted(cache.glob("*.deb")):
        _call("dpkg-deb", "-x", package, root)
    shutil.rmtree(target / "apt")
    loader = next(root.rglob(LOADER), None)
    libc = next((path for path in root.rglob("libc.so.6") if not path.is_symlink()), None)
    if loader is None or libc is None:
        raise PrivateLibcError(f"the packages {PACKAGES} of {release} hold no {LOADER}")
    libraries = libc.parent
    for path in root.rglob("lib*.so*"):  # one folder, wherever the packages put their parts
        if path.parent != libraries and not (libraries / path.name).exists():
            (libraries / path.name).symlink_to(path)
    if not (libraries / LOADER).exists():
        (libraries / LOADER).symlink_to(loader)
    return libraries


def _mirror(codename: str) -> str:
    """Return the archive address that the host's own apt takes `codename` from."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for file in files:
        text = file.read_text(errors="replace") if file.is_file() else ""
        for stanza in text.split("\n\n"):
            uri = re.search(r"^URIs:\s*(\S+)", stanza, re.M)
            if uri and re.search(rf"^Suites:.*\b{codename}(\s|$)", stanza, re.M):
                return uri[1]
        line = re.search(rf"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+{codename}\s", text, re.M)
        if line:
            return line[1]
    raise PrivateLibcError(f"no apt source of release {codename!r} in /etc/apt")


def _call(*command: object, cwd: Path | None = None) -> None:
    """Run a command; on failure raise with what it printed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PrivateLibcError(f"`{' '.join(words[:3])} ...` failed: {(done.stderr or done.stdout).strip()[-500:]}")
