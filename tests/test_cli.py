from importlib import util

from ssdet import cli


def test_doctor_names_what_is_there(capsys, tmp_path):
    assert cli.main(["doctor", "--results", str(tmp_path / "not" / "yet")]) == 0
    said = capsys.readouterr().out
    assert "ok      torch " in said
    assert f"free in {tmp_path}" in said


def test_doctor_fails_without_what_nothing_works_without(capsys, monkeypatch):
    found = util.find_spec
    monkeypatch.setattr(
        cli.util, "find_spec", lambda name: None if name == "h5py" else found(name)
    )
    assert cli.main(["doctor"]) == 1
    assert "MISSING h5py" in capsys.readouterr().out


def test_doctor_passes_without_what_only_some_stages_need(capsys, monkeypatch):
    found = util.find_spec
    monkeypatch.setattr(
        cli.util, "find_spec", lambda name: None if name == "av" else found(name)
    )
    assert cli.main(["doctor"]) == 0
    assert "not installed; for reading video files" in capsys.readouterr().out
