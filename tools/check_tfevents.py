"""Checks that TensorBoard's own reader finds the scalars of a folder of event files that tallrec wrote.

Run: python tools/check_tfevents.py FOLDER   (needs tensorboard). Prints tag, step, value of each scalar."""
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

accumulator = EventAccumulator(sys.argv[1])
accumulator.Reload()
tags = accumulator.Tags()["scalars"]
for tag in tags:
    for event in accumulator.Scalars(tag):
        print(tag, event.step, event.value, event.wall_time)
assert tags, "no scalars found"
