"""The memory of CASA's controller, the levels of channels and the files of an imaging, without CASA."""

import json
from pathlib import Path

import numpy as np
import pytest

from cleanloop_worker import requests as r
from cleanloop_worker.problems import BadInput
from cleanloop_worker.tclean import controller, parameters, steps
from cleanloop_worker.tclean.controller import Memory
from cleanloop_worker.tclean.files import ImagingFiles


class Recorder:
    """A controller that notes its calls."""

    def __init__(self) -> None:
        self.calls: list = []

    def __getattr__(self, name: str):
        return lambda *args, **kwargs: self.calls.append((name, args, kwargs))


def limit(active: bool, threshold: float | None) -> r.ChannelLimit:
    """The limit of a channel."""
    return r.ChannelLimit(active, threshold)


def test_records_survive_json_bit_for_bit() -> None:
    record = {"peak": np.float32(0.1), "beams": np.array([[1.5, 2.0]], np.float32), "nested": {"n": np.int64(3)}}
    again = controller.restored(json.loads(json.dumps(controller.plain(record))))
    assert again["peak"] == float(np.float32(0.1))
    assert again["beams"].dtype == np.float32
    np.testing.assert_array_equal(again["beams"], record["beams"])
    assert again["nested"] == {"n": 3}


def test_the_table_of_all_channels_is_not_kept() -> None:
    kept = controller.restored(controller.plain({"summaryminor": np.ones((6, 40))}))
    assert kept["summaryminor"].shape == (6, 0)


def test_a_fresh_controller_gets_the_same_calls_in_the_same_order() -> None:
    memory = Memory()
    memory.add("reset")
    memory.add("init", 0, {"peakresidual": np.float64(2.0)})
    memory.add("complete", False)
    cycle = memory.complete_cycle()
    memory.add("exec", 0, {"iterdone": 5})
    memory.add("major")
    box = Recorder()
    memory.replay(box)
    assert box.calls == [
        ("resetminorcycleinfo", (), {}),
        ("mergeinitrecord", ({"peakresidual": 2.0}, 0), {}),
        ("cleanComplete", (), {"reachedMajorLimit": False}),
        ("mergeexecrecord", ({"iterdone": 5}, 0), {}),
        ("endmajorcycle", (), {}),
    ]
    # Another process: the past comes from the records of complete cycles.
    other, box = Memory(), Recorder()
    other.restart(json.loads(json.dumps(cycle)))
    other.replay(box)
    assert [name for name, _, _ in box.calls] == ["resetminorcycleinfo", "mergeinitrecord", "cleanComplete"]


def test_channels_with_close_levels_are_cleaned_together() -> None:
    limits = [limit(True, 0.5), limit(True, 2.0), limit(False, 9.0), limit(True, 2.03), limit(True, 3.0)]
    assert controller.level_groups(1.0, limits) == [(1.0, [0]), (2.0, [1, 3]), (3.0, [4])]


def test_a_level_that_only_rounding_puts_above_the_cycles_is_the_cycles() -> None:
    assert controller.level_groups(1.0, [limit(True, 1.000001), limit(True, None)]) == [(1.0, [0, 1])]
    assert controller.level_groups(1.0, [limit(False, 2.0)]) == []


@pytest.mark.parametrize(
    ("level", "one", "reached", "expected"),
    [
        (1.0, limit(True, 1.0), False, True),
        (2.0, limit(True, 1.0), True, False),
        (None, limit(False, 1.0), True, True),
        (1.0, None, False, False),
    ],
)
def test_a_channel_reaches_its_own_threshold(level, one, reached: bool, expected: bool) -> None:
    result = controller.channel_result(4, level, one, reached)
    assert result == {"iterations": 4, "cycle_threshold_jy": level, "threshold_reached": expected}


def test_iterations_are_counted_by_channel() -> None:
    table = np.zeros((6, 3))
    table[0], table[5] = [5, 6, 7], [0, 2, 0]
    assert controller.channel_iterations({"summaryminor": table}) == {0: 12, 2: 6}
    assert controller.channel_iterations({}) == {}


def test_thresholds_are_numbers_or_texts_of_numbers_in_jansky() -> None:
    assert parameters.jansky(0.25) == parameters.jansky("0.25") == 0.25
    assert parameters.in_jansky("0.1") == "0.1Jy"


def test_one_measurement_set_or_several() -> None:
    assert parameters.measurement_sets({"vis": "a.ms"}) == ["a.ms"]
    assert parameters.measurement_sets({"vis": ["a.ms", "b.ms"]}) == ["a.ms", "b.ms"]


def model_of(files: ImagingFiles, text: str) -> None:
    """Makes a model that holds a text."""
    folder = Path(files.name("model"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.dat").write_text(text)


def test_models_of_cycles_are_kept_and_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleanloop_worker.tclean.files.KEPT_BYTES", 1)
    files = ImagingFiles(str(tmp_path), terms=0)
    files.start_over()
    for cycle in range(1, 6):
        model_of(files, f"cycle {cycle}")
        files.keep_model(cycle)
        files.write_record(cycle, {"iterations": 10 * cycle})
    assert files.kept() == [3, 4, 5], "older ones make room"
    files.check_kept(4)
    with pytest.raises(BadInput, match=r"the model of cycle 2 is not kept; there are \[3, 4, 5\]"):
        files.check_kept(2)
    files.forget_cycle_images()
    assert not files.there("model")
    files.put_model(4)
    files.forget_after(4)
    assert (Path(files.name("model")) / "table.dat").read_text() == "cycle 4"
    assert files.kept() == [3, 4]
    assert files.read_record(4) == {"iterations": 40}


def test_notes_are_kept_and_a_damaged_file_is_empty(tmp_path: Path) -> None:
    files = ImagingFiles(str(tmp_path), terms=2)
    files.start_over()
    files.note("psf")
    files.note("mask", "none")
    assert files.noted() == {"psf": True, "mask": "none"}
    Path(files.work, "state.json").write_text("{")
    assert files.noted() == {}
    assert files.name("model", 1).endswith("im.model.tt1")
    assert files.name("mask").endswith("im.mask")


def test_steps_run_in_a_scratch_folder(tmp_path: Path) -> None:
    work, here = tmp_path / ".scratch", Path.cwd()
    work.mkdir()
    (work / "left.over").touch()
    with steps.scratch(str(tmp_path), first=True):
        assert Path.cwd() == work
        assert not list(work.iterdir())
    assert Path.cwd() == here
    assert work.exists()
    with pytest.raises(ValueError, match="x"), steps.scratch(str(tmp_path), last=True):
        raise ValueError("x")
    assert Path.cwd() == here
    assert not work.exists()


def test_a_session_that_went_with_its_process_is_named() -> None:
    with pytest.raises(RuntimeError, match="run it again: it goes on from the last complete cycle"):
        steps.session("/nowhere")
