"""Tells when a folder goes on with other settings than before: what is there was made with those, and stays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lumen.config import WatchOptions
from lumen.enhance.picture_rules import PictureOptions
from lumen.spec import ModelSpec
from lumen.watching.events import Events
from lumen.watching.ledger.ledger import Ledger

FACT = "settings"
_WITHOUT_EFFECT = {"tile_px", "max_memory_bytes"}  # on results


def tell_changes(
    ledger: Ledger, events: Events, spec: ModelSpec, pictures: PictureOptions, options: WatchOptions
) -> None:
    """Compare what decides how results look with what the ledger records of the last run, and record it anew.

    Raises:
        OutputError: The ledger cannot be read or written.
    """
    now = _settings(spec, pictures.options, pictures.as_list(), options)
    before = ledger.fact(FACT)
    known = before if isinstance(before, dict) else {}
    changed = {name: [known[name], value] for name, value in now.items() if name in known and known[name] != value}
    if changed and ledger.last_done(1):
        events.emit(
            "note",
            changed=json.dumps(changed),
            message="the results that are there were made with other settings and stay; `touch` an input to have it "
            "made again",
        )
    if now != before:
        ledger.write_facts(**{FACT: now})


def _settings(spec: ModelSpec, enhance: Any, rules: Sequence[Any], options: WatchOptions) -> dict[str, Any]:
    picture = {name: value for name, value in asdict(enhance).items() if name not in _WITHOUT_EFFECT}
    model = {"model": spec.name, "weights": spec.weights_sha256[:12]}
    found = {**model, **picture, "pictures": rules, "steady": options.steady}
    found |= {"format": options.format, "suffix": options.suffix}
    if options.clips:
        found |= {"video_codec": options.video_codec, "crf": options.crf}
    plain: dict[str, Any] = json.loads(json.dumps(found))  # as it is stored
    return plain
