"""What keeps the lake whole: comparing it with the ledger, repairing it, merging small files, taking away what nobody reads.

Does not belong here: how a Delta table is written (`assets/lake`), when any of this runs (`orchestration`).
"""
