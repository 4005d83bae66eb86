"""What many pictures cost: core-hours, days, requests to the storage and bytes, from the seconds that one takes.

Nothing is measured here. The seconds are CPU seconds of one core of an AMD EPYC (AVX-512): 0.66 for a megapixel of a
picture of 24 megapixels (`benchmarks/README.md`, One large picture), and 1.02 for one of 0.4 megapixels, on a busy
machine (`benchmarks/peers.md`). The bytes are those of HEIC at quality 95 (`benchmarks/README.md`, Encoders). Prices
differ from place to place and from month to month, so there are none unless they are given.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

COUNTS = (10**5, 10**7, 10**9)
SIZES_MP = (0.3, 2.0, 12.0)
KEYS_PER_LISTING = 1000  # of S3, Google Cloud Storage and, by default, of what fsspec asks Azure for
NOT_MEASURED = "not measured"


def rows(asked: argparse.Namespace) -> Iterator[list[str]]:
    """Yield the cells of each row."""
    for count in COUNTS:
        for size in SIZES_MP:
            seconds = asked.small_s if size <= asked.small_mp else asked.large_s
            hours = count * size * seconds / 3600
            gets, puts = count * asked.gets, count * asked.puts
            listings = -(-count // KEYS_PER_LISTING) * 2  # of the inputs and of the results
            terabytes = count * size * 1e6 * asked.bytes_per_px / 1e12
            row = [
                f"10^{len(str(count)) - 1}",
                f"{size:g}",
                _short(hours),
                _short(hours / 24 / asked.cores),
                NOT_MEASURED,
                _short(gets),
                _short(puts),
                _short(listings),
                _short(terabytes),
                _short(terabytes),
            ]
            prices = (asked.core_hour, asked.per_million_gets, asked.per_million_puts)
            if any(prices):
                requests = gets * asked.per_million_gets + (puts + listings) * asked.per_million_puts
                row.append(_short(hours * asked.core_hour + requests / 1e6))
            yield row


def _short(number: float) -> str:
    """Return a number with two digits, in words that people read."""
    for value, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= value:
            return f"{float(f'{number / value:.2g}'):g}{unit}"
    return f"{float(f'{number:.2g}'):g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=1000, help="cores that work at the same time")
    parser.add_argument("--small-s", type=float, default=1.02, help="CPU seconds for a megapixel of a small picture")
    parser.add_argument("--small-mp", type=float, default=1.0, help="megapixels up to which a picture is small")
    parser.add_argument("--large-s", type=float, default=0.66, help="CPU seconds for a megapixel of others")
    parser.add_argument("--bytes-per-px", type=float, default=0.65, help="of a picture, and of its result")
    parser.add_argument("--gets", type=float, default=1.0, help="requests that read, for a picture")
    parser.add_argument("--puts", type=float, default=1.0, help="requests that write, for a picture")
    parser.add_argument("--core-hour", type=float, default=0.0, help="price of an hour of a core")
    parser.add_argument("--per-million-gets", type=float, default=0.0, help="price of a million requests that read")
    parser.add_argument("--per-million-puts", type=float, default=0.0, help="... that write or list")
    asked = parser.parse_args()
    heads = ["pictures", "MP each", "core-hours", f"days on {asked.cores:,} cores", "GPU-hours", "GET", "PUT", "LIST"]
    heads += ["TB read", "TB written"]
    table = list(rows(asked))
    if len(table[0]) > len(heads):
        heads.append("price")
    for row in (heads, ["---"] * len(heads), *table):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
