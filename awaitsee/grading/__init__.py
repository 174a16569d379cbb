"""`awaitsee check`: run a folder of submitted exercises, each in a process of its own, and say what came of it.

`collect` finds the submissions, `sheets` knows what the course handed out, `answers` decides what of a submission is
run, `worker` runs it in a kernel, `guard` holds that kernel back, `supervise` watches the worker and ends it with all
that it started, `report` writes the table and the CSV file.
"""
