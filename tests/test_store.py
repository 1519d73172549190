"""Saved stages come back as they were, or not at all; a killed write leaves the old one."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from bayes_hte import store
from bayes_hte.errors import SavedResultError
from bayes_hte.store import DRAWS, FORMAT, MANIFEST, find_stage, save_stage, write_text

SETTINGS = {"seed": 1, "draws": 500, "priors": [{"term": "arm", "scale": 0.5}], "learner": "t"}


class KilledError(BaseException):
    """Stands for the process being killed; nothing may catch it."""


def tree(value: float = 0.0) -> xr.DataTree:
    """Build a small stage with everything a real one holds."""
    posterior = xr.Dataset(
        {
            "te": (("chain", "draw", "unit"), np.arange(12.0).reshape(2, 3, 2) + value),
            "arm_name": ("arm", np.array(["Kontrolle", "Übung"])),
        },
        coords={"chain": [0, 1], "unit": ["p1", "patient 2"], "arm": np.array(["a", "b"], object)},
        attrs={"long_name": "total effect", "mediator_value": 3.5, "judged": True, "draws": 3},
    )
    posterior["te"].attrs = {"contrast": "b vs a", "scale": "response"}
    trees = xr.Dataset(
        {
            "feature": ("node", np.array([0, -1, -1], dtype=np.int16)),
            "right": ("node", np.array([2, 0, 0], dtype=np.int32)),
            "number": ("node", np.array([1.5, np.nextafter(0.1, 1), -2.0])),
        }
    )
    result = xr.DataTree.from_dict({"/posterior": posterior, "/trees/outcome_arm_1": trees})
    result.attrs["component"] = json.dumps({"role": "outcome", "offset": 0.1 + 0.2})
    return result


def small(value: float) -> xr.DataTree:
    """Build a stage of one array, which is quick to write."""
    return xr.DataTree.from_dict({"/posterior": xr.Dataset({"te": ("draw", [value, 0.0])})})


def te(stage: store.Stage) -> float:
    """Return the first number of a loaded stage."""
    return float(stage.load()["posterior/te"].to_numpy().flat[0])


def zarr_folders(folder: Path) -> list[Path]:
    """Return every folder of draws, the half-written ones too."""
    return sorted(folder.rglob("*.zarr"))


# ---------------------------------------------------------------- round trip


def test_a_stage_comes_back_with_values_text_dtypes_and_attributes(tmp_path):
    save_stage(tmp_path, "outcome", tree(), SETTINGS)
    stage = find_stage(tmp_path, "outcome")
    assert (stage.exists, stage.intact) == (True, True)
    loaded = stage.load()
    assert set(loaded.groups) == set(tree().groups)
    assert loaded.attrs == tree().attrs
    for group in ("posterior", "trees/outcome_arm_1"):
        saved, got = tree()[group].to_dataset(), loaded[group].to_dataset()
        xr.testing.assert_equal(got, saved)
        assert got.attrs == saved.attrs
        for name, variable in saved.variables.items():
            assert got[name].attrs == variable.attrs
            if variable.dtype.kind in "fi":
                assert got[name].dtype == variable.dtype


def test_text_can_be_selected_by_after_loading(tmp_path):
    save_stage(tmp_path, "outcome", tree(), SETTINGS)
    posterior = find_stage(tmp_path, "outcome").load()["posterior"].to_dataset()
    np.testing.assert_array_equal(
        posterior["te"].sel(unit="patient 2"), tree()["posterior/te"].sel(unit="patient 2")
    )
    assert [str(name) for name in posterior["arm_name"].values] == ["Kontrolle", "Übung"]


def test_a_loaded_stage_can_be_saved_again(tmp_path):
    save_stage(tmp_path, "first", tree(), SETTINGS)
    save_stage(tmp_path, "second", find_stage(tmp_path, "first").load(), SETTINGS)
    xr.testing.assert_identical(
        find_stage(tmp_path, "first").load(), find_stage(tmp_path, "second").load()
    )


def test_a_loaded_stage_needs_its_folder_no_more(tmp_path):
    save_stage(tmp_path, "outcome", tree(), SETTINGS)
    loaded = find_stage(tmp_path, "outcome").load()
    shutil.rmtree(tmp_path / "outcome")
    xr.testing.assert_equal(loaded["posterior/te"], tree()["posterior/te"])


def test_saving_does_not_change_the_tree(tmp_path):
    given = tree()
    save_stage(tmp_path, "outcome", given, SETTINGS)
    assert given["posterior/arm_name"].dtype == tree()["posterior/arm_name"].dtype
    xr.testing.assert_identical(given, tree())


def test_folders_are_made_and_a_new_stage_replaces_the_old_and_leaves_nothing_else(tmp_path):
    folder = tmp_path / "new" / "posterior"
    save_stage(folder, "outcome", small(0.0), SETTINGS)
    save_stage(folder, "outcome", small(7.0), SETTINGS | {"seed": 2})
    stage = find_stage(folder, "outcome")
    assert te(stage) == 7.0
    assert stage.settings["seed"] == 2
    assert list(folder.iterdir()) == [folder / "outcome"]
    assert zarr_folders(folder) == [stage.draws]


def test_equal_draws_under_other_settings_are_a_new_stage(tmp_path):
    save_stage(tmp_path, "outcome", small(0.0), SETTINGS)
    save_stage(tmp_path, "outcome", small(0.0), SETTINGS | {"seed": 2})
    stage = find_stage(tmp_path, "outcome")
    assert stage.changes(SETTINGS | {"seed": 2}) == []
    assert te(stage) == 0.0
    assert zarr_folders(tmp_path) == [stage.draws]


def test_stages_do_not_touch_each_other(tmp_path):
    save_stage(tmp_path, "outcome", small(1.0), SETTINGS)
    save_stage(tmp_path, "mediator", small(2.0), SETTINGS)
    save_stage(tmp_path, "mediator", small(3.0), SETTINGS)
    assert te(find_stage(tmp_path, "outcome")) == 1.0
    assert te(find_stage(tmp_path, "mediator")) == 3.0


# ---------------------------------------------------------------- settings


def test_unchanged_settings_need_no_new_run(tmp_path):
    save_stage(tmp_path, "outcome", small(0.0), SETTINGS)
    stage = find_stage(tmp_path, "outcome")
    assert stage.changes(SETTINGS) == []
    # Order does not matter, and tuples and paths are compared as they are written.
    assert stage.changes(dict(reversed(SETTINGS.items()))) == []
    odd = {"path": Path("a.csv"), "levels": ("a", "b")}
    save_stage(tmp_path, "odd", small(0.0), odd)
    assert find_stage(tmp_path, "odd").changes(odd) == []


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (SETTINGS | {"seed": 2}, "seed: 1 -> 2"),
        (SETTINGS | {"learner": "s"}, 'learner: "t" -> "s"'),
        (SETTINGS | {"tune": 300}, "tune: null -> 300"),
        ({k: v for k, v in SETTINGS.items() if k != "draws"}, "draws: 500 -> null"),
        (SETTINGS | {"seed": "1"}, 'seed: 1 -> "1"'),
    ],
)
def test_a_changed_setting_is_named_with_both_values(tmp_path, wanted, said):
    save_stage(tmp_path, "outcome", small(0.0), SETTINGS)
    assert find_stage(tmp_path, "outcome").changes(wanted) == [said]


def test_every_changed_setting_is_named_and_long_ones_are_shortened(tmp_path):
    save_stage(tmp_path, "outcome", small(0.0), SETTINGS)
    wanted = SETTINGS | {"seed": 2, "priors": [{"term": "arm", "scale": i} for i in range(9)]}
    changes = find_stage(tmp_path, "outcome").changes(wanted)
    assert [change.split(":")[0] for change in changes] == ["priors", "seed"]
    assert changes[0].endswith("...")
    assert all(len(change) < 150 for change in changes)


def test_a_stage_of_another_layout_is_not_used_again(tmp_path, monkeypatch):
    save_stage(tmp_path, "outcome", small(0.0), SETTINGS)
    monkeypatch.setattr(store, "FORMAT", FORMAT + 1)
    changes = find_stage(tmp_path, "outcome").changes(SETTINGS)
    assert changes == [f"format: {FORMAT} -> {FORMAT + 1}"]


# ---------------------------------------------------------------- damage


def test_a_stage_that_was_never_saved_says_so(tmp_path):
    stage = find_stage(tmp_path, "outcome")
    assert (stage.exists, stage.intact, dict(stage.settings)) == (False, False, {})
    assert stage.changes(SETTINGS)
    with pytest.raises(SavedResultError, match=r"no saved stage at .*outcome; run the study first"):
        stage.load()


def numbers_file(folder: Path) -> Path:
    """Return a file that holds numbers."""
    return next(file for file in folder.rglob("posterior/te/c/**/*") if file.is_file())


@pytest.mark.parametrize("damage", ["changed", "truncated", "removed", "added", "metadata"])
def test_a_damaged_file_is_noticed_and_never_read(tmp_path, damage):
    save_stage(tmp_path, "outcome", small(0.0), SETTINGS)
    folder = tmp_path / "outcome"
    file = numbers_file(folder)
    if damage == "changed":
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(bytes(content))
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:-1])
    elif damage == "removed":
        file.unlink()
    elif damage == "added":
        file.with_name("99").write_bytes(b"x")
    else:
        metadata = next(folder.rglob("zarr.json"))
        metadata.write_text(metadata.read_text() + " ")
    stage = find_stage(tmp_path, "outcome")
    assert (stage.exists, stage.intact) == (True, False)
    with pytest.raises(SavedResultError, match=r"is damaged .*Run the study again, or delete"):
        stage.load()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"settings": {"seed"',
        b"[]",
        b"null",
        b'{"settings": {}}',
        b'{"digest": "x"}',
        b'{"settings": {}, "digest": "x"}',
        b"\xff\xfe",
    ],
    ids=["empty", "half", "list", "null", "no digest", "no settings", "wrong", "binary"],
)
def test_a_corrupt_manifest_means_a_damaged_stage(tmp_path, content):
    save_stage(tmp_path, "outcome", small(0.0), SETTINGS)
    (tmp_path / "outcome" / MANIFEST).write_bytes(content)
    stage = find_stage(tmp_path, "outcome")
    assert (stage.exists, stage.intact) == (True, False)
    assert stage.changes(SETTINGS)
    with pytest.raises(SavedResultError, match="is damaged"):
        stage.load()


def test_draws_without_a_manifest_are_a_damaged_stage(tmp_path):
    save_stage(tmp_path, "outcome", small(0.0), SETTINGS)
    (tmp_path / "outcome" / MANIFEST).unlink()
    with pytest.raises(SavedResultError, match="is damaged"):
        find_stage(tmp_path, "outcome").load()


def test_a_file_in_the_place_of_a_stage_is_damage_and_saving_again_mends_it(tmp_path):
    (tmp_path / "outcome").write_text("not a folder")
    stage = find_stage(tmp_path, "outcome")
    assert (stage.exists, stage.intact) == (True, False)
    save_stage(tmp_path, "outcome", small(4.0), SETTINGS)
    assert te(find_stage(tmp_path, "outcome")) == 4.0


def test_saving_again_mends_a_damaged_stage(tmp_path):
    save_stage(tmp_path, "outcome", small(0.0), SETTINGS)
    numbers_file(tmp_path / "outcome").write_bytes(b"x")
    assert not find_stage(tmp_path, "outcome").intact
    save_stage(tmp_path, "outcome", small(0.0), SETTINGS)
    assert te(find_stage(tmp_path, "outcome")) == 0.0


# ---------------------------------------------------------------- killed writes


def killed(*args, **options):
    raise KilledError


def half_written(self, path, **options):
    """Write a part of the draws, as if the process died then."""
    Path(path).mkdir(parents=True)
    (Path(path) / "zarr.json").write_text("{")
    raise KilledError


def killed_at(method, target_name: str, *, after: bool = False):
    """Replace a method of paths: the process dies when it would make the named target."""

    def replacement(self, target, *args, **options):
        hit = Path(target).name.startswith(target_name)
        result = None if hit and not after else method(self, target, *args, **options)
        if hit:
            raise KilledError
        return result

    return replacement


KILLS = {
    "preparing": (xr.DataTree, "map_over_datasets", killed),
    "before the draws": (xr.DataTree, "to_zarr", killed),
    "half of the draws": (xr.DataTree, "to_zarr", half_written),
    "digest": (store, "_digest", killed),
    "before renaming": (Path, "rename", killed_at(Path.rename, DRAWS)),
    "after renaming": (Path, "rename", killed_at(Path.rename, DRAWS, after=True)),
    "before the manifest": (Path, "replace", killed_at(Path.replace, MANIFEST)),
}
KILLED_LATE = {
    "after the manifest": (Path, "replace", killed_at(Path.replace, MANIFEST, after=True)),
    "removing the old": (store, "shutil", SimpleNamespace(rmtree=killed)),
}


def kill(monkeypatch, how, save) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(*how)
        with pytest.raises(KilledError):
            save()


@pytest.mark.parametrize("how", KILLS.values(), ids=KILLS)
def test_a_killed_write_leaves_the_old_stage_and_the_next_one_succeeds(tmp_path, monkeypatch, how):
    save_stage(tmp_path, "outcome", small(1.0), SETTINGS)
    wanted = SETTINGS | {"seed": 2}
    kill(monkeypatch, how, lambda: save_stage(tmp_path, "outcome", small(2.0), wanted))
    stage = find_stage(tmp_path, "outcome")
    assert stage.intact
    assert stage.changes(SETTINGS) == []
    assert te(stage) == 1.0
    save_stage(tmp_path, "outcome", small(3.0), SETTINGS)
    again = find_stage(tmp_path, "outcome")
    assert te(again) == 3.0
    assert zarr_folders(tmp_path) == [again.draws]


@pytest.mark.parametrize("how", KILLED_LATE.values(), ids=KILLED_LATE)
def test_a_write_killed_after_its_last_step_leaves_the_new_stage(tmp_path, monkeypatch, how):
    save_stage(tmp_path, "outcome", small(1.0), SETTINGS)
    wanted = SETTINGS | {"seed": 2}
    kill(monkeypatch, how, lambda: save_stage(tmp_path, "outcome", small(2.0), wanted))
    stage = find_stage(tmp_path, "outcome")
    assert stage.changes(wanted) == []
    assert te(stage) == 2.0
    save_stage(tmp_path, "outcome", small(2.0), wanted)
    assert zarr_folders(tmp_path) == [find_stage(tmp_path, "outcome").draws]


@pytest.mark.parametrize("how", KILLS.values(), ids=KILLS)
def test_a_killed_first_write_leaves_nothing_that_can_be_read(tmp_path, monkeypatch, how):
    kill(monkeypatch, how, lambda: save_stage(tmp_path, "outcome", small(0.0), SETTINGS))
    stage = find_stage(tmp_path, "outcome")
    assert not stage.intact
    assert stage.changes(SETTINGS)
    with pytest.raises(SavedResultError, match=r"[Rr]un the study"):
        stage.load()
    save_stage(tmp_path, "outcome", small(5.0), SETTINGS)
    assert te(find_stage(tmp_path, "outcome")) == 5.0


def test_a_text_file_is_written_whole_or_left_alone(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_text(path, "älter")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KilledError):
            write_text(path, "neu")
    assert path.read_text(encoding="utf-8") == "älter"
    write_text(path, "neu")
    assert path.read_text(encoding="utf-8") == "neu"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


# ---------------------------------------------------------------- full disks, and strangers


class Evil:
    """An object that would make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def hostile(folder: Path, change) -> None:
    """Change the draws of a stage, with the manifest that its files then have."""
    save_stage(folder, "outcome", small(1.0), SETTINGS)
    draws = find_stage(folder, "outcome").draws
    change(draws)
    manifest = folder / "outcome" / MANIFEST
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(said | {"digest": store._digest(draws)}))
    assert find_stage(folder, "outcome").intact


