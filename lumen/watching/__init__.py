"""Watches a folder for months: no file is lost, done twice, or taken half-uploaded.

What the event libraries deliver is not enough: events are lost when a process is paused, new folders are seen too late,
renames come in many forms, threads die silently. So **the scan is the truth, and events only shorten the wait.**

A file goes through these states; `settling` lives in memory, all others in the ledger::

               another version                          truncated, or a fault that may pass
              +--------------+                              +--------------- retry <--+
              v              |                              v                         |
    seen -> settling --------+--  unchanged  --> ready -> working --------------------+
                                                            |
                                                            +--> done | failed | unsupported

What must hold:

1.  Every version (path, size, time, inode) of a file that has settled ends as exactly one of done, failed,
    unsupported (or skipped, where the backlog was not wanted). One that is replaced or removed before it is processed
    leaves the ledger, with a line in the log.
2.  A result never appears in part under its final name.
3.  Inputs are untouched unless `--on-success` or `--failed-dir` asks, and then only after the result is on the disk.
4.  Everything is scanned at the start, every `--rescan`, and after an overflow, an error or a change of a folder. What
    receives the events only collects hints, and cannot raise.
5.  A file is processed when size and time are unchanged for `--settle`, at the start too, and is accepted when it
    decodes whole. One that does not is tried again, later and later, until `--incomplete-timeout`.
6.  Queues and memory are bounded, whatever the number of files: what waits, waits in the ledger.
7.  Dead observers, folders they do not see and a replaced folder are noticed, and watching is restarted.
8.  Disk and mount problems (full, read-only, gone) pause the work. They never make a file failed.
9.  One watcher, or other run, per output folder.
10. What was done is recorded in an SQLite ledger in `.lumen/` of the output folder, and survives `kill -9`.

The watcher knows nothing of models: `Watcher.files` yields settled files, and whoever takes them reports what became
of each.
"""
