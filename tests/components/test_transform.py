from __future__ import annotations

from pathlib import Path

from tensorflow_transform import TFTransformOutput
from tfx.orchestration.local.local_dag_runner import LocalDagRunner

from tests.components.growing_vocabulary_pipeline import create


def test_a_vocabulary_that_grows_keeps_its_ids_from_span_to_span(tmp_path: Path) -> None:
    def learnt(events: list[tuple[int, str]]) -> tuple[int, list[bytes], set[bytes]]:
        """Run over the events, one a second; return the number of graphs so far and the newest one's vocabularies."""
        rows = [f"{user},{item},{10**9 + second}\n" for second, (user, item) in enumerate(events)]
        (tmp_path / "r.csv").write_text("user_id,item_id,timestamp\n" + "".join(rows))
        LocalDagRunner().run(create(tmp_path, tmp_path / "r.csv"))
        graphs = sorted((tmp_path / "artifacts" / "Transform" / "transform_graph").iterdir(), key=lambda p: int(p.name))
        graph = TFTransformOutput(str(graphs[-1]))
        return len(graphs), graph.vocabulary_by_name("item_id"), set(graph.vocabulary_by_name("user_id"))

    # The last fifth of the rows is eval and test, and nothing is learnt from it.
    first = [*[(1, "a")] * 8, *[(2, "b")] * 5, *[(3, "c")] * 3, *[(1, "later")] * 4]
    assert learnt(first) == (1, [b"a", b"b", b"c"], {b"1", b"2", b"3"})
    second = [*[(4, "d")] * 8, *[(5, "c")] * 5, *[(4, "e")] * 3, *[(4, "later")] * 4]
    # c is kept although d is more frequent, and a and b although nobody chose them; what does not grow is learnt anew.
    grown = (2, [b"a", b"b", b"c", b"d", b"e"], {b"4", b"5"})
    assert learnt(second) == grown
    # The same again goes on from the first span, not from itself, and so comes from cache.
    assert learnt(second) == grown
