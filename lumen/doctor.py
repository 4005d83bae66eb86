"""Try what works on this machine, and report why the rest does not."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Literal

import numpy as np

from lumen.config import RuntimeOptions
from lumen.errors import LumenError
from lumen.extras import Package, install_line
from lumen.imaging.clip_formats import PACKAGE as CLIPS
from lumen.imaging.formats import CODECS, Codec
from lumen.runtime.choice import find_device
from lumen.runtime.cores import usable_cores
from lumen.runtime.devices import (
    cuda_device_count,
    missing_cuda_library,
    onnxruntime_distributions,
    why_no_cuda,
)
from lumen.runtime.memory import free_ram_bytes
from lumen.runtime.model_files import bundled_models
from lumen.runtime.open import open_model
from lumen.runtime.openvino_engine import PACKAGE, targets
from lumen.spec import SampleType
from lumen.version import __version__
from lumen.video.source import known_codecs


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: What was checked.
        status: `ok`, `no` (missing, but not needed), `warning`, or `broken` (lumen needs it).
        detail: One line: what was found, or why it does not work and what to do.
    """

    name: str
    status: Literal["ok", "no", "warning", "broken"]
    detail: str


def diagnose() -> Iterator[Check]:
    """Yield the checks one by one, as they are done."""
    yield Check("lumen", "ok", f"{__version__} on Python {platform.python_version()}")
    yield _check_onnxruntime()
    yield Check("cpu", "ok", f"{usable_cores()} cores, {free_ram_bytes() / 2**30:.1f} GiB of memory free")
    yield _check_cuda()
    yield _check_openvino()
    yield from _check_models()
    yield _check_auto()
    yield from _check_formats()
    yield _check_clips()
    yield _check_package(Package(name="torch", module="torch", extra="train"))


def _check_onnxruntime() -> Check:
    found = onnxruntime_distributions()
    if len(found) > 1:
        detail = f"{' and '.join(found)} overwrite each other; uninstall both, then install one"
        return Check("onnxruntime", "warning", detail)
    try:
        import onnxruntime
    except ImportError as error:
        return Check("onnxruntime", "broken", f"cannot be loaded ({error}); install lumen again")
    providers = ", ".join(name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers())
    detail = f"{onnxruntime.__version__} ({', '.join(found) or 'no distribution'}), built with {providers}"
    return Check("onnxruntime", "ok", detail)


def _check_cuda() -> Check:
    count = cuda_device_count()
    if count == 0:
        return Check("cuda", "no", why_no_cuda())
    models = bundled_models()
    if models:
        devices = [f"cuda:{index}" for index in range(count)]
        try:
            for device in devices:
                open_model(RuntimeOptions(model=models[0].name, device=device))
        except LumenError as error:
            return Check("cuda", "warning", str(error))
        return Check("cuda", "ok", f"a model runs on {', '.join(devices)}")
    # Without a model to open, only loading the libraries can be tried.
    if missing_cuda_library() is not None:
        return Check("cuda", "warning", why_no_cuda())
    return Check("cuda", "ok", f"{count} devices, the libraries load")


def _check_openvino() -> Check:
    """Run a model on each device that OpenVINO sees."""
    if not PACKAGE.is_installed():
        return _check_package(PACKAGE)
    try:
        devices = [find_device(f"openvino:{target}") for target in targets()]
        for model in bundled_models()[:1]:
            for device in devices:
                open_model(RuntimeOptions(model=model.name, device=device.name))
    except LumenError as error:
        return Check("openvino", "warning", str(error))
    found = "; ".join(f"{device.described()} computes in {' and '.join(device.precisions)}" for device in devices)
    return Check("openvino", "ok", f"{metadata.version(PACKAGE.name)}: {found}")


def _check_auto() -> Check:
    """Say what `--device auto --precision auto` takes here."""
    try:
        model = open_model(RuntimeOptions())
    except LumenError as error:
        return Check("--device auto", "no", str(error))
    return Check("--device auto", "ok", f"takes {model.device.described()}, in {model.precision}")


