"""How a watcher ends and begins: killed at any moment, stopped in order, twice at once, or with much to catch up."""

from __future__ import annotations

import hashlib
import random
import signal
import time

from benchmarks.watching.harness import (
    Facts,
    Place,
    Watch,
    is_result,
    leftovers,
    require,
    results,
    run_once,
    save,
    statuses,
)


def kills(place: Place, *, full: bool) -> Facts:
    """`kill -9` at random moments while files arrive: all complete in the end, each done once, inputs untouched."""
    count, files = (200, 50) if full else (10, 5)
    moments = random.Random(0)
    arrived: dict[str, str] = {}
    started = seconds_to_start(place)
    mid_work = 0
    for index in range(count):
        if index * files // count >= len(arrived):
            name = f"{len(arrived):02}.png"
            path = save(place.watched / name, len(arrived), 320, 240)
            arrived[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        with Watch(place, model=place.slow_model, settle_s=0.1) as watch:
            time.sleep(moments.uniform(0.0, started + 1.0))
            require(watch.process.poll() is None, "it ended by itself")
            watch.process.kill()
            watch.process.wait()
        mid_work += ["working"] in statuses(place.out).values()
    last = run_once(place, settle_s=0.1)
    require(last.process.returncode == 0, f"exit {last.process.returncode}")
    require(len(arrived) == files, "all files have arrived")
    require(statuses(place.out) == {name: ["done"] for name in arrived}, f"the ledger says {statuses(place.out)}")
    for index, name in enumerate(arrived):
        require(is_result(place.out / name, index, 320, 240), f"{name} is not whole")
    require(set(results(place.out)) == set(arrived), "nothing else is there")
    require(not leftovers(place.out, place.watched), f"left behind: {leftovers(place.out)}")
    now = {name: hashlib.sha256((place.watched / name).read_bytes()).hexdigest() for name in arrived}
    require(now == arrived, "an input has changed")
    return {"kills": count, "files": files, "killed while a file was in work": mid_work, "complete": len(arrived)}


def restart(place: Place, *, full: bool) -> Facts:
    """Start again with many new files, and one that is only half there: the others once, the half waits."""
    count = 500 if full else 60
    for index in range(5):
        save(place.watched / f"old{index}.png", index)
    require(run_once(place).process.returncode == 0, "exit 0")
    new = {f"new{index}.png" for index in range(count)}
    for index in range(count):
        save(place.watched / f"new{index}.png", 10 + index)
    data = save(place.outside / "half.png", 9, 320, 240).read_bytes()
    half = place.watched / "half.png"
    half.write_bytes(data[: len(data) // 2])
    with Watch(place) as watch:
        watch.wait_done(new, patience_s=600)
        watch.wait_for("retry")
        waits = statuses(place.out)["half.png"]
        half.write_bytes(data)
        watch.wait_done(["half.png"])
        require(watch.stop() == 0, "exit 0")
    again = watch.done() & {f"old{index}.png" for index in range(5)}
    require(not again, f"done again: {again}")
    require(waits == ["retry"], f"the half file is {waits}")
    require(set(map(tuple, statuses(place.out).values())) == {("done",)}, "each once")
    require(is_result(place.out / "half.png", 9, 320, 240), "the half file is whole in the end")
    return {"new files": count, "done once": len(watch.done() & new), "half file": "waited, then done"}


def signals(place: Place, *, full: bool) -> Facts:  # noqa: ARG001
    """SIGTERM finishes what is in work and ends with 0, a second one ends at once; a second watcher is refused."""
    facts: Facts = {}
    for index in range(6):  # each of another size: they do not share runs of the model
        save(place.watched / f"{index}.png", index, 500 + index, 400)
    with Watch(place, model=place.slow_model) as watch:
        watch.wait_for("done")
        asked = time.monotonic()
        code = watch.stop()
        facts["SIGTERM"] = f"exit {code} after {time.monotonic() - asked:.1f} s"
    require(code == 0 and time.monotonic() - asked < 30, facts["SIGTERM"])
    done = watch.done()
    require(done == set(results(place.out)) and len(done) < 6, "what was in work is finished, and no more")
    whole = [is_result(place.out / name, int(name[0]), 500 + int(name[0]), 400) for name in done]
    require(all(whole), "results are whole")
    require(set(statuses(place.out)) == {f"{index}.png" for index in range(6)}, "the others wait in the ledger")
    save(place.watched / "large.png", 7, 3000, 3000)
    with Watch(place, "--order", "newest", model=place.slow_model) as watch:
        watch.wait(lambda: ("large.png", ["working"]) in statuses(place.out).items(), "the large picture")
        with Watch(place) as second:
            facts["second watcher"] = f"exit {second.end()}"
        require(second.process.returncode == 6, facts["second watcher"])
        time.sleep(0.5)
        watch.process.send_signal(signal.SIGTERM)
        watch.wait_for("stopping")
        asked = time.monotonic()
        code = watch.stop()
        took = time.monotonic() - asked
    facts["SIGTERM twice"] = f"exit {code} after {took:.1f} s"
    require(code == 143 and took < 10, facts["SIGTERM twice"])
    require(not leftovers(place.out) and "large.png" not in results(place.out), "nothing is torn")
    (place.watched / "large.png").unlink()
    require(run_once(place).process.returncode == 0, "the next run does the rest")
    require(len(results(place.out)) == 6, "all are there in the end")
    return facts


def seconds_to_start(place: Place) -> float:
    """Return how long a watcher takes until it has looked at everything once."""
    started = time.monotonic()
    with Watch(place) as watch:
        watch.wait_watching()
        took = time.monotonic() - started
        watch.stop()
    return took
