"""What can go wrong in a training run, each told in one line.

UsageError                  a flag's value is not one it can have
TrainerError
|-- DatasetError            the dataset is unknown, absent or broken
|-- IndexUnavailableError   the library for this kind of item index cannot be imported
`-- ExportError             the version could not be written or did not pass its gate
"""


class UsageError(Exception):
    """Wrong usage of a command; the text says what was seen and what is allowed."""


class TrainerError(Exception):
    """Base of everything this package raises on purpose; the text is one line for a person."""


class DatasetError(TrainerError):
    """The dataset cannot be used; the text says what to give instead."""


class IndexUnavailableError(TrainerError):
    """This kind of index cannot be written here; the text says what to install."""


class ExportError(TrainerError):
    """No version was published; what was there before is untouched."""
