"""Makes a ranking more varied: takes what `diversity` needs from the model and its tables."""

from recserve_server.answering.diversity import Candidates, Cap, choose
from recserve_server.answering.tables import Tables
from recserve_server.model import Ranking, ServedModel
from recserve_server.query import Diversity


class Diversifier:
    """Chooses from a ranking by marginal relevance and caps."""

    def __init__(self, model: ServedModel, tables: Tables) -> None:
        self._model, self._tables = model, tables

    def choose(self, ranking: Ranking, diversity: Diversity, k: int) -> Ranking:
        """Returns the k items of a ranking that are chosen, in the order of choice."""
        vectors = self._model.embed_items(ranking.item_rows) if diversity.weight else None
        caps = [
            Cap(self._tables.attributes.codes(attribute), most)
            for attribute, most in diversity.caps
        ]
        candidates = Candidates(ranking.item_rows, ranking.scores, vectors)
        chosen = choose(candidates, caps, diversity.weight, k)
        return ranking.at(chosen, k)
