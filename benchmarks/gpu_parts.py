"""The parts of `gpu.py`: each yields rows of a table, or raises why it cannot run here, or what is wrong."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.engines import window_of
from lumen.codecs.codec import read_picture, write_picture
from lumen.config import PrecisionChoice, RuntimeOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import DeviceError, LumenError
from lumen.imaging.thumbnail import thumbnail_for
from lumen.metrics.fidelity import psnr
from lumen.runtime.check import tiny_inputs
from lumen.runtime.choice import find_device
from lumen.runtime.devices import device_index, helper_threads
from lumen.runtime.model_files import find_model, full_of, half_of
from lumen.runtime.onnx_model import WHOLE
from lumen.runtime.onnxruntime_engine import CPU_PROVIDER, CUDA, first_line, load_onnxruntime, native_errors
from lumen.runtime.open import ModelSet, open_model

Row = dict[str, Any]
TENSORRT = "TensorrtExecutionProvider"
LIMIT_LEVELS = {"fp32": 1, "fp16": 3}


class SkippedError(Exception):
    """A part cannot run here; the message is the reason."""


class WrongError(Exception):
    """A part ran, and what it shows is wrong."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What to measure, where, and how long.

    Attributes:
        device: `cpu` or `cuda:N`.
        model: As `--model` takes it.
        photos: Folder with the pictures of the comparison, and of which windows are cut.
        sides: Of the tiles in pixels.
        batches: Tiles of one run.
        side: Of the tile of everything else.
        rounds: Runs of which the median is taken.
        files: Number of files of the folder.
        file_side: Longer side of these files.
    """

    device: str
    model: str
    photos: Path
    sides: tuple[int, ...] = (256, 512, 1024, 2048, 3072)
    batches: tuple[int, ...] = (1, 2, 4, 8, 16)
    side: int = 1024
    rounds: int = 20
    files: int = 24
    file_side: int = 4000

    @property
    def is_gpu(self) -> bool:
        return self.device != "cpu"

    def path(self, precision: str) -> Path:
        """Return the file of a precision; raise `SkippedError` if there is none."""
        path = full_of(find_model(self.model))
        if precision == "fp16":
            path = half_of(path)
        if not path.is_file():
            raise SkippedError(f"there is no {path.name}; `lumen export-onnx --precision fp16` writes it for --model")
        return path

    def precisions(self) -> list[str]:
        """Return the precisions of which there is a file."""
        return ["fp32", *(["fp16"] if half_of(find_model(self.model)).is_file() else [])]

    def pixels(self) -> Any:
        return read_picture(self.pictures()[0]).pixels

    def pictures(self) -> list[Path]:
        found = sorted(path for path in self.photos.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        if not found:
            raise SkippedError(f"no JPEG or PNG files in {self.photos}")
        return found


def open_native(setting: Setting, precision: str, *, first: str = "", facts: Row | None = None, **session: Any) -> Any:
    """Return an `onnxruntime.InferenceSession` as lumen makes it, with another first provider or other facts."""
    find_device(setting.device)  # raises why it is not there
    ort = load_onnxruntime()
    options = ort.SessionOptions()
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what is refused is raised as well
    for name, value in session.items():
        setattr(options, name, value)
    providers: list[Any] = [CPU_PROVIDER]
    if setting.is_gpu:
        ort.preload_dlls()
        device = {"device_id": device_index(setting.device)}
        cuda = {**device, "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": 0}
        providers = [(CUDA, {**cuda, **(facts or {})} if not first else cuda), CPU_PROVIDER]
        if first:
            providers.insert(0, (first, {**device, **(facts or {})}))
    path = str(setting.path(precision))
    wanted = first or (CUDA if setting.is_gpu else CPU_PROVIDER)
    try:
        opened = ort.InferenceSession(path, options, providers=providers, enable_fallback=0)
    except native_errors() as error:
        raise SkippedError(f"{wanted} cannot be opened: {first_line(error)}") from error
    if wanted not in opened.get_providers():
        raise SkippedError(f"{wanted} cannot be used here, only {', '.join(opened.get_providers())}")
    return opened


def feeds_of(setting: Setting, side: int, batch: int = 1) -> Row:
    """Return the inputs for tiles of a photograph, with what the CPU decides once for it."""
    model = open_model(RuntimeOptions(model=setting.model, device="cpu", precision="fp32"))
    pixels = setting.pixels()
    tiles = np.repeat(window_of(pixels, side - side % model.spec.align), batch, axis=0)
    asked = {"thumbnails": thumbnail_for(pixels, model.spec)[None], "ev": np.zeros(1, np.float32)}
    if model.spec.contract == 1:
        return {"tiles": tiles, **asked}
    tones = model.tone(asked["thumbnails"], asked["ev"], np.ones(1, np.float32))
    return {**tiny_inputs(model.spec), "tiles": tiles, "tones": tones, "boxes": np.tile(WHOLE, (batch, 1))}


def tile_run(session: Any, feeds: Mapping[str, Any]) -> Callable[[], Any]:
    """Return a function that enhances the tiles, without the half of contract 2 that is run once per picture."""
    options = load_onnxruntime().RunOptions()
    options.only_execute_path_to_fetches = True
    return lambda: session.run(["enhanced"], feeds, options)[0]


def median_ms(call: Callable[[], Any], rounds: int) -> float:
    """Return the median of some runs in milliseconds; the first two choose algorithms and fill the memory pool."""
    for _ in range(2):
        call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def speed(what: Row, feeds: Mapping[str, Any], call: Callable[[], Any], rounds: int) -> Row:
    """Return a row with the time of a run, or with what onnxruntime says, such as that memory is short."""
    try:
        ms = median_ms(call, rounds)
    except native_errors() as error:
        return {**what, "ms": None, "MP/s": None, "note": first_line(error)[:100]}
    return {**what, "ms": ms, "MP/s": megapixels(feeds) / ms * 1000}


def megapixels(feeds: Mapping[str, Any]) -> float:
    return float(np.prod(feeds["tiles"].shape[:3]) / 1e6)


def providers(setting: Setting) -> Iterator[Row]:
    """Which nodes ran where, by the profile of a run, not by what was asked for."""
    try:
        opened = open_model(RuntimeOptions(model=setting.model, device=setting.device))
    except DeviceError as error:
        raise WrongError(str(error)) from error  # this part is the proof that there is one
    yield {"precision": opened.precision, "where": f"lumen opens it on {opened.device.described()}"}
    for precision in setting.precisions():
        with tempfile.TemporaryDirectory() as folder:
            session = open_native(setting, precision, enable_profiling=True, profile_file_prefix=f"{folder}/profile")
            run = tile_run(session, feeds_of(setting, setting.side))
            for _ in range(3):
                run()
            events = json.loads(Path(session.end_profiling()).read_text())
        nodes = [each for each in events if each.get("cat") == "Node" and each["name"].endswith("kernel_time")]
        total = sum(each["dur"] for each in nodes) or 1
        for provider in sorted({each["args"]["provider"] for each in nodes}):
            here = [each for each in nodes if each["args"]["provider"] == provider]
            most: Counter[str] = Counter()
            for each in here:
                most[each["args"]["op_name"]] += each["dur"]
            yield {
                "precision": precision,
                "where": provider,
                "nodes": len({each["name"] for each in here}),
                "% of time": 100 * sum(each["dur"] for each in here) / total,
                "most time in": ", ".join(name for name, _ in most.most_common(6)),
            }
        convolved = {each["args"]["provider"] for each in nodes if "Conv" in each["args"]["op_name"]}
        wanted = {CUDA if setting.is_gpu else CPU_PROVIDER}
        if convolved - wanted or not any(each["args"]["provider"] in wanted for each in nodes):
            raise WrongError(f"convolutions ran on {', '.join(sorted(convolved)) or 'nothing'}")


def exactness(setting: Setting) -> Iterator[Row]:
    """How far whole results are from those of the CPU in fp32."""
    names: tuple[PrecisionChoice, ...] = ("fp32", "fp16")
    reference = ModelSet(RuntimeOptions(model=setting.model, device="cpu", precision="fp32"))
    pictures = [read_picture(path) for path in setting.pictures()]
    expected = [enhance_picture(picture, reference).pixels for picture in pictures]
    wrong = []
    for precision in names:
        try:
            setting.path(precision)
        except SkippedError as why:
            yield {"precision": precision, "note": f"skipped: {why}"}
            continue
        models = ModelSet(RuntimeOptions(model=setting.model, device=setting.device, precision=precision))
        found = [enhance_picture(picture, models).pixels for picture in pictures]
        apart = [np.abs(a.astype(int) - b) for a, b in zip(expected, found, strict=True)]
        levels = max(int(each.max()) for each in apart)
        yield {
            "precision": precision,
            "pictures": len(pictures),
            "levels": levels,
            "% differ": 100 * max(float(np.mean(each > 0)) for each in apart),
            "least PSNR": min(psnr(a, b, data_range=255) for a, b in zip(expected, found, strict=True)),
        }
        if levels > LIMIT_LEVELS[precision]:
            wrong.append(f"{precision} is {levels} levels from the CPU, expected at most {LIMIT_LEVELS[precision]}")
    if wrong:
        raise WrongError("; ".join(wrong))


def tiles(setting: Setting) -> Iterator[Row]:
    """One tile at a time, of several sizes, with the CPU beside."""
    for precision in setting.precisions():
        session = open_native(setting, precision)
        for side in setting.sides:
            feeds = feeds_of(setting, side)
            what = {"precision": precision, "device": setting.device, "side": side}
            yield speed(what, feeds, tile_run(session, feeds), setting.rounds)
    if setting.is_gpu:
        on_cpu = Setting(device="cpu", model=setting.model, photos=setting.photos)
        feeds = feeds_of(setting, setting.side)
        what = {"precision": "fp32", "device": "cpu", "side": setting.side}
        yield speed(what, feeds, tile_run(open_native(on_cpu, "fp32"), feeds), 3)


def batches(setting: Setting) -> Iterator[Row]:
    """Several tiles in one run."""
    for precision in setting.precisions():
        session = open_native(setting, precision)
        for batch in setting.batches:
            feeds = feeds_of(setting, setting.side // 2, batch)
            what = {"precision": precision, "side": setting.side // 2, "batch": batch}
            yield speed(what, feeds, tile_run(session, feeds), setting.rounds)


def bound_run(setting: Setting, session: Any, feeds: Mapping[str, Any]) -> tuple[Callable[[], Any], Any]:
    """Return a function that runs with inputs and outputs that stay on the device, and the output."""
    ort = load_onnxruntime()
    place = ("cuda", device_index(setting.device)) if setting.is_gpu else ("cpu", 0)
    binding = session.io_binding()
    for name, value in feeds.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(value, *place))
    result = ort.OrtValue.ortvalue_from_shape_and_type(feeds["tiles"].shape, feeds["tiles"].dtype, *place)
    binding.bind_ortvalue_output("enhanced", result)
    options = ort.RunOptions()
    options.only_execute_path_to_fetches = True

    def run() -> None:
        session.run_with_iobinding(binding, options)
        binding.synchronize_outputs()

    return run, result


def check_same(expected: Any, found: Any) -> None:
    """Raise `WrongError` if results are more than a level apart: sums in another order may round differently."""
    levels = int(np.abs(expected.astype(int) - found).max())
    if levels > 1:
        raise WrongError(f"the results are {levels} levels apart")


def io_binding(setting: Setting) -> Iterator[Row]:
    """Tiles that are on the device already, and results that stay there."""
    for precision in setting.precisions():
        session = open_native(setting, precision)
        feeds = feeds_of(setting, setting.side)
        plain = tile_run(session, feeds)
        yield speed({"precision": precision, "way": "copied by each run"}, feeds, plain, setting.rounds)
        bound, result = bound_run(setting, session, feeds)
        yield speed({"precision": precision, "way": "bound to the device"}, feeds, bound, setting.rounds)
        check_same(plain(), result.numpy())


def cuda_graphs(setting: Setting) -> Iterator[Row]:
    """A recorded run, which saves the launches; it takes one size of tile, and no node on the CPU."""
    if not setting.is_gpu:
        raise SkippedError("needs an NVIDIA GPU")
    for precision in setting.precisions():
        feeds = feeds_of(setting, setting.side)
        plain = open_native(setting, precision)
        bound, expected = bound_run(setting, plain, feeds)
        yield speed({"precision": precision, "way": "launched"}, feeds, bound, setting.rounds)
        recorded, result = bound_run(setting, open_native(setting, precision, facts={"enable_cuda_graph": "1"}), feeds)
        try:
            recorded()
        except native_errors() as error:
            raise SkippedError(f"onnxruntime cannot record this graph: {first_line(error)}") from error
        yield speed({"precision": precision, "way": "recorded"}, feeds, recorded, setting.rounds)
        check_same(expected.numpy(), result.numpy())


def tensorrt(setting: Setting) -> Iterator[Row]:
    """TensorRT's provider, with what building its engine takes."""
    if not setting.is_gpu:
        raise SkippedError("needs an NVIDIA GPU")
    if TENSORRT not in load_onnxruntime().get_available_providers():
        raise SkippedError("this onnxruntime is built without it")
    feeds = feeds_of(setting, setting.side)
    expected = tile_run(open_native(setting, "fp32"), feeds)().astype(int)
    for half in (False, True):
        start = time.perf_counter()
        session = open_native(setting, "fp32", first=TENSORRT, facts={"trt_fp16_enable": str(half)})
        run = tile_run(session, feeds)
        try:
            levels = int(np.abs(expected - run()).max())
        except native_errors() as error:
            raise SkippedError(f"TensorRT cannot run this graph: {first_line(error)}") from error
        what = {"precision": "fp16" if half else "fp32", "build s": time.perf_counter() - start, "levels": levels}
        yield speed(what, feeds, run, setting.rounds)
        if levels > LIMIT_LEVELS["fp16"]:  # its fp32 may round to 11 bits as well
            raise WrongError(f"TensorRT is {levels} levels from CUDA")


