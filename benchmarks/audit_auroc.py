# SPDX-License-Identifier: Apache-2.0
"""How surely the audit tells damaged translations from good ones, for each kind of damage.

    python benchmarks/audit_auroc.py --fit DATASET[@A-B][=REAL][#D+G] … --test … --out FOLDER

Two kinds of good translations are known by construction. A data set of several
`randomise.conditions` gives the same scene rendered in another look; with =REAL, a folder of real
pictures, every other data set gives looks that keep geometry to the pixel. The third kind is made
by a network: a data set that `endoforge translate` made counts as good as it stands, which is an
assumption. The looks, scenes, networks and real pictures of --fit and --test must differ; @A-B
takes the scenes from A to B only, #D+G only the first D damaged and G undamaged frames. Without
--fit the shipped calibration is
measured. Examples are kept in FOLDER, so the same command goes on; FOLDER/calibration.json is what
--fit learned.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from endoforge.depth.predictor import DepthPredictor
from endoforge.evaluation.audit.calibration import (
    Calibration,
    Example,
    fit_calibration,
    load_calibration,
    save_calibration,
)
from endoforge.evaluation.audit.cues import Scene
from endoforge.evaluation.audit.looks import CALIBRATION_LOOKS, TEST_LOOKS, Look
from endoforge.evaluation.audit.measures import LONGEST_PX, Measurer
from endoforge.evaluation.audit.planting import DAMAGES, EXPERT_OF, TOO_SMALL, plant
from endoforge.evaluation.audit.run import find_source
from endoforge.frames.audit_file import SOURCE, source_key
from endoforge.frames.dataset import Dataset
from endoforge.frames.frame import Frame
from endoforge.frames.storage import append_line
from endoforge.streams import stream

#: Looks that are no function of the picture.
RENDERED, NETWORK = "rendered anew", "made by a network"

#: Draws of the bootstrap, which resamples scenes (sequences of one anatomy), not frames.
_DRAWS = 1000


# ---- good translations ---------------------------------------------------------------------------


def good_pairs(
    dataset: Dataset, real: list[np.ndarray], looks: Mapping[str, Look], options: Any, scenes: range
) -> Iterator[tuple[bool, int, str, Frame, np.ndarray, tuple[np.ndarray, Frame]]]:
    """Whether to damage it, scene, look, frame, good translation, and another of that look."""
    conditions = conditions_of(dataset)
    rng = stream(scenes.start, "audit pairs")
    total = options.count + options.more_good
    if SOURCE in dataset.manifest.provenance:
        for number, pair in enumerate(made_by_a_network(dataset, scenes, total, rng)):
            yield number < options.count, *pair
        return
    if conditions > 1:
        turns = [scenes[number % len(scenes)] for number in range(total)]
        for number, pair in enumerate(rendered_anew(dataset, conditions, turns, rng)):
            yield number < options.count, *pair
    length = dataset.sequences[0].frames * conditions
    ends = scenes.start * length, min(len(dataset), scenes.stop * length) - 1
    shares = [-(-n // len(looks)) for n in (options.count, options.more_good)]
    places = [np.linspace(*ends, n).astype(int) for n in shares]
    for number, place in enumerate(np.concatenate(places).tolist() if real else ()):
        frame, other = dataset.frame(place), dataset.frame(int(rng.choice(places[0])))
        for name, look in looks.items():
            picture = real[rng.integers(len(real))]
            made = [recoloured(dataset, f, look, picture, rng) for f in (frame, other)]
            scene = dataset.place(place).shard // conditions
            yield number < shares[0], scene, name, frame, made[0], (made[1], other)


def rendered_anew(
    dataset: Dataset, conditions: int, scenes: Sequence[int], rng: np.random.Generator
) -> Iterator[tuple[int, str, Frame, np.ndarray, tuple[np.ndarray, Frame]]]:
    """The same pose under two of the data set's looks."""
    length = dataset.sequences[0].frames
    for scene in scenes:
        position, elsewhere = int(rng.integers(length)), int(rng.choice(scenes))
        one, other = rng.choice(conditions, 2, replace=False)
        first, second, donor = (
            dataset.frame((conditions * s + int(look)) * length + position)
            for s, look in ((scene, one), (scene, other), (elsewhere, other))
        )
        assert np.allclose(first.camera_from_world, second.camera_from_world)
        yield scene, RENDERED, first, second.image, (donor.image, donor)


