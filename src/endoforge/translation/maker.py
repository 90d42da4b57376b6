# SPDX-License-Identifier: Apache-2.0
"""One sequence in one style: decode, translate, encode and write, all at the same time.

Threads decode pictures ahead of the network and encode its results behind it, and one thread
writes the shard; batches never cross a sequence, so the bytes do not depend on what ran before.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Full, Queue
from typing import Any, TypeAlias

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

from endoforge.frames.audit_file import FrameScores, Judge, note_scores
from endoforge.frames.content import content_mask
from endoforge.frames.dataset import Dataset
from endoforge.frames.encoding import decode_fields
from endoforge.frames.light_planes import encode_image
from endoforge.frames.members import OPTIONAL_LABELS
from endoforge.frames.shards import ShardReader, ShardRecord, sequence_of, write_members
from endoforge.frames.storage import parse_json, to_json
from endoforge.frames.workers import Tick
from endoforge.translation.planes import reduced_fields
from endoforge.translation.ready import Loader, ReadyTranslator
from endoforge.translation.styles import Styles
from endoforge.translation.translate_settings import TranslateSettings

#: Labels of the source's look: its pictures without faults, and its colours, light and highlights.
LOOK_LABELS = frozenset({"clean", "albedo", "shading", "specular"})

#: Facts about the source's look; they move into the group ``source_look``.
LOOK_FACTS = ("lights", "sensor", "draw")

_DROPPED = frozenset(file for label in LOOK_LABELS for file in OPTIONAL_LABELS[label])
_EYES = {"image.png": "image", "right.image.png": "right_image"}
_DECODERS = _ENCODERS = 4
_AHEAD = 3

#: Builds a judge in the process where it scores; picklable by name, as `ready.Loader`.
JudgeLoader: TypeAlias = Callable[[], Judge]

#: Of any size: an original, or what the network made of it.
Picture: TypeAlias = UInt8[np.ndarray, "_ _ 3"]


def start_translating(
    processes: int,
    load: Loader,
    dataset: Path,
    out: Path,
    settings: str,
    styles: Styles,
    judge: JudgeLoader | None,
) -> "SequenceTranslator":
    """Build what one process needs.

    Args:
        processes: How many share the machine.
        load: Builds the model.
        dataset: The source's folder.
        out: The result's folder.
        settings: `TranslateSettings` as JSON.
        styles: The looks.
        judge: Builds what scores each frame; None for nobody.
    """
    if processes > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // processes))
    values = TranslateSettings.model_validate(parse_json(settings.encode(), "the settings"))
    ready = load().on(values.device, values.precision)
    scoring = None if judge is None else judge()
    return SequenceTranslator(ready, Dataset.open(dataset), out, values, styles, scoring)


@dataclass(frozen=True)
class _Plan:
    """One sequence of the result.

    Attributes:
        sequence: Its number.
        shard: Where its labels are.
        style: Number of its style.
        code: Its style code, if any.
    """

    sequence: int
    shard: ShardReader
    style: int
    code: Float32[np.ndarray, " size"] | None

    @property
    def source(self) -> int:
        """Number of the source's sequence."""
        number = sequence_of(self.shard.path.name)
        assert number is not None
        return number


