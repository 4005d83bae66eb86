"""Watching a folder for months: nothing lost, nothing twice, nothing half.

What the event libraries deliver is not enough: events are lost when a process is paused, new folders are seen too late,
renames come in many shapes, threads die in silence. So **the scan is the truth, and events only shorten the wait.**

A file goes through these states; `settling` lives in memory, all others in the ledger::

               another version                          truncated, or a fault that may pass
              +--------------+                              +--------------- retry <--+
              v              |                              v                         |
    seen -> settling --------+-- stood still --> ready -> working --------------------+
                                                            |
                                                            +--> done | failed | unsupported

What must hold:

1.  Every version (path, size, time, inode) of a file that stood still ends as exactly one of done, failed,
    unsupported (or skipped, where the backlog was not wanted). One that is replaced or removed before its turn leaves
    the ledger, with a line in the log.
2.  No part of a result ever stands under a final name.
3.  Inputs are untouched unless `--on-success` or `--failed-dir` asks, and then only after the result is on the disk.
4.  Everything is scanned at the start, every `--rescan`, and after an overflow, an error or a change of a folder. What
    hears the events only takes notes, and cannot raise.
5.  A file has its turn when size and time have stood still for `--settle`, at the start too, and is accepted when it
    decodes whole. One that does not is tried again, later and later, until `--incomplete-timeout`.
6.  Queues and memory are bounded, whatever the number of files: what waits, waits in the ledger.
7.  Dead observers, folders they do not see and a folder that was replaced are found out, and watching begins anew.
8.  Faults of the surroundings (disk full, read-only, mount gone) pause the work. They never make a file failed.
9.  One watcher, or other run, per output folder.
10. What was done stands in an SQLite ledger in `.lumen/` of the output folder, and survives `kill -9`.

Nothing here knows of models: `Watcher.files` yields settled files, whoever takes them tells what became of each.
"""