def made_by_a_network(
    dataset: Dataset, scenes: Sequence[int], total: int, rng: np.random.Generator
) -> Iterator[tuple[int, str, Frame, np.ndarray, tuple[np.ndarray, Frame]]]:
    """Frames of a translated data set, each beside the one that it was made from."""
    with closing(Dataset.open(find_source(dataset, None), verify=False)) as source:
        starts = np.cumsum([0, *(record.frames for record in source.sequences)])

        def pair(scene: int) -> tuple[Frame, Frame]:
            shard = dataset.shard(scene)
            made = shard.frame(int(rng.integers(len(shard))))
            sequence, position = source_key(made.facts, (scene, made.index))
            return made, source.frame(int(starts[sequence]) + position)

        for number in range(total):
            (made, frame), (other, donor) = (
                pair(int(s)) for s in (scenes[number % len(scenes)], rng.choice(scenes))
            )
            yield scenes[number % len(scenes)], NETWORK, frame, made.image, (other.image, donor)


def recoloured(
    dataset: Dataset, frame: Frame, look: Look, picture: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    return look(frame.image, scene_of(frame, dataset.manifest.labels).tissue, picture, rng)


def real_pictures(folder: Path, count: int = 40) -> list[np.ndarray]:
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".png"})
    files = [p for p in files if not {"mask", "fov"} & set(p.as_posix().lower().split("/"))]
    files = [p for p in files if "mask" not in p.as_posix() and "fov" not in p.name]
    places = np.unique(np.linspace(0, len(files) - 1, count).astype(int))
    return [middle_of(cv2.imread(str(files[i]))[..., ::-1]) for i in places]


def middle_of(picture: np.ndarray) -> np.ndarray:
    """The middle three quarters: borders and dates are left out."""
    height, width = picture.shape[:2]
    side = int(min(height, width) * 0.75)
    top, left = (height - side) // 2, (width - side) // 2
    return cv2.resize(picture[top : top + side, left : left + side], (256, 256),
                      interpolation=cv2.INTER_AREA)  # fmt: skip


# ---- examples ------------------------------------------------------------------------------------


def examples_of(spec: str, role: str, options: Any) -> list[dict]:
    """Measures of good and damaged translations; kept in a file of their own."""
    looks = CALIBRATION_LOOKS if role == "fit" else TEST_LOOKS
    spec, _, most = spec.partition("#")
    left = [int(n) for n in (most or f"{options.count}+{options.more_good}").split("+")]
    name, _, real = spec.partition("=")
    path, _, part = name.partition("@")
    file = options.out / f"{role}-{Path(name).name}.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    done = {one["pair"]: one["rows"] for one in map(json.loads, lines)}
    network = DepthPredictor.load("depth", "cpu")
    with closing(Dataset.open(path, verify=False)) as dataset:
        names = dataset.manifest.labels
        measurer = Measurer(names, network)
        pictures = real_pictures(Path(real)) if real else []
        pairs = good_pairs(dataset, pictures, looks, options, scenes_of(dataset, part))
        for number, (hurt, scene, look, frame, good, donor) in enumerate(pairs):
            left[not hurt] -= 1
            if number in done or left[not hurt] < 0:
                continue
            rng, known = stream(int(role == "fit"), "audit damage", number), scene_of(frame, names)
            donors = [(donor[0], scene_of(donor[1], names).tissue)]
            about = {"set": Path(path).name, "scene": scene, "look": look}
            about["colon"] = "fold" in names.values()
            done[number] = []
            for damage in ("good", *DAMAGES) if hurt else ("good",):
                bad = good if damage == "good" else plant(damage, good, known, donors, rng)
                if bad is not None:
                    measures = measurer.measure(frame, bad)
                    done[number].append(about | {"damage": damage, "measures": measures})
            append_line(file, json.dumps({"pair": number, "rows": done[number]}))
            print(f"{path} {number}", file=sys.stderr, flush=True)
    return [row for rows in done.values() for row in rows]


def scene_of(frame: Frame, names: Mapping[int, str]) -> Scene:
    """The frame at its full size."""
    return Scene.of(frame, names, 10**6)