def _check_models() -> Iterator[Check]:
    try:
        models = bundled_models()
    except LumenError as error:
        yield Check("models", "broken", str(error))
        return
    if not models:
        yield Check("models", "warning", "none is bundled with this installation; use --model FILE.onnx")
    for model in models:
        for sample in model.files:
            yield _check_model(model.name, sample)


def _check_model(name: str, sample: SampleType) -> Check:
    label = f"model {name} ({sample})"
    try:
        model = open_model(RuntimeOptions(model=name, device="cpu"), sample=sample)
        # Not a flat grey, in which there is nothing to open up: models leave it alone.
        dark = np.random.default_rng(0).uniform(0, 0.1, (model.spec.thumbnail_px,) * 2 + (3,)).astype(np.float32)
        level = model.brightness(dark)
    except LumenError as error:
        return Check(label, "broken", str(error))
    return Check(label, "ok", f"runs; brightens a test picture from {dark.mean():.0%} to {level:.0%}")


def _check_formats() -> Iterator[Check]:
    try:
        import_module("lumen.codecs.codec")
    except ImportError as error:
        yield Check("formats", "broken", f"the picture libraries cannot be loaded ({error}); install lumen again")
        return
    for codec in CODECS.values():
        yield _check_format(codec)


def _check_clips() -> Check:
    """Say which codecs FFmpeg writes clips with; it reads far more."""
    if not CLIPS.is_installed():
        return _check_package(CLIPS)
    try:
        written, lacking = known_codecs()
    except LumenError as error:
        return Check(CLIPS.extra, "broken", f"{error}; {install_line(CLIPS.extra)}")
    detail = f"{CLIPS.module} {metadata.version(CLIPS.name)}: reads clips, writes {', '.join(written) or 'none'}"
    if lacking:
        return Check(CLIPS.extra, "warning", f"{detail}; it lacks {', '.join(lacking)}")
    return Check(CLIPS.extra, "ok", detail)


def _check_format(codec: Codec) -> Check:
    """Write and read a small picture in every depth of a format; formats that are only read are not tried."""
    from lumen.codecs.interface import why_not_writable

    if codec.package and (codec.stored_as or not codec.package.is_installed()):
        return _check_package(codec.package)
    if codec.stored_as:
        return Check(codec.name, "ok", f"reads; results are stored as {CODECS[codec.stored_as].label}")
    try:
        reason = why_not_writable(codec)
    except ImportError as error:
        return Check(codec.name, "broken", str(error))
    if reason:
        return Check(codec.name, "warning", reason)
    depths: list[SampleType] = ["uint8", "uint16"] if codec.bits == 16 else ["uint8"]
    for sample in depths:
        try:
            fault = _round_trip(codec, sample)
        except (LumenError, ImportError, OSError) as error:
            fault = str(error)
        if fault:
            return Check(codec.name, "broken", f"{sample}: {fault}")
    bits = " and ".join(sample.removeprefix("uint") for sample in depths)
    return Check(codec.name, "ok", f"reads and writes {bits} bits")


def _round_trip(codec: Codec, sample: SampleType) -> str:
    """Return the fault of a picture after writing and reading it, or an empty string."""
    from lumen.codecs.codec import read_picture, write_picture
    from lumen.imaging.picture import Picture

    level = np.iinfo(sample).max // 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "probe" + codec.suffixes[0])
        write_picture(Picture(pixels=np.full((16, 16, 3), level, sample), format=codec.name), path)
        found = read_picture(path)
    allowed = 3 + level // 500  # lossy formats
    if found.sample == sample and abs(int(found.pixels.max()) - level) <= allowed:
        return ""
    return f"wrote level {level}, read level {found.pixels.max()} of {found.sample}"


def _check_package(package: Package) -> Check:
    """Check whether an optional package is installed, without importing it, which takes seconds."""
    if package.is_installed():
        return Check(package.extra, "ok", f"{package.module} {metadata.version(package.module)}")
    return Check(package.extra, "no", f"{package.module} is missing; {install_line(package.extra)}")
