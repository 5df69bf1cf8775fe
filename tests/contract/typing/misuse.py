"""Wrong use of the SDK; each line marked so must fail strict type checking, and no other."""

from recserve_client import (
    AsyncRecommenderClient,
    CallHook,
    ChannelConfig,
    Event,
    Filter,
    RecommenderClient,
    RecommendOptions,
    Tls,
)

client = RecommenderClient("localhost:8500")
remote = AsyncRecommenderClient("localhost:8500")

client.recommend(42)  # wrong: a user id is text
client.recommend("42", k="5")  # wrong: k is a number
client.recommend("42", top_k=5)  # wrong: there is no such option
client.recommend("42", 5)  # wrong: options go by name
client.recommend("42", filters=["genres any Drama"])  # wrong: filters are objects
client.recommend("42", view="full")  # wrong: a view is an ItemView
client.recommend("42", history=[50])  # wrong: items are text or entries
client.recommend("42", model_label=3)  # wrong: a label is text
client.recommend("42", priority="batch")  # wrong: a priority is a Priority
client.get_model(label="canary")  # wrong: a model is asked for by version
client.find_similar_items("50", include_seen=True)  # wrong: there is nobody who has seen
client.rank_items(["50"], k=5)  # wrong: all are ranked
client.rank_items(["50"], "42")  # wrong: the user goes by name
client.record_events([{"user_id": "42"}])  # wrong: events are objects
Event("42", "50", "liked")  # wrong: a type is an EventType
Filter.between("year", "1990")  # wrong: a range has numbers
ChannelConfig(max_atempts=3)  # wrong: there is no such field
ChannelConfig(compression="gzip")  # wrong: it is a Compression
Tls(root_certificates="roots.pem")  # wrong: it is bytes, not a path
ChannelConfig(bearer_token=lambda: "secret")  # wrong: a source returns BearerToken
RecommenderClient("localhost:8500", hooks=[print])  # wrong: a hook is a CallHook
RecommenderClient(8500)  # wrong: a target is text
options: RecommendOptions = {"limit": 5}  # wrong: there is no such option
client.recommend("42").items[0].score = 1.0  # wrong: answers are frozen
print(client.recommend("42").item_ids)  # wrong: there is no such attribute
print(client.recommend("42").fallback_reason.value)  # wrong: there may be none
len(remote.recommend("42"))  # wrong: it must be awaited
remote.recommend_many(["42"])[0]  # wrong: it is iterated over


class Hook(CallHook):
    def call_ended(self, call: str) -> None: ...  # wrong: it is a Call


def whole(client: RecommenderClient) -> str:
    return client.recommend("42")  # wrong: it is no text
