"""Labels as official scripts read them."""

from ssdet.data.annotations import read_dataset


def test_as_written_keeps_segments_and_order(tmp_path):
    """What official scripts read: nothing cut, dropped, sorted or made unique."""
    path = tmp_path / "labels.csv"
    path.write_text(
        "id,actions,length\n"
        'w,"c001 5.0 4.0;c000 1.0 99.0;c000 1.0 99.0;c000 0.5 0.5",8.0\n'
        'b,"c001 1.0 2.0",8.0\n'
    )
    recipe = {"format": "charades", "fps": 24.0, "segments": "refuse"}
    recipe |= {"mean": [0.0] * 3, "std": [1.0] * 3}
    (tmp_path / "train.csv").write_text(
        'id,actions,length\nt,"c000 1 2;c001 1 2",8.0\n'
    )
    data = read_dataset(
        "x", recipe, tmp_path / "train.csv", path, None, as_written=True
    )
    first, second = data.of("testing")
    assert (first.video_id, second.video_id) == ("w", "b")
    assert [(s.start_s, s.end_s, s.label) for s in first.segments] == [
        (5.0, 4.0, "c001"),
        (1.0, 99.0, "c000"),
        (1.0, 99.0, "c000"),
        (0.5, 0.5, "c000"),
    ]
