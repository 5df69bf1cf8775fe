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
    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
            count = reader.num_record_batches
            batch = reader.get_batch(0) if count == 1 else None
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path.name} is no Arrow file: {error}") from error
    if batch is None:
        raise ValueError(f"{path.name} has {count} batches, must have 1")
    missing = set(columns) - set(batch.schema.names)
    if missing:
        raise ValueError(f"{path.name} lacks the columns {', '.join(sorted(missing))}")
    return batch
