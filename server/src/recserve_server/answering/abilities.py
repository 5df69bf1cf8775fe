"""What a model was exported with."""

from recserve_server.errors import NotInModel
from recserve_server.model import ServedModel


def require(model: ServedModel, *signatures: str) -> None:
    """Makes sure that a model can do what a question needs.

    Raises:
        NotInModel: it lacks one of the signatures.
    """
    for signature in signatures:
        if signature not in model.abilities:
            raise NotInModel(signature)
