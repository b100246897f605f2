"""The output folder: locks, fits, journals, and studies opened again from it.

Whatever cannot be opened, read or written raises a `StoreError` of one line; what another process holds, a `BusyError`.
"""
