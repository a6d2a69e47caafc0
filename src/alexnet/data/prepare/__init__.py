"""Any image tree becomes 256 x 256 shards with statistics: in one pass, in parallel, and again from where it stopped.

options  what is asked for
sources  where the images come from: folders, archives, and every data set that can be opened
plan     which image goes where: all paths, sorted and shuffled on disk
ledger   what is done: one transaction a shard
shrink   an image becomes a small JPEG, and is added to the sums
report   the files that end the work
run      all of it in order
"""
