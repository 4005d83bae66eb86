"""WebP: lossless files stay so."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lumen.codecs.codec import encode_picture
from tests.support.codecs import read
from tests.support.files import RGB, picture, ramp, saved


def test_lossless_webp_stays_lossless_and_others_do_not_become_it() -> None:
    data = saved(Image.fromarray(ramp(channels=4)), "WEBP", lossless=True, exact=True)
    found = read(data)
    assert found.lossless
    again, _ = encode_picture(found, "webp", quality=10)
    np.testing.assert_array_equal(read(again).to_channels(), ramp(channels=4))
    lossy = read(saved(RGB, "WEBP"))
    assert not lossy.lossless
    assert b"VP8L" not in encode_picture(lossy, "webp")[0]
    assert b"VP8L" not in encode_picture(picture(), "webp")[0]
