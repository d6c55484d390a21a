from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from orchestration.command_line import main
from reporting.side_by_side import lines_of, render_side_by_side
from reporting.summary import MetricRecord, write
from tests.reporting.sample import sample
from tests.reporting.test_page import Page

VALUES = {"ndcg@10": 0.25, "num_queries": 1500.0}
BETTER = sample(
    run_id="20260104-020000",
    metrics=tuple(MetricRecord(slice="overall", name=name, value=value) for name, value in VALUES.items()),
)


def test_the_best_of_each_row_is_marked() -> None:
    lines = {(line.slice, line.name): line for line in lines_of([sample(), BETTER])}

    assert lines["overall", "ndcg@10"].best == 1
    assert lines["overall", "recall@10"].best is None  # the other run has none
    assert lines["gender=F", "ndcg@10"].cells[1] is None
    assert "★" in " ".join(Page(render_side_by_side([sample(), BETTER])).texts)


def test_nothing_is_called_best_among_runs_with_other_queries() -> None:
    fewer = sample(metrics=(*BETTER.metrics[:1], BETTER.metrics[1].model_copy(update={"value": 1499.0})))

    assert {line.best for line in lines_of([sample(), fewer])} == {None}
    assert "measured different queries" in " ".join(Page(render_side_by_side([sample(), fewer])).texts)


def test_the_command_reads_run_ids_and_folders_and_refuses_what_is_neither(tmp_path: Path) -> None:
    for folder, run in (("runs/a", sample()), ("report", BETTER)):
        (tmp_path / folder).mkdir(parents=True)
        write(run, tmp_path / folder / "summary.json")
    page = tmp_path / "compare.html"
    arguments = ["compare", "a", str(tmp_path / "report"), "--output-root", str(tmp_path)]
    found = CliRunner().invoke(main, [*arguments, "--html", str(page)])

    assert found.exit_code == 0, found.output
    assert "0.2131" in found.output
    assert "0.2500" in found.output
    assert "side by side" in page.read_text()
    refused = CliRunner().invoke(main, [*arguments, "b"])
    assert refused.exit_code == 2