def copies(setting: Setting) -> Iterator[Row]:
    """Copies alone, and several runs in flight, of which one copies while another computes."""
    feeds = feeds_of(setting, setting.side)
    ort = load_onnxruntime()
    place = ("cuda", device_index(setting.device)) if setting.is_gpu else ("cpu", 0)
    session = open_native(setting, setting.precisions()[-1])
    there = ort.OrtValue.ortvalue_from_numpy(feeds["tiles"], *place)
    yield speed({"what": "copy to the device"}, feeds, partial(there.update_inplace, feeds["tiles"]), setting.rounds)
    yield speed({"what": "copy from the device"}, feeds, there.numpy, setting.rounds)
    run = tile_run(session, feeds)
    for flights in (1, 2, 3):
        with ThreadPoolExecutor(flights) as pool:
            row = speed({}, feeds, partial(in_flight, pool, run, flights), setting.rounds)
        if row["ms"] is not None:
            row |= {"ms": row["ms"] / flights, "MP/s": row["MP/s"] * flights}
        yield {"what": f"{flights} in flight, per tile", **row}


def in_flight(pool: ThreadPoolExecutor, run: Callable[[], Any], count: int) -> None:
    """Run at the same time, and wait for all."""
    for future in [pool.submit(run) for _ in range(count)]:
        future.result()