class SequenceTranslator:
    """Translates sequences of one data set; each process has its own."""

    def __init__(
        self,
        ready: ReadyTranslator,
        source: Dataset,
        out: Path,
        settings: TranslateSettings,
        styles: Styles,
        judge: Judge | None,
    ) -> None:
        self._ready, self._source, self._out = ready, source, out
        self._settings, self._styles, self._judge = settings, styles, judge
        self._eyes = [name for name in _EYES if name == "image.png" or "right" in source.labels]
        self._readers = ThreadPoolExecutor(_DECODERS, "decode")
        self._packers = ThreadPoolExecutor(_ENCODERS, "encode")
        self._writers = ThreadPoolExecutor(1, "write")

    def frames_of(self, sequence: int) -> int:
        """How many frames a sequence of the result has."""
        return self._source.sequences[sequence // len(self._styles.names)].frames

    def make(self, sequence: int, target: Path, tick: Tick) -> ShardRecord:
        """Translate a sequence into its shard."""
        place, style = divmod(sequence, len(self._styles.names))
        plan = _Plan(sequence, self._source.shard(place), style, self._styles.code(place, style))
        packed: Queue[Future[dict[str, bytes]] | None] = Queue(4 * self._settings.batch)
        writing = self._writers.submit(write_members, target, self._written(plan, packed, tick))
        try:
            for future in self._packed(plan):
                _put(packed, future, writing)
        except BaseException:
            failed: Future[dict[str, bytes]] = Future()
            failed.set_exception(RuntimeError("the sequence was given up"))
            _put(packed, failed, writing)
            writing.exception()
            raise
        _put(packed, None, writing)
        return writing.result()

    # ---- the network's side ----

    def _packed(self, plan: _Plan) -> Iterator[Future[dict[str, bytes]]]:
        """Files of the frames in order; batch n + 1 is launched before batch n is fetched."""
        surround = self._surround(plan.shard) if self._settings.keep_surround else None
        launched: tuple[list[int], list[list[Picture]], Tensor] | None = None
        for positions, pictures, inputs in self._batches(plan.shard):
            codes = None if plan.code is None else np.repeat(plan.code[None], len(inputs), axis=0)
            following = positions, pictures, self._ready.launch(inputs, codes)
            if launched is not None:
                yield from self._finished(plan, launched, surround)
            launched = following
        if launched is not None:
            yield from self._finished(plan, launched, surround)

    def _finished(
        self,
        plan: _Plan,
        launched: tuple[list[int], list[list[Picture]], Tensor],
        surround: Bool[np.ndarray, "height width"] | None,
    ) -> Iterator[Future[dict[str, bytes]]]:
        positions, pictures, made = launched
        translated = made.cpu().numpy()
        eyes = len(self._eyes)
        for k, position in enumerate(positions):
            news = [translated[k * eyes + eye] for eye in range(eyes)]
            yield self._packers.submit(self._files, plan, position, (pictures[k], news), surround)

    def _batches(
        self, shard: ShardReader
    ) -> Iterator[
        tuple[list[int], list[list[Picture]], Float32[np.ndarray, "batch channels height width"]]
    ]:
        """Positions, original pictures of each eye and network inputs, decoded ahead."""
        ahead: deque[Future[tuple[list[Picture], list[np.ndarray]]]] = deque()
        size, count, position = self._settings.batch, len(shard), 0
        for start in range(0, count, size):
            stop = min(start + size, count)
            while position < min(count, stop + _AHEAD * size):
                ahead.append(self._readers.submit(self._decoded, shard, position))
                position += 1
            found = [ahead.popleft().result() for _ in range(start, stop)]
            inputs = np.stack([one for _, stacks in found for one in stacks])
            yield list(range(start, stop)), [pictures for pictures, _ in found], inputs

    def _decoded(self, shard: ShardReader, position: int) -> tuple[list[Picture], list[np.ndarray]]:
        """The pictures of each eye, and what the network is fed for each."""
        stack = self._ready.stack
        names = dict.fromkeys((*(_EYES[eye] for eye in self._eyes), *stack.fields))
        fields = shard.fields(position, tuple(names))
        pictures = [fields[_EYES[eye]] for eye in self._eyes]
        inputs = []
        for picture in pictures:
            seen = fields | {"image": picture}
            height, width = picture.shape[:2]
            if self._settings.height is not None:
                scale = self._settings.height / min(height, width)
                seen = reduced_fields(seen, (round(width * scale), round(height * scale)))
            inputs.append(stack.stacked(seen))
        return pictures, inputs

    def _surround(self, shard: ShardReader) -> Bool[np.ndarray, "height width"] | None:
        """Where the lens shows nothing, by the first and the middle frame; None if nowhere."""
        surround: np.ndarray | None = None
        for position in {0, len(shard) // 2}:
            fields = shard.fields(position, ("image", "valid"))
            here = ~(fields["valid"] | content_mask(fields["image"]))
            surround = here if surround is None else surround & here
        return surround if surround is not None and surround.any() else None

    # ---- the disk's side ----

    def _files(
        self,
        plan: _Plan,
        position: int,
        pictures: tuple[list[Picture], list[Picture]],
        surround: Bool[np.ndarray, "height width"] | None,
    ) -> dict[str, bytes]:
        """All files of a translated frame: its pictures anew, its labels byte for byte."""
        files = plan.shard.members(
            position, [name for name in plan.shard.files if name not in _DROPPED | {*self._eyes}]
        )
        for name, before, after in zip(self._eyes, *pictures, strict=True):
            if after.shape != before.shape:
                size = before.shape[1::-1]
                after = cv2.resize(after, size, interpolation=cv2.INTER_LINEAR)
            if surround is not None and surround.shape == before.shape[:2]:
                after = np.where(surround[..., None], before, after)
            files[name] = encode_image(np.ascontiguousarray(after))
        files["json"] = self._json(plan, position, files["json"])
        return files

    def _json(self, plan: _Plan, position: int, before: bytes) -> bytes:
        values = parse_json(before, f"{plan.shard.source(position)}: json")
        facts = dict(values.get("facts", {}))
        look = {name: facts.pop(name) for name in LOOK_FACTS if name in facts}
        facts["translation"] = {
            "method": self._ready.method,
            "weights_sha256": self._ready.weights_sha256,
            "source": [plan.source, position],
            "style": plan.style,
            "style_name": self._styles.names[plan.style],
            "style_code": None if plan.code is None else [round(float(v), 6) for v in plan.code],
        }
        if look:
            facts["source_look"] = look
        return to_json(values | {"sequence": plan.sequence, "facts": facts}).encode()

    def _written(
        self, plan: _Plan, packed: "Queue[Future[dict[str, bytes]] | None]", tick: Tick
    ) -> Iterator[Mapping[str, bytes]]:
        """Hand packed frames to the writer; judge them, and note all scores before the shard ends.

        So a shard that is in place has its scores on disk, whenever the process dies.
        """
        scores: list[FrameScores] = []
        while (future := packed.get()) is not None:
            files = future.result()
            if self._judge is not None:
                scores.append(self._judged(plan, len(scores), files))
            yield files
            tick(1)
        for index, one in enumerate(scores):
            note_scores(self._out, (plan.sequence, index), one)

    def _judged(self, plan: _Plan, position: int, files: Mapping[str, bytes]) -> FrameScores:
        assert self._judge is not None
        source = f"sequence {plan.sequence} frame {position}"
        translated = decode_fields(files, ("image",), source)["image"]
        return self._judge(plan.shard.frame(position), translated)


# ---- inside -------------------------------------------------------------------------------------


def _put(queue: "Queue[Any]", item: Any, writing: "Future[Any]") -> None:
    """Hand over an item unless the writer has stopped; then its error is raised."""
    while True:
        try:
            queue.put(item, timeout=0.2)
        except Full:
            if writing.done():
                writing.result()
                return
        else:
            return
