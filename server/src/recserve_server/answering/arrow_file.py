"""A table of an artifact, mapped: what is never asked for is never read."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa


def map_table(path: Path, columns: Sequence[str] = ()) -> pa.RecordBatch:
    """Maps an Arrow IPC file of one record batch.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a file, or lacks one of the columns.
    """
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        if reader.num_record_batches != 1:
            raise ValueError(f"{path.name} has {reader.num_record_batches} batches, must have 1")
        batch = reader.get_batch(0)
    missing = set(columns) - set(batch.schema.names)
    if missing:
        raise ValueError(f"{path.name} lacks the columns {', '.join(sorted(missing))}")
    return batch
