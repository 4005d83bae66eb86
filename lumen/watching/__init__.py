"""Watching a folder for months: no file is lost, enhanced twice, or left half-written.

Events alone are not enough: they are lost while a process is paused, new folders are watched too late, renames are
reported in many forms, and threads die silently. So **the scan is the truth, and events only shorten the wait.**

A file goes through these states; `settling` is kept in memory, all others in the ledger::

               another version                     truncated, or a fault that may pass
              +--------------+                         +--------------- retry <--+
              v              |                         v                         |
    seen -> settling --------+-- unchanged --> ready -> working -----------------+
                                                           |
                                                           +--> done | failed | unsupported

Invariants:

1.  Every settled version (path, size, time, inode) of a file ends as exactly one of done, failed, unsupported (or
    skipped, if the backlog was not wanted). A version that is replaced or removed before it is processed leaves the
    ledger, with a line in the log.
2.  A partial result never has a final name.
3.  Inputs are untouched unless `--on-success` or `--failed-dir` asks, and then only after the result is on the disk.
4.  Everything is scanned at the start, every `--rescan`, and after an overflow, an error or a change of a folder. Event
    handlers only leave hints, and cannot raise.
5.  A file is processed when its size and time have been unchanged for `--settle`, at the start too, and accepted if it
    decodes completely. Otherwise it is tried again at growing intervals until `--incomplete-timeout`.
6.  Queues and memory are bounded, however many files there are: files wait in the ledger.
7.  Dead observers, folders they do not see and a replaced folder are detected, and watching starts again.
8.  Disk and mount problems (disk full, read-only, mount gone) pause the work. They never make a file failed.
9.  There is one watcher, or other run, per output folder.
10. What was done is recorded in an SQLite ledger in `.lumen/` of the output folder, and survives `kill -9`.

`Service` runs it all. `Watcher` knows nothing of models: `Watcher.files` yields settled files, and is told what became
of each.
"""