def scenes_of(dataset: Dataset, part: str) -> range:
    """``"0-2"`` is the first three scenes; sequences of the same poses are one scene."""
    conditions = conditions_of(dataset)
    first, _, last = part.partition("-")
    count = -(-len(dataset.sequences) // conditions)
    return range(int(first or 0), int(last) + 1 if last else count)


def conditions_of(dataset: Dataset) -> int:
    """Looks that each pose is shown in."""
    return int(dataset.manifest.settings.get("randomise", {}).get("conditions", 1))


def kind_of(row: Mapping[str, Any]) -> str:
    """Anatomy, and how the good translation came about."""
    anatomy = "colon" if row["colon"] else "laparoscopy"
    look = row["look"] if row["look"] in (RENDERED, NETWORK) else "geometry kept to the pixel"
    return f"{anatomy}, {look}"


def fitted(rows: Sequence[dict], options: Any) -> Calibration:
    examples = [
        Example(
            EXPERT_OF.get(r["damage"], "good"),
            r["measures"],
            counts=r["damage"] not in TOO_SMALL,
            origin=kind_of(r),
        )
        for r in rows
    ]
    provenance = {
        "sets": sorted({r["set"] for r in rows}),
        "kinds": sorted({kind_of(r) for r in rows}),
        "frames": {d: sum(r["damage"] == d for r in rows) for d in ("good", *DAMAGES)},
        "longest_px": LONGEST_PX,
        "made_by": "benchmarks/audit_auroc.py",
    }
    calibration = fit_calibration(examples, provenance)
    save_calibration(options.out / "calibration.json", calibration)
    return calibration


# ---- figures -------------------------------------------------------------------------------------


def auroc(bad: np.ndarray, good: np.ndarray) -> float:
    """Chance that a damaged frame scores higher than a good one; ties count half."""
    return float(((bad[:, None] > good).mean() + (bad[:, None] >= good).mean()) / 2)


def with_interval(rows: Sequence[dict], scores: np.ndarray, damage: str) -> dict[str, Any] | None:
    """AUROC with the middle 95 % of a bootstrap over scenes."""
    scene = np.array([f"{r['set']} {r['scene']}" for r in rows])
    kind = np.array([r["damage"] for r in rows])
    bad, good = kind == damage, kind == "good"
    if bad.sum() < 4 or good.sum() < 4:
        return None
    rng, names, draws = stream(0, "audit bootstrap"), np.unique(scene), []
    for _ in range(_DRAWS):
        times = dict(
            zip(*np.unique(rng.choice(names, len(names)), return_counts=True), strict=True)
        )
        repeat = np.array([times.get(name, 0) for name in scene])
        if (repeat[bad].sum()) and (repeat[good].sum()):
            pair = (np.repeat(scores[m], repeat[m]) for m in (bad, good))
            draws.append(auroc(*pair))
    low, high = np.quantile(draws, (0.025, 0.975))
    value = auroc(scores[bad], scores[good])
    return {"auroc": round(value, 4), "low": round(float(low), 4), "high": round(float(high), 4),
            "frames": int(bad.sum()),
            "found": round(float((scores[bad] >= 0.5).mean()), 3)}  # fmt: skip


def table_of(rows: Sequence[dict], calibration: Calibration) -> dict[str, Any]:
    scores = np.array([calibration.score(r["measures"]) for r in rows])
    good = np.array([r["damage"] == "good" for r in rows])
    found = {d: with_interval(rows, scores, d) for d in DAMAGES}
    return {
        "good": int(good.sum()),
        "falsely_rejected": round(float((scores[good] >= 0.5).mean()), 3) if good.any() else None,
        "damages": {d: v for d, v in found.items() if v},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", nargs="*", default=[])
    parser.add_argument("--test", nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8, help="frames per data set that are damaged")
    parser.add_argument("--more-good", type=int, default=16, help="further ones, undamaged")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    started = time.monotonic()
    fit = [row for spec in options.fit for row in examples_of(spec, "fit", options)]
    calibration = fitted(fit, options) if fit else load_calibration()
    rows = [row for spec in options.test for row in examples_of(spec, "test", options)]
    found = {
        "all": table_of(rows, calibration),
        "by_kind": {
            kind: table_of([r for r in rows if kind_of(r) == kind], calibration)
            for kind in sorted({kind_of(r) for r in rows})
        },
        "by_set": {
            name: table_of([r for r in rows if r["set"] == name], calibration)
            for name in sorted({r["set"] for r in rows})
        },
        "looks": sorted({r["look"] for r in rows}),
        "seconds": round(time.monotonic() - started),
    }
    json.dump(found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