def folder(setting: Setting) -> Iterator[Row]:
    """Whether a folder of JPEG files waits for decoding, the model or encoding."""
    height = setting.file_side * 3 // 4
    picture = Image.fromarray(window_of(setting.pixels(), setting.file_side)[0, :height])
    mp = setting.file_side * height / 1e6
    helpers = helper_threads([find_device(setting.device)])
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name, "in"), Path(name, "out")
        source.mkdir()
        for index in range(setting.files):
            picture.save(source / f"{index}.jpg", quality=92)
        first = source / "0.jpg"
        read_ms = median_ms(lambda: read_picture(first), 3)
        decoded = read_picture(first)
        write_ms = median_ms(lambda: write_picture(decoded, Path(name, "written.jpg")), 3)
        models = ModelSet(RuntimeOptions(model=setting.model, device=setting.device))
        model_ms = median_ms(lambda: enhance_picture(decoded, models), 3)
        stages = {
            f"decoding, {helpers} thread(s)": read_ms / helpers,
            "model": model_ms,
            f"encoding, {helpers} thread(s)": write_ms / helpers,
        }
        for stage, ms in stages.items():
            yield {"stage": stage, "ms a file": ms, "MP/s": mp / ms * 1000}
        line = [sys.executable, "-m", "lumen", "-q", "enhance", "-o", str(out), "--device", setting.device]
        line += ["--model", setting.model, "--existing", "overwrite"]
        taken = []
        for what in (first, source):
            start = time.perf_counter()
            done = subprocess.run([*line, str(what)], capture_output=True, text=True, check=False)
            if done.returncode:
                raise WrongError(f"lumen enhance: {done.stderr.strip().splitlines()[-1]}")
            taken.append(time.perf_counter() - start)
    whole_ms = (taken[1] - taken[0]) / (setting.files - 1) * 1000
    yield {"stage": "lumen enhance, without its start", "ms a file": whole_ms, "MP/s": mp / whole_ms * 1000}
    slowest = max(stages, key=lambda stage: stages[stage])
    note = f"the slowest is {slowest}; the whole takes {whole_ms / stages[slowest]:.2f} times as long"
    yield {"stage": "result", "note": note if whole_ms > 0 else "too short to tell"}


PARTS: Mapping[str, Callable[[Setting], Iterator[Row]]] = {
    part.__name__: part
    for part in (providers, exactness, tiles, batches, io_binding, cuda_graphs, tensorrt, copies, folder)
}


def explain(error: Exception) -> tuple[str, str]:
    """Return the status of a part that ended with an exception, and why."""
    if isinstance(error, SkippedError | DeviceError):
        return "skipped", str(error)
    known = isinstance(error, WrongError | LumenError)
    return "failed", str(error) if known else f"{type(error).__name__}: {first_line(error)}"