def older_array(draws: Path, trap: Path, **codecs) -> None:
    """Put an array of the second format of Zarr into a store; its only chunk is a pickle."""
    array = draws / "x"
    array.mkdir()
    (draws / ".zgroup").write_text('{"zarr_format": 2}')
    (array / ".zattrs").write_text('{"_ARRAY_DIMENSIONS": ["i"]}')
    form = {"zarr_format": 2, "shape": [1], "chunks": [1], "order": "C", "compressor": None}
    form |= {"filters": None, "dtype": "|O", "fill_value": ""}
    (array / ".zarray").write_text(json.dumps(form | codecs))
    (array / "0").write_bytes(pickle.dumps([Evil(trap), [1]]))


PICKLE = {"id": "pickle", "protocol": 5}


@pytest.mark.parametrize(
    "codecs",
    [
        {"filters": [PICKLE]},
        {"filters": [{"id": "vlen-utf8"}], "compressor": PICKLE},
        {"compressor": PICKLE, "dtype": "<f8", "fill_value": 0.0},
    ],
)
def test_a_pickle_in_a_stage_is_never_opened(tmp_path, codecs):
    trap = tmp_path / "trap"
    hostile(tmp_path, lambda draws: older_array(draws, trap, **codecs))
    with pytest.raises(SavedResultError, match="was not saved by this package"):
        find_stage(tmp_path, "outcome").load()
    assert not trap.exists()
    # The trap is one: opened as a pickle, it makes its file.
    pickle.loads(next(tmp_path.rglob("x/0")).read_bytes())
    assert trap.exists()


