"""The list of bundled models."""

from __future__ import annotations

from lumen.runtime.model_files import bundled_models
from lumen_export.bundle import bundle
from lumen_export.exported import Exported, variant_path


def test_bundle_lists_what_is_there(exported: Exported) -> None:
    folder = exported.files[0].parent
    bundle(folder)
    (model,) = bundled_models(folder)
    assert model.name == "tiny"
    assert model.files["uint16"].path == variant_path(folder / "tiny.onnx", "uint16")
    assert model.files["uint8"].size == exported.files[0].stat().st_size
