"""Whether clips keep all but their light: run `python -m benchmarks.clips FOLDER`, with `ffprobe` on PATH.

Each clip below the folder is enhanced by a tiny model, which says nothing of how results look, and the result is
compared with it by `ffprobe`, which shares no code with lumen: frames, times, the bytes of sound, subtitle and data
packets, chapters, tags, rotation, pixel aspect and colour. Prints a line for each clip that is refused, with its
reason, or that differs, with what does, and counts at the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lumen.imaging.clip_formats import is_clip
from tests.support.fakes import write_fake_onnx

TIME_S = 0.001
_COLOR = ("color_range", "color_space", "color_primaries", "color_transfer")
_OWN_TAGS = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration", "vendor_id", "_statistics"}
_UNKNOWN = {None, "unknown", "N/A", "0:1", "1:1", "und"}


def probe(path: Path) -> dict[str, Any]:
    """Return what `ffprobe` finds in a clip: streams, packets with a digest of their bytes, frames of the video."""
    line = ["ffprobe", "-v", "error", "-of", "json", "-show_data_hash", "md5"]
    found: dict[str, Any] = {}
    for ask in (["-show_format", "-show_streams", "-show_chapters", "-show_packets"], ["-show_frames", *_frames()]):
        done = subprocess.run([*line, *ask, str(path)], capture_output=True, text=True, check=False, errors="replace")
        found |= json.loads(done.stdout or "{}")
    return found


def _frames() -> list[str]:
    return ["-select_streams", "V:0", "-show_entries", "frame=best_effort_timestamp_time,pict_type"]


def video_of(found: dict[str, Any]) -> dict[str, Any]:
    """Return the video stream that people see."""
    streams = [each for each in found.get("streams", []) if each.get("codec_type") == "video"]
    return next((each for each in streams if not each.get("disposition", {}).get("attached_pic")), {})


def times(found: dict[str, Any]) -> list[float | None]:
    """Return the times of the frames of the video, in seconds."""
    frames = [frame.get("best_effort_timestamp_time") for frame in found.get("frames", []) if "pict_type" in frame]
    return [None if time in (None, "N/A") else float(time) for time in frames]


def packets(found: dict[str, Any], index: int) -> list[str]:
    """Return a digest of each packet of a stream."""
    mine = [each for each in found.get("packets", []) if each.get("stream_index") == index]
    return [each.get("data_hash", "") for each in mine]


def rotation(stream: dict[str, Any]) -> str:
    """Return the display matrix as text; empty without one."""
    sides = stream.get("side_data_list", [])
    return next((" ".join(side["displaymatrix"].split()) for side in sides if "displaymatrix" in side), "")


def tags(entry: dict[str, Any]) -> dict[str, str]:
    """Return the tags that must be kept."""
    found = {key.lower(): value for key, value in entry.get("tags", {}).items()}
    return {key: value for key, value in found.items() if key not in _OWN_TAGS and value not in _UNKNOWN}


def differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Yield what differs between a clip and its result, and must not."""
    old, new = video_of(before), video_of(after)
    was, now = times(before), times(after)
    if len(was) != len(now):
        yield f"{len(was)} frames became {len(now)}"
    elif None not in was and (most := max((abs(a - b) for a, b in zip(was, now, strict=True)), default=0)) > TIME_S:  # type: ignore[operator]
        yield f"times differ by up to {most * 1000:.1f} ms"
    is_rgb = str(old.get("pix_fmt", "")).startswith(("rgb", "bgr", "gbr", "pal8"))
    for name in () if is_rgb else _COLOR:
        a, b = old.get(name), new.get(name)
        is_implied = name == "color_range" and {a, b} <= {"tv", *_UNKNOWN}  # by H.264, HEVC and VP8
        if a != b and not {a, b} <= _UNKNOWN and not is_implied:
            yield f"{name} {a} became {b}"
    if (a := old.get("sample_aspect_ratio")) != (b := new.get("sample_aspect_ratio")) and not {a, b} <= _UNKNOWN:
        yield f"pixel aspect {a} became {b}"
    if rotation(old) != rotation(new):
        yield f"rotation {rotation(old)!r} became {rotation(new)!r}"
    yield from _stream_differences(before, after, old, new)
    if len(before.get("chapters", [])) != len(after.get("chapters", [])):
        yield f"{len(before['chapters'])} chapters became {len(after.get('chapters', []))}"
    lost = {key for key in tags(before.get("format", {})) if key not in tags(after.get("format", {}))}
    if lost:
        yield f"tags lost: {', '.join(sorted(lost))}"


def _stream_differences(
    before: dict[str, Any], after: dict[str, Any], old: dict[str, Any], new: dict[str, Any]
) -> Iterator[str]:
    others = [each for each in before.get("streams", []) if each["index"] != old.get("index")]
    left = [each for each in after.get("streams", []) if each["index"] != new.get("index")]
    kept = {each["index"]: packets(after, each["index"]) for each in left}
    for stream in others:
        if not (mine := packets(before, stream["index"])):
            continue
        match = next((index for index, found in kept.items() if found == mine), None)
        if match is None:
            yield f"{stream.get('codec_type')} ({stream.get('codec_name')}) is not there byte for byte"
        else:
            del kept[match]


def main() -> None:
    """Enhance and compare all clips of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--options", default="", help="more options of lumen enhance, in one word")
    parser.add_argument("-v", "--verbose", action="store_true", help="print a line for every clip")
    arguments = parser.parse_args()
    clips = sorted(path for path in arguments.folder.rglob("*") if is_clip(path) and path.is_file())
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        model = write_fake_onnx(Path(folder, "fake.onnx"), "uint8", gain=2.0, radius=0)
        write_fake_onnx(Path(folder, "fake.u16.onnx"), "uint16", gain=2.0, radius=0)
        line = [sys.executable, "-m", "lumen", "enhance", "--model", str(model), "--device", "cpu", "--json"]
        line += ["--unchanged", "encode", *arguments.options.split()]
        for number, clip in enumerate(clips):
            out = Path(folder, str(number))
            done = subprocess.run([*line, str(clip), "-o", str(out)], capture_output=True, text=True, check=False)
            outcome = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {"status": "crashed"}
            name = clip.relative_to(arguments.folder)
            if outcome["status"] != "done":
                counts[outcome["status"]] += 1
                print(f"{outcome['status']}: {name}: {outcome.get('reason') or done.stderr.strip()[-300:]}", flush=True)
                continue
            found = list(differences(probe(clip), probe(Path(outcome["target"]))))
            counts["differ" if found else "equal"] += 1
            told = f" [{'; '.join(outcome['warnings'])}]" if outcome["warnings"] else ""
            if found or arguments.verbose:
                print(f"{'DIFFERS' if found else 'equal'}: {name}: {'; '.join(found)}{told}", flush=True)
    print(", ".join(f"{count} {what}" for what, count in counts.items()))


if __name__ == "__main__":
    main()