@pytest.mark.parametrize("codec", ["numcodecs.pickle", "pickle", "anything"])
def test_a_codec_of_others_is_refused_before_it_is_used(tmp_path, codec):
    def change(draws):
        path = next(draws.rglob("te/zarr.json"))
        form = json.loads(path.read_text())
        path.write_text(json.dumps(form | {"codecs": [*form["codecs"], {"name": codec}]}))

    hostile(tmp_path, change)
    with pytest.raises(SavedResultError, match=f"the codec '{codec}'"):
        find_stage(tmp_path, "outcome").load()


def test_a_manifest_that_names_a_folder_elsewhere_is_damaged(tmp_path):
    save_stage(tmp_path, "outcome", small(1.0), SETTINGS)
    save_stage(tmp_path, "mediator", small(2.0), SETTINGS)
    manifest = tmp_path / "outcome" / MANIFEST
    said = json.loads((tmp_path / "mediator" / MANIFEST).read_text())
    manifest.write_text(json.dumps(said | {"draws": f"../mediator/{said['draws']}"}))
    assert not find_stage(tmp_path, "outcome").intact


def no_room(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


FULL = {
    "draws": (xr.DataTree, "to_zarr", no_room),
    "text": (Path, "write_text", no_room),
    "name": (Path, "replace", no_room),
    "folder": (Path, "mkdir", no_room),
}


@pytest.mark.parametrize("how", FULL.values(), ids=FULL)
def test_a_full_disk_leaves_the_old_stage_and_no_litter(tmp_path, monkeypatch, how):
    save_stage(tmp_path, "outcome", small(1.0), SETTINGS)
    with monkeypatch.context() as patch:
        patch.setattr(*how)
        with pytest.raises(SavedResultError, match=r"cannot write .*: No space left on device\. "):
            save_stage(tmp_path, "outcome", small(2.0), SETTINGS | {"seed": 2})
    stage = find_stage(tmp_path, "outcome")
    assert te(stage) == 1.0
    assert stage.changes(SETTINGS) == []
    assert not list(tmp_path.rglob(".*"))


def test_what_killed_writes_leave_behind_is_removed_and_nothing_else(tmp_path):
    (tmp_path / "tables").mkdir()
    litter = [".report.html.new-12", "tables/.a.csv.new-3", "tables/.new-4.zarr"]
    mine = ["notes.new-1", ".hidden", "tables/a.csv", "tables/.written.txt", ".new-idea.txt"]
    for name in [*litter, *mine]:
        (tmp_path / name).write_text("x")
    store.remove_leftovers(tmp_path, ["tables", "nowhere"])
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == set(mine)
