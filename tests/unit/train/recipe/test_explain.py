"""What is said of wrong keys and values."""

from __future__ import annotations

import pytest

from lumen.errors import UsageError
from lumen.train.recipe.recipe import load_recipe


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.speed=1", r"got 'optimizer\.speed'; known here: .*optimizer\.rate"),
        ("optimizer.rat=1", r"got 'optimizer\.rat'; did you mean 'optimizer\.rate'"),
        ("rate=1", r"got 'rate'; did you mean '(optimizer|brightness)\.rate'"),
        ("optimiser.rate=1", r"got 'optimiser'; did you mean 'optimizer'"),
        ("data.exclude=1", "expected data.exclude to be a list of names"),
        ("data.exclude=[1]", r"expected data.exclude to be a list of names .* got \[1\]"),
        ("data.poses=1", "expected data.poses to be true or false"),
        ("network.hyperparameters=3", "expected a table"),
        ("optimizer.kind='sgd'", "optimizer.kind out of adamw, adam"),
        ("optimizer.kind=1", "optimizer.kind out of adamw, adam, got 1"),
        ("optimizer.schedule='step'", "optimizer.schedule out of cosine, plateau, constant"),
        ("data.exposures='first'", "data.exposures out of lowest, all"),
        ("loss.ssim=-1", "loss.ssim of at least 0, got -1"),
        ("loss={charbonnier=0.0}", "weights of the loss"),
        ("validation.every=0", "validation.every of at least 1"),
        ("validation.share=1.0", "validation.share below 1"),
        ("optimizer.iterations=0", "optimizer.iterations of at least 1"),
        ("optimizer.rate=fast", r"expected optimizer\.rate to be a finite number, got 'fast'"),
        ("data.batch=2.5", r"expected data\.batch to be a whole number, got 2\.5"),
        ("data.batch=0", "at least 1"),
        ("optimizer.rate=nan", r"expected optimizer\.rate to be a finite number, got nan"),
        ("name=3", "expected name to be a text, got 3"),
        ("data.exclude=['\udcff.png']", "expected text in UTF-8"),
        ("optimizer.amp=fp8", "bf16, fp16, off"),
        ("seed", "key=value"),
        ("seed.x=1", "known key"),
        ("optimizer=1", r"expected a table \[optimizer\]"),
    ],
)
def test_wrong_values_are_named(override: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_recipe("lumen-s", [override])
