"""A fake recserve server for the tests of services that call one.

It runs in the test's own process, needs no model and no TensorFlow, and is asked through the real
client over real gRPC. As a fixture:

    @pytest.fixture
    def server():
        items = [Item("50", "Star Wars", genres=("Sci-Fi",), year=1977), Item("172", "Amélie")]
        with FakeServer(items, users={"42": ["50"]}) as server:
            yield server

    def test_the_front_page_shows_popular_items_when_the_server_is_overloaded(server):
        server.overload(retry_after_s=0.05)
        with RecommenderClient(server.target) as client:
            page = front_page(client, "42")
        assert page.title == "Popular now"
        assert server.calls[0].request.user_id == "42"

`FakeServer()` alone has twenty invented films, `SAMPLE_ITEMS`, and five users, `SAMPLE_USERS`.
"""

from ._calls import ReceivedCall
from ._failures import FailureDetails
from ._item import Item
from ._knowledge import FakeModel
from ._listener import ServerTls
from ._samples import SAMPLE_ITEMS, SAMPLE_USERS
from ._server import FakeServer

__all__ = [
    "SAMPLE_ITEMS",
    "SAMPLE_USERS",
    "FailureDetails",
    "FakeModel",
    "FakeServer",
    "Item",
    "ReceivedCall",
    "ServerTls",
]
