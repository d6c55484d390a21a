from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import logging, os, subprocess, sys
from pathlib import Path
from absl import logging as absl_logging
absl_logging.set_verbosity(absl_logging.WARNING)
from orchestration.log_capture import captured
with captured(Path(sys.argv[1]), verbose=sys.argv[2] == "verbose") as terminal:
    print("python")
    logging.getLogger("anyone").info("logged")
    absl_logging.info("of the framework")
    os.write(2, b"from C++\\n")
    subprocess.run([sys.executable, "-c", "print('child')"])
    print("ours", file=terminal.out)
print("after")
"""


def run(log: Path, mode: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(log), mode],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, done.stderr


def test_noise_of_every_kind_goes_to_the_log_and_our_words_to_the_terminal(tmp_path: Path) -> None:
    out, err = run(tmp_path / "log.txt", "quiet")
    assert (out, err) == ("ours\nafter\n", "")
    log = (tmp_path / "log.txt").read_text()
    for word in ("python\n", "I anyone: logged\n", "I absl: of the framework\n", "from C++\n", "child\n"):
        assert word in log


def test_verbose_shows_the_log_on_the_terminal_and_keeps_it(tmp_path: Path) -> None:
    out, err = run(tmp_path / "log.txt", "verbose")
    assert "python" in out
    assert "I anyone: logged" in err
    assert "from C++" in err
    assert "I anyone: logged" in (tmp_path / "log.txt").read_text()
