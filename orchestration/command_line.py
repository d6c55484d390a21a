"""The command line, `python pipeline.py`: one group, and the place where errors become messages and exit codes."""

from __future__ import annotations

from typing import Any

import click

from orchestration.commands.batch_recommend import batch_recommend
from orchestration.commands.compare import compare
from orchestration.commands.evaluate import evaluate
from orchestration.commands.lineage import lineage
from orchestration.commands.models import models
from orchestration.commands.push import push
from orchestration.commands.recommend import recommend
from orchestration.commands.rollback import rollback
from orchestration.commands.run import run
from orchestration.commands.schema import schema
from orchestration.commands.serve import serve
from orchestration.commands.similar import similar
from orchestration.commands.status import status
from orchestration.commands.validate import validate
from orchestration.kubeflow.commands import kubeflow

_EPILOG = """\b
First steps:
  python pipeline.py run --config configs/movielens_100k.yaml
  python pipeline.py recommend --user 196 --k 10
  python pipeline.py status

Each command explains itself: python pipeline.py run --help"""


class _Commands(click.Group):
    """Answers an error that was raised on purpose with its message and its exit code, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            from settings.errors import ShortlistError

            if not isinstance(error, ShortlistError):
                raise
            click.echo(f"{click.style('Error:', fg='red', bold=True)} {error}", err=True)
            ctx.exit(error.exit_code)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order in which they are needed."""
        return list(self.commands)


@click.group(
    cls=_Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
def main() -> None:
    """Shortlist: interactions in, a gated and pushed recommender out."""


for _command in (
    validate,
    schema,
    run,
    status,
    recommend,
    similar,
    batch_recommend,
    serve,
    push,
    rollback,
    lineage,
    evaluate,
    compare,
    models,
    kubeflow,
):
    main.add_command(_command)
